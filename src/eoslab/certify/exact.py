"""Exact rational numbers in, outward-rounded decimal strings out.

A proof is about the numbers that were typed: "0.001" is 1/1000, "1/300" is itself, and a float is the dyadic
rational that it holds. Nothing is rounded on the way in; on the way out everything is rounded away from the
claim, so that the printed number is still true.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from eoslab.core.errors import InvalidArgument

__all__ = ["Point", "above", "below", "exact", "exact_positive", "point"]

Point = tuple[Fraction, Fraction, Fraction]

#: Longest text of a decimal, largest decimal exponent and most bits of an input: "1e999999999" would be an
#: integer of 400 MB, and Python refuses to print integers of more than 4300 digits (14,284 bits).
MAX_TEXT, MAX_EXPONENT, MAX_BITS = 4_250, 4_000, 14_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE]([+-]?\d+))?")


def _decimal(name: str, text: str, whole: str) -> Fraction:
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > MAX_TEXT or abs(int(match[3] or 0)) > MAX_EXPONENT:
        raise InvalidArgument(
            name, repr(whole[:60]), "an exact number such as 0.001, 1e-4 or 1/300", "Decimals are exact rationals"
        )
    return Fraction(text.strip())


def exact(name: str, value: Any) -> Fraction:
    """The rational number that ``value`` means: an int, Fraction, Decimal, float, or text "0.25", "1/300".

    Raises InvalidArgument for text that is no number, NaN, infinities and a zero denominator.

    >>> exact("lr", "3.125"), exact("lambda2", "1/300"), exact("x", 0.5)
    (Fraction(25, 8), Fraction(1, 300), Fraction(1, 2))
    """
    x = _parsed(name, value)
    if max(x.numerator.bit_length(), x.denominator.bit_length()) > MAX_BITS:
        raise InvalidArgument(name, "a number with more than 4000 digits", "a shorter one")
    return x


def _parsed(name: str, value: Any) -> Fraction:
    if isinstance(value, str):
        top, slash, bottom = value.partition("/")
        number = _decimal(name, top, value)
        if not slash:
            return number
        divisor = _decimal(name, bottom, value)
        if divisor == 0:
            raise InvalidArgument(name, repr(value), "a fraction with a denominator other than 0")
        return number / divisor
    if isinstance(value, Fraction):
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return _decimal(name, str(value), str(value))
    if isinstance(value, bool):
        raise InvalidArgument(name, value, "a number, or text such as '1/300'")
    try:
        if hasattr(value, "__index__"):  # int and the integers of NumPy
            return Fraction(operator.index(value))
        top_int, bottom_int = value.as_integer_ratio()
    except (AttributeError, ValueError, OverflowError):
        raise InvalidArgument(name, repr(value), "a finite number, or text such as '1/300'") from None
    return Fraction(int(top_int), int(bottom_int))


def exact_positive(name: str, value: Any) -> Fraction:
    """``value`` as an exact rational; raises InvalidArgument unless it is > 0."""
    x = exact(name, value)
    if x <= 0:
        raise InvalidArgument(name, value, "a number > 0")
    return x


def point(name: str, value: Any) -> Point:
    """A point (α, β1, β2) from three numbers, or from text "0.75, 0.001, 0.8".

    >>> point("w0", "0.75,1/1000,.8")
    (Fraction(3, 4), Fraction(1, 1000), Fraction(4, 5))
    """
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Iterable):
        raise InvalidArgument(name, repr(value), "three numbers α, β1, β2")
    found = tuple(exact(f"{name}[{i}]", x) for i, x in enumerate(parts))
    if len(found) != 3:
        raise InvalidArgument(name, f"{len(found)} numbers", "three numbers α, β1, β2")
    return found


def _scaled(x: Fraction, digits: int) -> tuple[Fraction, int]:
    """x·10^e with e such that the integer part of x ≠ 0 has ``digits`` digits."""
    size = abs(x)
    # log10 from bit lengths: Fractions may lie outside the float range.
    guess = math.floor((size.numerator.bit_length() - size.denominator.bit_length()) * math.log10(2))
    e = digits - 1 - guess
    while size * Fraction(10) ** e >= 10**digits:
        e -= 1
    while size * Fraction(10) ** e < 10 ** (digits - 1):
        e += 1
    return x * Fraction(10) ** e, e


def _text(units: int, e: int) -> str:
    """units·10^-e in plain or scientific decimal notation."""
    return str(Decimal(units).scaleb(-e)) if units else "0"


def below(x: Fraction, digits: int = 12, spare: int = 0) -> str:
    """A decimal ≤ x with ``digits`` significant digits, lowered by ``spare`` more units.

    The spare unit is room for a second implementation, whose enclosure of x may be a hair wider. (0 is "0": it
    only occurs where it is exact.)

    >>> below(Fraction(2, 3), 3), above(Fraction(2, 3), 3), below(Fraction(-2, 3), 3)
    ('0.666', '0.667', '-0.667')
    """
    if x == 0:
        return "0"
    scaled, e = _scaled(x, digits)
    return _text(math.floor(scaled) - spare, e)


def above(x: Fraction, digits: int = 12, spare: int = 0) -> str:
    """A decimal ≥ x; see :func:`below`."""
    if x == 0:
        return "0"
    scaled, e = _scaled(x, digits)
    return _text(math.ceil(scaled) + spare, e)
