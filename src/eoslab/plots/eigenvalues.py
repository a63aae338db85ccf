"""The top eigenvalues of the Hessian over steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

from eoslab.core.errors import InvalidArgument
from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import CONVERGENT, DESCENT, INK, MUTED, OSCILLATORY, THIRD
from eoslab.plots.thinning import extremes

__all__ = ["eigenvalues"]

#: So many eigenvalues are drawn, the largest first.
TOP = 5
_STYLES = (
    (DESCENT, "-"), (THIRD, (0, (5, 1.5, 1, 1.5))), (INK, (0, (1, 1))), (OSCILLATORY, (0, (3, 1))), (MUTED, "-"),
)  # fmt: skip
assert len(_STYLES) == TOP
assert CONVERGENT not in {color for color, _ in _STYLES}  # never beside THIRD (protanopia)


@panels.figure(aspect=0.72)
def eigenvalues(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """The largest eigenvalues of ∇²L against threshold/η: recorded ones, else computed from the stored w."""
    (run,), (ax,) = runs, axes
    steps, values = _eigenvalues(run, view)
    panels.x_axis(ax, runs, view)
    # the largest is often a thousand times the next: linear between zero and the next, logarithmic above
    finite = np.abs(values[:, 1:][np.isfinite(values[:, 1:])])
    second = float(finite.max()) if finite.size else np.inf
    top = panels.y_sharpness(ax, runs, [values[:, :TOP]] if run.diverged_at is None else [])
    x = np.array([run.at(s, view.x) for s in steps])
    # measured every k steps: dots
    marks = {"linestyle": "none", "marker": "o", "markersize": 2.0} if panels.sparse(run, run.sharpness) else {}
    # a run that jumps to and fro is two lines, of its even and its odd steps
    parities = (steps % 2 == 0, steps % 2 == 1) if run.alternates(run.sharpness) else (steps >= 0,)
    for i, (color, dashes) in enumerate(_STYLES[: values.shape[1]]):
        y = np.where(np.isnan(values[:, i]), np.nan, np.minimum(values[:, i], top))
        for k, rows in enumerate(parities):
            label = "_" if k else rf"$\mu_{i + 1}$"
            ax.plot(
                x[rows],
                y[rows],
                **{"color": color, "linestyle": dashes, "label": label, "zorder": 3 - 0.1 * i, **marks},
            )
    if run.diverged_at is None and 0 < second < 0.1 * float(np.nanmax(values[:, 0])):
        low = min(0.0, 1.5 * float(np.nanmin(values[:, :TOP])))
        ax.set_yscale("symlog", linthresh=2 * second, linscale=1.5)
        ax.set_ylim(low, 1.5 * max(float(np.nanmax(values)), run.threshold if np.isfinite(run.threshold) else 0))
        ax.yaxis.set_minor_locator(NullLocator())
    panels.threshold_mark(ax, run, view)
    ax.set_ylabel("eigenvalues of $P^{-1}H$" if run.preconditioned else "eigenvalues of the Hessian")
    ax.legend(loc="best", ncols=2)
    panels.band_marks([ax], run, view)
    panels.divergence_mark(ax, run, view)


def _eigenvalues(run: Run, view: View) -> tuple[Any, Any]:
    """Steps and eigenvalues in descending order, at the rows that the page can show."""
    x, s = run.x(view.x), run.sharpness
    rows = extremes(x, s, view.bins)
    if run.alternates(s):
        halves = [np.flatnonzero(run.step % 2 == odd) for odd in (0, 1)]
        rows = np.sort(np.concatenate([half[extremes(x[half], s[half], view.bins)] for half in halves]))
    if "eigenvalues" in run.ds:
        return run.step[rows], np.asarray(run.ds["eigenvalues"].values, dtype=float)[rows]
    if run.model is None or not hasattr(run.model, "hessian"):
        raise InvalidArgument("run", "a run without eigenvalues", "eigenvalues, or a model with a Hessian")
    w = np.asarray(run.ds["w"].values, dtype=float)[rows]
    fine = np.isfinite(w).all(axis=1) & (np.abs(w).max(axis=1) < 1e100)
    values = np.full(w.shape, np.nan)
    # in pieces: d inputs give d × d matrices
    for piece in np.array_split(np.flatnonzero(fine), max(1, fine.sum() * w.shape[1] ** 2 // 2_000_000)):
        if len(piece):
            values[piece] = np.linalg.eigvalsh(run.model.hessian(w[piece]))[:, ::-1]
    return run.step[rows], values
