"""Fewer points, the same picture: decimation that keeps every spike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cloud", "extremes"]

Indices = NDArray[np.int64]


def extremes(x: Any, y: Any, bins: int, log: bool = False) -> Indices:
    """Indices of y's smallest and largest value in each of ``bins`` columns of x, with the two ends.

    x must be non-decreasing. A gap (NaN in y) stays a gap: one of its points is kept in every column it
    touches. Series that have fewer than two points a column are returned whole. Striding or averaging would
    lose the spikes that are the subject here.

    >>> spike = np.zeros(10_000); spike[4321] = 7.0
    >>> kept = extremes(np.arange(10_000), spike, bins=100)
    >>> len(kept) < 210, 4321 in kept
    (True, True)
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n = len(x)
    if n <= 2 * bins:
        return np.arange(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        position = np.log(np.maximum(x, np.finfo(float).tiny)) if log else x
    if log:
        position = np.maximum(position, np.log(x[x > 0][0]) if (x > 0).any() else 0.0)
    span = position[-1] - position[0]
    column = (
        np.minimum(((position - position[0]) / span * bins).astype(np.int64), bins - 1) if span else 0 * position
    )
    keep = [np.array([0, n - 1])]
    for chosen in (np.flatnonzero(np.isfinite(y)), np.flatnonzero(~np.isfinite(y))):
        if len(chosen):
            order = chosen[np.lexsort((y[chosen], column[chosen]))]
            starts = np.flatnonzero(np.diff(column[order], prepend=-1))
            ends = np.append(starts[1:], len(order)) - 1
            keep += [order[starts], order[ends]]
    return np.unique(np.concatenate(keep))


def cloud(x: Any, y: Any, cells: int) -> Indices:
    """Indices of one point per cell of a ``cells`` × ``cells`` grid: the dots that are not hidden by another.

    >>> len(cloud(np.zeros(1000), np.zeros(1000), 100))
    1
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    fine = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(fine) == 0:
        return fine
    where = []
    for values in (x[fine], y[fine]):
        low, high = values.min(), values.max()
        where.append(((values - low) / (high - low or 1.0) * (cells - 1)).astype(np.int64))
    _, first = np.unique(where[0] * cells + where[1], return_index=True)
    return fine[np.sort(first)]
