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
    """Loss, sharpness and distance |w − w_flow| over time; the dotted vertical is the first crossing.

    Of a run and the run of its flow, or of a network's run that had its flow integrated beside it.
    """
    view = replace(view, x="time")
    descent, flow = _pair(runs)
    loss, sharp, distance = axes
    for ax in axes:
        panels.x_axis(ax, [descent], view)
        ax.label_outer()
    top = panels.y_loss(loss, [descent, flow], view)
    panels.line(loss, descent, descent.series("loss"), view, top=top, color=DESCENT, label=_name(descent))
    _dashed(loss, flow, flow.series("loss"), view, top, label="gradient flow")
    loss.legend(loc="best")
    loss.set_ylabel("loss")
    top = panels.y_sharpness(sharp, [descent, flow])
    panels.line(sharp, descent, descent.sharpness, view, top=top, color=DESCENT)
    _dashed(sharp, flow, flow.sharpness, view, top)
    sharp.set_ylabel("sharpness")
    panels.threshold_mark(sharp, descent, view)
    along, gap = _distance(descent, flow)
    fine = gap[np.isfinite(gap) & (gap > 0)]
    if len(fine):
        low, high = max(float(np.quantile(fine, 0.01)), 1e-8 * float(fine.max())), float(fine.max())
        # within a decade there is nothing for a logarithm to unfold
        distance.set_yscale("log" if low < high / 10 else "linear")
        distance.set_ylim(*((low / 1.5, high * 1.5) if low < high / 10 else (0.0, 1.1 * high)))
    panels.line(distance, along, gap, view, color=INK)
    distance.set_ylabel("distance")
    for ax in axes:
        panels.crossing_mark(ax, descent, view, label=ax is distance)
        panels.divergence_mark(ax, descent, view, label=ax is loss)


def _pair(runs: Sequence[Run]) -> tuple[Run, Run]:
    """Descent and flow: two runs, or the two that a network's run holds."""
    if len(runs) == 2:
        return (runs[0], runs[1]) if runs[1].is_flow or not runs[0].is_flow else (runs[1], runs[0])
    (run,) = runs
    if not run.has("flow_distance"):
        raise InvalidArgument(
            "runs", "one run without its gradient flow", "a run and its flow, or a network's run with a flow",
            "eoslab flow RUN integrates the flow of a model; eoslab train --flow that of a network, beside it",
        )  # fmt: skip
    flow = run.ds[["flow_distance", "lr"]].isel(step=np.isfinite(run.series("flow_distance")))
    for name in ("loss", "sharpness"):
        values = run.ds.get(f"flow_{name}")
        values = run.ds["flow_distance"] * np.nan if values is None else values
        flow[name] = values.isel(step=np.isfinite(run.series("flow_distance")))
    return run, Run(flow.assign_attrs(optimizer="gradient-flow"), run.name)


def _name(run: Run) -> str:
    return "gradient descent" if run.optimizer in ("", "gd") else run.optimizer


def _dashed(ax: Any, flow: Run, values: Any, view: View, top: float, **style: Any) -> None:
    panels.line(ax, flow, values, view, top=top, color=CONVERGENT, linestyle=(0, (6, 4)), **style)


def _distance(descent: Run, flow: Run) -> tuple[Run, Any]:
    """Euclidean distance to the flow at equal time (NaN after the flow's end), and whose rows it is over."""
    if flow.has("flow_distance"):
        return flow, flow.series("flow_distance")
    if descent.params != flow.params or not descent.params:
        raise InvalidArgument("runs", "runs with different parameters", "a run and the flow of the same model")
    w, other = descent.ds["w"].values, flow.ds["w"].values
    at = descent.time
    columns = [np.interp(at, flow.time, other[:, i], right=np.nan) for i in range(w.shape[1])]
    with np.errstate(invalid="ignore", over="ignore"):
        return descent, np.sqrt(((w - np.stack(columns, axis=1)) ** 2).sum(axis=1))
