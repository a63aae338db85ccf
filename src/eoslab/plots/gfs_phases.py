"""GFS sharpness by phase: where c = α²−β1²−β2² falls, where it must, and what made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eoslab.core.vocabulary import title
from eoslab.plots import panels
from eoslab.plots.case import case
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import CONVERGENT, DESCENT, INK, OSCILLATORY, SOFT, THIRD
from eoslab.theory.context import Context
from eoslab.theory.gfs import accounting, c_change, conserved_of, eta_gfs_sharpness, non_increasing

__all__ = ["account_rows", "gfs_phases", "regions"]

#: A change of c below this share of its range is rounding, not an increase.
NOISE = 1e-12


@panels.figure(1.1, 1.0, 1.0, aspect=1.5)
def gfs_phases(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """GFS sharpness; c with its regions; the three terms of c⁺−c, summed, and what each phase changed.

    The strips under c: green where Prop 7.3 forbids an increase, orange where c increases.
    """
    (run,) = runs
    c = case(run)
    sharp, conserved, terms = axes
    x = np.arange(c.T + 1) * (run.lr if view.x == "time" else 1.0)
    for ax in axes:
        panels.x_axis(ax, runs, view)
        ax.label_outer()
    _sharpness(sharp, run, c, x, view)
    _conserved(conserved, c, x, view)
    if c.dynamics == "gd":
        _terms(terms, c, x, view)
    else:
        terms.annotate("a projected run: (I8) is about plain descent", (0.5, 0.5), xycoords="axes fraction",
                       ha="center", va="center", color=SOFT)  # fmt: skip
    terms.set_ylabel(r"$\Sigma\,(c^+ - c)$")
    panels.band_marks(axes, run, view)
    for ax in axes:
        panels.divergence_mark(ax, run, view, label=ax is sharp)


def _sharpness(ax: Any, run: Run, c: Context, x: Any, view: View) -> None:
    gfs = np.asarray(eta_gfs_sharpness(conserved_of(c), c.h, c.h1)) / c.lr
    top = panels.y_sharpness(ax, [run], [gfs] if run.diverged_at is None else [])
    panels.line(ax, run, run.sharpness, view, top=top, color=DESCENT, linewidth=0.9, label="sharpness")
    panels.curve(ax, x, gfs, view, top=top, color=CONVERGENT, linestyle=(0, (6, 4)), label="GFS sharpness")
    panels.threshold_mark(ax, run, view)
    ax.set_ylabel("sharpness")
    ax.legend(loc="best", frameon=True, framealpha=0.8, edgecolor="none")


def account_rows(c: Context) -> list[tuple[str, str, str, str]]:
    """A row a phase: its name, the change of c, at how many of its steps c rose, the change of GFS sharpness."""
    rows = []
    for phase, a in accounting(c).items():
        gfs = f"{_plain(a.eta_gfs[0] / c.lr)} → {_plain(a.eta_gfs[1] / c.lr)}"
        rows.append((title(phase), _plain(a.change), f"{a.increases} of {a.end - a.start}", gfs))
    return rows


def _plain(value: float) -> str:
    """A number whose exponent, if it has one, is set by mathtext: the figures' font has no superscripts."""
    text = f"{value:.3g}"
    mantissa, e, power = text.partition("e")
    return rf"${mantissa}\times10^{{{int(power)}}}$" if e else text.replace("-", "−")


def regions(c: Context) -> tuple[Any, Any]:
    """(steps at which Prop 7.3 forbids an increase of c, steps from which c does increase)."""
    values = conserved_of(c)
    scale = NOISE * (float(np.ptp(values)) + float(np.abs(values).max()))
    rises = np.append(np.diff(values) > scale, False)
    return np.asarray(non_increasing(c.alpha, c.beta1, c.beta2)), rises


def _conserved(ax: Any, c: Context, x: Any, view: View) -> None:
    values = conserved_of(c)
    shown = values[np.isfinite(values)]
    if c.cut or np.abs(shown).max() > 1e3 * (abs(shown[0]) + 1):
        # a divergent run would flatten everything before its end
        limit = 3 * (abs(float(shown[0])) + 1)
        shown = np.clip(shown, -limit, limit)
    low, high = float(shown.min()), float(shown.max())
    room = (high - low) or 0.1 * abs(high) or 1.0
    ax.set_ylim(low - 0.3 * room, high + 0.1 * room)
    panels.curve(ax, x, values, view, top=high + room, color=INK, linewidth=1.0)
    forbidden, rises = regions(c)
    words = ("$c$ cannot rise (7.3)", f"$c$ rises (at {np.count_nonzero(rises)} steps)")
    colors = (CONVERGENT, OSCILLATORY)
    for y, mask, color, label in zip((0.02, 0.09), (forbidden, rises), colors, words, strict=True):
        _strip(ax, x, mask, y, view, color=color, label=label)
    ax.set_ylabel(r"$c=\alpha^2-\beta_1^2-\beta_2^2$")
    ax.legend(loc="best", frameon=True, framealpha=0.8, edgecolor="none")


def _strip(ax: Any, x: Any, mask: Any, y: float, view: View, **style: Any) -> None:
    """A strip in the lower part of a panel, filled in each column of the page in which the mask holds at all."""
    position = np.log(np.maximum(x, x[1] if len(x) > 1 else 1.0)) if view.xscale == "log" else x
    cells = max(view.bins // 3, 1)
    span = float(position[-1] - position[0]) or 1.0
    column = np.minimum(((position - position[0]) / span * cells).astype(int), cells - 1)
    filled = np.zeros(cells, dtype=bool)
    filled[column[mask]] = True
    # a short run does not reach every column: those between two steps follow the step before
    reached = np.unique(column)
    filled = filled[reached[np.searchsorted(reached, np.arange(cells), side="right") - 1]]
    edges = position[0] + span * np.arange(cells + 1) / cells
    starts = np.flatnonzero(np.diff(filled.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(filled.astype(int), append=0) == -1) + 1
    bars = [(edges[a], edges[b] - edges[a]) for a, b in zip(starts, ends, strict=True)]
    if view.xscale == "log":
        bars = [(float(np.exp(a)), float(np.exp(a + w) - np.exp(a))) for a, w in bars]
    ax.broken_barh(bars, (y, 0.05), transform=ax.get_xaxis_transform(), facecolors=style["color"], linewidth=0,
                   label=style["label"], gid="region")  # fmt: skip


def _terms(ax: Any, c: Context, x: Any, view: View) -> None:
    """Running sums of −h²r²(α²−β2²), −h1²α²β1²(α²−β1²) and 2εr(1+r)β1² (I8); their sum is the change of c."""
    sums = [
        np.append(0.0, np.cumsum(np.asarray(term)[:-1])) for term in c_change(c.alpha, c.beta1, c.beta2, c.h, c.h1)
    ]
    drawn = [values[np.isfinite(values)] for values in sums]
    low, high = min(float(v.min()) for v in drawn), max(float(v.max()) for v in drawn)
    if c.cut:
        scale = 3 * (abs(float(conserved_of(c)[0])) + 1)
        low, high = max(low, -scale), min(high, scale)
    room = (high - low) or 1.0
    names = ("residual", "oscillation", "coupling")
    looks = ((CONVERGENT, "-"), (OSCILLATORY, "-"), (THIRD, (0, (5, 1.5, 1, 1.5))))
    for values, name, (color, dash) in zip(sums, names, looks, strict=True):
        panels.curve(ax, x, values, view, top=high + room, color=color, linestyle=dash, linewidth=1.0, label=name)
    ax.set_ylim(low - 0.15 * room, high + 0.2 * room)
    ax.legend(loc="best", frameon=True, framealpha=0.8, edgecolor="none")
    size = 7.5 * float(ax.yaxis.label.get_fontsize()) / 9
    rows = [("phase", r"$\Delta c$", "steps of rise", "GFS sharpness"), *account_rows(c)]
    for i, row in enumerate(rows):
        for at, words in zip((-0.2, 0.26, 0.57, 0.87), row, strict=True):
            ax.annotate(words, (at, 0), (0, -3.6 * size - (i + 1) * 1.4 * size), xycoords="axes fraction",
                        va="top", textcoords="offset points", fontsize=size, color=INK if i else SOFT,
                        annotation_clip=False, gid="account")  # fmt: skip
