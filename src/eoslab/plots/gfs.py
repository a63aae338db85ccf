"""Sharpness and the sharpness that gradient flow would end at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eoslab.core.errors import InvalidArgument
from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import CONVERGENT, DESCENT

__all__ = ["gfs"]


@panels.figure(aspect=0.72)
def gfs(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Sharpness S and GFS sharpness (of the gradient-flow solution from each iterate) against threshold/η."""
    (run,), (ax,) = runs, axes
    if not run.has("gfs_sharpness") and not run.has("gfs_reached"):
        raise InvalidArgument(
            "run", "a run without GFS sharpness", "a model whose flow has a closed form",
            "networks: eoslab train --probes gfs=50",
        )  # fmt: skip
    flow = run.series("gfs_sharpness")
    panels.x_axis(ax, runs, view)
    more = [flow, *([run.series("gfs_reached")] if run.has("gfs_reached") else [])]
    top = panels.y_sharpness(ax, runs, more if run.diverged_at is None else [])
    panels.line(ax, run, run.sharpness, view, top=top, color=DESCENT, label=run.sharpness_label)
    style: dict[str, Any] = {"color": CONVERGENT, "label": "GFS sharpness"}
    if run.is_network:
        # measured at few steps: dots, and open ones where the flow did not come to its solution
        fine = np.isfinite(flow)
        ax.plot(
            run.x(view.x)[fine], flow[fine], linestyle="none", marker="o", markersize=3, clip_on=False, **style
        )
        if run.has("gfs_reached"):
            _open(ax, run, view, top)
    else:
        panels.line(ax, run, flow, view, top=top, linestyle=(0, (6, 4)), **style)
    panels.threshold_mark(ax, run, view)
    ax.set_ylabel("sharpness")
    ax.legend(loc="best")
    panels.band_marks([ax], run, view)
    panels.divergence_mark(ax, run, view)


def _open(ax: Any, run: Run, view: View, top: float) -> None:
    reached = np.where(np.isfinite(run.series("gfs_sharpness")), np.nan, run.series("gfs_reached"))
    left = np.isfinite(reached)
    if left.any():
        ax.plot(
            run.x(view.x)[left], np.minimum(reached[left], top), color=CONVERGENT, linestyle="none", marker="o",
            markersize=3, markerfacecolor="none", markeredgewidth=0.8, clip_on=False, label="flow not at its end",
        )  # fmt: skip
