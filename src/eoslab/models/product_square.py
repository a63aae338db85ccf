"""The degree-four scalar network with paired weights: L(x, y) = ¼ (1 − x²y²)² (Zhu, Wang, Wang, Zhou, Ge 2023).

Its gradient descent is that of ½ (1 − xyzw)² from z = x, w = y. Minima are xy = ±1 with sharpness 2(x² + y²).
From unbalanced starts gradient descent ends at sharpness 2/η − η/2 + O(η²), whatever the start.
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
    """¼ (1 − x²y²)²."""
    return (1 - w[0] ** 2 * w[1] ** 2) ** 2 / 4


def grad(w: Vec, p: Vec) -> Vec:
    """(x²y² − 1)·(xy², x²y)."""
    x, y = w
    slope = x**2 * y**2 - 1
    return slope * x * y**2, slope * x**2 * y


def gd_step(w: Vec, lr: Num, p: Vec) -> Vec:
    """w − lr·∇L, x(1 + lr·(1 − x²y²)y²): every component is multiplied."""
    x, y = w
    h = lr * (1 - x**2 * y**2)
    return x * (1 + h * y**2), y * (1 + h * x**2)


def hessian(w: Vec, p: Vec) -> tuple[Vec, ...]:
    """[[y²(3q − 1), 2xy(2q − 1)], [·, x²(3q − 1)]] with q = x²y²."""
    x, y = w
    q = x**2 * y**2
    c = 2 * x * y * (2 * q - 1)
    return (y**2 * (3 * q - 1), c), (c, x**2 * (3 * q - 1))


def third(w: Vec, u: Vec, p: Vec) -> Vec:
    """∇(dᵀHd) at a fixed direction d: L_xxx = 6xy⁴, L_xxy = 2y(6q − 1), L_xyy = 2x(6q − 1), L_yyy = 6x⁴y."""
    x, y = w
    d0, d1 = u
    mixed = 2 * (6 * x**2 * y**2 - 1)
    return (
        6 * x * y**4 * d0**2 + 2 * mixed * y * d0 * d1 + mixed * x * d1**2,
        mixed * y * d0**2 + 2 * mixed * x * d0 * d1 + 6 * x**4 * y * d1**2,
    )


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
    """2(x² + y²) at the minimum |xy| = 1 with the balance of w: 2√(c² + 4)."""
    return 2 * sqrt(conserved(w, p) ** 2 + 4)


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProductSquare(FormulaModel):
    """L(x, y) = ¼ (1 − x²y²)², without parameters.

    >>> ProductSquare().sharpness([2.0, 0.5])
    8.5
    """

    name: ClassVar[str] = "product-square"
    reference: ClassVar[str] = "Zhu, Wang, Wang, Zhou, Ge 2023 (arXiv 2210.03294)"
    params: ClassVar[tuple[str, ...]] = ("x", "y")
    default_w0: ClassVar[tuple[float, ...]] = (2.5, 0.1)
    homogeneous: ClassVar[tuple[int, ...]] = ()
    loss_convention: ClassVar[str] = "¼ (1 − x²y²)²"

    @property
    def loss_min(self) -> float:
        """The smallest value of the loss."""
        return 0.0

    @property
    def loss_scale(self) -> float:
        """L(0) = ¼: the unit in which 'converged' is judged."""
        return 0.25

    def gfs_sharpness(self, w: ArrayLike) -> Any:
        """Sharpness of the minimum that gradient flow from w ends at, shape (...)."""
        return gfs_sharpness(split(w, self.params), self.p)

    def conserved(self, w: ArrayLike) -> Any:
        """x² − y², shape (...)."""
        return conserved(split(w, self.params), self.p)
