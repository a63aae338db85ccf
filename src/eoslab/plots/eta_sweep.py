"""Several runs on shared axes, each with its own threshold in its own colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import RUN_DASHES, RUNS

__all__ = ["eta_sweep"]


@panels.figure(1.0, 1.25, aspect=1.08)
def eta_sweep(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Loss and sharpness of several runs; η is written 2/S, so that the threshold can be read off."""
    loss, sharp = axes
    for ax in axes:
        panels.x_axis(ax, runs, view)
    loss.set_xlabel("")
    top, high = panels.y_loss(loss, runs, view), panels.y_sharpness(sharp, runs)
    for run, color, dashes, label in zip(runs, RUNS, RUN_DASHES, _labels(runs), strict=False):
        style = {"color": color, "linestyle": dashes, "linewidth": 0.9}
        panels.line(loss, run, run.series("loss"), view, top=top, label=label, **style)
        panels.line(sharp, run, run.sharpness, view, top=high, **style)
        if np.isfinite(run.threshold):
            panels.threshold_line(sharp, run, view, color)
        if run.diverged_at is not None:
            at = run.at(run.diverged_at, view.x)
            loss.plot([at], [1], marker="x", color=color, markersize=5, markeredgewidth=1.2, clip_on=False,
                      transform=loss.get_xaxis_transform(), gid="diverged", linestyle="none")  # fmt: skip
    loss.set_ylabel("loss")
    sharp.set_ylabel("sharpness")
    columns = 2 if view.size == "single" else 4
    loss.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=min(columns, len(runs)), borderaxespad=0.2)


def _labels(runs: Sequence[Run]) -> list[str]:
    """η as 2/S where that tells the runs apart, else their names too; divergence is said."""
    etas = [run.eta_label if np.isfinite(run.threshold) else run.name or run.optimizer for run in runs]
    shown = []
    for run, eta in zip(runs, etas, strict=True):
        label = eta if etas.count(eta) == 1 else (f"{run.name}, {eta}" if run.name else eta)
        shown.append(label + (f" (× diverged at step {run.diverged_at})" if run.diverged_at is not None else ""))
    return shown
