"""The loss and its two parts: the one that oscillates and the one that converges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import CONVERGENT, DESCENT, OSCILLATORY

__all__ = ["loss_split"]


@panels.figure(aspect=0.72)
def loss_split(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Total, oscillatory and convergent loss over steps."""
    (run,), (ax,) = runs, axes
    panels.x_axis(ax, runs, view)
    top = panels.y_loss(ax, runs, view, ("loss", "loss_osc", "loss_conv"))
    panels.line(ax, run, run.series("loss"), view, top=top, color=DESCENT, linewidth=3.2, alpha=0.3, label="loss")
    panels.line(ax, run, run.series("loss_osc"), view, top=top, color=OSCILLATORY, label="oscillatory")
    panels.line(ax, run, run.series("loss_conv"), view, top=top, color=CONVERGENT, label="convergent")
    ax.set_ylabel("loss")
    ax.legend(loc="best")
    panels.band_marks([ax], run, view)
    panels.divergence_mark(ax, run, view)
