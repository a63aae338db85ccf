"""Symmetric operators known by their products only, and adapters from what others have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument

__all__ = ["Counted", "FunctionOperator", "SymmetricOperator", "as_operator", "hessian", "preconditioned"]

Vector = NDArray[Any]


@runtime_checkable
class SymmetricOperator(Protocol):
    """A symmetric n × n matrix H given by v ↦ Hv."""

    @property
    def n(self) -> int: ...
    def matvec(self, v: Vector) -> Vector: ...


class FunctionOperator:
    """The operator of a function v ↦ Hv.

    ``rough``, if given, is a cheaper product with the relative error ``rough_error`` for unit vectors, which a
    tracker takes for what only corrects, and for all as far as comparisons with exact ones allow.

    >>> H = FunctionOperator(lambda v: 2.0 * v, 3)
    >>> H.matvec(np.ones(3)).tolist()
    [2.0, 2.0, 2.0]
    """

    def __init__(
        self,
        fn: Callable[[Vector], Vector],
        n: int,
        dtype: Any = np.float64,
        rough: Callable[[Vector], Vector] | None = None,
        rough_error: float = 0.0,
    ) -> None:
        self._fn, self._n = fn, int(n)
        self.rough, self.rough_error = rough, float(rough_error)
        self.dtype = np.dtype(dtype)  # the precision of the products, which sets the floor of what they can tell

    @property
    def n(self) -> int:
        return self._n

    def matvec(self, v: Vector) -> Vector:
        return self._fn(v)


class Counted:
    """An operator that counts its products and refuses what is not a product."""

    def __init__(self, op: SymmetricOperator) -> None:
        self.op, self.count = op, 0

    @property
    def n(self) -> int:
        return self.op.n

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(getattr(self.op, "dtype", np.float64))

    @property
    def rough_error(self) -> float:
        """Relative error of the operator's cheaper products; 0 where it offers none."""
        if getattr(self.op, "rough", None) is None:
            return 0.0
        return float(getattr(self.op, "rough_error", 0.0))

    def matvec(self, v: Vector, exact: bool = True) -> Vector:
        self.count += 1
        y = np.asarray(self.op.matvec(v) if exact else self.op.rough(v))  # type: ignore[attr-defined]
        if y.shape != v.shape:
            raise InvalidArgument("op", f"a product of shape {y.shape}", f"{v.shape}", "matvec maps (n,) to (n,)")
        return y


def as_operator(source: Any, n: int | None = None) -> SymmetricOperator:
    """A SymmetricOperator from a matrix, a SciPy LinearOperator, a curvlinops operator, or a function.

    Args:
        source: symmetric array; object with ``matvec`` and ``n`` or ``shape``; object with ``to_scipy()``
            (curvlinops); object with ``shape`` and ``@``; or a callable v ↦ Hv, which needs ``n``.
        n: the dimension, for a callable.

    >>> as_operator(np.diag([1.0, 2.0])).matvec(np.array([1.0, 1.0])).tolist()
    [1.0, 2.0]
    """
    if isinstance(source, np.ndarray):
        if source.ndim != 2 or source.shape[0] != source.shape[1]:
            raise InvalidArgument("source", f"an array of shape {source.shape}", "a square matrix")
        worst = float(np.abs(source - source.T).max(initial=0.0))
        if worst > 1e-6 * float(np.abs(source).max(initial=0.0)):
            raise InvalidArgument("source", f"|A − Aᵀ| up to {worst:.3g}", "a symmetric matrix", "use (A + A.T)/2")
        return FunctionOperator(lambda v: source @ v, len(source), source.dtype)
    if hasattr(source, "to_scipy"):  # before `shape`: curvlinops' own @ takes torch tensors only
        return as_operator(source.to_scipy())
    if hasattr(source, "matvec") and hasattr(source, "n"):
        return source  # type: ignore[no-any-return]
    shape = getattr(source, "shape", None)
    if shape is not None:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise InvalidArgument("source", f"an operator of shape {tuple(shape)}", "a square one")
        dtype = getattr(source, "dtype", None) or np.float64
        if hasattr(source, "matvec"):
            return FunctionOperator(source.matvec, shape[0], dtype)
        return FunctionOperator(lambda v: source @ v, shape[0], dtype)
    if callable(source):
        if n is None:
            raise InvalidArgument("n", None, "the dimension", "a function does not tell how long its argument is")
        return FunctionOperator(source, n)
    raise InvalidArgument(
        "source",
        type(source).__name__,
        "a symmetric matrix, a SciPy LinearOperator, a curvlinops operator or a function v ↦ Hv with n",
    )


def hessian(objective: Any, w: Vector) -> SymmetricOperator:
    """∇²L(w) of an objective with ``hvp(w, v)``; one with ``at(w)`` shares one graph among the products."""
    n = len(w)
    dtype = getattr(objective, "numpy_dtype", np.dtype(np.float64))
    if hasattr(objective, "at"):
        point = objective.at(w)
        rough = getattr(point, "rough", None)
        return FunctionOperator(point.hvp, n, dtype, rough, point.rough_error if rough else 0.0)
    return FunctionOperator(lambda v: objective.hvp(w, v), n, dtype)


def preconditioned(op: SymmetricOperator, p: Vector, shift: float = 0.0) -> SymmetricOperator:
    """P^(−1/2) H P^(−1/2) + shift·I for P = diag(p), which has the eigenvalues of P⁻¹H + shift·I.

    ``shift`` is for decoupled weight decay. With u an eigenvector of this operator, P^(−1/2)u is one of P⁻¹H.

    >>> H = preconditioned(as_operator(np.diag([8.0, 1.0])), np.array([4.0, 1.0]))
    >>> H.matvec(np.array([1.0, 0.0])).tolist()
    [2.0, 0.0]
    """
    p = np.asarray(p)
    if p.ndim == 0:
        p = np.broadcast_to(p, (op.n,))
    if p.shape != (op.n,):
        raise InvalidArgument("p", f"shape {p.shape}", f"({op.n},)")
    if not (np.isfinite(p).all() and (p > 0).all()):
        raise InvalidArgument(
            "p",
            f"entries from {p.min():.3g} to {p.max():.3g}",
            "a positive diagonal",
            "at step 0 use the one that moves",
        )
    dtype = np.dtype(getattr(op, "dtype", np.float64))
    root = (1.0 / np.sqrt(p.astype(np.float64))).astype(dtype)
    if shift == 0.0:
        return FunctionOperator(lambda v: root * op.matvec(root * v), op.n, dtype)
    return FunctionOperator(lambda v: root * op.matvec(root * v) + dtype.type(shift) * v, op.n, dtype)
