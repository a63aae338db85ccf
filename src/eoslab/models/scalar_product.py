"""The scalar network of depth four: L(w) = ½ (w1·w2·w3·w4 − 1)² (Zhu et al. 2023; Kreisler et al. 2023).

Gradient flow conserves all w_i² − w_j², so it ends at the one point with these balances and product 1, where the
sharpness is Σ 1/w_i². Along gradient descent the loss and the sharpness oscillate while this gradient-flow-
solution sharpness does not increase (Kreisler, Nacson, Soudry, Carmon 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eoslab.core.numbers import Num, Vec, log
from eoslab.core.symmetric import symmetric_top
from eoslab.models.face import FormulaModel, join, split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# -- formulas ---------------------------------------------------------------------------------------------


def product(w: Vec) -> Num:
    """π = w1·w2·w3·w4."""
    return w[0] * w[1] * (w[2] * w[3])


def slopes(w: Vec) -> Vec:
    """∇π: the products of three."""
    a, b, c, d = w
    ab, cd = a * b, c * d
    return b * cd, a * cd, ab * d, ab * c


def loss(w: Vec, p: Vec) -> Num:
    """½ (π − 1)²."""
    return (product(w) - 1) ** 2 / 2


def grad(w: Vec, p: Vec) -> Vec:
    """(π − 1)∇π."""
    residual = product(w) - 1
    s0, s1, s2, s3 = slopes(w)
    return residual * s0, residual * s1, residual * s2, residual * s3


def hessian(w: Vec, p: Vec) -> tuple[Vec, ...]:
    """∇π∇πᵀ + (π − 1)∇²π = (2π − 1)·(product of the other two) off the diagonal, (∂_iπ)² on it."""
    a, b, c, d = w
    s0, s1, s2, s3 = slopes(w)
    m = 2 * product(w) - 1
    ab, ac, ad, bc, bd, cd = m * c * d, m * b * d, m * b * c, m * a * d, m * a * c, m * a * b
    return (s0**2, ab, ac, ad), (ab, s1**2, bc, bd), (ac, bc, s2**2, cd), (ad, bd, cd, s3**2)


def third(w: Vec, u: Vec, p: Vec) -> Vec:
    """∇(uᵀHu) = 2(∇π·u)∇²πu + (uᵀ∇²πu)∇π + (π − 1)∇³π[u, u] at a fixed direction u."""
    a, b, c, d = w
    x, y, z, t = u
    s0, s1, s2, s3 = slopes(w)
    # ∇²π·u, then ∇³π[u, u]
    h0, h1 = y * c * d + z * b * d + t * b * c, x * c * d + z * a * d + t * a * c
    h2, h3 = x * b * d + y * a * d + t * a * b, x * b * c + y * a * c + z * a * b
    k0, k1 = 2 * (y * z * d + y * t * c + z * t * b), 2 * (x * z * d + x * t * c + z * t * a)
    k2, k3 = 2 * (x * y * d + x * t * b + y * t * a), 2 * (x * y * c + x * z * b + y * z * a)
    along = 2 * (s0 * x + s1 * y + s2 * z + s3 * t)
    bend = x * h0 + y * h1 + z * h2 + t * h3
    r = product(w) - 1
    return (
        along * h0 + bend * s0 + r * k0,
        along * h1 + bend * s1 + r * k1,
        along * h2 + bend * s2 + r * k2,
        along * h3 + bend * s3 + r * k3,
    )


def sharpness(w: Vec, d: Vec, p: Vec) -> float:
    """λmax of D·H·D, D = diag(d)."""
    return symmetric_top(hessian(w, p), d)


def conserved(w: Vec, p: Vec) -> Vec:
    """The balances w1² − w2², w2² − w3², w3² − w4², conserved by gradient flow."""
    return w[0] ** 2 - w[1] ** 2, w[1] ** 2 - w[2] ** 2, w[2] ** 2 - w[3] ** 2


def gfs_sharpness(w: Vec, p: Vec) -> float:
    """Σ 1/w_i² at the point with the balances of w and product 1.

    The smallest square s solves Σ log(s + g_i) = 0 with gaps g_i ≥ 0 of the squares of w. The left side is
    concave and increasing, so Newton's method from a point left of the root (s ≤ 1, hence s ≥ Π 1/(1 + g_i)
    over the other three) climbs to it and cannot leave the domain. Floats only.
    """
    a, b, c, d = w[0] ** 2, w[1] ** 2, w[2] ** 2, w[3] ** 2
    least = min(a, b, c, d)
    a, b, c, d = a - least, b - least, c - least, d - least
    s = 1.0 / ((1.0 + a) * (1.0 + b) * (1.0 + c) * (1.0 + d))
    for _ in range(100):
        slope = 1.0 / (s + a) + 1.0 / (s + b) + 1.0 / (s + c) + 1.0 / (s + d)
        new = s - log((s + a) * (s + b) * ((s + c) * (s + d))) / slope
        # rounding ends the climb; NaN (an overflowed w) ends it as well
        if not (new > s * (1.0 + 4e-16)):
            break
        s = new
    return float(1.0 / (s + a) + 1.0 / (s + b) + 1.0 / (s + c) + 1.0 / (s + d))


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScalarProduct(FormulaModel):
    """L(w) = ½ (w1·w2·w3·w4 − 1)², without parameters.

    From a paired start (x, y, x, y) gradient descent is that of
    :class:`~eoslab.models.product_square.ProductSquare`.

    >>> round(ScalarProduct().sharpness([1.0, 2.0, 0.5, 1.0]), 12)     # a minimum: Σ 1/w_i²
    6.25
    """

    name: ClassVar[str] = "scalar-product"
    reference: ClassVar[str] = (
        "Kreisler, Nacson, Soudry, Carmon 2023 (arXiv 2305.13064); Zhu et al. 2023 (arXiv 2210.03294)"
    )
    params: ClassVar[tuple[str, ...]] = ("w1", "w2", "w3", "w4")
    default_w0: ClassVar[tuple[float, ...]] = (2.5, 0.1, 2.5, 0.1)
    homogeneous: ClassVar[tuple[int, ...]] = ()
    loss_convention: ClassVar[str] = "½ (w1·w2·w3·w4 − 1)²"

    @property
    def loss_min(self) -> float:
        """The smallest value of the loss."""
        return 0.0

    @property
    def loss_scale(self) -> float:
        """L(0) = ½: the unit in which 'converged' is judged."""
        return 0.5

    def gfs_sharpness(self, w: ArrayLike) -> Any:
        """Sharpness of the minimum that gradient flow from w ends at, shape (...)."""
        a = np.asarray(w, dtype=float)
        if a.ndim == 1:
            return gfs_sharpness(split(a, self.params), self.p)
        rows = a.reshape(-1, self.n).tolist()
        return np.array([gfs_sharpness(tuple(row), self.p) for row in rows]).reshape(a.shape[:-1])

    def conserved(self, w: ArrayLike) -> NDArray[np.float64]:
        """The three balances, shape (..., 3)."""
        return join(conserved(split(w, self.params), self.p))
