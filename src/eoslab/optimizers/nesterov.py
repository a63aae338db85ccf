"""Nesterov momentum, written for the look-ahead iterate w so that one gradient at w is needed:

    m⁺ = βm − ηg(w),   w⁺ = w + βm⁺ − ηg(w).

Stable on a quadratic iff η·λmax < (2 + 2β)/(1 + 2β).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Num, Vec
from eoslab.core.protocols import Threshold
from eoslab.optimizers.rule import ElementwiseRule, fraction


def update(g: Num, m: Num, v: Num, t: Num, h: Vec) -> Vec:
    """m⁺ = βm − ηg, Δw = βm⁺ − ηg."""
    lr, beta = h
    m = beta * m - lr * g
    return beta * m - lr * g, m, v


def inverse_preconditioner(m: Num, v: Num, t: Num, h: Vec) -> Num:
    """P⁻¹ = η."""
    return h[0]


@dataclass(frozen=True)
class Nesterov(ElementwiseRule):
    """Nesterov momentum with learning rate ``lr`` and momentum ``beta`` in [0, 1).

    >>> round(Nesterov(lr=0.1, beta=0.9).threshold.value, 3)
    1.357
    """

    lr: float
    beta: float = 0.9

    name: ClassVar[str] = "nesterov"
    reference: ClassVar[str] = "Cohen et al. 2021 (arXiv 2103.00065), §B"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))
        object.__setattr__(self, "beta", fraction("beta", self.beta))

    @property
    def threshold(self) -> Threshold:
        """η·λmax = (2 + 2β)/(1 + 2β)."""
        return Threshold((2.0 + 2.0 * self.beta) / (1.0 + 2.0 * self.beta))
