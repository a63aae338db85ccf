"""Typed text as numbers: fractions as papers write them, lists, steps."""

from __future__ import annotations

from eoslab.core.errors import InvalidArgument, finite, whole

__all__ = ["number", "numbers", "pair", "steps"]


def number(name: str, text: str) -> float:
    """A finite number, also as a fraction.

    >>> number("lr", "2/150") == 2 / 150
    True
    """
    above, slash, below = text.partition("/")
    if not slash:
        try:
            return finite(name, text)
        except InvalidArgument as e:
            raise InvalidArgument(name, text, e.expected) from None
    try:
        a, b = float(above), float(below)
        return finite(name, a / b)
    except (ValueError, ZeroDivisionError, InvalidArgument):
        raise InvalidArgument(name, text, "a finite number or a fraction like 2/150") from None


def numbers(name: str, text: str) -> list[float]:
    """Numbers separated by commas."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise InvalidArgument(name, repr(text), "numbers separated by commas")
    return [number(name, part) for part in parts]


def steps(name: str, text: str, least: int = 0) -> int:
    """A whole number; 1e6 and 1_000_000 are welcome."""
    try:
        return int(text) if int(text) >= least else whole(name, text, least)
    except ValueError:
        try:
            return whole(name, text, least)
        except InvalidArgument:
            raise InvalidArgument(name, text, f"a whole number ≥ {least}") from None


def pair(name: str, text: str) -> tuple[str, str]:
    """``key=value``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise InvalidArgument(name, repr(text), "key=value")
    return key.strip(), value.strip()
