"""The loss of a PyTorch module as a function of one flat parameter vector, with exact curvature products.

Let L(w) = (1/N) Σ_i ℓ(f(x_i; w), y_i). An :class:`Objective` gives L, ∇L, Hv, the Gauss–Newton product and
∇_w(uᵀHu). All products at one point share **one retained gradient graph** (:mod:`eoslab.nn.point`); where a
derivative does not exist or cannot be trusted the next best way is taken and said (:mod:`eoslab.nn.ladder`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eoslab.core.errors import whole
from eoslab.nn import checks, samples
from eoslab.nn.ladder import Ladder, NonDeterministic, ThirdDerivativeRefused
from eoslab.nn.mean import SampleMean
from eoslab.nn.memory import OutOfMemory
from eoslab.nn.parameters import Parameters
from eoslab.nn.point import Point
from eoslab.nn.samples import Chunk

__all__ = ["NonDeterministic", "Objective", "OutOfMemory", "Point", "ThirdDerivativeRefused"]

Vector = NDArray[Any]


class Objective:
    """L(w) of ``module`` under ``loss_fn`` on ``data``.

    Args:
        module: any ``torch.nn.Module``. Parameters with ``requires_grad=False`` are constants; tied parameters
            appear once in w; a parameter that the loss does not use has gradient 0.
        loss_fn: (outputs, targets) → mean over the samples of the batch.
        data: a pair (X, y) of tensors or arrays (X may also be a dict or a tuple of them, passed on as
            keywords or arguments), or a re-iterable of such pairs in a fixed order, which is then the chunking.
        chunk: samples per chunk; None takes all at once. Chunks are weighted by their sample count, so an
            uneven last one is right. With more than one chunk the graphs are rebuilt for each block of
            products unless ``retain=True``, because keeping them all would undo the saving of memory. Where
            memory runs out the chunks are halved and tried again, with a note in ``notes``.
        dtype: ``torch.float64`` or ``torch.float32``; default that of the module's parameters.
        device: where to compute; default where the parameters are.
        hvp: "exact" (double backward), "fd" (differences of the gradient), or "auto": exact, and differences
            where an operation has no second derivative. What was taken and why is in ``hvp_mode``,
            ``hvp_reason``.
        retain: keep the gradient graph of a point for its products; default: when there is one chunk.
        group: a ``torch.distributed`` process group over whose ranks the data are spread, or True for the
            default group. Ranks may hold different numbers of samples.
        check: verify once that the loss is a function of w and a mean over samples.

    Raises:
        NonDeterministic: dropout, batch norm statistics, shuffled data, … are active.
        OutOfMemory: by any evaluation, where memory does not suffice for one sample at a time.
        InvalidArgument, BadData: see the messages.

    >>> module = nn.Linear(2, 1, bias=False).double()
    >>> half_square = lambda f, y: 0.5 * ((f - y) ** 2).sum() / len(y)
    >>> obj = Objective(module, half_square, (torch.eye(2), torch.zeros(2, 1)))
    >>> obj.hvp(obj.w0, np.array([1.0, 0.0])).tolist()   # H = XᵀX/N = I/2
    [0.5, 0.0]
    """

    def __init__(
        self,
        module: nn.Module,
        loss_fn: Callable[[Any, Any], Tensor],
        data: Any,
        *,
        chunk: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        hvp: str = "auto",
        retain: bool | None = None,
        group: Any = None,
        check: bool = True,
    ) -> None:
        if isinstance(module, nn.parallel.DistributedDataParallel):
            module = module.module  # a graph of second order cannot pass DDP's hooks; we reduce ourselves
        ladder = Ladder(hvp, retain, check)
        self.module, self.loss_fn, self.group = module, loss_fn, group
        self.parameters = Parameters(module, dtype, device)
        size = None if chunk is None else whole("chunk", chunk, 1)
        chunks = samples.chunks(data, self.parameters.to, size)
        self.mean, self.ladder = SampleMean(self.parameters, loss_fn, chunks, ladder, size, group, check), ladder
        self.products = 0  # single vectors multiplied since construction
        self._point: Point | None = None
        if check:
            if not isinstance(data, (tuple, list)):
                checks.same_order(chunks, samples.chunks(data, self.parameters.to, size))
            if len(chunks) > 1:
                checks.statistics(module)
            checks.deterministic(self.mean)

    # -- what it is -----------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of parameters in w."""
        return self.parameters.n

    @property
    def w0(self) -> Vector:
        """The module's parameters as they were at the construction, a flat vector (a copy), shape (n,)."""
        return self.parameters.w0.cpu().numpy().copy()

    @property
    def samples(self) -> int:
        """Number of samples, over all ranks."""
        return self.mean.total

    @property
    def chunk(self) -> int | None:
        """The most samples at once; None if there is no limit. It falls where memory runs out."""
        return self.mean.largest

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of w and of the floating-point data."""
        return self.parameters.dtype

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of w as NumPy's."""
        return self.parameters.numpy_dtype

    @property
    def device(self) -> torch.device:
        """Where the computing happens."""
        return self.parameters.device

    @property
    def hvp_mode(self) -> str:
        """How products are taken: "exact" or "fd"."""
        return self.ladder.mode

    @property
    def hvp_reason(self) -> str:
        """Why differences are taken, where they are."""
        return self.ladder.reason

    @property
    def notes(self) -> list[str]:
        """What was changed to make the derivatives right or the memory suffice, and why."""
        return self.ladder.notes

    @property
    def _chunks(self) -> list[Chunk]:
        return self.mean.chunks

    def slices(self) -> dict[str, tuple[slice, torch.Size]]:
        """Name → (slice of w, shape) of each trained parameter."""
        return self.parameters.slices()

    def state_dict(self, w: Vector) -> dict[str, Tensor]:
        """The trained parameters at w under their names, for ``module.load_state_dict(..., strict=False)``."""
        flat = self.parameters.tensor(w)
        return {k: flat[s].reshape(shape).clone() for k, (s, shape) in self.slices().items()}

    # -- the loss and its derivatives -----------------------------------------------------------------------

    def at(self, w: Vector) -> Point:
        """The point w: loss and gradient computed once, graph kept for the products. The last one is cached."""
        w = np.asarray(w)
        if not self._here(w):
            self._point = None  # frees the old graph before the new one is built
            self._point = Point(self, w)
        assert self._point is not None
        return self._point

    def release(self) -> None:
        """Forget the last point and free its graph."""
        self._point = None

    def loss(self, w: Vector) -> float:
        """L(w)."""
        if self._point is not None and self._here(w):
            return self._point.loss
        return self.mean.scalar(self.parameters.tensor(w), self.mean.loss)

    def grad(self, w: Vector) -> Vector:
        """∇L(w), shape (n,)."""
        if self._point is not None and self._here(w):
            return self._point.grad
        return self.loss_and_grad(w)[1]

    def loss_and_grad(self, w: Vector) -> tuple[float, Vector]:
        """(L, ∇L) without a graph for products: the price of a plain descent step."""
        return self.mean.gradient(self.parameters.tensor(w))

    def hvp(self, w: Vector, v: Vector) -> Vector:
        """∇²L(w) v, shape (n,)."""
        return self.at(w).hvp(v)

    def ggn(self, w: Vector, v: Vector) -> Vector:
        """Gauss–Newton product Jᵀ ∇²ℓ J v, mean over samples."""
        return self.at(w).ggn(v)

    def third(self, w: Vector, u: Vector, v: Vector | None = None) -> Vector:
        """∇_w(uᵀH(w)v), shape (n,); v = u if left out. Guarded, see :meth:`Point.third`."""
        return self.at(w).third(u, v)

    # -- what else one asks a network -----------------------------------------------------------------------

    def outputs(self, w: Vector) -> Tensor:
        """The module's outputs on all samples (of this rank), chunks concatenated."""
        return self.mean.outputs(self.parameters.tensor(w))

    def metric(self, w: Vector, fn: Callable[[Any, Any], Tensor]) -> float:
        """Mean over samples of ``fn(outputs, targets)``, for instance :func:`eoslab.nn.losses.accuracy`."""
        return self.mean.scalar(
            self.parameters.tensor(w), lambda flat, x, y: fn(self.parameters.forward(flat, x), y)
        )

    def batch(self, index: Sequence[int] | NDArray[Any]) -> Objective:
        """The objective of the samples ``index`` only (for mini-batches); same module, dtype and settings."""
        part = copy.copy(self)
        part.mean = self.mean.of(torch.as_tensor(np.asarray(index), device=self.device, dtype=torch.long))
        part._point = None
        return part

    def drive(self, rule: Any, w0: Any = None, **options: Any) -> Any:
        """The run of ``rule`` from w0 as a labelled data set: what :func:`eoslab.trajectory` calls."""
        from eoslab.nn.run import trajectory

        return trajectory(self, rule, w0, **options)

    def _here(self, w: Any) -> bool:
        return self._point is not None and np.array_equal(self._point.w, w)
