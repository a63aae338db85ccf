"""Update rules, one file each: plain elementwise arithmetic, the preconditioner, the stability threshold."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eoslab.optimizers.adam import Adam
    from eoslab.optimizers.ema import EMA
    from eoslab.optimizers.gd import GD
    from eoslab.optimizers.heavy_ball import HeavyBall
    from eoslab.optimizers.nesterov import Nesterov
    from eoslab.optimizers.rmsprop import RMSProp

__all__ = ["EMA", "GD", "Adam", "HeavyBall", "Nesterov", "RMSProp"]

_HOME = {
    "GD": "gd",
    "HeavyBall": "heavy_ball",
    "Nesterov": "nesterov",
    "EMA": "ema",
    "RMSProp": "rmsprop",
    "Adam": "adam",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"eoslab.optimizers.{_HOME[name]}"), name)
    raise AttributeError(f"module 'eoslab.optimizers' has no attribute {name!r}")
