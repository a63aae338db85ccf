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

from eoslab.curvature.rows import BLOCK, Packed, Plain

__all__ = ["Basis"]

Vector = NDArray[Any]
Float = NDArray[np.float64]


class Basis:
    """Orthonormal rows Q = RS in a buffer that is allocated once.

    Args:
        rows: how many there is room for.
        n: their length.
        dtype: of the vectors that come and go.
        packed: keep them in sixteen bits (:mod:`.rows`); ``dtype`` is float32 then.
    """

    def __init__(self, rows: int, n: int, dtype: np.dtype[Any], packed: bool = False) -> None:
        self.capacity, self.n, self.dtype, self.packed = rows, n, dtype, packed
        self._rows: Plain | Packed = Packed(rows, n) if packed else Plain(rows, n, dtype)
        self._R: Float = np.eye(rows)
        self._settled = rows  # rows of R that are those of the identity
        self.defect = 0.0  # what the rows have been seen to lack in orthogonality since they were renewed

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    def rows(self, m: int) -> Vector:
        """The first m rows of Q, a copy."""
        self._settle(m)
        return np.concatenate([self._rows.load(m, i) for i in range(0, self.n, BLOCK)], axis=1)

    def put(self, Q: Vector) -> None:
        """Let the first rows be those of Q, which are orthonormal."""
        for j, row in enumerate(Q):
            self._rows.put(row, j)
        self._reset()

    def state(self, m: int) -> dict[str, Vector]:
        """The first m rows as they are stored."""
        self._settle(m)
        return self._rows.state(m)

    def restore(self, state: dict[str, Vector]) -> None:
        """The first rows from :meth:`state`."""
        self._rows.restore(state)
        self._reset()

    def _settle(self, m: int) -> None:
        """S ← RS, R ← I, for the first m rows, the last ones there are."""
        f = self._settled
        if f < m:
            R = self._R[f:m, :m].astype(self.dtype)
            for i in range(0, self.n, BLOCK):
                part = self._rows.load(m, i)
                part[f:] = R @ part
                self._rows.store(part, f, i)
        self._reset()

    def _reset(self) -> None:
        if self._settled < self.capacity:
            self._R[self._settled :] = np.eye(self.capacity)[self._settled :]
            self._settled = self.capacity

    def combine(self, x: Float) -> Vector:
        """Σ_j x_j q_j, (n,)."""
        m = len(x)
        return self._rows.combine(x @ self._R[:m, :m])

    def coordinates(self, y: Vector, m: int) -> Float:
        """(q_j·y) for the first m rows."""
        return np.asarray(self._R[:m, :m] @ self._rows.project(y, m))

    def absorb(self, y: Vector, m: int, least: float) -> tuple[Float, float]:
        """Coordinates of y on the first m rows and the length of the rest: row m if above ``least``."""
        R = self._R[:m, :m]
        h = self.coordinates(y, m)
        square, again = self._rows.subtract(y, h @ R)
        again = R @ again
        length = math.sqrt(float(h @ h) + square)
        if length > 0.0:  # with orthonormal rows one projection leaves nothing for the second
            self.defect = max(self.defect, float(np.abs(again).max(initial=0.0)) / length)
        rest = math.sqrt(max(square - float(again @ again), 0.0))
        h = h + again
        if rest <= least:
            return h, 0.0
        self._R[m, :m], self._R[m, m] = again @ R / -rest, 1.0 / rest
        self._settled = min(self._settled, m)
        return h, rest

    def renew(self, m: int) -> None:
        """Remove the rounding errors that reflections have gathered: Q ← L⁻¹Q with QQᵀ = LLᵀ.

        The products QQᵀ are added in float64; those of packed rows, whose own rounding is a hundred times larger,
        are of blocks in single precision.
        """
        self._settle(m)
        self.defect = 0.0
        gram = np.zeros((m, m))
        for i in range(0, self.n, BLOCK):
            part = self._rows.load(m, i)
            if not self.packed:
                part = part.astype(np.float64)
            gram += part @ part.T
        inverse = np.linalg.inv(np.linalg.cholesky(gram)).astype(self.dtype)
        for i in range(0, self.n, BLOCK):
            part = self._rows.load(m, i)
            part[:] = inverse @ part
            self._rows.store(part, 0, i)

    def append(self, v: Vector, m: int) -> bool:
        """Make the part of v outside the first m rows row m, if there is one worth having."""
        norm = float(np.linalg.norm(v))
        if not (math.isfinite(norm) and norm > 0) or m >= self.capacity:
            return False
        q = (v / norm).astype(self.dtype)
        for _ in range(2):
            q -= self.combine(self.coordinates(q, m))
        rest = float(np.linalg.norm(q))
        if rest < 1e-3:
            return False
        self._rows.put(q / np.asarray(rest, self.dtype), m)
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
        self._rows.reduce(wanted.T @ R, middle @ V.T @ R, -V[:m], R[f:m, :m], out)
        self._reset()
        return np.asarray(np.eye(M)[:, :m] - V @ (middle @ V[:m].T))
