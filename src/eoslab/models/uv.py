"""Two layers of one linear neuron on one example: L(u, v) = ½ (uv·x − y)².

The smallest network with an edge of stability. With y = 0 it is the catapult model of Lewkowycz et al. 2020; in
function space its gradient descent is the closed map of Kalra, He, Barkeshli 2023 (Δf = f − y,
λ = x²(u² + v²) the sharpness at a minimum, without their 1/√n):

    f⁺ = f − ηλΔf + η²x² f Δf²,      λ⁺ = λ + ηx²Δf(ηλΔf − 4f).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from eoslab.core.errors import finite, nonzero
from eoslab.core.numbers import Num, Vec, sqrt
from eoslab.core.symmetric import symmetric2_below, symmetric2_top
from eoslab.models.face import FormulaModel, split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# -- formulas ---------------------------------------------------------------------------------------------


def loss(w: Vec, p: Vec) -> Num:
    """½ (uv·x − y)²."""
    return (w[0] * w[1] * p[0] - p[1]) ** 2 / 2


def grad(w: Vec, p: Vec) -> Vec:
    """x(uv·x − y)·(v, u)."""
    u, v = w
    x, y = p
    slope = x * (u * v * x - y)
    return slope * v, slope * u


def gd_step(w: Vec, lr: Num, p: Vec) -> Vec:
    """w − lr·∇L in factored form, u(1 − lr·x²v²) + lr·xy·v."""
    u, v = w
    x, y = p
    h, pull = lr * x**2, lr * x * y
    return u * (1 - h * v**2) + pull * v, v * (1 - h * u**2) + pull * u


def hessian(w: Vec, p: Vec) -> tuple[Vec, ...]:
    """x² [[v², 2uv − y/x], [·, u²]]."""
    u, v = w
    x, y = p
    c = x * (2 * x * u * v - y)
    return (x**2 * v**2, c), (c, x**2 * u**2)


def third(w: Vec, u: Vec, p: Vec) -> Vec:
    """∇(dᵀHd) at a fixed direction d = (d0, d1): x²(4v·d0d1 + 2u·d1², 4u·d0d1 + 2v·d0²)."""
    u0, v0 = w
    d0, d1 = u
    x2 = p[0] ** 2
    return x2 * (4 * v0 * d0 * d1 + 2 * u0 * d1**2), x2 * (4 * u0 * d0 * d1 + 2 * v0 * d0**2)


def sharpness(w: Vec, d: Vec, p: Vec) -> Num:
    """λmax of D·H·D, D = diag(d)."""
    (a, b), (_, c) = hessian(w, p)
    return symmetric2_top(a * d[0] ** 2, b * d[0] * d[1], c * d[1] ** 2)


def below(w: Vec, d: Vec, tau: Num, p: Vec) -> bool:
    """Whether λmax(D·H·D) < tau, by leading minors."""
    (a, b), (_, c) = hessian(w, p)
    return symmetric2_below(a * d[0] ** 2, b * d[0] * d[1], c * d[1] ** 2, tau)


def conserved(w: Vec, p: Vec) -> Num:
    """u² − v², conserved by gradient flow."""
    return w[0] ** 2 - w[1] ** 2


def gfs_sharpness(w: Vec, p: Vec) -> Num:
    """x²(u² + v²) at the minimum uv = y/x with the balance of w: x²√(c² + 4(y/x)²)."""
    x, y = p
    c = conserved(w, p)
    return x**2 * sqrt(c**2 + 4 * (y / x) ** 2)


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class UV(FormulaModel):
    """L(u, v) = ½ (uv·x − y)² with input ``x`` ≠ 0 and target ``y``.

    No minimum is stable for η > 1/|xy|, since the sharpness there is at least 2|xy|.

    >>> UV(x=1.0, y=1.0).sharpness([1.0, 1.0])     # a balanced minimum: u² + v²
    2.0
    """

    x: float = 1.0
    y: float = 1.0

    name: ClassVar[str] = "uv"
    reference: ClassVar[str] = (
        "Kalra, He, Barkeshli 2023 (arXiv 2311.02076); Lewkowycz et al. 2020 (arXiv 2003.02218)"
    )
    params: ClassVar[tuple[str, ...]] = ("u", "v")
    default_w0: ClassVar[tuple[float, ...]] = (2.0, 0.1)
    homogeneous: ClassVar[tuple[int, ...]] = ()
    loss_convention: ClassVar[str] = "½ (f − y)²"

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", nonzero("x", self.x))
        object.__setattr__(self, "y", finite("y", self.y))

    @property
    def loss_min(self) -> float:
        """The smallest value of the loss."""
        return 0.0

    @property
    def loss_scale(self) -> float:
        """The loss of predicting nothing, ½y²; where that is 0, the loss at uv = 1."""
        return (self.y**2 or self.x**2) / 2

    def gfs_sharpness(self, w: ArrayLike) -> Any:
        """Sharpness of the minimum that gradient flow from w ends at, shape (...)."""
        return gfs_sharpness(split(w, self.params), self.p)

    def conserved(self, w: ArrayLike) -> Any:
        """u² − v², shape (...)."""
        return conserved(split(w, self.params), self.p)
