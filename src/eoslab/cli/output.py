"""What is written where: results to stdout, progress and messages to stderr, colour only on a terminal."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

__all__ = [
    "ReaderGone",
    "bold",
    "columns",
    "dim",
    "emit",
    "green",
    "line",
    "note",
    "number",
    "paint",
    "plain",
    "red",
    "seconds",
    "size",
    "table",
    "wants_colour",
]

BOLD, DIM, RED, GREEN, CYAN = "1", "2", "31", "32", "36"


class ReaderGone(Exception):
    """Whoever read our output has seen enough (| head). Not an OSError: the parser has its own idea of those."""


def wants_colour(stream: IO[str] | None) -> bool:
    """Whether colour (and bars) belong on this stream: a terminal, and nobody said NO_COLOR."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def paint(text: str, code: str, stream: IO[str] | None) -> str:
    """``text`` in a colour, where the stream shows colours."""
    return f"\x1b[{code}m{text}\x1b[0m" if wants_colour(stream) else text


def bold(text: str) -> str:
    """Bold on stdout."""
    return paint(text, BOLD, sys.stdout)


def dim(text: str) -> str:
    """Dim on stdout."""
    return paint(text, DIM, sys.stdout)


def green(text: str) -> str:
    """Green on stdout."""
    return paint(text, GREEN, sys.stdout)


def red(text: str) -> str:
    """Red on stdout."""
    return paint(text, RED, sys.stdout)


def line(text: str = "") -> None:
    """One line of the result."""
    if sys.stdout is not None:
        try:
            sys.stdout.write(text + "\n")
        except BrokenPipeError:
            raise ReaderGone from None


def note(text: str) -> None:
    """One line that is no result: a message, a hint."""
    if sys.stderr is not None:
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def emit(value: Any) -> None:
    """``value`` as one line of strict JSON: what is not a finite number is null."""
    line(json.dumps(_strict(value), ensure_ascii=False, allow_nan=False))


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _strict(value.item())
    if hasattr(value, "tolist"):
        return _strict(value.tolist())
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def number(x: float | None, digits: int = 4) -> str:
    """A number as people write it; a dash for what is not there.

    >>> number(0.8333333), number(5.2e-32), number(None), number(12345)
    ('0.8333', '5.2e-32', '–', '12 345')
    """
    if x is None or (isinstance(x, float) and math.isnan(x)):
        return "–"
    if isinstance(x, int):
        return f"{x:,}".replace(",", " ")
    if x != 0 and (abs(x) < 1e-3 or abs(x) >= 1e6):
        return f"{x:.{max(1, digits - 3)}e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{x:.{digits}g}" if abs(x) < 10**digits else f"{x:,.0f}".replace(",", " ")


def plain(value: Any) -> Any:
    """Arrays as lists, NumPy numbers as numbers."""
    return _strict(value)


def seconds(s: float) -> str:
    """A duration.

    >>> seconds(3e-4), seconds(2.25), seconds(200), seconds(90000)
    ('0.3 ms', '2.2 s', '3 min 20 s', '25 h')
    """
    if s < 1:
        return f"{1000 * s:.1f} ms" if s < 0.01 else f"{1000 * s:.0f} ms"
    if s < 120:
        return f"{s:.1f} s"
    if s < 7200:
        return f"{int(s // 60)} min {int(s % 60)} s"
    return f"{s / 3600:.0f} h" if s < 3.6e6 else f"{s / 86400:.0f} days"


def size(n: float) -> str:
    """A number of bytes.

    >>> size(999), size(2.5e6), size(3e12)
    ('999 B', '2.5 MB', '3 TB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n < 1000 or unit == "TB":
            break
        n /= 1000
    return f"{n:.3g} {unit}" if n < 1000 else f"{n:.0f} {unit}"


def columns(names: Iterable[str], width: int, indent: int = 0) -> str:
    """Names separated by commas, wrapped to a width, later lines indented."""
    lines, current = [], ""
    for name in names:
        piece = f"{current}, {name}" if current else name
        if current and indent + len(piece) > width:
            lines.append(current + ",")
            current = name
        else:
            current = piece
    return ("\n" + " " * indent).join([*lines, current])


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Aligned rows under a head; the columns in ``right`` are aligned to the right."""
    cells = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    to_right = set(right)
    text = [
        "  ".join(
            c.rjust(w) if i in to_right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    text = [t.rstrip() for t in text]
    return [dim(text[0]), *text[1:]]
