"""Anything that moves w and is not a bare optimizer: projections, mini-batches, gradient flow."""

from __future__ import annotations

from typing import Any

from eoslab.optimizers import cap, floor
from eoslab.optimizers.gd import GD

__all__ = ["Cap", "Floor"]


def Floor(rule: GD, beta_min: float = 1e-4) -> floor.Floor:
    """Gradient descent with |β1| ← max(|β1|, ``beta_min``) while it is needed (Theorem 4.8)."""
    return floor.Floor(_gd_lr(rule), beta_min)


def Cap(rule: GD) -> cap.Cap:
    """Gradient descent projected onto {ηλ1α² ≤ 2} (Theorem 4.9)."""
    return cap.Cap(_gd_lr(rule))


def _gd_lr(rule: Any) -> float:
    from eoslab.core.errors import InvalidArgument

    if not isinstance(rule, GD):
        raise InvalidArgument("rule", getattr(rule, "name", rule), "GD(lr)", "projections are defined for GD")
    return rule.lr
