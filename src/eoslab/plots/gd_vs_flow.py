"""Descent beside gradient flow at equal time, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eoslab.core.errors import InvalidArgument
from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import CONVERGENT, DESCENT, INK

__all__ = ["gd_vs_flow"]


@panels.figure(1.0, 1.2, 0.9, aspect=1.3)
def gd_vs_flow(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Loss, sharpness and distance |w − w_flow| over time; the dotted vertical is the first crossing."""
    view = replace(view, x="time")
    descent, flow = runs if runs[1].is_flow or not runs[0].is_flow else runs[::-1]
    loss, sharp, distance = axes
    for ax in axes:
        panels.x_axis(ax, [descent], view)
        ax.label_outer()
    top = panels.y_loss(loss, runs, view)
    panels.line(loss, descent, descent.series("loss"), view, top=top, color=DESCENT, label=_name(descent))
    _dashed(loss, flow, flow.series("loss"), view, top, label="gradient flow")
    loss.legend(loc="best")
    loss.set_ylabel("loss")
    top = panels.y_sharpness(sharp, runs)
    panels.line(sharp, descent, descent.sharpness, view, top=top, color=DESCENT)
    _dashed(sharp, flow, flow.sharpness, view, top)
    sharp.set_ylabel("sharpness")
    panels.threshold_mark(sharp, descent)
    gap = _distance(descent, flow)
    distance.set_yscale("log")
    panels.line(distance, descent, gap, view, color=INK)
    fine = gap[np.isfinite(gap) & (gap > 0)]
    if len(fine):
        high = float(fine.max())
        distance.set_ylim(max(float(np.quantile(fine, 0.01)), 1e-8 * high) / 1.5, high * 1.5)
    distance.set_ylabel("distance")
    for ax in axes:
        panels.crossing_mark(ax, descent, view, label=ax is distance)
        panels.divergence_mark(ax, descent, view, label=ax is loss)


def _name(run: Run) -> str:
    return "gradient descent" if run.optimizer in ("", "gd") else run.optimizer


def _dashed(ax: Any, flow: Run, values: Any, view: View, top: float, **style: Any) -> None:
    panels.line(ax, flow, values, view, top=top, color=CONVERGENT, linestyle=(0, (6, 4)), **style)


def _distance(descent: Run, flow: Run) -> Any:
    """Euclidean distance to the flow at equal time; NaN after the flow's end."""
    if descent.params != flow.params or not descent.params:
        raise InvalidArgument("runs", "runs with different parameters", "a run and the flow of the same model")
    w, other = descent.ds["w"].values, flow.ds["w"].values
    at = descent.time
    columns = [np.interp(at, flow.time, other[:, i], right=np.nan) for i in range(w.shape[1])]
    with np.errstate(invalid="ignore", over="ignore"):
        return np.sqrt(((w - np.stack(columns, axis=1)) ** 2).sum(axis=1))
