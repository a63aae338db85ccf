"""A convex even Lipschitz loss of a product: L(x, y) = ℓ(xy), ℓ(z) = √(1 + z²) − 1.

The single-neuron model of Ahn, Bubeck, Chewi, Lee, Suarez, Zhang 2023 (threshold neurons) and of the trajectory
alignment of Song and Yun 2023. Minima are the axes with sharpness x² + y²; gradient descent from above the edge
aligns with the curve 2/(η(x² + y²)) = ℓ'(z)/z and ends at sharpness 2/η − η + O(η²).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from eoslab.core.numbers import Num, Vec, sqrt
from eoslab.core.symmetric import symmetric2_below, symmetric2_top
from eoslab.models.face import FormulaModel, split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# -- formulas ---------------------------------------------------------------------------------------------


def loss(w: Vec, p: Vec) -> Num:
    """√(1 + z²) − 1 = z²/(1 + √(1 + z²)), z = xy, without cancellation at the minimum."""
    z2 = (w[0] * w[1]) ** 2
    return z2 / (1 + sqrt(1 + z2))


def ratio(w: Vec) -> Num:
    """ℓ'(z)/z = 1/√(1 + z²)."""
    return 1 / sqrt(1 + (w[0] * w[1]) ** 2)


def grad(w: Vec, p: Vec) -> Vec:
    """ℓ'(z)·(y, x)."""
    x, y = w
    slope = x * y * ratio(w)
    return slope * y, slope * x


def gd_step(w: Vec, lr: Num, p: Vec) -> Vec:
    """w − lr·∇L, x(1 − lr·y²ℓ'(z)/z): every component is multiplied."""
    x, y = w
    h = lr * ratio(w)
    return x * (1 - h * y**2), y * (1 - h * x**2)


def hessian(w: Vec, p: Vec) -> tuple[Vec, ...]:
    """ℓ''·(y, x)(y, x)ᵀ + ℓ'·[[0, 1], [1, 0]], ℓ'' = (1 + z²)^(−3/2)."""
    x, y = w
    r = ratio(w)
    second = r**3
    c = x * y * (second + r)
    return (second * y**2, c), (c, second * x**2)


def third(w: Vec, u: Vec, p: Vec) -> Vec:
    """∇(dᵀHd) at a fixed direction d: ℓ'''a²(y, x) + 2ℓ''a(d1, d0) + 2ℓ''d0d1(y, x), a = y·d0 + x·d1."""
    x, y = w
    d0, d1 = u
    r = ratio(w)
    second, a = r**3, y * d0 + x * d1
    along = -3 * x * y * r**5 * a**2 + 2 * second * d0 * d1
    return along * y + 2 * second * a * d1, along * x + 2 * second * a * d0


def sharpness(w: Vec, d: Vec, p: Vec) -> Num:
    """λmax of D·H·D, D = diag(d)."""
    (a, b), (_, c) = hessian(w, p)
    return symmetric2_top(a * d[0] ** 2, b * d[0] * d[1], c * d[1] ** 2)


def below(w: Vec, d: Vec, tau: Num, p: Vec) -> bool:
    """Whether λmax(D·H·D) < tau, by leading minors."""
    (a, b), (_, c) = hessian(w, p)
    return symmetric2_below(a * d[0] ** 2, b * d[0] * d[1], c * d[1] ** 2, tau)


def conserved(w: Vec, p: Vec) -> Num:
    """x² − y², conserved by gradient flow."""
    return w[0] ** 2 - w[1] ** 2


def gfs_sharpness(w: Vec, p: Vec) -> Num:
    """x² + y² at the axis point with the balance of w: |x² − y²|."""
    return abs(conserved(w, p))


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProductRoot(FormulaModel):
    """L(x, y) = √(1 + x²y²) − 1, without parameters.

    >>> ProductRoot().sharpness([3.0, 0.0])
    9.0
    """

    name: ClassVar[str] = "product-root"
    reference: ClassVar[str] = "Ahn et al. 2023 (arXiv 2212.07469); Song, Yun 2023 (arXiv 2307.04204)"
    params: ClassVar[tuple[str, ...]] = ("x", "y")
    default_w0: ClassVar[tuple[float, ...]] = (3.0, 0.1)
    homogeneous: ClassVar[tuple[int, ...]] = ()
    loss_convention: ClassVar[str] = "√(1 + x²y²) − 1"

    @property
    def loss_min(self) -> float:
        """The smallest value of the loss."""
        return 0.0

    @property
    def loss_scale(self) -> float:
        """The loss at xy = 1: the unit in which 'converged' is judged."""
        return float(sqrt(2.0)) - 1

    def gfs_sharpness(self, w: ArrayLike) -> Any:
        """Sharpness of the minimum that gradient flow from w ends at, shape (...)."""
        return gfs_sharpness(split(w, self.params), self.p)

    def conserved(self, w: ArrayLike) -> Any:
        """x² − y², shape (...)."""
        return conserved(split(w, self.params), self.p)
