"""The phases of a run, and the four stages inside one cycle of self-stabilization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import DESCENT, INK, OSCILLATORY, SOFT

__all__ = ["STAGES", "Cycle", "cycle", "phases"]

#: The four stages of one cycle (Damian, Nichani, Lee 2023), with the tint that the figure gives them.
STAGES = {
    "sharpening": "#56B4E9",
    "blow-up": "#E69F00",
    "self-stabilization": "#D55E00",
    "return": "#00805D",
}


@dataclass(frozen=True)
class Cycle:
    """Steps at which the stages of one cycle begin, and the step at which it ends."""

    trough: int
    crossing: int
    peak: int
    fall: int
    end: int

    @property
    def bounds(self) -> tuple[int, ...]:
        return (self.trough, self.crossing, self.peak, self.fall, self.end)


@panels.figure(1.0, 1.0, 0.9, aspect=1.42, share_x=False)
def phases(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Sharpness with the phases (top); one cycle of it with its four stages (middle); |β1| then (below)."""
    (run,), (whole, sharp, size) = runs, axes
    beta1 = np.abs(run.param("beta1"))
    panels.x_axis(whole, runs, view)
    top = panels.y_sharpness(whole, runs)
    panels.line(whole, run, run.sharpness, view, top=top, color=DESCENT)
    panels.threshold_mark(whole, run, view)
    panels.band_marks([whole], run, view)
    panels.divergence_mark(whole, run, view)
    whole.set_ylabel(run.sharpness_label)
    found = cycle(run)
    if found is None:
        _no_cycle(sharp, size)
        return
    low, high = (run.at(s, view.x) for s in (found.trough, found.end))
    whole.axvspan(low, high, facecolor="none", edgecolor=INK, linewidth=0.7, zorder=4, gid="cycle")
    rows = (run.step >= found.trough) & (run.step <= found.end)
    x = run.x(view.x)[rows]
    many = len(x) > 80
    style = {"linewidth": 1.1} if many else {"marker": "o", "markersize": 2.4, "linewidth": 0.7}
    sharp.plot(x, run.sharpness[rows], color=DESCENT, **style)
    panels.threshold_mark(sharp, run, view)
    size.set_yscale("log")
    size.plot(x, beta1[rows], color=OSCILLATORY, **style)
    for ax in (sharp, size):
        ax.set_xlim(low, high)
        for (_, tint), a, b in zip(STAGES.items(), found.bounds[:-1], found.bounds[1:], strict=True):
            ax.axvspan(run.at(a, view.x), run.at(b, view.x), color=tint, alpha=0.13, linewidth=0, zorder=0)
    _stage_names(sharp, run, found, view)
    sharp.margins(y=0.12)
    sharp.set_ylabel(run.sharpness_label)
    size.set_ylabel(r"$|\beta_1|$")
    size.set_xlabel(whole.get_xlabel())
    whole.set_xlabel("")
    sharp.tick_params(labelbottom=False)


def _stage_names(ax: Any, run: Run, found: Cycle, view: View) -> None:
    """Numbers over the tinted stages, pushed apart where stages are short, and the names in a line above."""
    low, high = ax.get_xlim()
    small = 8 * float(ax.yaxis.label.get_fontsize()) / 9
    middles = [
        ((run.at(a, view.x) + run.at(b, view.x)) / 2 - low) / (high - low) for a, b in pairwise(found.bounds)
    ]
    gap = 0.05 if view.size == "single" else 0.025
    for i in range(len(middles) - 2, -1, -1):
        middles[i] = min(middles[i], middles[i + 1] - gap)
    common = {
        "xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom", "color": SOFT,
        "fontsize": small, "fontstyle": "italic", "annotation_clip": False,
    }  # fmt: skip
    for i, at in enumerate(middles):
        ax.annotate(str(i + 1), (at, 1), (0, 2), ha="center", gid="stage", **common)
    words = "   ".join(f"{i + 1} {name}" for i, name in enumerate(STAGES))
    ax.annotate(words, (0, 1), (0, 2 + small + 3), ha="left", **common)


def _no_cycle(sharp: Any, size: Any) -> None:
    for ax in (sharp, size):
        ax.set_axis_off()
    words = "No complete cycle: the sharpness never rises above\nthe threshold and falls below it again."
    sharp.text(0.5, 0.5, words, ha="center", va="center", transform=sharp.transAxes, color=SOFT)


def cycle(run: Run) -> Cycle | None:
    """The excursion above the threshold with the highest peak, or None.

    Excursions between two others come first: the first one is preceded by the whole of progressive sharpening.

    The stages: *sharpening* from the trough to the crossing, *blow-up* (|β1| grows) to the peak of the
    sharpness, *self-stabilization* to the fall below the threshold, *return* (|β1| shrinks) to the next trough.
    """
    if not np.isfinite(run.threshold):
        return None
    s = run.sharpness
    above = s > run.threshold
    turns = np.flatnonzero(np.diff(above.astype(np.int8))) + 1
    ups = [i for i in turns if above[i]]
    best: tuple[bool, float, Cycle] | None = None
    for k, up in enumerate(ups):
        down = next((i for i in turns if i > up), None)
        # between two excursions the sharpness has one lowest point: there one cycle ends and the next begins
        before = max((i for i in turns if i < up), default=0)
        after = ups[k + 1] if k + 1 < len(ups) else len(s)
        if down is None or np.isnan(s[before:after]).any():
            continue
        peak = up + int(np.argmax(s[up:down]))
        trough = before + int(np.argmin(s[before : up + 1]))
        end = down + int(np.argmin(s[down:after]))
        steps = tuple(int(run.step[i]) for i in (trough, up, peak, down, end))
        rank = (k > 0, float(s[peak]))
        if down - up > 2 and (best is None or rank > best[:2]):
            best = (*rank, Cycle(*steps))
    return best[2] if best else None
