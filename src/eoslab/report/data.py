"""The data of a run inside the page: a gzipped CSV as a data link."""

from __future__ import annotations

import base64
import gzip

import numpy as np

from eoslab.plots.reading import Run, words
from eoslab.plots.thinning import extremes

__all__ = ["BUDGET", "download"]

#: Bytes of base64 that the data of all runs of a report may take; a report can be mailed.
BUDGET = 480_000


def download(run: Run, budget: int = BUDGET) -> tuple[str, int, int]:
    """The data link, the number of rows in it, and the number of rows of the run.

    A run too long for the budget is thinned to the rows with the extremes of sharpness and loss.
    """
    n = len(run.step)
    rows = np.arange(n)
    # a first guess at how many rows fit, from some in the middle; long runs are then not packed for nothing
    sample = rows[n // 2 : n // 2 + 500]
    bins = 0.55 * budget / len(_packed(run, sample)) * len(sample)
    if bins * 2 < n:
        rows = _thinned(run, bins)
    while True:
        packed = _packed(run, rows)
        if len(packed) <= budget or len(rows) < 100:
            return f"data:application/gzip;base64,{packed}", len(rows), n
        bins = 0.9 * min(bins, len(rows) / 2) * budget / len(packed)
        rows = _thinned(run, bins)


def _thinned(run: Run, bins: float) -> np.ndarray:
    """Rows with the extremes of loss and sharpness: most fall on the same step, so nearly two rows a column."""
    kept = [extremes(run.step, values, max(int(bins), 20)) for values in (run.sharpness, run.series("loss"))]
    return np.unique(np.concatenate(kept))


def _packed(run: Run, rows: np.ndarray) -> str:
    return base64.b64encode(gzip.compress(_csv(run, rows).encode(), 6, mtime=0)).decode()


def _csv(run: Run, rows: np.ndarray) -> str:
    columns = {"step": run.step[rows].tolist()}
    # what follows from other columns is left out: time is η times the step, η·S η times the sharpness
    derived = {"time": not run.is_flow, "eta_sharpness": not run.preconditioned}
    for name in ("time", "loss", "loss_osc", "loss_conv", "sharpness", "eta_sharpness", "gfs_sharpness"):
        if name in run.ds and not derived.get(name, False):
            columns[name] = run.series(name)[rows].tolist()
    for name in run.params[:8]:
        columns[name] = run.param(name)[rows].tolist()
    if "phase" in run.ds:
        columns["phase"] = words(run.ds["phase"].isel(step=rows))
    lines = [",".join(columns)]
    lines += [",".join(_cell(v) for v in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return "" if isinstance(value, float) and np.isnan(value) else str(value)
