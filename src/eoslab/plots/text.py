"""Numbers as people read them, in figures and reports alike."""

from __future__ import annotations

import math

__all__ = ["number_text", "step_text"]

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number_text(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits, without a computer's exponent.

    >>> number_text(2 / 2.4), number_text(150), number_text(5.2e-32), number_text(-12345.6), number_text(0)
    ('0.833', '150', '5.2×10⁻³²', '−12346', '0')
    """
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    mantissa, exponent = f"{abs(value):.{digits - 1}e}".split("e")
    power = int(exponent)
    sign = "−" if value < 0 else ""
    if -3 <= power < 6:
        text = f"{abs(value):.{max(0, digits - 1 - power)}f}"
        return sign + (text.rstrip("0").rstrip(".") if "." in text else text)
    mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{sign}{mantissa}×10{str(power).translate(_SUPERSCRIPT)}"


def step_text(step: float) -> str:
    """A count with thin spaces between the thousands.

    >>> step_text(832), step_text(12345)
    ('832', '12\\u2009345')
    """
    text = f"{int(step):,}".replace(",", "\u2009")
    return text if abs(step) >= 10_000 else text.replace("\u2009", "")
