"""Anything that moves w and is not a bare optimizer: projections, mini-batches, gradient flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from eoslab.core.errors import InvalidArgument, whole
from eoslab.core.protocols import Threshold
from eoslab.optimizers import cap, floor
from eoslab.optimizers.gd import GD

__all__ = ["Cap", "Floor", "MiniBatch"]


def Floor(rule: GD, beta_min: float = 1e-4) -> floor.Floor:
    """Gradient descent with |β1| ← max(|β1|, ``beta_min``) while it is needed (Theorem 4.8)."""
    return floor.Floor(_gd_lr(rule), beta_min)


def Cap(rule: GD) -> cap.Cap:
    """Gradient descent projected onto {ηλ1α² ≤ 2} (Theorem 4.9)."""
    return cap.Cap(_gd_lr(rule))


@dataclass(frozen=True)
class MiniBatch:
    """Mini-batch descent: ``base`` with the gradient over ``batch`` samples of a finite sample.

    Samples come without replacement, a new permutation every epoch, drawn from ``seed`` and the number of the
    epoch. There is no deterministic threshold; λmax(P⁻¹H) of the full-batch loss is measured all the same.
    Works on models made by ``from_data``.
    """

    base: Any
    batch: int
    seed: int = 0

    name: ClassVar[str] = "mini-batch"
    projection: ClassVar[str] = ""
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", whole("batch", self.batch, 1))
        object.__setattr__(self, "seed", whole("seed", self.seed))

    @property
    def lr(self) -> float:
        """The learning rate of the base rule."""
        return float(self.base.lr)

    @property
    def adaptive(self) -> bool:
        """Whether the base rule is."""
        return bool(self.base.adaptive)

    @property
    def settings(self) -> dict[str, Any]:
        """Base rule, batch size and seed."""
        return {"base": self.base.name, **self.base.settings, "batch": self.batch, "seed": self.seed}

    @property
    def threshold(self) -> Threshold:
        """None: a mini-batch rule has no deterministic threshold."""
        return Threshold(None, "mini-batch noise: the stability of one batch says nothing about the next")


def _gd_lr(rule: Any) -> float:
    if not isinstance(rule, GD):
        raise InvalidArgument("rule", getattr(rule, "name", rule), "GD(lr)", "projections are defined for GD")
    return rule.lr
