"""Scalar twin of :mod:`eoslab.core.numbers`, used in compiled code only."""

from math import exp, log, sqrt

__all__ = ["exp", "log", "maximum", "minimum", "sqrt", "where"]


def where(condition, a, b):  # type: ignore[no-untyped-def]
    return a if condition else b


def maximum(a, b):  # type: ignore[no-untyped-def]
    return a if a > b else b


def minimum(a, b):  # type: ignore[no-untyped-def]
    return a if a < b else b
