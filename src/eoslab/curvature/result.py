"""Eigenvalues with the evidence for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EigenResult"]


@dataclass(frozen=True)
class EigenResult:
    """Eigenpairs of a symmetric operator.

    Attributes:
        values: (k,) the eigenvalues, in the order asked for ("LA": descending). From ``top_eigenpairs`` they are
            the Ritz values θ_i = u_iᵀHu_i; a tracker adds to θ_i the correction that its model expects, and its
            θ_i is the lower end of the bounds up to rounding.
        vectors: (n, k), orthonormal columns.
        residuals: (k,) ‖Hu_i − θ_i u_i‖.
        bounds: (k, 2) two-sided estimate of the eigenvalue at that position: [lower, upper]. For the largest
            eigenvalues the lower end is guaranteed (λ_i ≥ θ_i up to rounding, Courant–Fischer); the upper
            end is min(r, r²/gap) with the gap estimated, and with ``safety`` random directions searched. That
            *some* eigenvalue lies within ``residuals[i]`` of θ_i is guaranteed.
        converged: (k,) whether the estimated relative error is within ``tol``.
        matvecs: products with single vectors that this result cost.
        dtype: the dtype of the products (the reductions are float64 always).
        tol: the relative error asked for.
        method: what was run, and anything that a reader of the numbers should know.
    """

    values: NDArray[np.float64]
    vectors: NDArray[Any]
    residuals: NDArray[np.float64]
    bounds: NDArray[np.float64]
    converged: NDArray[np.bool_]
    matvecs: int
    dtype: str
    tol: float
    method: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def errors(self) -> NDArray[np.float64]:
        """Half widths of the bounds, (k,)."""
        return np.maximum(self.bounds[:, 1] - self.values, self.values - self.bounds[:, 0])
