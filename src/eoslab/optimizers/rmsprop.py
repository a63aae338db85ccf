"""RMSProp, v⁺ = β2 v + (1−β2) g², w⁺ = w − η g/(√v⁺ + ε).

With the preconditioner P = (√v⁺ + ε)/η frozen it is stable iff λmax(P⁻¹H) < 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Num, Vec, sqrt
from eoslab.core.protocols import Threshold
from eoslab.optimizers.rule import ElementwiseRule, fraction


def update(g: Num, m: Num, v: Num, t: Num, h: Vec) -> Vec:
    """v⁺ = β2 v + (1−β2) g², Δw = −η g/(√v⁺ + ε)."""
    lr, beta2, eps = h
    v = beta2 * v + (1 - beta2) * g * g
    return -lr * g / (sqrt(v) + eps), m, v


def inverse_preconditioner(m: Num, v: Num, t: Num, h: Vec) -> Num:
    """P⁻¹ = η/(√v + ε), v the one used to leave w."""
    lr, _, eps = h
    return lr / (sqrt(v) + eps)


@dataclass(frozen=True)
class RMSProp(ElementwiseRule):
    """RMSProp with learning rate ``lr``, decay ``beta2`` in [0, 1) and ``eps`` > 0, without bias correction.

    >>> RMSProp(lr=0.1).threshold.value
    2.0
    """

    lr: float
    beta2: float = 0.99
    eps: float = 1e-8

    name: ClassVar[str] = "rmsprop"
    reference: ClassVar[str] = "Cohen et al. 2022 (arXiv 2207.14484)"
    linear: ClassVar[bool] = False
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))
        object.__setattr__(self, "beta2", fraction("beta2", self.beta2))
        object.__setattr__(self, "eps", positive("eps", self.eps))

    @property
    def threshold(self) -> Threshold:
        """λmax(P⁻¹H) = 2."""
        return Threshold(2.0)
