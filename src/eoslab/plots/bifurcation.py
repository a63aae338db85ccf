"""The bifurcation diagram: last iterates over a parameter, with the largest Lyapunov exponent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eoslab.core.errors import UnknownName
from eoslab.plots.phase_map import AXIS_TITLES

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["bifurcation"]

QUANTITIES = {"eta_sharpness": "last η·S"}
#: The sharpness axis is cut at this multiple of the threshold, so that a run near divergence stays readable.
CLIP = 3.0


def bifurcation(ds: xr.Dataset, quantity: str = "eta_sharpness", *, ax: Axes | None = None) -> Axes:
    """Last iterates of ``quantity`` (``eta_sharpness`` or a parameter) against the swept parameter.

    Values at which the run diverges are shaded. The threshold is dotted where η·S is drawn. Returns the axes.
    """
    import matplotlib.pyplot as plt

    x = str(ds["period"].dims[0])
    params = [str(p) for p in ds["param"].values]
    if quantity not in (*QUANTITIES, *params):
        raise UnknownName("quantity", quantity, [*QUANTITIES, *params])
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    values = ds["eta_sharpness"].values if quantity in QUANTITIES else ds["w"].sel(param=quantity).values
    at = ds[x].values
    ax.plot(
        np.repeat(at, values.shape[1]),
        values.ravel(),
        ".",
        markersize=1.4,
        markeredgewidth=0,
        color="#0072B2",
        alpha=0.7,
        rasterized=values.size > 20000,
    )
    if quantity == "eta_sharpness":
        threshold = float(np.nanmax(ds["threshold"].values))
        if np.isfinite(threshold):
            ax.axhline(threshold, color="#1b1f24", linestyle="dotted", linewidth=1.0)
            ax.annotate(f"threshold {threshold:.4g}", (1.0, threshold), xycoords=("axes fraction", "data"),
                        ha="right", va="bottom", fontsize="x-small")  # fmt: skip
            top = np.nanmax(values, initial=0.0)
            if top > CLIP * threshold:
                ax.set_ylim(0.0, CLIP * threshold)
    gone = ds["diverged"].values
    for i in np.flatnonzero(gone):
        lo = at[i] if i == 0 else (at[i - 1] + at[i]) / 2
        hi = at[i] if i == len(at) - 1 else (at[i] + at[i + 1]) / 2
        ax.axvspan(lo, hi, color="#6e7781", alpha=0.15, linewidth=0)
    if gone.any():
        ax.annotate("diverges", (at[np.flatnonzero(gone)[-1]], 0.02), xycoords=("data", "axes fraction"),
                    ha="right", fontsize="x-small")  # fmt: skip
    ax.set_xlabel(AXIS_TITLES.get(x, x))
    ax.set_ylabel(QUANTITIES.get(quantity, quantity))
    return ax
