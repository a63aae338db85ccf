"""Phase maps, row by row: the lanes of ``sweep``, so that a cell says what its trajectory says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eoslab.core.errors import InvalidArgument, whole
from eoslab.core.vocabulary import REGIMES
from eoslab.results.cells import Problem
from eoslab.results.grid import Axis, Layout, spaced
from eoslab.web.request import LARGEST, Request, parse

__all__ = ["Diagram", "diagram"]

#: Updates that a map may cost, at some nanoseconds each.
BUDGET = 4e9
MOST = 400


@dataclass(frozen=True)
class Diagram:
    """A map to be computed: the point it belongs to, its axes."""

    request: Request
    x: Axis
    y: Axis

    def head(self) -> dict[str, Any]:
        """What the page must know before the first row."""
        return {
            "x": {"name": self.x.name, "values": list(self.x.values), "scale": self.x.scale},
            "y": {"name": self.y.name, "values": list(self.y.values), "scale": self.y.scale},
            "regimes": list(REGIMES),
            "threshold": self.request.rule.threshold.value,
        }

    def order(self) -> Iterator[tuple[int, int]]:
        """Rows from coarse to fine, each with how many rows it stands for until finer ones come."""
        n, stride, seen = len(self.y.values), 16, set()
        while stride >= 1:
            for row in range(0, n, stride):
                if row not in seen:
                    seen.add(row)
                    yield row, stride
            stride //= 2

    def row(self, number: int) -> dict[str, Any]:
        """The verdicts and numbers of one row of cells."""
        r = self.request
        problem = Problem(r.model, r.rule, r.w0, r.steps, (self.x.name, self.y.name))
        layout = Layout((self.x, Axis(self.y.name, (self.y.values[number],))))
        cells = problem.compute(layout.columns(np.arange(len(self.x.values))))
        tau = r.rule.threshold.value or math.nan
        ratio = cells["eta_sharpness"] / tau
        return {
            "row": number,
            "regime": cells["regime"].tolist(),
            "ratio": [round(v, 5) if math.isfinite(v) else None for v in ratio.tolist()],
            "crossing": cells["first_crossing"].tolist(),
        }


def diagram(asked: Mapping[str, Any]) -> Diagram:
    """The map that a query describes: a request, and ``map_x``, ``map_x_lo``, ``map_x_hi``, ``map_x_n``,
    ``map_x_log``, likewise y (models have parameters that are called x).

    Raises InvalidArgument or UnknownName for axes without a meaning and for maps that would take too long.
    """
    request = parse(asked)
    x, y = _axis(asked, "x", 96), _axis(asked, "y", 64)
    if x.name == y.name:
        raise InvalidArgument("y", y.name, "another parameter than x")
    cost = len(x.values) * len(y.values) * request.steps
    if cost > BUDGET:
        raise InvalidArgument("steps", request.steps, f"at most {int(BUDGET / cost * request.steps)} for this map")
    Problem(request.model, request.rule, request.w0, request.steps, (x.name, y.name)).check(
        (a.name, (a.values[0], a.values[-1])) for a in (x, y)
    )
    return Diagram(request, x, y)


def _axis(asked: Mapping[str, Any], which: str, n: int) -> Axis:
    name = str(asked.get(f"map_{which}", "lr" if which == "x" else "ratio"))
    if name in ("init", "s0", "c0", "w0", "k", "alpha_e"):
        raise InvalidArgument(which, name, "a parameter, ratio, or the start of a component")
    try:
        lo, hi = float(asked[f"map_{which}_lo"]), float(asked[f"map_{which}_hi"])
        n = whole(f"{which}_n", asked.get(f"map_{which}_n", n), 2)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidArgument(
            f"map_{which}", "no range", "its ends _lo and _hi and the count _n as numbers"
        ) from None
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi) or max(abs(lo), abs(hi)) > LARGEST or n > MOST:
        raise InvalidArgument(which, f"{lo:g}:{hi:g}:{n}", f"a range from low to high of at most {MOST} values")
    scale = "log" if str(asked.get(f"map_{which}_log", "0")) == "1" else "linear"
    if scale == "log" and lo <= 0:
        raise InvalidArgument(which, lo, "ends > 0 for a logarithmic range")
    return Axis(name, spaced(lo, hi, n, scale), scale)


def line(value: dict[str, Any]) -> bytes:
    """One line of the stream."""
    return json.dumps(value, allow_nan=False).encode() + b"\n"
