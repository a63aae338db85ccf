"""Sharpness and the sharpness that gradient flow would end at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    if not run.has("gfs_sharpness"):
        raise InvalidArgument("run", "a run without GFS sharpness", "a model whose flow has a closed form")
    flow = run.series("gfs_sharpness")
    panels.x_axis(ax, runs, view)
    top = panels.y_sharpness(ax, runs, [flow] if run.diverged_at is None else [])
    panels.line(ax, run, run.sharpness, view, top=top, color=DESCENT, label=run.sharpness_label)
    panels.line(ax, run, flow, view, top=top, color=CONVERGENT, linestyle=(0, (6, 4)), label="GFS sharpness")
    panels.threshold_mark(ax, run)
    ax.set_ylabel("sharpness")
    ax.legend(loc="best")
    panels.band_marks([ax], run, view)
    panels.divergence_mark(ax, run, view)
