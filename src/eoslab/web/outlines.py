"""The theory's boundaries as lines on a map, in the coordinates of its axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from contourpy import contour_generator

from eoslab.results.cells import Problem
from eoslab.results.grid import Axis, Layout, spaced
from eoslab.theory.boundaries import BOUNDARIES
from eoslab.web.request import Request

__all__ = ["TITLES", "outlines"]

#: Points a side on which the level functions are evaluated: finer than the cells of any map.
FINE = 121
#: What each boundary is, as the legend says it (docs/theory/regimes.md).
TITLES = {
    "no-minimiser": "no stable minimiser (Prop 0.3)",
    "edge": "λ₁A(c₀) = 2/η (Thm 3.2, leading order)",
    "eighth": "r_E = −1/8 (Prop 4.10)",
    "catapult": "Σ₀ = 4 (Thm 5.4, exact for λ₂ = 0)",
}


def outlines(request: Request, x: Axis, y: Axis) -> list[dict[str, Any]]:
    """Name, title and lines [[x…], [y…]] of every boundary that crosses the map.

    Empty for maps that the theory does not speak about: other models, other rules.
    """
    if request.chosen.name != "minimalist" or request.rule.name != "gd":
        return []
    fine = [Axis(a.name, spaced(a.values[0], a.values[-1], FINE, a.scale), a.scale) for a in (x, y)]
    problem = Problem(request.model, request.rule, request.w0, request.steps, (x.name, y.name))
    # the first axis of a layout runs slowest: y, so that a row of the level is a row of the map
    columns = Layout((fine[1], fine[0])).columns(np.arange(FINE * FINE))
    w0, h, p, _, _ = problem.arrays(columns)
    shaped = [tuple(a[:, i].reshape(FINE, FINE) for i in range(a.shape[1])) for a in (h, p, w0)]
    across, up = (np.log(a.values) if a.scale == "log" else np.asarray(a.values) for a in fine)
    found = []
    for name, level in BOUNDARIES.items():
        z = np.ma.masked_invalid(np.broadcast_to(level(shaped[0][0], shaped[1], shaped[2]), (FINE, FINE)))
        lines = contour_generator(across, up, z).lines(0.0)
        if lines:
            ends = [[_back(points[:, i], fine[i]) for i in (0, 1)] for points in map(np.asarray, lines)]
            found.append({"name": name, "title": TITLES[name], "lines": ends})
    return found


def _back(values: np.ndarray, axis: Axis) -> list[float]:
    """Coordinates of a line in units of the axis, to the digits that a screen can show."""
    plain = np.exp(values) if axis.scale == "log" else values
    return [float(f"{v:.6g}") for v in plain.tolist()]
