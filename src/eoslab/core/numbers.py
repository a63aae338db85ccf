"""Functions beyond + - * / ** that work on floats, NumPy arrays, Arb balls, mpmath intervals and SymPy.

A formula file imports these names instead of ``math``'s. The kernel compiler replaces this module by its
scalar twin (:mod:`eoslab.kernels.scalar_numbers`), so the same formula text is also machine code.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Num", "Vec", "exp", "log", "maximum", "minimum", "sqrt", "where"]


#: A number of any supported type, or an array of them.
Num: TypeAlias = Any
#: A point, a direction or a parameter set: one Num a component.
Vec: TypeAlias = tuple[Any, ...]


def _apply(name: str, x: Any) -> Any:
    if isinstance(x, (float, int)):
        return getattr(math, name)(x)
    if isinstance(x, (np.ndarray, np.generic)):
        return getattr(np, name)(x)
    # mpmath numbers carry their context. They come before Arb: an mpf's ``exp`` is its binary exponent.
    context = getattr(x, "ctx", None) or getattr(x, "context", None)
    if context is not None:
        return getattr(context, name)(x)
    if hasattr(x, name):  # Arb balls
        return getattr(x, name)()
    if hasattr(x, "_sympy_"):
        x = x._sympy_()
    if hasattr(x, "free_symbols"):
        import sympy

        return getattr(sympy, name)(x)
    return getattr(math, name)(x)


def sqrt(x: Any) -> Any:
    """Square root of any number type; Arb and mpmath give enclosures."""
    return _apply("sqrt", x)


def log(x: Any) -> Any:
    """Natural logarithm of any number type."""
    return _apply("log", x)


def exp(x: Any) -> Any:
    """Exponential of any number type."""
    return _apply("exp", x)


def where(condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition certainly holds, else ``b``.

    On balls and symbols a condition can be undecided; then ``b`` is taken, so ``b`` has to be valid
    everywhere there (both branches of our formulas are the same function, written for different ranges).
    """
    if isinstance(condition, np.ndarray):
        return np.where(condition, a, b)
    try:
        certain = bool(condition)
    except TypeError:
        return b
    return a if certain else b


def maximum(a: Any, b: Any) -> Any:
    """The larger of two numbers or arrays (an enclosure of it, on balls)."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.maximum(a, b)
    if hasattr(a, "max") and not isinstance(a, np.generic):
        return a.max(b)
    if hasattr(b, "max") and not isinstance(b, np.generic):
        return b.max(a)
    if hasattr(a, "free_symbols") or hasattr(b, "free_symbols"):
        import sympy

        return sympy.Max(a, b)
    return a if a > b else b


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two numbers or arrays (an enclosure of it, on balls)."""
    return -maximum(-a, -b)
