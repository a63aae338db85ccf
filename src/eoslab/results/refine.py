"""Adaptive refinement: cells are spent where neighbouring classes differ.

A grid is halved K times between its points. A box whose known points all have one class is taken to have it
everywhere; every other box is computed at its midpoints, down to the finest grid. So a boundary is drawn at
2^K times the resolution for about the price of the boundary. What was inferred has the outcome ``inferred`` and
``measured = False``; a feature smaller than a coarse box that touches none of its corners is missed.

Which cells are asked for depends on the classes found alone. So a refinement whose cells are kept somewhere
continues where it was killed, and ends as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from eoslab.core.errors import InvalidArgument
from eoslab.core.vocabulary import OUTCOMES
from eoslab.results.cells import MAP
from eoslab.results.grid import Layout
from eoslab.results.table import Columns, Stopped

__all__ = ["finest", "refine"]

#: No class known.
UNKNOWN = -128


def finest(layout: Layout, levels: int) -> Layout:
    """The layout with every range halved ``levels`` times; lists stay as they are.

    Raises :class:`~eoslab.core.errors.InvalidArgument` where no axis is a range, or the design has no neighbours.
    """
    if not layout.product:
        raise InvalidArgument("refine", levels, "0 for this design", "only a grid has neighbours")
    fine = Layout(tuple(axis.refined(levels) for axis in layout.axes))
    if fine.shape == layout.shape:
        raise InvalidArgument("refine", levels, "a grid with a range", "write an axis as lo:hi:n or lo:hi:n:log")
    return fine


def refine(layout: Layout, levels: int, compute: Callable[[Layout, np.ndarray], Columns]) -> tuple[Columns, bool]:
    """Columns over the finest layout with ``measured``, and whether the refinement was finished.

    ``compute(fine, flat)`` gives the columns of cells, or raises :class:`~eoslab.results.table.Stopped`; then what
    is not known has the outcome ``interrupted`` and no regime.
    """
    fine = finest(layout, levels)
    halved = [len(a.values) != len(b.values) for a, b in zip(fine.axes, layout.axes, strict=True)]
    out = MAP.blank(fine.cells)
    out["measured"] = np.zeros(fine.cells, bool)
    try:
        _halve(fine, halved, levels, compute, out)
    except Stopped:
        out["outcome"][~out["measured"]] = list(OUTCOMES).index("interrupted")
        return out, False
    return out, True


def _halve(
    fine: Layout,
    halved: list[bool],
    levels: int,
    compute: Callable[[Layout, np.ndarray], Columns],
    out: Columns,
) -> None:
    """Fill ``out`` level by level."""
    kind = np.full(fine.shape, UNKNOWN, dtype=np.int16)
    numbers = np.arange(fine.cells).reshape(fine.shape)

    def measure(flat: np.ndarray) -> None:
        flat = np.unique(flat)
        flat = flat[~out["measured"][flat]]
        if len(flat) == 0:
            return
        for name, values in compute(fine, flat).items():
            out[name][flat] = values
        out["measured"][flat] = True
        # cells without a run are a class of their own
        kind.reshape(-1)[flat] = out["regime"][flat]

    def every(stride: int) -> tuple[slice, ...]:
        return tuple(slice(None, None, stride if cut else 1) for cut in halved)

    measure(numbers[every(2**levels)].ravel())
    for level in range(levels):
        stride = 2 ** (levels - level - 1)
        kinds, cells = kind[every(stride)], numbers[every(stride)]
        while True:
            low, high = _extremes(kinds, halved, 2)
            mixed = low != high
            wanted = [cells[at][mixed] for at in _corners(kinds.shape, halved, 2)]
            before = int(out["measured"].sum())
            measure(np.concatenate(wanted))
            if int(out["measured"].sum()) == before:
                break
        for at in _corners(kinds.shape, halved, 2):
            part = kinds[at]
            part[part == UNKNOWN] = low[part == UNKNOWN]
    while True:
        # the finest boxes: their corners may have been inferred before a neighbour turned out different
        low, high = _extremes(kind, halved, 1)
        before = int(out["measured"].sum())
        measure(np.concatenate([numbers[at][low != high] for at in _corners(kind.shape, halved, 1)]))
        if int(out["measured"].sum()) == before:
            break
    inferred = ~out["measured"]
    out["regime"][inferred] = kind.reshape(-1)[inferred]
    out["outcome"][inferred] = list(OUTCOMES).index("inferred")


def _corners(shape: tuple[int, ...], halved: list[bool], size: int) -> Iterator[tuple[slice, ...]]:
    """For each of the points 0 … size of a box (in halved dimensions), slices that give an array over boxes."""
    for offsets in product(*[range(size + 1) if cut else (0,) for cut in halved]):
        yield tuple(
            slice(o, n - size + o, size) if cut else slice(None)
            for o, n, cut in zip(offsets, shape, halved, strict=True)
        )


def _extremes(kinds: np.ndarray, halved: list[bool], size: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest known class of every box."""
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    for at in _corners(kinds.shape, halved, size):
        part = kinds[at]
        known = np.where(part == UNKNOWN, 127, part)
        low = known if low is None else np.minimum(low, known)
        high = part if high is None else np.maximum(high, part)
    assert low is not None
    assert high is not None
    return low, high
