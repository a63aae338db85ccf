"""The n-long rows S that a basis consists of, and the few passes over them: as numbers, or packed into 16 bits.

A packed row is what it is stored as: it is rounded (by some 3e-5 of its length) when it is made, and all that is
said of it later, coordinates and products, is of the rounded row. The rounding is as good as random, and disturbs
the orthogonality of two rows by some 3e-5/√n.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.curvature.compiled import passes

__all__ = ["BLOCK", "Packed", "Plain"]

Vector = NDArray[Any]
Float = NDArray[np.float64]

#: Columns worked on at a time where BLAS does it: some twenty rows of them in float32 fit a second-level cache.
BLOCK = 8192


class Plain:
    """Rows in one array, allocated once and only touched as far as it is used.

    Untouched rows of an empty array cost no memory; touched ones are kept from step to step, because faulting
    pages in again at each step costs more than the arithmetic.
    """

    def __init__(self, rows: int, n: int, dtype: np.dtype[Any]) -> None:
        self.array: Vector = np.empty((rows, n), dtype)
        self.dtype, self.nbytes = dtype, self.array.nbytes

    def combine(self, c: Float) -> Vector:
        """Σ_j c_j s_j, (n,)."""
        return np.asarray(c.astype(self.dtype) @ self.array[: len(c)])

    def project(self, y: Vector, m: int) -> Float:
        """(s_j·y) for the first m rows."""
        return np.asarray(self.array[:m] @ y)

    def subtract(self, y: Vector, c: Float) -> tuple[float, Float]:
        """Row m = len(c) becomes y − Σ_j c_j s_j; its squared length, and its products with the rows before."""
        m, again = len(c), np.zeros(len(c))
        square = passes().subtract_and_project(self.array[:m], y, c.astype(self.dtype), self.array[m], again)
        return float(square), again

    def reduce(self, wanted: Float, right: Float, left: Float, young: Float, out: Vector) -> None:
        """out = wanted·S; of the first m = len(left) rows the last become young·S, and then left·right·S is added,
        with S what it was before. Rows from m on are free afterwards."""
        m, M = len(left), right.shape[1]
        f = m - len(young)
        wanted, right, left, young = (a.astype(self.dtype) for a in (wanted, right, left, young))
        for i in range(0, self.array.shape[1], BLOCK):  # read and written once, while it is in the cache
            part = self.array[:M, i : i + BLOCK]
            out[:, i : i + BLOCK] = wanted @ part
            dropped = right @ part
            if f < m:
                part[f:m] = young @ part[:m]
            if len(right):
                part[:m] += left @ dropped

    def load(self, m: int, i: int) -> Vector:
        """The block of the first m rows that begins at column i, to be changed in place."""
        return self.array[:m, i : i + BLOCK]

    def store(self, part: Vector, first: int, i: int) -> None:
        """Keep the changes of :meth:`load`'s block, of the rows from ``first`` on."""

    def put(self, row: Vector, m: int) -> None:
        """Row m."""
        self.array[m] = row

    def state(self, m: int) -> dict[str, Vector]:
        """The first m rows as arrays."""
        return {"Q": self.array[:m].copy()}

    def restore(self, state: dict[str, Vector]) -> None:
        """The first rows from :meth:`state`."""
        self.array[: len(state["Q"])] = state["Q"]


class Packed:
    """The same in half the memory of float32 or less: integers, and one scale for each strip of a row."""

    def __init__(self, rows: int, n: int) -> None:
        self.strip: int = passes().STRIP
        self.array: NDArray[np.int16] = np.empty((rows, n), np.int16)
        self.scale: NDArray[np.float32] = np.empty((rows, -(-n // self.strip)), np.float32)
        self.dtype, self.nbytes = np.dtype(np.float32), self.array.nbytes + self.scale.nbytes

    def combine(self, c: Float) -> Vector:
        out = np.empty(self.array.shape[1], np.float32)
        passes().combine(self.array, self.scale, np.ascontiguousarray(c), out)
        return out

    def project(self, y: Vector, m: int) -> Float:
        out = np.zeros(m)
        passes().project(self.array, self.scale, y, out)
        return out

    def subtract(self, y: Vector, c: Float) -> tuple[float, Float]:
        again = np.zeros(len(c))
        square = passes().subtract_and_project_packed(self.array, self.scale, y, -c, again)
        return float(square), again

    def reduce(self, wanted: Float, right: Float, left: Float, young: Float, out: Vector) -> None:
        matrices = (a.astype(np.float32, order="C") for a in (wanted, right, left, young))
        passes().reduce(self.array, self.scale, *matrices, out)

    def load(self, m: int, i: int) -> Vector:
        part = np.empty((m, min(BLOCK, self.array.shape[1] - i)), np.float32)
        passes().load(self.array, self.scale, i // self.strip, part)
        return part

    def store(self, part: Vector, first: int, i: int) -> None:
        passes().store(self.array, self.scale, i // self.strip, first, part[first:])

    def put(self, row: Vector, m: int) -> None:
        for i in range(0, len(row), BLOCK):
            part = np.ascontiguousarray(row[None, i : i + BLOCK], np.float32)
            passes().store(self.array, self.scale, i // self.strip, m, part)

    def state(self, m: int) -> dict[str, Vector]:
        return {"Q": self.array[:m].copy(), "scale": self.scale[:m].copy()}

    def restore(self, state: dict[str, Vector]) -> None:
        m = len(state["Q"])
        self.array[:m], self.scale[:m] = state["Q"], state["scale"]
