"""Projected gradient descent onto {ηλ1α² ≤ 2} (docs/theory, Theorem 4.9): after a step |α| ← min(|α|, α_e)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Vec
from eoslab.core.protocols import Threshold
from eoslab.optimizers.gd import inverse_preconditioner, update
from eoslab.optimizers.rule import ElementwiseRule

__all__ = ["Cap", "inverse_preconditioner", "project", "update"]


def project(old: Vec, new: Vec, flag: int, h: Vec, p: Vec) -> tuple[Vec, int]:
    """|α| ← min(|α|, α_e), α_e = √(2/(ηλ1))."""
    edge = sqrt(2.0 / (h[0] * p[0]))
    if abs(new[0]) > edge:
        if new[0] < 0:
            return (-edge, new[1], new[2]), flag
        return (edge, new[1], new[2]), flag
    return new, flag


@dataclass(frozen=True)
class Cap(ElementwiseRule):
    """Gradient descent projected onto {ηλ1α² ≤ 2}, for :class:`~eoslab.models.minimalist.Minimalist` only."""

    lr: float

    name: ClassVar[str] = "gd-cap"
    reference: ClassVar[str] = "docs/theory, Theorem 4.9"
    projection: ClassVar[str] = "cap"
    models: ClassVar[tuple[str, ...]] = ("minimalist",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))

    @property
    def threshold(self) -> Threshold:
        """η·λmax = 2."""
        return Threshold(2.0)
