"""A sweep of networks: one dimension as columns, another as colours, others as thin lines; loss, sharpness."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.errors import InvalidArgument, UnknownName
from eoslab.core.vocabulary import OUTCOMES
from eoslab.plots.panels import View, curve, sparse, threshold_line, x_axis, y_loss, y_sharpness
from eoslab.plots.reading import Run
from eoslab.plots.style import RUN_DASHES, RUNS, SIZES
from eoslab.plots.text import number_text

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["MOST", "network_grid"]

FAILED = list(OUTCOMES).index("failed")
#: More columns than this are no longer read on a page, more colours not told apart.
MOST = 8


def network_grid(
    ds: xr.Dataset,
    columns: str | None = None,
    colours: str | None = None,
    *,
    ax: Any = None,
    size: str = "double",
    yscale: str | None = None,
) -> Sequence[Axes]:
    """Train loss above, sharpness below, for every value of ``columns``; each value of ``colours`` has its colour.

    ``columns`` is by default the first dimension of words (architectures, widths, data), ``colours`` the learning
    rate, else the first other dimension. The threshold of each run is dotted in the run's colour and, for a
    learning rate, named as papers do: η = 2/40. What is left (seeds) are thin lines of one colour. A run that
    diverged ends in a cross; one that failed is counted above its column. Returns the axes, row by row.

    Raises InvalidArgument for a sweep that has no curves, or more columns or colours than can be read.
    """
    if "step" not in ds.dims or "sharpness" not in ds:
        raise InvalidArgument(
            "sweep", f"a map over {', '.join(str(d) for d in ds.dims)}", "a sweep of networks",
            "eoslab sweep --arch …; a map of models is drawn by phase-map",
        )  # fmt: skip
    dims = [str(d) for d in ds["regime"].dims]
    if dims == ["cell"]:
        raise InvalidArgument(
            "sweep", "cells that are no grid", "a grid", "--design grid has a dimension for every option"
        )
    columns, colours = _roles(ds, dims, columns, colours)
    values = [None] if columns is None else ds[columns].values.tolist()
    everything = [run for _, run in _runs(ds, dims)]
    if not everything:
        raise InvalidArgument(
            "sweep", "no cell that was run", "a sweep with runs", "its variable 'reason' says why"
        )
    rows = _panels(ax, len(values), size)
    view = View(yscale=yscale, size=size)
    for i, value in enumerate(values):
        here = ds if columns is None else ds.isel({columns: [i]})
        for axes in rows[:, i]:
            x_axis(axes, everything, view)
        rows[0, i].set_xlabel("")
        tops = y_loss(rows[0, i], everything, view), y_sharpness(rows[1, i], everything)
        _column(list(_runs(here, dims)), colours, rows[:, i], tops, view)
        lost = int((here["outcome"].values == FAILED).sum())
        said = [f"{_word(columns)} {_text(value)}"] if columns is not None else []
        rows[0, i].set_title(", ".join(said + ([f"{lost} failed"] if lost else [])), fontsize="medium")
    rows[0, 0].set_ylabel("train loss")
    rows[1, 0].set_ylabel(everything[0].sharpness_label)
    if colours is not None:
        _key(ds, colours, rows)
    return list(rows.flat)


def _panels(ax: Any, columns: int, size: str) -> Any:
    """Axes in two rows: given ones, or those of a new page."""
    from matplotlib.figure import Figure

    if ax is None:
        width = SIZES[size].width
        page = Figure(figsize=(width, 0.62 * width), layout="constrained")
        return page.subplots(2, columns, sharex=True, sharey="row", squeeze=False)
    given = np.ravel(ax)
    if len(given) != 2 * columns:
        raise InvalidArgument("ax", f"{len(given)} axes", f"{2 * columns} axes: two for each column")
    return given.reshape(2, columns)


def _column(
    runs: Sequence[tuple[dict[str, int], Run]],
    colours: str | None,
    axes: Sequence[Axes],
    tops: tuple[float, float],
    view: View,
) -> None:
    """The runs of one column."""
    loss, sharp = axes
    alone = len(runs) == len({at.get(colours or "") for at, _ in runs})
    style: dict[str, Any] = {"linewidth": 0.9} if alone else {"linewidth": 0.6, "alpha": 0.75}
    drawn = set()
    for at, run in runs:
        which = 0 if colours is None else at[colours]
        style |= {"color": RUNS[which], "linestyle": RUN_DASHES[which]}
        curve(loss, run.x("step"), run.series("loss"), view, top=tops[0], **style)
        points = {**style, "linestyle": "none", "marker": "o", "markersize": 1.5}
        sparsely = sparse(run, run.sharpness)
        curve(sharp, run.x("step"), run.sharpness, view, top=tops[1], **(points if sparsely else style))
        if run.diverged_at is not None:
            loss.plot([run.diverged_at], [1], marker="x", color=RUNS[which], markersize=4, clip_on=False,
                      transform=loss.get_xaxis_transform(), linestyle="none", gid="diverged")  # fmt: skip
        if np.isfinite(run.threshold) and (which, run.threshold) not in drawn:
            threshold_line(sharp, run, view, RUNS[which])
            drawn.add((which, run.threshold))


def _key(ds: xr.Dataset, colours: str, rows: Any) -> None:
    """What the colours mean: in the first panel, and at the right ends of the thresholds."""
    for k in range(ds.sizes[colours]):
        name, threshold = _label(ds, colours, k)
        rows[0, 0].plot([], [], color=RUNS[k], linestyle=RUN_DASHES[k], label=name)
        if threshold is not None:
            rows[1, -1].annotate(
                name, (1, threshold), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", ha="left", color=RUNS[k], annotation_clip=False, fontsize="small",
            )  # fmt: skip
    rows[0, 0].legend(loc="upper right", fontsize="small")


def _roles(
    ds: xr.Dataset, dims: Sequence[str], columns: str | None, colours: str | None
) -> tuple[str | None, str | None]:
    """Which dimension the columns are, and which the colours."""
    for name in (columns, colours):
        if name is not None and name not in dims:
            raise UnknownName("dimension", name, dims)
    if columns is not None and columns == colours:
        raise InvalidArgument("colours", colours, "another dimension than the columns")
    free = [d for d in dims if ds.sizes[d] > 1]
    if columns is None:
        columns = next((d for d in free if ds[d].dtype.kind not in "fi" and d != colours), None)
    if colours is None:
        rest = [d for d in free if d != columns]
        colours = "lr" if "lr" in rest else next((d for d in rest if d != "seed"), None)
    for name in (columns, colours):
        if name is not None and ds.sizes[name] > MOST:
            raise InvalidArgument(
                name, f"{ds.sizes[name]} values", f"at most {MOST} as columns or colours",
                "choose other dimensions, or draw phase-map of a number of every cell",
            )  # fmt: skip
    return columns, colours


def _word(dim: str) -> str:
    return dim.replace("_", "-")


def _text(value: Any) -> str:
    return number_text(value) if isinstance(value, float) else str(value)


def _label(ds: xr.Dataset, dim: str, k: int) -> tuple[str, float | None]:
    """A value of the coloured dimension, and its threshold/η where that is one number.

    A learning rate is written as the threshold that it sets, η = 2/40.
    """
    value = ds[dim].values.tolist()[k]
    there = ds.isel({dim: k})
    sharpness = np.unique((there["threshold"] / there["learning_rate"]).values)
    sharpness = sharpness[np.isfinite(sharpness)]
    one = float(sharpness[0]) if len(sharpness) and np.ptp(sharpness) <= 1e-9 * sharpness[0] else None
    if dim != "lr":
        return f"{_word(dim)} {_text(value)}", None
    if one is None:
        return f"η = {_text(value)}", None
    return f"η = {one * value:.4g}/{number_text(one)}", one


def _runs(ds: xr.Dataset, dims: Sequence[str]) -> Iterator[tuple[dict[str, int], Run]]:
    """Every cell that was run, as a run of its own."""
    there = ds["measured"].values & (ds["regime"].values >= 0)
    for index in np.argwhere(there):
        at = dict(zip(dims, index.tolist(), strict=True))
        yield at, _run(ds.isel(at))


def _run(cell: xr.Dataset) -> Run:
    """A cell with the names of the schema of single runs."""
    import xarray as xr

    lr, threshold = float(cell["learning_rate"]), float(cell["threshold"])
    diverged = int(cell["outcome"]) == list(OUTCOMES).index("diverged")
    last = int(cell["steps"]) + 1
    curves = {name: ("step", cell[name].values[:last]) for name in ("loss", "sharpness")}
    events = [("divergence", int(cell["steps"]), np.nan)] if diverged else []
    sharpness = curves["sharpness"][1]
    return Run(
        xr.Dataset(
            {
                **curves,
                "eta_sharpness": ("step", sharpness * lr),
                "measured": ("step", np.isfinite(sharpness)),
                "lr": ((), lr),
                "threshold": ((), threshold),
                "event_kind": ("event", np.array([e[0] for e in events], dtype="<U16")),
                "event_step": ("event", np.array([e[1] for e in events], dtype=np.int64)),
                "event_value": ("event", np.array([e[2] for e in events], dtype=float)),
            },
            coords={"step": cell["step"].values[:last], "time": ("step", cell["step"].values[:last] * lr)},
            attrs={"kind": "network", "parameters": json.dumps({})},
        )
    )
