"""Decimation keeps what is seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eoslab.plots.thinning import cloud, extremes

VALUES = arrays(float, st.integers(1, 400), elements=st.floats(-1e3, 1e3) | st.just(np.nan))


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(1, 40), st.booleans())
def test_every_column_keeps_its_extremes_exactly(y, bins, log):
    x = np.arange(len(y), dtype=float)
    kept = extremes(x, y, bins, log=log)
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == len(y) - 1
    # at most two finite points and two of a gap in a column, and the two ends
    assert len(kept) <= max(2 * bins, 4 * bins + 2)
    if not log:
        column = np.minimum((x / max(x[-1], 1) * bins).astype(int), bins - 1)
        for c in np.unique(column):
            inside = y[column == c]
            mine = y[kept[column[kept] == c]]
            if np.isfinite(inside).any():
                assert np.nanmax(mine) == np.nanmax(inside)
                assert np.nanmin(mine) == np.nanmin(inside)
            # a gap is still there
            assert np.isnan(mine).any() == np.isnan(inside).any()


def test_short_series_are_returned_whole():
    assert len(extremes(np.arange(100), np.random.default_rng(0).normal(size=100), 50)) == 100


@settings(max_examples=40, deadline=None)
@given(arrays(float, (200, 2), elements=st.floats(-10, 10)), st.integers(2, 30))
def test_a_cloud_keeps_a_dot_within_a_cell_of_every_dot(points, cells):
    x, y = points.T
    kept = cloud(x, y, cells)
    cell = [max(np.ptp(v) / (cells - 1), 1e-300) * (1 + 1e-9) for v in (x, y)]
    near = np.abs(x[:, None] - x[kept]) / cell[0] < 1
    near &= np.abs(y[:, None] - y[kept]) / cell[1] < 1
    assert near.any(axis=1).all()
