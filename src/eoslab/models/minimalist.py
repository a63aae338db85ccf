"""The minimalist model of the edge of stability (Liu, Zhang, Du, Zhao 2025; docs/theory §0–§1).

    f(x; θ) = α(β1 x1 + β2 x2),   x ~ N(0, diag(λ1, λ2)),   y = b x2,
    L(θ) = ½ λ1 α² β1² + ½ λ2 (αβ2 − b)²,                   θ = (α, β1, β2).

The top half of this file is plain arithmetic on w = (alpha, beta1, beta2) and p = (lambda1, lambda2, b): the
same text runs on floats, broadcasts over arrays, is compiled into the kernels, is evaluated on Arb balls by
the certifier and on SymPy symbols in the documentation. The class below is its face for users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from eoslab.core.arrowhead import arrowhead3_at_pole, arrowhead3_below, arrowhead3_top
from eoslab.core.errors import nonzero, positive
from eoslab.core.numbers import Num, Vec, maximum, sqrt, where
from eoslab.models.face import FormulaModel, split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from eoslab.models.minimalist_d import MinimalistD

# -- formulas ---------------------------------------------------------------------------------------------


def loss_osc(w: Vec, lr: Num, p: Vec) -> Num:
    """Oscillatory part L1 = ½ λ1 α² β1² (does not depend on the learning rate)."""
    alpha, beta1, _ = w
    lambda1, _, _ = p
    return lambda1 * alpha**2 * beta1**2 / 2


def loss_conv(w: Vec, lr: Num, p: Vec) -> Num:
    """Convergent part L2 = ½ λ2 (αβ2 − b)²."""
    alpha, _, beta2 = w
    _, lambda2, b = p
    return lambda2 * (alpha * beta2 - b) ** 2 / 2


def loss(w: Vec, p: Vec) -> Num:
    """L = L1 + L2."""
    return loss_osc(w, 0, p) + loss_conv(w, 0, p)


def grad(w: Vec, p: Vec) -> Vec:
    """∇L = (λ1αβ1² + λ2(αβ2−b)β2, λ1α²β1, λ2(αβ2−b)α)  (Prop 1.1)."""
    alpha, beta1, beta2 = w
    lambda1, lambda2, b = p
    residual = lambda2 * (alpha * beta2 - b)
    return lambda1 * alpha * beta1**2 + residual * beta2, lambda1 * alpha**2 * beta1, residual * alpha


def gd_step(w: Vec, lr: Num, p: Vec) -> Vec:
    """w − lr·∇L in factored form: on balls it does not widen as the unfactored one does."""
    alpha, beta1, beta2 = w
    lambda1, lambda2, b = p
    h1, h = lr * lambda1, lr * lambda2
    a2 = alpha**2
    return (
        alpha * (1 - h1 * beta1**2 - h * beta2**2) + h * b * beta2,
        beta1 * (1 - h1 * a2),
        beta2 * (1 - h * a2) + h * b * alpha,
    )


def hessian(w: Vec, p: Vec) -> tuple[Vec, ...]:
    """∇²L as rows (Prop 1.1): an arrowhead, its (β1, β2) entry is zero."""
    alpha, beta1, beta2 = w
    lambda1, lambda2, b = p
    q = lambda1 * beta1**2 + lambda2 * beta2**2
    c1, c2 = 2 * lambda1 * alpha * beta1, lambda2 * (2 * alpha * beta2 - b)
    a2 = alpha**2
    return (q, c1, c2), (c1, lambda1 * a2, 0 * a2), (c2, 0 * a2, lambda2 * a2)


def third(w: Vec, u: Vec, p: Vec) -> Vec:
    """∇(uᵀHu) for a fixed direction u (Prop 1.1; ∇S where u is the unit top eigenvector)."""
    alpha, beta1, beta2 = w
    lambda1, lambda2, _ = p
    x, y, z = u
    return (
        4 * (lambda1 * beta1 * x * y + lambda2 * beta2 * x * z) + 2 * alpha * (lambda1 * y**2 + lambda2 * z**2),
        2 * lambda1 * x * (beta1 * x + 2 * alpha * y),
        2 * lambda2 * x * (beta2 * x + 2 * alpha * z),
    )


def sharpness(w: Vec, d: Vec, p: Vec) -> float:
    """λmax of D·H·D, D = diag(d): the sharpness for d = (1, 1, 1), the preconditioned one for P^(−1/2)."""
    (q, c1, c2), (_, m1, _), (_, _, m2) = hessian(w, p)
    d0, d1, d2 = d
    return arrowhead3_top(q * d0 * d0, c1 * d0 * d1, m1 * d1 * d1, c2 * d0 * d2, m2 * d2 * d2)


def below(w: Vec, d: Vec, tau: Num, p: Vec) -> bool:
    """Whether λmax(D·H·D) < tau, by the signs of leading minors (no eigenvalue is computed)."""
    (q, c1, c2), (_, m1, _), (_, _, m2) = hessian(w, p)
    d0, d1, d2 = d
    return arrowhead3_below(q * d0 * d0, c1 * d0 * d1, m1 * d1 * d1, c2 * d0 * d2, m2 * d2 * d2, tau)


def sharpness_at_pole(w: Vec, p: Vec) -> tuple[bool, Num]:
    """λ1α², and whether ``sharpness`` with d = (1, 1, 1) returns just that: β1 is too small to be seen."""
    (q, c1, c2), (_, m1, _), (_, _, m2) = hessian(w, p)
    return arrowhead3_at_pole(q, c1, m1, c2, m2), m1


def sharpness_bound(w: Vec, p: Vec) -> Num:
    """Upper bound of the sharpness that needs no square root: λ1(α²+4β1²) + λ2(max(α²,β2²) + |1+2r|)."""
    alpha, beta1, beta2 = w
    lambda1, lambda2, b = p
    a2 = alpha**2
    return lambda1 * (a2 + 4 * beta1**2) + lambda2 * (maximum(a2, beta2**2) + abs(2 * alpha * beta2 - b))


def loss_scale(p: Vec) -> Num:
    """The loss of predicting nothing, L(0) = ½λ2b²: the unit in which 'converged' is judged."""
    _, lambda2, b = p
    return lambda2 * b**2 / 2


def conserved(w: Vec, p: Vec) -> Num:
    """c = α² − β1² − β2², conserved by gradient flow (Prop 7.1)."""
    alpha, beta1, beta2 = w
    return alpha**2 - beta1**2 - beta2**2


def gfs_alpha2(w: Vec, p: Vec) -> Num:
    """α∞² of the gradient flow from w: (c + √(c² + 4b²))/2, without cancellation for c < 0 (Prop 7.1)."""
    _, _, b = p
    c = conserved(w, p)
    root = sqrt(c * c + 4 * b * b)
    return where(c < 0, 2 * b * b / (root - c), (c + root) / 2)


def gfs_sharpness(w: Vec, p: Vec) -> Num:
    """Sharpness of the gradient-flow solution: max(λ1 A, λ2 (A + b²/A)), A = α∞² (Prop 7.1)."""
    lambda1, lambda2, b = p
    a = gfs_alpha2(w, p)
    return maximum(lambda1 * a, lambda2 * (a + b * b / a))


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Minimalist(FormulaModel):
    """L(θ) = ½ λ1 α²β1² + ½ λ2 (αβ2 − b)² with θ = (α, β1, β2).

    ``lambda1`` is the variance of the irrelevant input x1, ``lambda2`` that of the relevant x2, ``b`` the
    teacher coefficient (y = b·x2). Every method takes w of shape (..., 3) and broadcasts over the leading
    axes; results are float64. Raises :class:`~eoslab.core.errors.InvalidArgument` for variances that are not
    positive and finite, or b = 0 (then nothing is to be learnt).

    >>> model = Minimalist(lambda1=1.0, lambda2=0.01)
    >>> round(model.sharpness([2.0, 0.0, 0.5]), 12)    # a minimiser: λ1 α²
    4.0
    >>> model.gfs_sharpness([2.0, 0.0, 0.5])           # the flow stays at a minimiser
    4.0

    For d inputs see :class:`~eoslab.models.minimalist_d.MinimalistD`, for data :meth:`from_data`.
    """

    lambda1: float = 1.0
    lambda2: float = 0.004
    b: float = 1.0

    name: ClassVar[str] = "minimalist"
    reference: ClassVar[str] = "Liu, Zhang, Du, Zhao 2025 (arXiv 2503.02809)"
    params: ClassVar[tuple[str, ...]] = ("alpha", "beta1", "beta2")
    default_w0: ClassVar[tuple[float, ...]] = (0.3, 0.001, 0.1)
    # beta1 enters the other updates through beta1² only and its own update is linear in it, so the kernels
    # may carry it as mantissa and exponent.
    homogeneous: ClassVar[tuple[int, ...]] = (1,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lambda1", positive("lambda1", self.lambda1))
        object.__setattr__(self, "lambda2", positive("lambda2", self.lambda2))
        object.__setattr__(self, "b", nonzero("b", self.b))

    @classmethod
    def from_data(cls, X: ArrayLike, y: ArrayLike) -> MinimalistD:
        """The exact empirical risk on (X, y) as a d-input model (:meth:`MinimalistD.from_data`)."""
        from eoslab.models.minimalist_d import MinimalistD

        return MinimalistD.from_data(X, y)

    @property
    def loss_min(self) -> float:
        """The smallest value of the loss."""
        return 0.0

    @property
    def loss_scale(self) -> float:
        """The loss of predicting nothing, L(0) = ½λ2b²: the unit in which 'converged' is judged."""
        return float(loss_scale(self.p))

    def loss_osc(self, w: ArrayLike, lr: float = 0.0) -> Any:
        """L1 = ½ λ1 α²β1², shape (...)."""
        return loss_osc(split(w, self.params), lr, self.p)

    def loss_conv(self, w: ArrayLike, lr: float = 0.0) -> Any:
        """L2 = ½ λ2 (αβ2 − b)², shape (...)."""
        return loss_conv(split(w, self.params), lr, self.p)

    def gfs_sharpness(self, w: ArrayLike) -> Any:
        """Sharpness of the minimiser that gradient flow from w ends at (Prop 7.1), shape (...)."""
        return gfs_sharpness(split(w, self.params), self.p)

    def conserved(self, w: ArrayLike) -> Any:
        """c = α² − β1² − β2², shape (...)."""
        return conserved(split(w, self.params), self.p)

    def residual(self, w: ArrayLike) -> Any:
        """r = αβ2/b − 1, the relative residual (−1 at the saddle, 0 at a minimiser), shape (...)."""
        alpha, _, beta2 = split(w, self.params)
        return alpha * beta2 / self.b - 1
