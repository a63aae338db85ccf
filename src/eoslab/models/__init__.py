"""Minimalist models, one file each: formulas as plain functions, and a face for users."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eoslab.models.berthier import Berthier
    from eoslab.models.minimalist import Minimalist
    from eoslab.models.minimalist_d import MinimalistD
    from eoslab.models.product_root import ProductRoot
    from eoslab.models.product_square import ProductSquare
    from eoslab.models.quadratic import Quadratic
    from eoslab.models.scalar_product import ScalarProduct
    from eoslab.models.uv import UV

__all__ = [
    "UV",
    "Berthier",
    "Minimalist",
    "MinimalistD",
    "ProductRoot",
    "ProductSquare",
    "Quadratic",
    "ScalarProduct",
]

_HOME = {
    "Berthier": "berthier",
    "Minimalist": "minimalist",
    "MinimalistD": "minimalist_d",
    "ProductRoot": "product_root",
    "ProductSquare": "product_square",
    "Quadratic": "quadratic",
    "ScalarProduct": "scalar_product",
    "UV": "uv",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"eoslab.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'eoslab.models' has no attribute {name!r}")
