"""What the figures share: panels, the axis of steps or time, and the marks of this subject.

A figure is a function ``f(axes, runs, view)`` that draws on given axes. :func:`figure` turns it into what
users call: ``f(*datasets, ax=None, size="single", x="step", …) -> axes``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from eoslab.core.errors import InvalidArgument
from eoslab.core.vocabulary import title
from eoslab.plots.reading import Run, Segment
from eoslab.plots.style import BAND, DESCENT, INK, MUTED, OSCILLATORY, SIZES, SOFT, styled
from eoslab.plots.text import step_text
from eoslab.plots.thinning import cloud, extremes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = [
    "View",
    "band_marks",
    "between",
    "by_parity",
    "crossing_mark",
    "curve",
    "divergence_mark",
    "dots",
    "figure",
    "line",
    "sparse",
    "threshold_line",
    "threshold_mark",
    "x_axis",
    "y_loss",
    "y_sharpness",
]

#: Below it a loss is rounding: the logarithmic axis ends here and the line has a gap.
FLOOR = 1e-16
#: No axis ends above this: limits and ticks must stay finite.
HIGHEST = 1e290
#: A divergent sharpness is drawn up to this multiple of the threshold (or of its start, if that is larger).
CLIP = 3.0
#: A divergent loss is drawn up to this multiple of its start.
LOSS_CLIP = 1e3

_PHASE_SHORT = {"ps": "sharpening", "eos": "edge", "final": "converges", "transient": "transient"}


@dataclass(frozen=True)
class View:
    """How to look at the runs."""

    x: str = "step"
    xscale: str = "linear"
    yscale: str | None = None
    size: str = "single"

    @property
    def bins(self) -> int:
        return SIZES[self.size].bins


Draw = Callable[[Sequence["Axes"], Sequence[Run], View], None]


def figure(
    *heights: float, aspect: float = 0.62, share_x: bool = True, columns: int = 1
) -> Callable[[Draw], Callable[..., Any]]:
    """Make a drawing function callable on data sets.

    ``heights`` are the relative heights of the stacked panels (one panel if none), ``aspect`` the height of
    the whole in units of its width.
    """

    def decorate(draw: Draw) -> Callable[..., Any]:
        @functools.wraps(draw)
        def call(
            *datasets: xr.Dataset,
            ax: Any = None,
            size: str = "single",
            x: str = "step",
            xscale: str = "linear",
            yscale: str | None = None,
            names: Sequence[str] | None = None,
            usetex: bool = False,
        ) -> Any:
            view = View(
                _one_of("x", x, ("step", "time")),
                _one_of("xscale", xscale, ("linear", "log")),
                None if yscale is None else _one_of("yscale", yscale, ("linear", "log")),
                _one_of("size", size, tuple(SIZES)),
            )
            if datasets and all(Run(ds).is_flow for ds in datasets):
                # a flow has no steps, only the points at which it was recorded
                view = replace(view, x="time")
            if any(not (Run(ds).x(view.x) > 0).any() for ds in datasets):
                # a run of no steps has nothing to show on a logarithmic axis
                view = replace(view, xscale="linear")
            given = list(names) if names is not None else [""] * len(datasets)
            runs = [Run(ds, name) for ds, name in zip(datasets, given, strict=True)]
            panels = max(len(heights), 1) * columns
            with styled(size, usetex):
                axes = _new_axes(heights, aspect, share_x, columns, size) if ax is None else _given(ax, panels)
                draw(axes, runs, view)
            return axes if len(axes) > 1 else axes[0]

        call.panels = max(len(heights), 1) * columns  # type: ignore[attr-defined]
        return call

    return decorate


def _new_axes(heights: tuple[float, ...], aspect: float, share_x: bool, columns: int, size: str) -> list[Axes]:
    width = SIZES[size].width
    # a wide page needs less height for the same reading: curves are compared along x
    height = width * aspect * (1.0 if size == "single" else 0.72)
    # a bare Figure, not pyplot: no window, no global list of figures, usable in any thread
    fig = Figure(figsize=(width, height), layout="constrained")
    rows = max(len(heights), 1)
    grid = fig.subplots(
        rows, columns, sharex="col" if share_x else False, squeeze=False, height_ratios=heights or None
    )
    return list(grid.flat)


def _given(ax: Any, panels: int) -> list[Axes]:
    axes = list(np.ravel(ax))
    if len(axes) != panels:
        raise InvalidArgument("ax", f"{len(axes)} axes", f"{panels} axes for this figure")
    return axes


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InvalidArgument(name, repr(value), " or ".join(known))
    return value


# -- lines and dots ---------------------------------------------------------------------------------------


def line(ax: Axes, run: Run, values: Any, view: View, *, top: float = np.inf, **style: Any) -> None:
    """A series over steps: decimated to the page, cut where it leaves every scale, gaps left open.

    A series that jumps to and fro every step is two lines, of its even and its odd steps: one line would be a
    block that hides everything.
    """
    if run.alternates(values):
        by_parity(ax, run, values, view, (style.pop("color", None),) * 2, top=top, **style)
        return
    if sparse(run, np.asarray(values, dtype=float)):
        style = {**style, "linestyle": "none", "marker": "o", "markersize": 2.0}
    curve(ax, run.x(view.x), values, view, top=top, **style)


def curve(ax: Axes, x: Any, values: Any, view: View, *, top: float = np.inf, **style: Any) -> None:
    """A series over positions of its own (a prediction, say), thinned and cut as :func:`line` does."""
    x, y = np.asarray(x, dtype=float), np.asarray(values, dtype=float)
    if view.xscale == "log":
        x, y = x[x > 0], y[x > 0]
    if ax.get_yscale() == "log":
        y = np.where(y >= FLOOR, y, np.nan)
    # one point above the frame is enough to see where the line goes
    y = np.where(np.isnan(y), np.nan, np.minimum(y, top))
    keep = extremes(x, y, view.bins, log=view.xscale == "log")
    ax.plot(x[keep], y[keep], **style)
    alone = _alone(y)
    if "marker" not in style and alone.any():
        # a line shows nothing of a point between two gaps
        style = {**style, "linestyle": "none", "marker": "o", "markersize": 2.0, "label": "_"}
        ax.plot(x[alone], y[alone], **style)


def between(ax: Axes, x: Any, low: Any, high: Any, view: View, **style: Any) -> None:
    """A band between two smooth series, thinned to the page."""
    x, low, high = (np.asarray(values, dtype=float) for values in (x, low, high))
    rows = x > 0 if view.xscale == "log" else np.ones(len(x), dtype=bool)
    x, low, high = x[rows], low[rows], high[rows]
    keep = np.union1d(*(extremes(x, y, view.bins // 2, log=view.xscale == "log") for y in (low, high)))
    if ax.get_yscale() == "log":
        low, high = np.maximum(low, FLOOR), np.maximum(high, FLOOR)
    ax.fill_between(x[keep], low[keep], high[keep], linewidth=0, **style)


def by_parity(
    ax: Axes, run: Run, values: Any, view: View, colors: tuple[Any, Any] = (DESCENT, OSCILLATORY), **style: Any
) -> None:
    """The even and the odd steps of a series as two lines."""
    y = np.asarray(values, dtype=float)
    style = {"linewidth": 0.9, **style}
    for odd, color in enumerate(colors):
        rows = run.step % 2 == odd
        line(ax, Run(run.ds.isel(step=rows), run.name), y[rows], view, color=color, **style)
        style["label"] = "_"


def sparse(run: Run, values: Any) -> bool:
    """Measured every k steps only: then dots, a line would claim what was not measured."""
    fine = np.count_nonzero(np.isfinite(values))
    if "measured" not in run.ds or not fine:
        return False
    return bool(2 * np.count_nonzero(run.ds["measured"].values) < len(run.step) and 2 * fine < len(run.step))


def _alone(y: Any) -> Any:
    """Where a number stands between two gaps."""
    fine = np.isfinite(y)
    edges = np.concatenate([[False], fine, [False]])
    return fine & ~edges[:-2] & ~edges[2:] if len(fine) > 1 else fine & False


def dots(ax: Axes, x: Any, y: Any, view: View, **style: Any) -> Any:
    """Points without a line; those hidden by others are left out."""
    keep = cloud(x, y, view.bins // 2)
    (drawn,) = ax.plot(np.asarray(x)[keep], np.asarray(y)[keep], linestyle="none", marker="o", **style)
    return drawn


# -- axes ---------------------------------------------------------------------------------------------------


def x_axis(ax: Axes, runs: Sequence[Run], view: View) -> None:
    """Limits and label of the horizontal axis; a divergent run ends a little after its last finite step."""
    ax.set_xscale(view.xscale)
    ends, starts = [], []
    for run in runs:
        x = run.x(view.x)
        length = float(x[-1]) - float(x[0])
        ends.append(float(x[-1]) + (0.06 * length if run.diverged_at is not None else 0.0))
        starts.append(float(x[0]))
    low = max(min(starts), 0.0)
    if view.xscale == "log":
        low = min(float(run.x(view.x)[run.x(view.x) > 0].min()) for run in runs)
    high = max(ends)
    ax.set_xlim(low, high if high > low else low + 1)
    ax.set_xlabel(r"time $\eta t$" if view.x == "time" else "step")
    if view.xscale == "linear":
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=view.x == "step"))


def y_loss(ax: Axes, runs: Sequence[Run], view: View, names: Sequence[str] = ("loss",)) -> float:
    """Scale and limits of a loss axis; returns the height at which divergent lines are cut."""
    values = np.concatenate([run.series(name) for run in runs for name in names])
    fine = values[np.isfinite(values)]
    losses = [run.series("loss") for run in runs if run.diverged_at is None]
    calm = [float(v[np.isfinite(v)].max()) for v in losses if np.isfinite(v).any()]
    starts = [v for run in runs if np.isfinite(v := float(run.series("loss")[0]))]
    top = max(calm) if calm else LOSS_CLIP * max(starts, default=1.0)
    if any(run.diverged_at is not None for run in runs):
        top = max(top, *starts, 0.0)
    # a loss that is zero throughout, or at the end of the range of numbers, still needs an axis
    top = min(top, HIGHEST) or 1.0
    above = fine[fine >= FLOOR]
    low = max(float(above.min()) if len(above) else FLOOR, FLOOR)
    # within a decade or so there is nothing for a logarithm to unfold
    ax.set_yscale(view.yscale or ("log" if low < top / 30 else "linear"))
    if ax.get_yscale() == "log":
        low, high = 10 ** np.floor(np.log10(low)), 10 ** np.ceil(np.log10(max(top, 10 * low)))
        ax.set_ylim(low, high)
        _decades(ax, round(float(np.log10(high / low))))
        return 10.0 * float(high)
    ax.set_ylim(0, 1.05 * top)
    return 2.0 * top


def _decades(ax: Axes, decades: int) -> None:
    """Ticks by decade, few enough to be read."""
    every = next(k for k in (1, 2, 3, 4, 5, 10, 20, 50, 400) if decades / k <= 6)
    ax.yaxis.set_major_locator(LogLocator(base=10.0**every))
    minor = LogLocator(base=10.0, subs=(1.0,) if every > 1 else (2.0, 4.0, 6.0, 8.0), numticks=400)
    ax.yaxis.set_minor_locator(minor)
    ax.yaxis.set_minor_formatter(NullFormatter())


def y_sharpness(ax: Axes, runs: Sequence[Run], extra: Sequence[Any] = ()) -> float:
    """Limits of a sharpness axis that hold the threshold; returns the height at which divergent lines are cut."""
    tops, bottoms, cut = [], [], False
    for values in [run.sharpness for run in runs] + [np.asarray(e) for e in extra]:
        fine = values[np.isfinite(values)]
        if len(fine):
            tops.append(float(fine.max()))
            bottoms.append(float(fine.min()))
    marks = [run.threshold for run in runs if np.isfinite(run.threshold) and run.edge is None]
    marks += [f(run.edge) for run in runs if run.edge is not None for f in (np.nanmin, np.nanmax)]
    # a divergent run must not flatten the others: they set the scale where there are any
    calm = [run for run in runs if run.diverged_at is None] or runs
    starts = [float(run.sharpness[0]) for run in calm if np.isfinite(run.sharpness[0])]
    high = max([*tops, *marks], default=1.0)
    limit = min(CLIP * max([*marks, *starts], default=high), HIGHEST)
    if any(run.diverged_at is not None for run in runs) or high > 3 * limit:
        cut, high = high > limit, min(high, limit)
    low = min([*bottoms, *marks], default=0.0)
    # near the edge the interesting range is a few per cent: only a wide range starts at zero
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    if low > 0.25 * high:
        # below the curve there is room for the words at the first crossing
        low = max(0.0, low - 2.2 * room)
    else:
        low = 0.0 if low >= 0 else low - room
    ax.set_ylim(low, high if cut else high + room)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    return 2.0 * high


# -- marks ----------------------------------------------------------------------------------------------------


def threshold_line(ax: Axes, run: Run, view: View, color: str = INK) -> None:
    """The dotted line at threshold/η, or along a threshold that moves."""
    style = {"color": color, "linestyle": (0, (1, 1.6)), "linewidth": 1.0, "zorder": 2.5, "gid": "threshold"}
    if run.edge is None:
        ax.axhline(run.threshold, **style)
    else:
        curve(ax, run.x(view.x), run.edge, view, **style)


def threshold_mark(ax: Axes, run: Run, view: View, *, color: str = INK, label: str | None = None) -> None:
    """The dotted line at threshold/η, named at its right end; nothing for a rule that has none."""
    if not np.isfinite(run.threshold):
        return
    threshold_line(ax, run, view, color)
    height = run.threshold
    if run.edge is not None:
        height, label = float(run.edge[np.isfinite(run.edge)][-1]), label or "edge"
    ax.annotate(
        label or run.threshold_label, (1, height), (4, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", va="center", ha="left", color=color, annotation_clip=False,
        fontsize=_small(ax),
    )  # fmt: skip


def crossing_mark(ax: Axes, run: Run, view: View, *, label: bool = True) -> None:
    """A thin vertical line where the run first crosses its threshold."""
    if run.first_crossing is None:
        return
    at = run.at(run.first_crossing, view.x)
    ax.axvline(at, color=MUTED, linestyle=(0, (1, 1.6)), linewidth=0.8, zorder=1.5, gid="crossing")
    if label:
        low, high = ax.get_xlim()
        right = (at - low) / (high - low) < 0.6
        ax.annotate(
            f"crosses at step {step_text(run.first_crossing)}", (at, 0), (4 if right else -4, 4),
            xycoords=("data", "axes fraction"), textcoords="offset points", va="bottom",
            ha="left" if right else "right", color=SOFT, fontsize=_small(ax),
        )  # fmt: skip


def divergence_mark(ax: Axes, run: Run, view: View, *, label: bool = True) -> None:
    """Hatching from the first step that is not finite, and the words."""
    if run.diverged_at is None:
        return
    at = run.at(run.diverged_at, view.x)
    ax.axvspan(at, ax.get_xlim()[1], facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0, gid="diverged")
    if label:
        ax.annotate(
            f"diverged at step {step_text(run.diverged_at)}", (at, 1), (-4, -3),
            xycoords=("data", "axes fraction"), textcoords="offset points", va="top", ha="right",
            color=INK, fontsize=_small(ax),
        )  # fmt: skip


def band_marks(axes: Sequence[Axes], run: Run, view: View, segments: Sequence[Segment] | None = None) -> None:
    """The phases as tinted bands through all panels, named above the first one."""
    segments = run.segments() if segments is None else segments
    for ax in axes:
        for s in segments:
            a, b = run.at(s.start, view.x), run.at(s.stop, view.x)
            ax.axvspan(a, b, color=BAND[s.phase], alpha=0.13, linewidth=0, zorder=0, gid=f"phase-{s.phase}")
    _band_names(axes[0], run, view, segments)


def _band_names(ax: Axes, run: Run, view: View, segments: Sequence[Segment]) -> None:
    """Each name over its band; one that does not fit is shortened, or moves to a second row with a tick."""
    low, high = ax.get_xlim()
    if view.xscale == "log":
        low, high = np.log(low), np.log(high)
    size = _small(ax)
    # the panel's width in points, roughly: the margins take about a sixth of the page
    width = 72 * SIZES[view.size].width * 0.8
    glyph = 0.47 * size
    named: dict[int, float] = {0: -1.0, 1: -1.0}
    seen: set[str] = set()
    for s in segments:
        if s.phase in seen and len(segments) > 4:
            continue
        a, b = run.at(s.start, view.x), run.at(s.stop, view.x)
        if view.xscale == "log":
            a, b = np.log(max(a, np.exp(low))), np.log(max(b, np.exp(low)))
        left, right = (a - low) / (high - low) * width, (b - low) / (high - low) * width
        middle = (left + right) / 2
        names = (title(s.phase), _PHASE_SHORT[s.phase])
        fits = [n for n in names if glyph * len(n) <= right - left]
        text, row = (fits[0], 0) if fits else (names[0], 1)
        half = glyph * len(text) / 2
        centre = min(max(middle, half), width - half)
        if centre - half < named[row]:
            continue
        seen.add(s.phase)
        named[row] = centre + half
        ax.annotate(
            text, (centre / width, 1), (0, 2 + row * (size + 3)), xycoords="axes fraction",
            textcoords="offset points", ha="center", va="bottom", color=SOFT, fontsize=size,
            fontstyle="italic", annotation_clip=False, gid="phase-name",
        )  # fmt: skip
        if row:
            ax.annotate(
                "", (middle / width, 1), (0, size + 4), xycoords="axes fraction", textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
                annotation_clip=False,
            )  # fmt: skip


def _small(ax: Axes) -> float:
    return float(ax.yaxis.label.get_fontsize()) * 8 / 9
