"""The loss of a PyTorch module as a function of one flat parameter vector, with exact curvature products.

Let L(w) = (1/N) Σ_i ℓ(f(x_i; w), y_i). An :class:`Objective` gives L, ∇L, Hv, the Gauss–Newton product and
∇_w(uᵀHu). All products at one point share **one retained gradient graph**: building it costs no more than
the gradient that a descent step needs anyway, and a product then costs about one gradient, half of what
rebuilding the graph per product costs.

The user's module is never written to: parameters and buffers are passed in by ``torch.func.functional_call``
as copies, its ``.grad`` fields, its train/eval mode and the global random state stay as they were.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from eoslab.core.errors import BadData, EoslabError, InvalidArgument, whole
from eoslab.nn.primitives import PrimitiveNorms

__all__ = ["NonDeterministic", "Objective", "Point", "ThirdDerivativeRefused"]

Vector = NDArray[Any]

#: Step of the one-sided finite difference of the gradient, for a unit direction. Its bias is ε∇³L/2, which
#: at the edge of stability is what is large: 2.5e-4 keeps it near 3e-4 relative in float32, where 1e-3 shows
#: a bias of 1e-3. In float64 the central difference with 1e-4 has an error of about 1e-8.
FD_STEP = {torch.float32: 2.5e-4, torch.float64: 1e-4}


class NonDeterministic(EoslabError, ValueError):
    """The loss is not a function of w: two evaluations at the same point differ."""

    code = "E111"
    exit_code = 2


class ThirdDerivativeRefused(EoslabError):
    """Automatic third derivatives of this module disagree with differences of second ones."""

    code = "E112"


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
            products unless ``retain=True``, because keeping them all would undo the saving of memory.
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
        if hvp not in ("auto", "exact", "fd"):
            raise InvalidArgument("hvp", repr(hvp), "'auto', 'exact' or 'fd'")
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not named:
            raise InvalidArgument(
                "module", type(module).__name__, "a module with at least one parameter that requires a gradient"
            )
        first = named[0][1]
        self.module, self.loss_fn, self.group = module, loss_fn, group
        self.dtype = dtype if dtype is not None else first.dtype
        if self.dtype not in (torch.float32, torch.float64):
            raise InvalidArgument(
                "dtype", self.dtype, "torch.float32 or torch.float64", "half precision has ~1 % noise per product"
            )
        self.device = torch.device(device) if device is not None else first.device
        self._names = [name for name, _ in named]
        self._shapes = [p.shape for _, p in named]
        self._sizes = [p.numel() for _, p in named]
        self._n = sum(self._sizes)
        self._w0 = torch.cat([p.detach().reshape(-1).to(self.device, self.dtype) for _, p in named])
        trained = set(self._names)
        self._constants = {k: self._cast(p) for k, p in module.named_parameters() if k not in trained}
        self._buffers = {k: self._cast(b) for k, b in module.named_buffers()}
        self._source, self._chunk = data, None if chunk is None else whole("chunk", chunk, 1)
        self._chunks = self._read(data)
        self.samples = sum(count for _, _, count in self._chunks)
        if self.samples == 0:
            raise BadData("data: got 0 samples, expected at least one")
        self._retain = retain
        self.requested_hvp = hvp
        self.hvp_mode = "fd" if hvp == "fd" else "exact"
        self.hvp_reason = "asked for" if hvp == "fd" else ""
        self.notes: list[str] = []  # what was changed to make the derivatives right, and why
        self._math_attention = False
        self._primitive_norms = False
        self._products_checked = not check
        self._third_checked = False
        self._point: Point | None = None
        self.products = 0  # single vectors multiplied since construction
        if check:
            self._verify()

    # -- what the user sees ---------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of parameters in w."""
        return self._n

    @property
    def w0(self) -> Vector:
        """The module's present parameters as a flat vector (a copy), shape (n,)."""
        return self._numpy(self._w0).copy()

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of w as NumPy's."""
        return np.dtype(np.float64 if self.dtype == torch.float64 else np.float32)

    def slices(self) -> dict[str, tuple[slice, torch.Size]]:
        """Name → (slice of w, shape) of each trained parameter."""
        out, start = {}, 0
        for name, size, shape in zip(self._names, self._sizes, self._shapes, strict=True):
            out[name] = (slice(start, start + size), shape)
            start += size
        return out

    def state_dict(self, w: Vector) -> dict[str, Tensor]:
        """The trained parameters at w under their names, for ``module.load_state_dict(..., strict=False)``."""
        flat = self._tensor(w)
        return {k: flat[s].reshape(shape).clone() for k, (s, shape) in self.slices().items()}

    def at(self, w: Vector) -> Point:
        """The point w: loss and gradient computed once, graph kept for the products. The last one is cached."""
        w = np.asarray(w)
        if self._point is None or not np.array_equal(self._point.w, w):
            self._point = None  # frees the old graph before the new one is built
            self._point = Point(self, w)
        return self._point

    def release(self) -> None:
        """Forget the last point and free its graph."""
        self._point = None

    def loss(self, w: Vector) -> float:
        """L(w)."""
        if self._point is not None and np.array_equal(self._point.w, w):
            return self._point.loss
        total = 0.0
        with torch.no_grad(), self._kernels():
            flat = self._tensor(w)
            for x, y, count in self._chunks:
                total += float(self._chunk_loss(flat, x, y)) * count
        return float(self._reduce(torch.tensor(total, dtype=torch.float64, device=self.device))) / self._total()

    def grad(self, w: Vector) -> Vector:
        """∇L(w), shape (n,)."""
        if self._point is not None and np.array_equal(self._point.w, w):
            return self._point.grad
        return self._loss_and_grad(self._tensor(w))[1]

    def loss_and_grad(self, w: Vector) -> tuple[float, Vector]:
        """(L, ∇L) without a graph for products: the price of a plain descent step."""
        return self._loss_and_grad(self._tensor(w))

    def hvp(self, w: Vector, v: Vector) -> Vector:
        """∇²L(w) v, shape (n,)."""
        return self.at(w).hvp(v)

    def ggn(self, w: Vector, v: Vector) -> Vector:
        """Gauss–Newton product Jᵀ ∇²ℓ J v, mean over samples."""
        return self.at(w).ggn(v)

    def third(self, w: Vector, u: Vector, v: Vector | None = None) -> Vector:
        """∇_w(uᵀH(w)v), shape (n,); v = u if left out. Guarded, see :meth:`Point.third`."""
        return self.at(w).third(u, v)

    def outputs(self, w: Vector) -> Tensor:
        """The module's outputs on all samples, chunks concatenated."""
        with torch.no_grad(), self._kernels():
            flat = self._tensor(w)
            return torch.cat([self._forward(flat, x) for x, _, _ in self._chunks])

    def metric(self, w: Vector, fn: Callable[[Any, Any], Tensor]) -> float:
        """Mean over samples of ``fn(outputs, targets)``, for instance :func:`eoslab.nn.losses.accuracy`."""
        total = 0.0
        with torch.no_grad(), self._kernels():
            flat = self._tensor(w)
            for x, y, count in self._chunks:
                total += float(fn(self._forward(flat, x), y)) * count
        return float(self._reduce(torch.tensor(total, dtype=torch.float64, device=self.device))) / self._total()

    def batch(self, index: Sequence[int] | NDArray[Any]) -> Objective:
        """The objective of the samples ``index`` only (for mini-batches); same module, dtype and settings."""
        rows = torch.as_tensor(np.asarray(index), device=self.device, dtype=torch.long)
        if len(self._chunks) == 1:
            x, y, _ = self._chunks[0]
        else:
            if not hasattr(self, "_whole"):
                self._whole = (_cat([c[0] for c in self._chunks]), _cat([c[1] for c in self._chunks]))
            x, y = self._whole
        part = object.__new__(Objective)
        part.__dict__.update(self.__dict__)
        part._chunks = [(_rows(x, rows), _rows(y, rows), len(rows))]
        part.samples, part._point, part._retain = len(rows), None, None
        return part

    # -- evaluation -----------------------------------------------------------------------------------------

    def _cast(self, t: Tensor) -> Tensor:
        t = t.detach().clone().to(self.device)
        return t.to(self.dtype) if t.is_floating_point() else t

    def _tensor(self, w: Vector) -> Tensor:
        if np.shape(w) != (self._n,):
            raise InvalidArgument("w", f"shape {np.shape(w)}", f"({self._n},)", "one entry per trained parameter")
        return torch.from_numpy(np.array(w, dtype=self.numpy_dtype)).to(self.device)

    @staticmethod
    def _numpy(t: Tensor) -> Vector:
        return t.detach().cpu().numpy()

    def _place(self, x: Any) -> Any:
        if isinstance(x, Mapping):
            return {k: self._place(v) for k, v in x.items()}
        if isinstance(x, (tuple, list)):
            return tuple(self._place(v) for v in x)
        t = torch.as_tensor(x).detach().to(self.device)
        return t.to(self.dtype) if t.is_floating_point() else t

    def _read(self, data: Any) -> list[tuple[Any, Any, int]]:
        if isinstance(data, (tuple, list)) and len(data) == 2 and not _is_pair(data[0]):
            pairs: Iterable[Any] = [data]
        elif isinstance(data, Iterator):
            raise InvalidArgument(
                "data", type(data).__name__, "a pair (X, y) or a re-iterable of pairs", "an iterator is used up"
            )
        else:
            pairs = data
        chunks = []
        for x, y in pairs:
            x, y = self._place(x), self._place(y)
            count = _count(x)
            if _count(y) != count:
                raise BadData(f"data: X has {count} samples and y has {_count(y)}", "both count samples first")
            step = self._chunk or max(count, 1)
            chunks += [
                (_cut(x, i, i + step), _cut(y, i, i + step), min(step, count - i)) for i in range(0, count, step)
            ]
        return chunks

    @contextlib.contextmanager
    def _kernels(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self._math_attention:
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if self._primitive_norms:
                stack.enter_context(PrimitiveNorms())
            yield

    def _forward(self, flat: Tensor, x: Any) -> Any:
        parts = flat.split(self._sizes)  # one concatenation in the backward pass, however many parameters
        params = {k: p.view(s) for k, p, s in zip(self._names, parts, self._shapes, strict=True)}
        # Buffers go in as copies, so running statistics of the user's module stay as they are.
        values = params | self._constants | {k: b.clone() for k, b in self._buffers.items()}
        if isinstance(x, dict):
            return functional_call(self.module, values, (), x)
        return functional_call(self.module, values, x if isinstance(x, tuple) else (x,))

    def _chunk_loss(self, flat: Tensor, x: Any, y: Any) -> Tensor:
        value = self.loss_fn(self._forward(flat, x), y)
        if value.dim() != 0:
            raise InvalidArgument(
                "loss_fn", f"a result of shape {tuple(value.shape)}", "one number", "use the mean over samples"
            )
        return value

    def _reduce(self, t: Tensor) -> Tensor:
        if self.group is not None:
            import torch.distributed as dist

            dist.all_reduce(t, group=None if self.group is True else self.group)
        return t

    def _total(self) -> int:
        """Samples over all ranks."""
        if self.group is None:
            return self.samples
        if not hasattr(self, "_global_samples"):
            count = self._reduce(torch.tensor(self.samples, dtype=torch.int64, device=self.device))
            self._global_samples = int(count)
        return self._global_samples

    def _loss_and_grad(self, flat: Tensor) -> tuple[float, Vector]:
        flat = flat.detach().requires_grad_()
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        total: Tensor | None = None
        with torch.enable_grad(), self._kernels():
            for x, y, count in self._chunks:
                value = self._chunk_loss(flat, x, y)
                (g,) = torch.autograd.grad(value, flat)
                loss += value.detach() * count
                if len(self._chunks) == 1 and self.group is None:
                    return float(value.detach()), self._numpy(g)
                total = g.mul_(count) if total is None else total.add_(g, alpha=count)
        assert total is not None
        n = self._total()
        return float(self._reduce(loss)) / n, self._numpy(self._reduce(total).div_(n))

    # -- checks ---------------------------------------------------------------------------------------------

    def _verify(self) -> None:
        names = [type(m).__name__ for m in self.module.modules()]
        if self.module.training:
            batch_norm = [c for c in names if "BatchNorm" in c]
            if batch_norm and len(self._chunks) > 1:
                raise NonDeterministic(
                    f"module: {batch_norm[0]} in training mode normalises each of the {len(self._chunks)} chunks "
                    "by its own statistics, so the loss depends on the chunking",
                    "call module.eval(), or pass all samples in one chunk",
                )
        if not isinstance(self._source, (tuple, list)):
            again = self._read(self._source)
            same = len(again) == len(self._chunks) and all(
                _equal(a[0], b[0]) and _equal(a[1], b[1]) for a, b in zip(again, self._chunks, strict=True)
            )
            if not same:
                raise NonDeterministic(
                    "data: two passes gave different chunks (shuffling or random augmentation)",
                    "use a fixed order: DataLoader(..., shuffle=False), or pass tensors",
                )
        w = self._numpy(self._w0)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(0)
            loss, g = self.loss_and_grad(w)
            torch.manual_seed(1)
            loss2, g2 = self.loss_and_grad(w)
        eps = float(np.finfo(self.numpy_dtype).eps)
        scale = float(np.abs(g).max()) if g.size else 0.0
        # Non-associative atomics on GPUs move the last bits; a random layer moves far more.
        if abs(loss - loss2) > 100 * eps * abs(loss) or np.abs(g - g2).max(initial=0.0) > 1e4 * eps * scale:
            culprits = sorted({c for c in names if "Dropout" in c or "DropPath" in c or "StochasticDepth" in c})
            raise NonDeterministic(
                f"module: two passes at the same w gave losses {loss!r} and {loss2!r}"
                + (f"; active: {', '.join(culprits)}" if culprits else ""),
                "call module.eval() or set the dropout probability to 0",
            )
        if len(self._chunks) > 1 and np.isfinite(loss):
            self._verify_mean(loss)

    def _check_products(self, w: Vector) -> None:
        """Compare one exact product with differences, in float64 on a few samples.

        An operation whose own backward pass is not differentiable (``once_differentiable`` and kin) drops out
        of second derivatives **without an error**; this is where it is noticed.
        """
        x, y, count = self._chunks[0]
        few = min(count, 16)
        try:
            twin = Objective(
                self.module,
                self.loss_fn,
                [(_cut(x, 0, few), _cut(y, 0, few))],
                dtype=torch.float64,
                device=self.device,
                hvp="exact",
                check=False,
            )
            twin._math_attention, bound = self._math_attention, 1e-2
            error = Point(twin, w).self_test()
        except RuntimeError as failure:
            if _no_second_derivative(failure):
                return  # the product itself will say so, and step down
            error, bound = 0.0, 1.0  # the module insists on its own dtype: nothing can be compared sharply
        if error <= bound or not math.isfinite(error):
            return
        reason = f"exact products disagree with differences of the gradient by {error:.2g}: an operation drops out"
        if self.requested_hvp == "exact":
            raise InvalidArgument(
                "hvp", "'exact'", "operations with a second derivative", reason + "; use hvp='auto' or 'fd'"
            )
        self.hvp_mode, self.hvp_reason = "fd", reason
        self.notes.append(f"differences of the gradient: {reason}")

    def _verify_mean(self, _loss: float) -> None:
        """A loss that sums over samples would be weighted wrongly; two chunks against their union tell."""
        (xa, ya, na), (xb, yb, nb) = self._chunks[0], self._chunks[-1]
        with torch.no_grad(), self._kernels():
            a, b = float(self._chunk_loss(self._w0, xa, ya)), float(self._chunk_loss(self._w0, xb, yb))
            both = float(self._chunk_loss(self._w0, _cat([xa, xb]), _cat([ya, yb])))
        mean = (na * a + nb * b) / (na + nb)
        if abs(both - mean) > 1e-3 * max(abs(both), abs(mean)):
            raise InvalidArgument(
                "loss_fn",
                f"{both:.6g} on two chunks together, whose sample-weighted mean is {mean:.6g}",
                "a mean over samples",
                "use reduction='mean'; a sum, or a mean over tokens with padding, cannot be weighted by samples",
            )


class Point:
    """One w with its loss, gradient and, while it lives, the graph that all products share."""

    def __init__(self, objective: Objective, w: Vector) -> None:
        self.objective = objective
        self.w = np.array(w, dtype=objective.numpy_dtype)
        self.w.setflags(write=False)
        o = objective
        self._graphs: list[tuple[Tensor, Tensor, int]] = []  # (flat w, its gradient with graph, samples)
        retain = o._retain if o._retain is not None else len(o._chunks) == 1
        if o.hvp_mode == "exact" and retain:
            try:
                self.loss, self.grad = self._build()
                return
            except (torch.OutOfMemoryError, MemoryError):
                self._graphs = []
                o._retain = False
                o.notes.append("graph not retained: out of memory")
        self.loss, self.grad = o._loss_and_grad(o._tensor(self.w))

    def _chunk_graph(self, x: Any, y: Any) -> tuple[Tensor, Tensor, Tensor]:
        o = self.objective
        flat = o._tensor(self.w).requires_grad_()
        with torch.enable_grad(), o._kernels():
            value = o._chunk_loss(flat, x, y)
            (g,) = torch.autograd.grad(value, flat, create_graph=True)
        return value, flat, g

    def _build(self) -> tuple[float, Vector]:
        o = self.objective
        if len(o._chunks) == 1 and o.group is None:
            x, y, count = o._chunks[0]
            value, flat, g = self._chunk_graph(x, y)
            self._graphs = [(flat, g, count)]
            return float(value.detach()), o._numpy(g)
        loss = torch.zeros((), dtype=torch.float64, device=o.device)
        total = torch.zeros(o.n, dtype=o.dtype, device=o.device)
        for x, y, count in o._chunks:
            value, flat, g = self._chunk_graph(x, y)
            self._graphs.append((flat, g, count))
            loss += value.detach() * count
            total.add_(g.detach(), alpha=count)
        n = o._total()
        return float(o._reduce(loss)) / n, o._numpy(o._reduce(total).div_(n))

    # -- products -------------------------------------------------------------------------------------------

    def hvp(self, v: Vector) -> Vector:
        """Hv, shape (n,)."""
        return self._products(np.asarray(v)[None])[0]

    def hvp_block(self, V: Vector) -> Vector:
        """H V for the rows of V (k, n): the products share the graph, or one rebuild of it per chunk."""
        return self._products(np.asarray(V))

    def _products(self, V: Vector) -> Vector:
        o = self.objective
        if V.ndim != 2 or V.shape[1] != o.n:
            raise InvalidArgument("v", f"shape {V.shape[-1:]}", f"({o.n},)")
        o.products += len(V)
        if o.hvp_mode == "fd":
            return np.stack([self._difference(v) for v in V])
        if not o._products_checked:
            o._products_checked = True
            o._check_products(self.w)
            if o.hvp_mode == "fd":
                self._graphs = []
                return np.stack([self._difference(v) for v in V])
        try:
            return self._exact(V)
        except RuntimeError as error:
            if not _no_second_derivative(error):
                raise
            return self._fall_back(V, error)

    def _fall_back(self, V: Vector, error: RuntimeError) -> Vector:
        """One rung down: math attention, then differences of the gradient. The reason is recorded."""
        o = self.objective
        short = str(error).splitlines()[0][:160]
        attention = "attention" in str(error).lower()
        if attention and not o._math_attention:
            o._math_attention = True
            o.notes.append(f"math attention kernel: the fused one has no second derivative ({short})")
        elif o.requested_hvp == "exact":
            raise InvalidArgument("hvp", "'exact'", "operations with a second derivative", short) from error
        else:
            o.hvp_mode, o.hvp_reason = "fd", short
            o.notes.append(f"differences of the gradient: {short}")
        self._graphs = []
        retain = o._retain if o._retain is not None else len(o._chunks) == 1
        if o.hvp_mode == "exact" and retain:
            self.loss, self.grad = self._build()
        o.products -= len(V)
        return self._products(V)

    def _exact(self, V: Vector) -> Vector:
        o = self.objective
        rows = [o._tensor(v) for v in V]
        if self._graphs:
            graphs: Iterable[tuple[Tensor, Tensor, int]] = self._graphs
        else:
            graphs = ((f, g, c) for x, y, c in o._chunks for _, f, g in [self._chunk_graph(x, y)])
        single = len(o._chunks) == 1 and o.group is None
        out: list[Tensor | None] = [None] * len(rows)
        with o._kernels():
            for flat, g, count in graphs:
                for i, v in enumerate(rows):
                    if not g.requires_grad:  # the loss is linear in w
                        hv = torch.zeros_like(v)
                    else:
                        (raw,) = torch.autograd.grad(g, flat, v, retain_graph=True, allow_unused=True)
                        hv = torch.zeros_like(v) if raw is None else raw
                    if single:
                        out[i] = hv
                    else:
                        done = out[i]
                        out[i] = hv.mul_(count) if done is None else done.add_(hv, alpha=count)
        if single:
            return np.stack([o._numpy(t) for t in out if t is not None])
        n = o._total()
        return np.stack([o._numpy(o._reduce(t).div_(n)) for t in out if t is not None])

    def _difference(self, v: Vector) -> Vector:
        """Differences of ∇L along v: one-sided in float32 (one gradient), central in float64 (two)."""
        o = self.objective
        norm = float(np.linalg.norm(v.astype(np.float64)))
        if norm == 0.0:
            return np.zeros(o.n, o.numpy_dtype)
        eps = FD_STEP[o.dtype]
        # A step of ε in a direction of length 1, but never below the spacing of the numbers of w.
        h = eps * max(1.0, float(np.abs(self.w).max(initial=0.0)))
        w, u = self.w.astype(np.float64), v.astype(np.float64) / norm
        ahead = o._loss_and_grad(o._tensor(w + h * u))[1].astype(np.float64)
        if o.dtype == torch.float64:
            back = o._loss_and_grad(o._tensor(w - h * u))[1]
            return (ahead - back) * (norm / (2 * h))
        return ((ahead - self.grad) * (norm / h)).astype(o.numpy_dtype)

    def self_test(self, seed: int = 0) -> float:
        """Relative distance between an exact product and a difference, for a random unit vector."""
        v = np.random.default_rng(seed).standard_normal(self.objective.n)
        v /= np.linalg.norm(v)
        exact, fd = self._exact(v[None])[0].astype(np.float64), self._difference(v).astype(np.float64)
        return float(np.linalg.norm(exact - fd) / max(np.linalg.norm(exact), 1e-300))

    def ggn(self, v: Vector) -> Vector:
        """Gauss–Newton product Jᵀ(∇²_f ℓ)J v.

        J v comes from the transpose of the transpose (two backward passes), so it needs no forward-mode rule.
        """
        o = self.objective
        total = torch.zeros(o.n, dtype=o.dtype, device=o.device)
        tangent = o._tensor(v)
        with torch.enable_grad(), o._kernels():
            for x, y, count in o._chunks:
                flat = o._tensor(self.w).requires_grad_()
                f = o._forward(flat, x)
                dummy = torch.zeros_like(f, requires_grad=True)
                (back,) = torch.autograd.grad(f, flat, dummy, create_graph=True)
                (jv,) = torch.autograd.grad(back, dummy, tangent)
                leaf = f.detach().requires_grad_()
                (df,) = torch.autograd.grad(o.loss_fn(leaf, y), leaf, create_graph=True)
                if df.requires_grad:
                    (hjv,) = torch.autograd.grad(df, leaf, jv)
                    (out,) = torch.autograd.grad(f, flat, hjv)
                    total.add_(out, alpha=count)
        o.products += 1
        return o._numpy(o._reduce(total).div_(o._total()))

    def residual(self, v: Vector) -> Vector:
        """(H − Gauss–Newton) v: the part of the curvature that comes from the second derivative of f."""
        return self.hvp(v) - self.ggn(v)

    def _third_raw(self, u: Vector, v: Vector) -> Vector:
        o = self.objective
        total = torch.zeros(o.n, dtype=o.dtype, device=o.device)
        ut, vt = o._tensor(u), o._tensor(v)
        with torch.enable_grad(), o._kernels():
            for x, y, count in o._chunks:
                _, flat, g = self._chunk_graph(x, y)
                if not g.requires_grad:
                    continue
                (hu,) = torch.autograd.grad(g, flat, ut, create_graph=True, allow_unused=True)
                if hu is None or not hu.requires_grad:
                    continue
                (out,) = torch.autograd.grad(hu, flat, vt, allow_unused=True)
                if out is not None:
                    total.add_(out, alpha=count)
        o.products += 2
        return o._numpy(o._reduce(total).div_(o._total()))

    def third(self, u: Vector, v: Vector | None = None) -> Vector:
        """∇_w(uᵀHv), shape (n,).

        PyTorch's fused layer and batch normalisation give **silently wrong** third derivatives (their
        second ones are right). The first call therefore compares with differences of the products; on
        disagreement the normalisation layers are replaced by primitive arithmetic and compared again, and if
        that does not help the call is refused.

        Raises:
            ThirdDerivativeRefused: the derivative stays wrong with primitive layers.
        """
        o = self.objective
        u = np.asarray(u)
        v = u if v is None else np.asarray(v)
        if o._third_checked:
            return self._third_raw(u, v)
        value = self._third_raw(u, v)
        error = self._third_error(u, v, value)
        if error > self._third_tolerance() and not o._primitive_norms:
            o._primitive_norms = True
            self._graphs = []
            value = self._third_raw(u, v)
            repaired = self._third_error(u, v, value)
            if repaired <= self._third_tolerance():
                o.notes.append(
                    f"primitive normalisation layers: third derivatives of the fused ones were off by {error:.2g}"
                )
            error = repaired
        if not error <= self._third_tolerance():
            o._primitive_norms = False
            raise ThirdDerivativeRefused(
                f"∇(uᵀHu): automatic differentiation disagrees with differences of the products by {error:.2g}",
                "some operation has a wrong third derivative; use float64, or rewrite the layer with primitives",
            )
        o._third_checked = True
        return value

    def _third_tolerance(self) -> float:
        return 1e-4 if self.objective.dtype == torch.float64 else 0.05

    def _third_error(self, u: Vector, v: Vector, value: Vector) -> float:
        """Distance between ⟨∇(uᵀHv), d⟩ and its central difference, relative to their size, for three d.

        The third d is ``value`` itself: where the derivative is small in a random direction a difference
        cannot judge it.
        """
        o = self.objective
        rng = np.random.default_rng(0)
        w, value = self.w.astype(np.float64), value.astype(np.float64)
        h = (1e-4 if o.dtype == torch.float64 else 1e-2) * max(1.0, float(np.abs(w).max()))
        size, worst = 0.0, 0.0
        directions = [rng.standard_normal(o.n), rng.standard_normal(o.n), value.copy()]
        for d in directions:
            norm = float(np.linalg.norm(d))
            if norm == 0.0:
                continue
            d /= norm
            quadratic = []
            for sign in (1.0, -1.0):
                moved = Point(o, w + sign * h * d)
                quadratic.append(float(u.astype(np.float64) @ moved.hvp(v).astype(np.float64)))
            fd, ad = (quadratic[0] - quadratic[1]) / (2 * h), float(value @ d)
            worst, size = max(worst, abs(fd - ad)), max(size, abs(fd), abs(ad))
        floor = 1e-10 if o.dtype == torch.float64 else 1e-5
        return worst / size if size > floor else 0.0


def _no_second_derivative(error: RuntimeError) -> bool:
    text = str(error)
    return any(
        s in text
        for s in (
            "is not implemented",
            "not differentiable",
            "does not support double",
            "not support higher order",
        )
    )


def _is_pair(x: Any) -> bool:
    return isinstance(x, (tuple, list)) and len(x) == 2 and not isinstance(x[0], (int, float))


def _leaf(x: Any) -> Tensor:
    if isinstance(x, dict):
        return _leaf(next(iter(x.values())))
    if isinstance(x, tuple):
        return _leaf(x[0])
    return x  # type: ignore[no-any-return]


def _count(x: Any) -> int:
    t = _leaf(x)
    return int(t.shape[0]) if t.dim() else 1


def _map(fn: Callable[..., Any], *xs: Any) -> Any:
    if isinstance(xs[0], dict):
        return {k: _map(fn, *(x[k] for x in xs)) for k in xs[0]}
    if isinstance(xs[0], tuple):
        return tuple(_map(fn, *parts) for parts in zip(*xs, strict=True))
    return fn(*xs)


def _cut(x: Any, a: int, b: int) -> Any:
    return _map(lambda t: t[a:b], x)


def _rows(x: Any, rows: Tensor) -> Any:
    return _map(lambda t: t[rows], x)


def _cat(xs: list[Any]) -> Any:
    return _map(lambda *ts: torch.cat(ts), *xs)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return all(_equal(p, q) for p, q in zip(a, b, strict=True))
    return bool(torch.equal(a, b))
