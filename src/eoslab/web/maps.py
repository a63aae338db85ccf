"""Phase maps, row by row: the lanes of ``sweep``, so that a cell says what its trajectory says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from eoslab.core.errors import InvalidArgument, UnknownName, whole
from eoslab.core.vocabulary import REGIMES
from eoslab.results.cells import Problem
from eoslab.results.grid import Axis, Layout, spaced
from eoslab.web.defaults import table
from eoslab.web.outlines import outlines
from eoslab.web.request import LARGEST, OTHER_LR, Request, models, parse

__all__ = ["Diagram", "axes_of", "diagram", "row_of"]

#: Updates of one parameter that a map may cost, at some nanoseconds each; a larger map gets fewer cells.
BUDGET = 4e9
MOST, LEAST = 400, 8
#: Rows that are kept, of some kilobytes each.
KEPT_ROWS = 4096


@dataclass(frozen=True)
class Diagram:
    """A map to be computed: the point it belongs to, its axes, and whether cells were left out for the time."""

    request: Request
    x: Axis
    y: Axis
    coarser: bool = False

    def head(self) -> dict[str, Any]:
        """What the page must know before the first row."""
        return {
            "x": {"name": self.x.name, "values": list(self.x.values), "scale": self.x.scale},
            "y": {"name": self.y.name, "values": list(self.y.values), "scale": self.y.scale},
            "regimes": list(REGIMES),
            "threshold": self.request.rule.threshold.value,
            "steps": self.request.steps,
            "coarser": self.coarser,
            "boundaries": outlines(self.request, self.x, self.y),
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
        return {"row": number, **row_of(self.request, self.x, self.y.name, self.y.values[number])}


@lru_cache(maxsize=KEPT_ROWS)
def row_of(request: Request, x: Axis, name: str, value: float) -> dict[str, Any]:
    """The cells along ``x`` at one value of the other axis; the same question is computed once."""
    problem = problem_of(request, (x.name, name))
    layout = Layout((x, Axis(name, (value,))))
    columns = layout.columns(np.arange(len(x.values)))
    cells = problem.compute(_drawn(request, columns) if request.of_data else columns)
    ratio = cells["eta_sharpness"] / (request.rule.threshold.value or math.nan)
    return {
        "regime": cells["regime"].tolist(),
        "ratio": [round(v, 5) if math.isfinite(v) else None for v in ratio.tolist()],
        "crossing": cells["first_crossing"].tolist(),
        "edge_steps": np.where(cells["T1"] < 0, -1, np.where(cells["T2"] < 0, -2, cells["T2"] - cells["T1"]))
        .astype(int)
        .tolist(),
    }


def problem_of(request: Request, names: tuple[str, ...]) -> Problem:
    """The sweep that the axes of a map mean. A start of data is swept by its numbers, that is, as whole points."""
    if request.of_data:
        names = ("init", *(name for name in names if not name.endswith("_0")))
    return Problem(request.model, request.rule, request.w0, request.steps, names)


def _drawn(request: Request, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns with starts of data written out."""
    n = len(next(iter(columns.values())))
    given = [
        columns.get(f"{p}_0", np.full(n, v)) for p, v in zip(request.chosen.params, request.given, strict=True)
    ]
    starts = np.empty(n, dtype=object)
    starts[:] = [request.chosen.start(tuple(map(float, point))) for point in zip(*given, strict=True)]
    return {"init": starts, **{name: column for name, column in columns.items() if not name.endswith("_0")}}


def axes_of(model: str) -> list[dict[str, Any]]:
    """The axes that a model offers, each with a range around what is usual."""
    kind, own = models()[model], table()["models"].get(model, {"lr": OTHER_LR, "settings": {}})
    start = own.get("start", kind.default_w0)
    settings = {f.name: own["settings"].get(f.name, f.default) for f in fields(kind)}
    lo, hi = USUAL_LR.get(model, (own["lr"] / 10, 4 * own["lr"]))
    found = [{"name": "lr", "label": "learning rate η", "lo": lo, "hi": hi, "log": False}]
    if {"lambda1", "lambda2", "b"} <= set(settings):
        found.append({"name": "ratio", "label": "λ₂/λ₁", "lo": 2e-4, "hi": 0.5, "log": True})
    for name, value in settings.items():
        if value > 0:
            found.append({"name": name, "label": name, "lo": value / 30, "hi": value * 30, "log": True})
    for name, value in zip(kind.params, start, strict=True):
        small = 0 < value < 0.05
        lo, hi = (1e-6, 1.0) if small else (0.02, max(2.0, 2 * value))
        found.append({"name": f"{name}_0", "label": f"{name} at the start", "lo": lo, "hi": hi, "log": small})
    return found


#: Learning rates between which something changes, where ten times less to four times more is not it.
USUAL_LR = {"minimalist": (0.5, 5.0)}


def diagram(asked: Mapping[str, Any]) -> Diagram:
    """The map that a query describes: a request, and ``map_x``, ``map_x_lo``, ``map_x_hi``, ``map_x_n``,
    ``map_x_log``, likewise y (models have parameters that are called x).

    A map that would take too long gets fewer cells, never fewer steps: a cell says what its trajectory says.
    Raises InvalidArgument or UnknownName for axes without a meaning.
    """
    request = parse(asked)
    x, y = _axis(asked, "x", 96), _axis(asked, "y", 64)
    if x.name == y.name:
        raise InvalidArgument("map_y", y.name, "another parameter than x")
    _check(request, x, y)
    cost = len(x.values) * len(y.values) * request.steps * len(request.model.params) / 3
    coarser = cost > BUDGET
    if coarser:
        share = math.sqrt(BUDGET / cost)
        x, y = (
            Axis(
                a.name, spaced(a.values[0], a.values[-1], max(LEAST, int(share * len(a.values))), a.scale), a.scale
            )
            for a in (x, y)
        )
    return Diagram(at_axes(request, x, y), x, y, coarser)


def _check(request: Request, x: Axis, y: Axis) -> None:
    ends = [(a.name, (a.values[0], a.values[-1])) for a in (x, y)]
    if request.of_data:
        known = [f"{p}_0" for p in request.chosen.params]
        for a in (x, y):
            if a.name.endswith("_0") and a.name not in known:
                raise UnknownName("axis", a.name, known)
        ends = [(name, values) for name, values in ends if not name.endswith("_0")]
    problem_of(request, (x.name, y.name)).check(ends)


def at_axes(request: Request, x: Axis, y: Axis) -> Request:
    """The request with what is swept at the beginning of its axis: maps that are the same are then equal."""
    chosen, rule, given = request.chosen, request.rule, list(request.given)
    for axis in (x, y):
        value = axis.values[0]
        name = {"ratio": "lambda2"}.get(axis.name, axis.name)
        if name.removesuffix("_0") in chosen.params and name.endswith("_0"):
            given[chosen.params.index(name.removesuffix("_0"))] = value
        elif name in {f.name for f in fields(chosen)}:
            chosen = replace(chosen, **{name: value})
        elif name in {f.name for f in fields(rule)}:
            rule = replace(rule, **{name: value})
    return replace(request, chosen=chosen, rule=rule, given=tuple(given))


def _axis(asked: Mapping[str, Any], which: str, n: int) -> Axis:
    name = str(asked.get(f"map_{which}", "lr" if which == "x" else "ratio"))
    if name in ("init", "s0", "c0", "w0", "k", "alpha_e"):
        raise InvalidArgument(f"map_{which}", name, "a parameter, ratio, or the start of a component")
    try:
        lo, hi = float(asked[f"map_{which}_lo"]), float(asked[f"map_{which}_hi"])
        n = whole(f"map_{which}_n", asked.get(f"map_{which}_n", n), 2)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidArgument(
            f"map_{which}", "no range", "its ends _lo and _hi and the count _n as numbers"
        ) from None
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi) or max(abs(lo), abs(hi)) > LARGEST or n > MOST:
        raise InvalidArgument(
            f"map_{which}", f"{lo:g}:{hi:g}:{n}", f"a range from low to high of at most {MOST} values"
        )
    scale = "log" if str(asked.get(f"map_{which}_log", "0")) == "1" else "linear"
    if scale == "log" and lo <= 0:
        raise InvalidArgument(f"map_{which}", lo, "ends > 0 for a logarithmic range")
    return Axis(name, spaced(lo, hi, n, scale), scale)


def line(value: dict[str, Any]) -> bytes:
    """One line of the stream."""
    return json.dumps(value, allow_nan=False).encode() + b"\n"
