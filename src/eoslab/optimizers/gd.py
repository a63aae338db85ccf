"""Gradient descent, w⁺ = w − η∇L(w). Stable on a quadratic iff η·λmax < 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Num, Vec
from eoslab.core.protocols import Threshold
from eoslab.optimizers.rule import ElementwiseRule


def update(g: Num, m: Num, v: Num, t: Num, h: Vec) -> Vec:
    """Δw = −η g."""
    return -h[0] * g, m, v


def inverse_preconditioner(m: Num, v: Num, t: Num, h: Vec) -> Num:
    """P⁻¹ = η."""
    return h[0]


@dataclass(frozen=True)
class GD(ElementwiseRule):
    """Gradient descent with learning rate ``lr``.

    >>> GD(lr=0.5).threshold.value
    2.0
    """

    lr: float

    name: ClassVar[str] = "gd"
    reference: ClassVar[str] = "Cohen et al. 2021 (arXiv 2103.00065)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))

    @property
    def threshold(self) -> Threshold:
        """η·λmax = 2."""
        return Threshold(2.0)
