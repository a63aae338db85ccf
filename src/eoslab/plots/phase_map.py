"""The phase map: regimes over two swept parameters, with the theory's boundaries drawn on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.errors import InvalidArgument, UnknownName
from eoslab.core.vocabulary import REGIMES, title
from eoslab.results.overlay import BOUNDARIES, agreement, boundary, problem_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["AXIS_TITLES", "FILLS", "phase_map", "quantity_map"]

#: Fill and hatch of each regime: a map is readable without its colours.
FILLS: dict[str, tuple[str, str]] = {
    "stable": ("#56B4E9", ""),
    "edge": ("#E69F00", "//"),
    "edge-unsettled": ("#D55E00", "xx"),
    "catapult": ("#F0E442", "--"),
    "diverged": ("#6e7781", ".."),
    "no-threshold": ("#ffffff", "||"),
}
AXIS_TITLES = {
    "lr": "learning rate η", "ratio": "λ2/λ1", "k": "k = λ1/λ2", "alpha_e": "α$_e$ = √(2/(ηλ1|b|))",
    "lambda1": "λ1", "lambda2": "λ2", "alpha_0": "α at the start",
    "beta1_0": "β1 at the start", "beta2_0": "β2 at the start",
    "c0": "c0 = α² − β1² − β2²", "s0": "s0 = ηλ1α²", "w0": "w0 = ηλ1β1²",
    "exponent": "exponent of the spectrum", "d": "directions d", "n": "samples n", "noise": "label noise",
    "irrelevant": "irrelevant directions", "decay": "decay of the relevance", "level": "lower level",
    "spike": "top variance over the bulk", "spikes": "spikes", "heavy": "directions of the upper level",
    "sd_0": "spread of β at the start",
}  # fmt: skip
#: Dashes and names of the boundaries; all in the colour of text, on any fill.
LINES: dict[str, tuple[Any, str]] = {
    "no-minimiser": ("solid", "no stable minimiser"),
    "edge": ("dashed", "λ1A(c0) = 2/η"),
    "eighth": ((0, (1, 1)), "r$_E$ = −1/8"),
    "catapult": ("dashdot", "Σ0 = 4"),
}


def phase_map(
    ds: xr.Dataset,
    x: str | None = None,
    y: str | None = None,
    *,
    quantity: str | None = None,
    boundaries: Sequence[str] = ("no-minimiser", "edge", "eighth", "catapult"),
    ax: Axes | None = None,
    **at: Any,
) -> Axes:
    """Regimes of a sweep over ``x`` and ``y`` (default: its first two dimensions longer than one).

    Other dimensions are taken at ``at`` (name=value, nearest) or at their first value. ``boundaries`` of the
    theory are drawn where the axes allow: ``no-minimiser`` (Prop 0.3), ``edge`` (λ1A(c0) = 2/η, leading order of
    Thm 3.2), ``eighth`` (the −1/8 law at entry, Prop 4.10), ``catapult`` (Σ0 = 4, Thm 5.4). The share of
    settled cells that the edge line predicts stands above the map. ``quantity`` draws that number of every cell
    instead (:func:`quantity_map`). Returns the axes.
    """
    if quantity is not None:
        return quantity_map(ds, quantity, x, y, ax=ax, **at)
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    ds, x, y = plane(ds, x, y, at)
    unknown = [name for name in boundaries if name not in BOUNDARIES]
    if unknown:
        raise UnknownName("boundary", unknown[0], BOUNDARIES)
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    X, Y, regime = ds[x].values, ds[y].values, ds["regime"].transpose(y, x).values
    handles: list[Any] = []
    for code, word in enumerate(REGIMES):
        mask = regime == code
        if not mask.any():
            continue
        color, hatch = FILLS[word]
        _fill(ax, X, Y, mask, color, hatch)
        handles.append(Patch(facecolor=color, hatch=hatch, edgecolor="#1b1f24", linewidth=0, label=title(word)))
    if (regime < 0).any():
        handles.append(Patch(facecolor="white", edgecolor="#1b1f24", linewidth=0.5,
                             label="failed" if "step" in ds.dims else "no such start"))  # fmt: skip
    problem = problem_of(ds)
    drawn = []
    if problem is not None:
        for name in boundaries:
            value = boundary(name, problem)
            grid = None if value is None else value.transpose(y, x).values
            if grid is None or not (np.nanmin(grid) < 0 < np.nanmax(grid)):
                continue
            dashes, text = LINES[name]
            ax.contour(X, Y, grid, levels=[0.0], colors="#1b1f24", linestyles=[dashes], linewidths=1.1)
            handles.append(Line2D([], [], color="#1b1f24", linestyle=dashes, linewidth=1.1, label=text))
            drawn.append(name)
        share = agreement(ds, problem)
        if share is not None and "edge" in boundaries:
            computed = "" if bool(ds["measured"].all()) else " computed"
            ax.set_title(
                f"edge predicted by λ1A(c0) > 2/η in {100 * share:.1f} % of the cells{computed}", fontsize="small"
            )
    for axis, name in ((ax.xaxis, x), (ax.yaxis, y)):
        values = ds[name].values
        if _logarithmic(values):
            axis.axes.set_xscale("log") if axis is ax.xaxis else axis.axes.set_yscale("log")
        axis.set_label_text(AXIS_TITLES.get(name, name))
    ax.legend(handles=handles, fontsize="x-small", loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return ax


def quantity_map(
    ds: xr.Dataset, name: str, x: str | None = None, y: str | None = None, *, ax: Axes | None = None, **at: Any
) -> Axes:
    """One number of a sweep over ``x`` and ``y``; η·S against its threshold is coloured around it.

    Cells without the number stay white: those that diverged, and those that a refinement did not compute.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import TwoSlopeNorm

    ds, x, y = plane(ds, x, y, at)
    known = [str(v) for v in ds.data_vars if set(ds[v].dims) == {x, y} and ds[v].dtype.kind in "fiub"]
    if name not in known:
        raise UnknownName("quantity", name, known)
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    values = ds[name].transpose(y, x).values.astype(float)
    values = np.where(np.isfinite(values), values, np.nan)
    options: dict[str, Any] = {"cmap": "viridis"}
    if name.endswith("eta_sharpness"):
        options = {"cmap": "RdBu_r", "norm": TwoSlopeNorm(vcenter=2.0, vmin=0.0, vmax=4.0)}
    elif name.endswith("ratio") or name.startswith("mean_ratio"):
        options = {"cmap": "RdBu_r", "norm": TwoSlopeNorm(vcenter=1.0, vmin=0.0, vmax=2.0)}
    mesh = ax.pcolormesh(ds[x].values, ds[y].values, values, shading="nearest", rasterized=True, **options)
    # what follows a semicolon explains single values; the superscript is missing in the fonts of journals
    label = str(ds[name].attrs.get("long_name", name)).split(";")[0].replace("⁻¹", "$^{-1}$")
    ax.figure.colorbar(mesh, ax=ax, label=label, extend="max" if "norm" in options else "neither")
    if _logarithmic(ds[x].values):
        ax.set_xscale("log")
    if _logarithmic(ds[y].values):
        ax.set_yscale("log")
    ax.set_xlabel(AXIS_TITLES.get(x, x))
    ax.set_ylabel(AXIS_TITLES.get(y, y))
    return ax


def plane(ds: xr.Dataset, x: str | None, y: str | None, at: dict[str, Any]) -> tuple[xr.Dataset, str, str]:
    """The data set over two numeric dimensions, the others taken at one value."""
    dims = [str(d) for d in ds["regime"].dims]
    free = [d for d in dims if ds.sizes[d] > 1 and d in ds.coords and ds[d].dtype.kind == "f"]
    if x is None and y is None and len(free) >= 2:
        x, y = free[0], free[1]
    x = x or next((d for d in free if d != y), None)
    y = y or next((d for d in free if d != x), None)
    if x is None or y is None:
        raise InvalidArgument(
            "sweep", f"dimensions {', '.join(dims)}", "two numeric ones with several values",
            "a phase map needs a grid over two ranges",
        )  # fmt: skip
    for name in (x, y):
        if name not in dims:
            raise UnknownName("dimension", name, dims)
    for d in dims:
        if d not in (x, y):
            ds = ds.sel({d: at[d]}, method="nearest") if d in at else ds.isel({d: 0})
    return ds, x, y


def _logarithmic(values: np.ndarray) -> bool:
    """Whether values were spaced by a constant factor rather than a constant difference."""
    if len(values) < 3 or values.min() <= 0:
        return False
    return bool(np.ptp(np.diff(np.log(values))) < np.ptp(np.diff(values)) / np.ptp(values))


def _edges(values: np.ndarray) -> np.ndarray:
    """The ends of the cells around the values, on the scale of the axis."""
    logarithmic = _logarithmic(values)
    at = np.log(values) if logarithmic else values
    middle = (at[1:] + at[:-1]) / 2
    ends = np.concatenate([[at[0] - (middle[0] - at[0])], middle, [at[-1] + (at[-1] - middle[-1])]])
    return np.exp(ends) if logarithmic else ends


def _fill(ax: Axes, x: np.ndarray, y: np.ndarray, mask: np.ndarray, color: str, hatch: str) -> None:
    """The cells of one regime: a fill exact to the cell, and the hatch over it."""
    from matplotlib.colors import ListedColormap

    image = np.ma.masked_where(~mask, np.ones(mask.shape))
    ax.pcolormesh(_edges(x), _edges(y), image, cmap=ListedColormap([color]), rasterized=True)
    if hatch and min(mask.shape) > 1:
        shown = ax.contourf(x, y, mask.astype(float), levels=[0.5, 1.5], colors="none", hatches=[hatch])
        shown.set_edgecolor("#1b1f2455")
        shown.set_linewidth(0.0)
