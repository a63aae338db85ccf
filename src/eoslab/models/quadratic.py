"""The quadratic L(w) = ½ λ1 w1² + ½ λ2 w2²: where thresholds are defined, and nothing else happens.

Every rule is linear here once its preconditioner is frozen; its threshold is the λmax(P⁻¹H) at which iterates
stop shrinking (Cohen et al. 2021, appendix B). The sharpness is constant, so there is no self-stabilization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Num, Vec, maximum
from eoslab.models.face import FormulaModel, split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# -- formulas ---------------------------------------------------------------------------------------------


def loss(w: Vec, p: Vec) -> Num:
    """½ λ1 w1² + ½ λ2 w2²."""
    return (p[0] * w[0] ** 2 + p[1] * w[1] ** 2) / 2


def grad(w: Vec, p: Vec) -> Vec:
    """(λ1 w1, λ2 w2)."""
    return p[0] * w[0], p[1] * w[1]


def gd_step(w: Vec, lr: Num, p: Vec) -> Vec:
    """w_i(1 − lr·λ_i)."""
    return w[0] * (1 - lr * p[0]), w[1] * (1 - lr * p[1])


def hessian(w: Vec, p: Vec) -> tuple[Vec, ...]:
    """diag(λ1, λ2), in the shape of w."""
    zero = 0 * w[0]
    return (p[0] + zero, zero), (zero, p[1] + zero)


def third(w: Vec, u: Vec, p: Vec) -> Vec:
    """∇(uᵀHu) = 0."""
    return 0 * w[0] * u[0], 0 * w[1] * u[1]


def sharpness(w: Vec, d: Vec, p: Vec) -> Num:
    """λmax of D·H·D, D = diag(d)."""
    return maximum(p[0] * d[0] ** 2, p[1] * d[1] ** 2)


def gfs_sharpness(w: Vec, p: Vec) -> Num:
    """Gradient flow ends at 0, where the sharpness is what it is everywhere."""
    return maximum(p[0], p[1]) + 0 * w[0]


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quadratic(FormulaModel):
    """L(w) = ½ λ1 w1² + ½ λ2 w2² with curvatures ``lambda1``, ``lambda2`` > 0.

    >>> Quadratic(lambda1=3.0, lambda2=1.0).sharpness([0.2, 0.1])
    3.0
    """

    lambda1: float = 1.0
    lambda2: float = 0.1

    name: ClassVar[str] = "quadratic"
    reference: ClassVar[str] = "Cohen et al. 2021 (arXiv 2103.00065), appendix B"
    params: ClassVar[tuple[str, ...]] = ("w1", "w2")
    default_w0: ClassVar[tuple[float, ...]] = (1.0, 1.0)
    homogeneous: ClassVar[tuple[int, ...]] = ()
    loss_convention: ClassVar[str] = "½ Σ λ_i w_i²"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lambda1", positive("lambda1", self.lambda1))
        object.__setattr__(self, "lambda2", positive("lambda2", self.lambda2))

    @property
    def loss_min(self) -> float:
        """The smallest value of the loss."""
        return 0.0

    @property
    def loss_scale(self) -> float:
        """The loss at w = (1, 1): the unit in which 'converged' is judged."""
        return (self.lambda1 + self.lambda2) / 2

    def gfs_sharpness(self, w: ArrayLike) -> Any:
        """Sharpness where gradient flow from w ends: max λ_i, shape (...)."""
        return gfs_sharpness(split(w, self.params), self.p)
