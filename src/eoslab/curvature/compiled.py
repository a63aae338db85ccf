"""Loops as machine code, and access to them: Numba takes half a second to load, which only a tracked run needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

__all__ = ["compiled", "dense", "passes"]


@cache
def passes() -> ModuleType:
    """The loops over the n-long rows of a basis."""
    from eoslab.curvature import passes

    return passes


@cache
def dense() -> ModuleType:
    """The loops over the small matrices in coordinates of a basis."""
    from eoslab.curvature import dense

    return dense


def compiled(loop: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The loop as machine code, kept for the next process where there is a place for it.

    Sums may be reordered, so that they use vector registers; what is not finite is sorted out before.
    """
    from numba import njit

    options |= {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return njit(cache=True, **options)(loop)  # type: ignore[no-any-return]
    except RuntimeError:  # no place
        return njit(**options)(loop)  # type: ignore[no-any-return]
