"""What the tracker remembers from step to step, in coordinates of its basis Q: some twenty numbers squared.

* ``models``: G ≈ QHQᵀ at the last four points, the newest first.
* ``age`` and ``new``: quadratic forms. For a unit vector v in the span of Q, vᵀ(age)v is how many measurements ago
  v was multiplied, and vᵀ(new)v the share of it that never was. Together they say how far the model can be
  trusted: what was multiplied at age a may have changed by (a + 1) times the change seen per measurement, and
  what never was multiplied may have any curvature.
* ``history``: the first k + 1 Ritz vectors of the last four points, which Q spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["HISTORY", "Memory"]

Float = NDArray[np.float64]

#: Points whose models are kept, and whose first vectors Q spans. Four are two of each state of a swing of period
#: two, so each state can move on along its own line.
HISTORY = 4
TRENDS = HISTORY - 1
#: Weight of the step before in the fit of the prediction, its relative ridge, and the largest coefficient.
FORGET, RIDGE, STEEPEST = 0.5, 1e-3, 1.5
#: The prediction replaces the last model where it fits the first product of the new point this much better.
BETTER = 1.4


class Memory:
    """Models of the last points and the evidence behind them; empty at first."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nothing is known."""
        self.models: Float = np.zeros((0, 0, 0))
        self.history: Float = np.zeros((0, 0))
        self.age: Float = np.zeros((0, 0))
        self.new: Float = np.zeros((0, 0))
        self._normal = np.zeros((TRENDS, TRENDS + 1))  # normal equations of the prediction, right side last

    @property
    def rows(self) -> int:
        """Dimension m of the basis; 0 without a memory."""
        return len(self.age)

    # -- prediction -----------------------------------------------------------------------------------------

    def _trends(self) -> Float:
        """G(t−1) − G(t−2), G(t−2) − G(t−3), as far as there are that many models."""
        return np.asarray(self.models[:-1] - self.models[1:])

    def predict(self) -> Float:
        """G(t−1) + a (G(t−1) − G(t−2)) + b (G(t−2) − G(t−3)) + …, fitted to the products of the last points."""
        j = len(self.models) - 1
        N, right = self._normal[:j, :j], self._normal[:j, -1]
        size = float(np.trace(N))
        if not size > 0.0:
            return np.asarray(self.models[0])
        fit = np.linalg.solve(N + RIDGE * size / j * np.eye(j), right).clip(-STEEPEST, STEEPEST)
        return np.asarray(self.models[0] + (fit[:, None, None] * self._trends()).sum(0))

    def base(self, predicted: Float, x: Float, h: Float) -> Float:
        """The model that this point's products are to correct: of the last and the predicted one that which fits
        the first product h of x. In a swing of period two the last model is that of the other state."""
        last = float(np.linalg.norm(h - self.models[0] @ x))
        return predicted if BETTER * float(np.linalg.norm(h - predicted @ x)) < last else self.models[0]

    def learn(self, C: Float, Y: Float) -> None:
        """Add a point's products Y of the vectors C to the fit of the prediction."""
        C = C[: self.rows]
        off = (Y[: self.rows] - self.models[0] @ C).ravel()
        moved = (self._trends() @ C).reshape(-1, len(off))
        self._normal *= FORGET
        self._normal[: len(moved), : len(moved)] += moved @ moved.T
        self._normal[: len(moved), -1] += moved @ off

    # -- evidence -------------------------------------------------------------------------------------------

    def carry(self, H: Float, C: Float, model: Float, past: Float) -> None:
        """Move on to the next point and a new basis.

        Args:
            H: (M, m) map of coordinates, of which the new ones are xᵀH.
            C: (M, p) the vectors multiplied at this point.
            model: (M, M) its corrected model.
            past: (M, h) the vectors that the new basis spans for their own sake, the newest first.
        """
        M, rows = len(H), self.rows
        stale = H - C @ (C.T @ H)
        age, new = np.zeros((M, M)), np.eye(M)
        age[:rows, :rows] = self.age + np.eye(rows)
        new[:rows, :rows] = self.new
        self.age, self.new = stale.T @ age @ stale, stale.T @ new @ stale
        older = H[:rows].T @ self.models[:TRENDS] @ H[:rows]
        self.models = np.concatenate([(H.T @ model @ H)[None], older])
        self.history = H.T @ past

    # -- state ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Float]:
        """All of it as arrays."""
        return {
            "models": self.models.copy(),
            "history": self.history.copy(),
            "age": self.age.copy(),
            "new": self.new.copy(),
            "normal": self._normal.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from :meth:`state`."""
        models, history, age, new, normal = (
            np.array(state[name], dtype=np.float64) for name in ("models", "history", "age", "new", "normal")
        )
        self.models, self.history, self.age, self.new, self._normal = models, history, age, new, normal
