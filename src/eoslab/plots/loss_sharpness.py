"""The signature figure: loss over sharpness, with 2/η, the phases and the first crossing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import DESCENT, OSCILLATORY

__all__ = ["loss_sharpness"]


@panels.figure(1.0, 1.25, aspect=1.02)
def loss_sharpness(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Loss (top) and sharpness against threshold/η (below) over the same steps."""
    (run,), (loss, sharp) = runs, axes
    panels.x_axis(sharp, runs, view)
    panels.x_axis(loss, runs, view)
    loss.set_xlabel("")
    top = panels.y_loss(loss, runs, view)
    _draw(loss, run, run.series("loss"), view, top)
    loss.set_ylabel("loss")
    top = panels.y_sharpness(sharp, runs)
    _draw(sharp, run, run.sharpness, view, top)
    sharp.set_ylabel(run.sharpness_label)
    panels.threshold_mark(sharp, run, view)
    panels.band_marks(axes, run, view)
    panels.crossing_mark(loss, run, view, label=False)
    panels.crossing_mark(sharp, run, view)
    for ax in axes:
        panels.divergence_mark(ax, run, view, label=ax is loss)
    if run.alternates(run.sharpness):
        # at the top right: there the loss has been left behind
        for color, label in ((DESCENT, "even steps"), (OSCILLATORY, "odd steps")):
            loss.plot([], [], color=color, label=label)
        loss.legend(loc="upper right", ncols=2)


def _draw(ax: Any, run: Run, values: Any, view: View, top: float) -> None:
    if run.alternates(values):
        panels.by_parity(ax, run, values, view, top=top)
    else:
        panels.line(ax, run, values, view, top=top, color=DESCENT)
