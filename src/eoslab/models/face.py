"""The face that a file of plain formulas shows to users: arrays in, arrays out.

A minimalist model is a module with the functions ``loss(w, p)``, ``grad(w, p)``, ``hessian(w, p)``, optionally
``third``, ``gd_step``, ``sharpness``, ``below``, ``gfs_sharpness``, ``loss_osc``/``loss_conv``, ``conserved``,
and one frozen dataclass that holds the parameters. The dataclass takes its methods from here. This is the one
place where we inherit: eight methods that say the same for every model would otherwise be repeated in each file.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eoslab.core.errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FormulaModel", "join", "split"]


class FormulaModel:
    """Methods of a low-dimensional model, evaluated by the plain formulas of the module it is defined in.

    Every method takes w of shape (..., n), n the number of parameters, and broadcasts over the leading axes.
    Results are float64.
    """

    name: ClassVar[str]
    params: ClassVar[tuple[str, ...]]

    @property
    def p(self) -> tuple[float, ...]:
        """The parameters in the order in which the formulas take them."""
        return tuple(self.settings.values())

    @property
    def settings(self) -> dict[str, float]:
        """The parameters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    @property
    def formulas(self) -> ModuleType:
        """The module of plain functions."""
        return sys.modules[type(self).__module__]

    @property
    def n(self) -> int:
        """The number of parameters."""
        return len(self.params)

    def loss(self, w: ArrayLike) -> Any:
        """L(w), shape (...)."""
        return self.formulas.loss(split(w, self.params), self.p)

    def grad(self, w: ArrayLike) -> NDArray[np.float64]:
        """∇L(w), shape (..., n)."""
        return join(self.formulas.grad(split(w, self.params), self.p))

    def hessian(self, w: ArrayLike) -> NDArray[np.float64]:
        """∇²L(w), shape (..., n, n)."""
        rows = [join(row) for row in self.formulas.hessian(split(w, self.params), self.p)]
        return np.stack(np.broadcast_arrays(*rows), axis=-2)

    def hvp(self, w: ArrayLike, v: ArrayLike) -> NDArray[np.float64]:
        """∇²L(w)·v, shape (..., n)."""
        out: NDArray[np.float64] = np.einsum("...ij,...j->...i", self.hessian(w), np.asarray(v, dtype=float))
        return out

    def third(self, w: ArrayLike, u: ArrayLike) -> NDArray[np.float64]:
        """∇(uᵀHu) at fixed u, shape (..., n); ∇S where u is the unit top eigenvector."""
        return join(self.formulas.third(split(w, self.params), split(u, self.params), self.p))

    def sharpness(self, w: ArrayLike) -> Any:
        """S(w) = λmax(∇²L(w)), shape (...)."""
        a = np.asarray(w, dtype=float)
        one = (1.0,) * len(self.params)
        if a.ndim == 1:
            return float(self.formulas.sharpness(split(a, self.params), one, self.p))
        rows = a.reshape(-1, a.shape[-1]).tolist()
        return np.array([self.formulas.sharpness(tuple(row), one, self.p) for row in rows]).reshape(a.shape[:-1])


def split(w: ArrayLike, params: tuple[str, ...]) -> tuple[Any, ...]:
    """The components of w, shape (..., n), as floats (one point) or arrays."""
    a = np.asarray(w, dtype=float)
    if a.ndim == 0 or a.shape[-1] != len(params):
        raise InvalidArgument(
            "w",
            f"an array of shape {a.shape}",
            f"shape (..., {len(params)}): {', '.join(params)}",
            "parameters come last",
        )
    if a.ndim == 1:
        return tuple(a.tolist())
    return tuple(a[..., i] for i in range(len(params)))


def join(parts: tuple[Any, ...]) -> NDArray[np.float64]:
    """Components, floats or arrays, stacked on a last axis."""
    return np.stack(np.broadcast_arrays(*[np.asarray(x, dtype=float) for x in parts]), axis=-1)
