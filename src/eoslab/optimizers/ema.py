"""EMA momentum (Adam without a second moment), m⁺ = βm + (1−β)g, w⁺ = w − ηm⁺.

Stable on a quadratic iff η·λmax < (2 + 2β)/(1 − β).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Num, Vec
from eoslab.core.protocols import Threshold
from eoslab.optimizers.rule import ElementwiseRule, fraction


def update(g: Num, m: Num, v: Num, t: Num, h: Vec) -> Vec:
    """m⁺ = βm + (1−β)g, Δw = −ηm⁺."""
    lr, beta = h
    m = beta * m + (1 - beta) * g
    return -lr * m, m, v


def inverse_preconditioner(m: Num, v: Num, t: Num, h: Vec) -> Num:
    """P⁻¹ = η."""
    return h[0]


@dataclass(frozen=True)
class EMA(ElementwiseRule):
    """Gradient descent along an exponential moving average of gradients, without bias correction.

    >>> round(EMA(lr=0.1, beta=0.9).threshold.value, 9)
    38.0
    """

    lr: float
    beta: float = 0.9

    name: ClassVar[str] = "ema"
    reference: ClassVar[str] = "Cohen et al. 2022 (arXiv 2207.14484)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))
        object.__setattr__(self, "beta", fraction("beta", self.beta))

    @property
    def threshold(self) -> Threshold:
        """η·λmax = (2 + 2β)/(1 − β)."""
        return Threshold((2.0 + 2.0 * self.beta) / (1.0 - self.beta))
