"""Projected gradient descent with a floor on |β1| (docs/theory, Theorem 4.8).

After a step, |β1| ← max(|β1|, β_min). Before T1 (the first s = ηλ1α² ≥ 2) the floor acts at a step iff
q > 2·ηλ1β_min²; from T1 on the first failure of that releases it for good, since otherwise α drifts down and
β1 cannot converge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eoslab.core.errors import positive
from eoslab.core.numbers import Vec
from eoslab.core.protocols import Threshold
from eoslab.optimizers.gd import inverse_preconditioner, update
from eoslab.optimizers.rule import ElementwiseRule

__all__ = ["Floor", "inverse_preconditioner", "project", "update"]

#: Values of the projection's flag.
BEFORE_T1, ACTIVE, RELEASED = 0, 1, 2


def project(old: Vec, new: Vec, flag: int, h: Vec, p: Vec) -> tuple[Vec, int]:
    """The projected new point and the flag, from the point that was left and the unprojected new one."""
    alpha, _, beta2 = old
    lambda1, lambda2, b = p
    lr, beta_min = h
    r = alpha * beta2 / b - 1
    q = -(lr**2) * lambda1 * lambda2 * b**2 * r * (1 + r)
    acts = q > 2 * lr * lambda1 * beta_min**2
    if flag == 0 and lr * lambda1 * alpha**2 >= 2:
        flag = 1
    if flag == 1 and not acts:
        flag = 2
    if flag != 2 and acts and abs(new[1]) < beta_min:
        if new[1] < 0:
            return (new[0], -beta_min, new[2]), flag
        return (new[0], beta_min, new[2]), flag
    return new, flag


@dataclass(frozen=True)
class Floor(ElementwiseRule):
    """Gradient descent with the floor |β1| ≥ ``beta_min``, released when it has done its work.

    For :class:`~eoslab.models.minimalist.Minimalist` only. A floor leaves a residual loss of about β_min²/η
    while it acts; keep it at 1e-4 or below.
    """

    lr: float
    beta_min: float = 1e-4

    name: ClassVar[str] = "gd-floor"
    reference: ClassVar[str] = "docs/theory, Theorem 4.8"
    projection: ClassVar[str] = "floor"
    models: ClassVar[tuple[str, ...]] = ("minimalist",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", positive("lr", self.lr))
        object.__setattr__(self, "beta_min", positive("beta_min", self.beta_min))

    @property
    def threshold(self) -> Threshold:
        """η·λmax = 2."""
        return Threshold(2.0)
