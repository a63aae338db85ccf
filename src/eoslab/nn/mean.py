"""Means over all samples: chunk by chunk, weighted by their samples, over all ranks, in the memory there is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from eoslab.core.errors import BadData, InvalidArgument
from eoslab.nn import checks, samples
from eoslab.nn.ladder import Ladder
from eoslab.nn.memory import OutOfMemory, out_of_memory
from eoslab.nn.parameters import Parameters
from eoslab.nn.samples import Chunk

__all__ = ["SampleMean"]

Vector = NDArray[Any]


class SampleMean:
    """(1/N) Σ over the samples of what a function of (inputs, targets) gives, itself a mean over its samples.

    ``largest`` is the most samples at once, None without a limit. Where memory runs out it is halved and the
    chunk is tried again; what the ranks have to say to one another comes after that, so that a rank that tries
    again lets the others wait and not fail.
    """

    def __init__(
        self,
        model: Parameters,
        loss_fn: Callable[[Any, Any], Tensor],
        chunks: list[Chunk],
        ladder: Ladder,
        largest: int | None = None,
        group: Any = None,
        check: bool = True,
    ) -> None:
        self.model, self.loss_fn, self.ladder, self.largest, self.group = model, loss_fn, ladder, largest, group
        self.chunks = chunks
        self.checked = not check  # that the loss is the mean of its chunks' losses
        self.samples = sum(n for _, _, n in chunks)
        if self.samples == 0:
            raise BadData("data: got 0 samples, expected at least one")
        #: Samples over all ranks.
        self.total = self.samples if group is None else int(self._reduced(torch.tensor(self.samples)))

    def of(self, rows: Tensor) -> SampleMean:
        """The mean over the samples ``rows``."""
        if self.group is not None:
            raise InvalidArgument(
                "batch", f"{len(rows)} samples", "all of them, where several processes share the samples",
                "mini-batches, and probes that draw some, are for one process",
            )  # fmt: skip
        if len(self.chunks) > 1:
            whole = samples.join([c[0] for c in self.chunks]), samples.join([c[1] for c in self.chunks])
        else:
            whole = self.chunks[0][:2]
        part = copy.copy(self)
        picked = (samples.pick(whole[0], rows), samples.pick(whole[1], rows), len(rows))
        part.chunks, part.samples = samples.split(picked, self.largest), len(rows)
        part.total = part.samples
        return part

    # -- one chunk ------------------------------------------------------------------------------------------

    def loss(self, flat: Tensor, x: Any, y: Any) -> Tensor:
        """The loss of a chunk, a scalar tensor."""
        value = self.loss_fn(self.model.forward(flat, x), y)
        if value.dim() != 0:
            raise InvalidArgument(
                "loss_fn", f"a result of shape {tuple(value.shape)}", "one number", "use the mean over samples"
            )
        return value

    # -- all of them ----------------------------------------------------------------------------------------

    def __call__(
        self, term: Callable[..., Sequence[Tensor]], kept: list[tuple[Any, Any, int]] | None = None
    ) -> list[Tensor]:
        """The mean of the tensors ``term(x, y, count)`` over all samples; scalars are added in float64.

        ``kept`` holds what an earlier term has kept of each chunk, in place of its x and y; it is emptied where
        memory runs out, and the chunks come again.
        """
        sums, alone = self._within_memory(lambda: self._sums(term, kept or self.chunks), kept)
        return sums if alone else [self._reduced(t).div_(self.total) for t in sums]

    def gradient(self, flat: Tensor) -> tuple[float, Vector]:
        """(L, ∇L) at w without a graph for products."""

        def term(x: Any, y: Any, count: int) -> Sequence[Tensor]:
            w = flat.detach().requires_grad_()
            with torch.enable_grad():
                value = self.loss(w, x, y)
                (g,) = torch.autograd.grad(value, w)
            return value.detach(), g

        value, g = self(term)
        return float(value), g.cpu().numpy()

    def scalar(self, flat: Tensor, fn: Callable[[Tensor, Any, Any], Tensor]) -> float:
        """The mean of the number ``fn(flat, x, y)``."""
        with torch.no_grad():
            return float(self(lambda x, y, count: [fn(flat, x, y)])[0])

    def outputs(self, flat: Tensor) -> Tensor:
        """The module's outputs on all samples of this rank."""
        with torch.no_grad(), self.ladder.kernels():
            return self._within_memory(
                lambda: torch.cat([self.model.forward(flat, x) for x, _, _ in self.chunks]), None
            )

    def largest_of_ranks(self, value: float) -> float:
        """The largest of a number that each rank has."""
        if self.group is None:
            return value
        import torch.distributed as dist

        t = torch.tensor(value, dtype=torch.float64, device=self.model.device)
        dist.all_reduce(t, dist.ReduceOp.MAX, group=None if self.group is True else self.group)
        return float(t)

    def _sums(self, term: Callable[..., Sequence[Tensor]], items: Sequence[Chunk]) -> tuple[list[Tensor], bool]:
        """Σ count·term over the chunks; where one chunk is all there is the term itself, to the last bit."""
        alone = len(items) == 1 and self.group is None
        sums: list[Tensor] = []
        with self.ladder.kernels():
            for x, y, count in items:
                found = term(x, y, count)
                if alone:
                    return list(found), True
                if not sums:
                    sums = [torch.zeros_like(t, dtype=None if t.dim() else torch.float64) for t in found]
                for total, t in zip(sums, found, strict=True):
                    total.add_(t.detach(), alpha=count)
        return sums, False

    def _reduced(self, t: Tensor) -> Tensor:
        """The sum of a tensor over the ranks."""
        if self.group is not None:
            import torch.distributed as dist

            t = t.to(self.model.device)
            dist.all_reduce(t, group=None if self.group is True else self.group)
        return t

    # -- memory ---------------------------------------------------------------------------------------------

    def _within_memory(self, compute: Callable[[], Any], kept: list[Any] | None) -> Any:
        """``compute()``, tried again with smaller chunks where memory runs out."""
        while True:
            try:
                result = compute()
                break
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                short = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            # outside of the handler, whose traceback holds on to the tensors that were too large
            if kept is not None:
                kept.clear()
            if self.model.device.type == "cuda":
                torch.cuda.empty_cache()
            self._spare(short)
        if not self.checked and len(self.chunks) > 1:
            self.checked = True
            checks.chunkable(self)
        return result

    def _spare(self, reason: str) -> None:
        """The next way to need less: graphs not kept, then chunks of half the size."""
        if self.ladder.retain and len(self.chunks) > 1:
            self.ladder.retain = False
            self.ladder.notes.append(f"graphs not retained: out of memory ({reason})")
            return
        before = max(n for _, _, n in self.chunks)
        if before == 1:
            raise OutOfMemory(
                f"out of memory with one sample at a time ({reason})",
                "use dtype float32 (half the memory), a smaller network, or a machine with more memory",
            )
        checks.statistics(self.model.module)
        self.largest = before // 2
        self.chunks = [part for chunk in self.chunks for part in samples.split(chunk, self.largest)]
        stem = "chunks of at most "
        earlier = [note for note in self.ladder.notes if note.startswith(stem)]
        for note in earlier:
            self.ladder.notes.remove(note)
        self.ladder.notes.append(f"{stem}{self.largest} samples: out of memory with {before} ({reason})")
