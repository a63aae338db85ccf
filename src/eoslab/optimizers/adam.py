"""Adam with bias correction; t counts updates from 0:

    m⁺ = β1 m + (1−β1) g,   v⁺ = β2 v + (1−β2) g²,
    w⁺ = w − η · m⁺/(1−β1^(t+1)) / (√(v⁺/(1−β2^(t+1))) + ε).

With P = (1−β1^(t+1)) (√(v⁺/(1−β2^(t+1))) + ε)/η frozen it is EMA momentum, stable iff
λmax(P⁻¹H) < (2 + 2β1)/(1 − β1), that is 38 at β1 = 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Num, Vec, sqrt
from eoslab.core.protocols import Threshold
from eoslab.optimizers.rule import ElementwiseRule, fraction


def update(g: Num, m: Num, v: Num, t: Num, h: Vec) -> Vec:
    """Moments, then Δw = −P⁻¹ m⁺."""
    _, beta1, beta2, _ = h
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return -m * inverse_preconditioner(m, v, t, h), m, v


def inverse_preconditioner(m: Num, v: Num, t: Num, h: Vec) -> Num:
    """P⁻¹ with both bias corrections, from the moments used to leave w."""
    lr, beta1, beta2, eps = h
    first = 1.0 - beta1 ** (t + 1.0)
    second = 1.0 - beta2 ** (t + 1.0)
    return lr / (first * (sqrt(v / second) + eps))


@dataclass(frozen=True)
class Adam(ElementwiseRule):
    """Adam with learning rate ``lr``, decays ``beta1`` and ``beta2`` in [0, 1), ``eps`` > 0.

    >>> round(Adam(lr=1e-3).threshold.value, 9)
    38.0
    """

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    name: ClassVar[str] = "adam"
    reference: ClassVar[str] = "Cohen et al. 2022 (arXiv 2207.14484)"
    linear: ClassVar[bool] = False
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))
        object.__setattr__(self, "beta1", fraction("beta1", self.beta1))
        object.__setattr__(self, "beta2", fraction("beta2", self.beta2))
        object.__setattr__(self, "eps", positive("eps", self.eps))

    @property
    def threshold(self) -> Threshold:
        """λmax(P⁻¹H) = (2 + 2β1)/(1 − β1)."""
        return Threshold((2.0 + 2.0 * self.beta1) / (1.0 - self.beta1))
