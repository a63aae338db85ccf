"""What a sweep keeps of a cell: typed columns, some with dimensions of their own, and what computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np

from eoslab.results.grid import Layout

__all__ = ["Cells", "Column", "Columns", "Stop", "Stopped", "Table"]

#: Values of some cells: for each column an array whose first dimension is the cell.
Columns = dict[str, np.ndarray]
#: Asked now and then; true once the sweep is to end.
Stop = Callable[[], bool]


class Stopped(Exception):
    """What computes cells was asked to stop before all of them were there."""


class Column(NamedTuple):
    """One number (or word) of a cell, or with ``dims`` an array of them."""

    kind: str
    fill: Any
    meaning: str
    dims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """The columns of a kind of sweep, and the coordinates of the dimensions that cells have of their own."""

    columns: Mapping[str, Column]
    coords: Mapping[str, np.ndarray] = field(default_factory=dict)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a column within one cell."""
        return tuple(len(self.coords[dim]) for dim in self.columns[name].dims)

    def blank(self, n: int) -> Columns:
        """The columns of ``n`` cells without a run."""
        return {
            name: np.full((n, *self.shape(name)), column.fill, dtype=column.kind)
            for name, column in self.columns.items()
        }

    @property
    def row_bytes(self) -> int:
        """Memory of a cell; its size on disk before compression."""
        sizes = (prod(self.shape(name)) * np.dtype(c.kind).itemsize for name, c in self.columns.items())
        return sum(sizes) + 1  # and whether it was measured


class Cells(Protocol):
    """What computes the cells of a sweep; a value that can be sent to another process."""

    @property
    def steps(self) -> int:
        """The most updates of a cell."""

    @property
    def table(self) -> Table:
        """The columns of a cell."""

    @property
    def chunk(self) -> int:
        """Cells in one chunk of a store: what two processes share, and a kill can lose."""

    @property
    def at_once(self) -> int:
        """Cells in one task, so that a task takes about a second or is one cell."""

    def compute(self, columns: Columns, stop: Stop | None = None) -> Columns:
        """The results of cells with these parameters; raises :class:`Stopped` if ``stop`` came first."""

    def seconds(self, layout: Layout) -> float:
        """Predicted time of all cells on one core."""

    def describe(self) -> dict[str, Any]:
        """What is fixed, for the record."""

    def digest(self) -> str:
        """A digest of the code that computes a cell."""
