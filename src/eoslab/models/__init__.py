"""Minimalist models, one file each: formulas as plain functions, and a face for users."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eoslab.models.minimalist import Minimalist
    from eoslab.models.minimalist_d import MinimalistD

__all__ = ["Minimalist", "MinimalistD"]

_HOME = {"Minimalist": "minimalist", "MinimalistD": "minimalist_d"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"eoslab.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'eoslab.models' has no attribute {name!r}")
