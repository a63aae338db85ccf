"""The two-dimensional example of perturbative central flows (Berthier 2026): f = g + εh,

    g(x, y) = ½ (y + ζx) x²,      h(x, y) = −x − y.

The valley {x = 0} has curvature y, and h drives y upwards at rate ε: sharpening without end, held at y = 2/η by
the oscillation in x. The ζx³ term damps the oscillation; the −εx term keeps x from dying in the valley, so it
never goes metastable. The loss has no minimum, and gradient flow from x < 0 can leave to −∞ in finite time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import finite
from eoslab.core.numbers import Num, Vec
from eoslab.core.symmetric import symmetric2_below, symmetric2_top
from eoslab.models.face import FormulaModel

# -- formulas ---------------------------------------------------------------------------------------------


def loss(w: Vec, p: Vec) -> Num:
    """½ (y + ζx) x² − ε(x + y)."""
    x, y = w
    zeta, epsilon = p
    return (y + zeta * x) * x**2 / 2 - epsilon * (x + y)


def grad(w: Vec, p: Vec) -> Vec:
    """(xy + (3/2)ζx² − ε, ½x² − ε)."""
    x, y = w
    zeta, epsilon = p
    return x * y + 3 * zeta * x**2 / 2 - epsilon, x**2 / 2 - epsilon


def gd_step(w: Vec, lr: Num, p: Vec) -> Vec:
    """w − lr·∇f in factored form."""
    x, y = w
    zeta, epsilon = p
    return x * (1 - lr * (y + 3 * zeta * x / 2)) + lr * epsilon, y - lr * (x**2 / 2 - epsilon)


def hessian(w: Vec, p: Vec) -> tuple[Vec, ...]:
    """[[y + 3ζx, x], [x, 0]]."""
    x, y = w
    return (y + 3 * p[0] * x, x), (x, 0 * x)


def third(w: Vec, u: Vec, p: Vec) -> Vec:
    """∇(dᵀHd) = (3ζd0² + 2d0d1, d0²), the same everywhere (in the shape of w)."""
    d0, d1 = u
    zero = 0 * w[0]
    return 3 * p[0] * d0**2 + 2 * d0 * d1 + zero, d0**2 + zero


def sharpness(w: Vec, d: Vec, p: Vec) -> Num:
    """λmax of D·H·D, D = diag(d)."""
    (a, b), (_, c) = hessian(w, p)
    return symmetric2_top(a * d[0] ** 2, b * d[0] * d[1], c * d[1] ** 2)


def below(w: Vec, d: Vec, tau: Num, p: Vec) -> bool:
    """Whether λmax(D·H·D) < tau, by leading minors."""
    (a, b), (_, c) = hessian(w, p)
    return symmetric2_below(a * d[0] ** 2, b * d[0] * d[1], c * d[1] ** 2, tau)


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Berthier(FormulaModel):
    """f(x, y) = ½ (y + ζx) x² − ε(x + y) with ``zeta`` and ``epsilon``.

    >>> Berthier(zeta=1.0, epsilon=0.001).sharpness([0.0, 5.0])     # in the valley: y
    5.0
    """

    zeta: float = 1.0
    epsilon: float = 1e-3

    name: ClassVar[str] = "berthier"
    reference: ClassVar[str] = "Berthier 2026, perturbative central flows"
    params: ClassVar[tuple[str, ...]] = ("x", "y")
    default_w0: ClassVar[tuple[float, ...]] = (0.01, 5.0)
    homogeneous: ClassVar[tuple[int, ...]] = ()
    loss_convention: ClassVar[str] = "½ (y + ζx) x² − ε(x + y)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "zeta", finite("zeta", self.zeta))
        object.__setattr__(self, "epsilon", finite("epsilon", self.epsilon))

    @property
    def loss_min(self) -> float:
        """−∞: the loss falls for ever along the valley."""
        return -math.inf

    @property
    def loss_scale(self) -> float:
        """Unit of the loss; without a minimum no run counts as converged."""
        return 1.0
