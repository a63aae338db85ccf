"""Heavy-ball momentum (Polyak), v⁺ = βv − ηg, w⁺ = w + v⁺. Stable on a quadratic iff η·λmax < 2 + 2β."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Num, Vec
from eoslab.core.protocols import Threshold
from eoslab.optimizers.rule import ElementwiseRule, fraction


def update(g: Num, m: Num, v: Num, t: Num, h: Vec) -> Vec:
    """m⁺ = βm − ηg, Δw = m⁺."""
    lr, beta = h
    m = beta * m - lr * g
    return m, m, v


def inverse_preconditioner(m: Num, v: Num, t: Num, h: Vec) -> Num:
    """P⁻¹ = η."""
    return h[0]


@dataclass(frozen=True)
class HeavyBall(ElementwiseRule):
    """Heavy-ball momentum with learning rate ``lr`` and momentum ``beta`` in [0, 1).

    >>> HeavyBall(lr=0.1, beta=0.9).threshold.value
    3.8
    """

    lr: float
    beta: float = 0.9

    name: ClassVar[str] = "heavy-ball"
    reference: ClassVar[str] = "Cohen et al. 2021 (arXiv 2103.00065), §B"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))
        object.__setattr__(self, "beta", fraction("beta", self.beta))

    @property
    def threshold(self) -> Threshold:
        """η·λmax = 2 + 2β."""
        return Threshold(2.0 + 2.0 * self.beta)
