"""The n-long vectors of the tracker: orthonormal rows Q, and the few passes over them that a product costs.

Everything else about a step happens in coordinates of Q. A product costs three passes over Q (the vector to be
multiplied; the coordinates of the product; the part of it outside Q, and the coordinates of that part, which are
what one projection leaves behind), and the end of a step one reflection.

Always two projections: one multiplies what the rows lack in orthogonality by |y|/rest, and from step to step that
grows without bound. The second is not carried out on the n-long row, though, but kept as a triangular matrix: the
rows stored are S, and Q = RS, with R = I but for the rows of this step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.curvature.passes import subtract_and_project

__all__ = ["Basis"]

Vector = NDArray[Any]
Float = NDArray[np.float64]

#: Columns of Q worked on at a time: some twenty rows of them in float32 fit a second-level cache.
BLOCK = 8192


class Basis:
    """Orthonormal rows in a buffer that is allocated once and only touched as far as it is used.

    Untouched rows of an empty array cost no memory; touched ones are kept from step to step, because faulting
    pages in again at each step costs more than the arithmetic.
    """

    def __init__(self, rows: int, n: int, dtype: np.dtype[Any]) -> None:
        self._buffer: Vector = np.empty((rows, n), dtype)
        self._R: Float = np.eye(rows)
        self._settled = rows  # rows of R that are those of the identity

    @property
    def capacity(self) -> int:
        return len(self._buffer)

    @property
    def n(self) -> int:
        return int(self._buffer.shape[1])

    @property
    def nbytes(self) -> int:
        return int(self._buffer.nbytes)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._buffer.dtype

    def rows(self, m: int) -> Vector:
        """The first m rows of Q, a view."""
        self._settle(m)
        return self._buffer[:m]

    def _settle(self, m: int) -> None:
        """S ← RS, R ← I, for the first m rows, the last ones there are."""
        f = self._settled
        if f < m:
            R = self._R[f:m, :m].astype(self.dtype)
            for i in range(0, self.n, BLOCK):
                self._buffer[f:m, i : i + BLOCK] = R @ self._buffer[:m, i : i + BLOCK]
        self._reset()

    def _reset(self) -> None:
        if self._settled < self.capacity:
            self._R[self._settled :] = np.eye(self.capacity)[self._settled :]
            self._settled = self.capacity

    def combine(self, x: Float) -> Vector:
        """Σ_j x_j q_j, (n,)."""
        m = len(x)
        return np.asarray((x @ self._R[:m, :m]).astype(self.dtype) @ self._buffer[:m])

    def coordinates(self, y: Vector, m: int) -> Float:
        """(q_j·y) for the first m rows."""
        return np.asarray(self._R[:m, :m] @ (self._buffer[:m] @ y))

    def absorb(self, y: Vector, m: int, least: float) -> tuple[Float, float]:
        """Coordinates of y on the first m rows and the length of the rest: row m if above ``least``."""
        S, R, row, again = self._buffer[:m], self._R[:m, :m], self._buffer[m], np.zeros(m)
        h = self.coordinates(y, m)
        square = subtract_and_project()(S, y, (h @ R).astype(self.dtype), row, again)
        again = R @ again
        rest = math.sqrt(max(square - float(again @ again), 0.0))
        h = h + again
        if rest <= least:
            return h, 0.0
        self._R[m, :m], self._R[m, m] = again @ R / -rest, 1.0 / rest
        self._settled = min(self._settled, m)
        return h, rest

    def renew(self, m: int) -> None:
        """Remove the rounding errors that reflections have gathered: Q ← L⁻¹Q with QQᵀ = LLᵀ in float64."""
        self._settle(m)
        gram = np.zeros((m, m))
        for i in range(0, self.n, BLOCK):
            part = self._buffer[:m, i : i + BLOCK].astype(np.float64)
            gram += part @ part.T
        inverse = np.linalg.inv(np.linalg.cholesky(gram)).astype(self.dtype)
        for i in range(0, self.n, BLOCK):
            self._buffer[:m, i : i + BLOCK] = inverse @ self._buffer[:m, i : i + BLOCK]

    def append(self, v: Vector, m: int) -> bool:
        """Make the part of v outside the first m rows row m, if there is one worth having."""
        norm = float(np.linalg.norm(v))
        if not (math.isfinite(norm) and norm > 0) or m >= self.capacity:
            return False
        Q, q = self.rows(m), (v / norm).astype(self.dtype)
        for _ in range(2):
            q -= (Q @ q) @ Q
        rest = float(np.linalg.norm(q))
        if rest < 1e-3:
            return False
        np.multiply(q, 1.0 / rest, out=self._buffer[m])
        return True

    def reduce(self, drop: Float, wanted: Float, out: Vector) -> Float:
        """Leave away the directions ``drop`` (M, r) and write the rows ``wanted``ᵀQ, wanted (M, k), to ``out``.

        The block reflection I − V(I + P)⁻¹Vᵀ with V = D + ES, where EᵀD = SP is the polar decomposition of the
        last r rows of D, maps the dropped directions onto the last r rows, which are then forgotten. It costs
        2r + 2r(M − r)/M passes where a rotation of all M rows to new ones would cost M − r.

        Returns:
            (M, M − r) the map of coordinates: a vector with coordinates x has those xᵀ(map) afterwards.
        """
        M, r = drop.shape
        m = M - r
        a, s, b = np.linalg.svd(drop[m:]) if r else (np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0)))
        V = drop.copy()
        V[m:] += a @ b
        middle = (b.T / (1.0 + s)) @ b  # (I + P)⁻¹
        R, f = self._R[:M, :M], min(self._settled, m)
        left, right = V[:m].astype(self.dtype), (middle @ V.T @ R).astype(self.dtype)
        W, young = (wanted.T @ R).astype(self.dtype), R[f:m, :m].astype(self.dtype)
        for i in range(0, self.n, BLOCK):  # each part of Q is read and written once, while it is in the cache
            part = self._buffer[:M, i : i + BLOCK]
            out[:, i : i + BLOCK] = W @ part
            dropped = right @ part
            if f < m:
                part[f:m] = young @ part[:m]
            if r:
                part[:m] -= left @ dropped
        self._reset()
        return np.asarray(np.eye(M)[:, :m] - V @ (middle @ V[:m].T))
