"""Looks at the rivals: which remembered direction is multiplied although no wanted pair asks for it, and when.

An eigenvector that is not coupled to the wanted ones shows in none of their residuals. If it rises, only a product
of its own tells. Each look goes to the mode of the model that may have risen highest since it was last multiplied;
from time to time one goes to where most was never multiplied: an eigenvector that the memory holds only in part
has too low a value and is no mode of the model.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eoslab.curvature.memory import Memory
from eoslab.curvature.products import Products

__all__ = ["Rivals", "beside"]

Float = NDArray[np.float64]

#: A rival may close in by at least this share of the eigenvalue per measurement, and one that never was
#: multiplied may lie this share higher.
CLOSING, HIDDEN = 0.005, 0.2
#: What one product has surprised by is no speed of all modes beyond this multiple of the eigenvalue's own.
SURPRISE = 4
#: At the latest each so many measurements a look goes to the direction that would be highest if what never was
#: multiplied had this share of the eigenvalue.
HOPE_EVERY, HOPE = 8, 0.8
#: Looks wait until a rival that closes in at twice the eigenvalue's drift has come up by this share of tol, and at
#: most so many times the measurements asked for.
SLOW, WAIT = 0.25, 8
#: A rival is not left out for a measurement while these are the first looks, while the eigenvalue moves by more
#: than this share of itself, and while a rival is, or lately was, closer than this share: a model that rests on so
#: little or changes so fast cannot say how far a rival can have come.
FIRST, FAST, NEAR = 12, 0.01, 0.03


def beside(point: Products, v: Float, least: float = 1e-7) -> Float | None:
    """The part of v, in the first coordinates, orthogonal to the vectors multiplied at this point, of length 1.

    None where it is no longer than ``least``.
    """
    C = point.C
    x = np.zeros(point.M)
    x[: len(v)] = v
    x -= C @ (C.T @ x)
    size = float(np.linalg.norm(x))
    if not size > least:
        return None
    x /= size
    x -= C @ (C.T @ x)
    return np.asarray(x / np.linalg.norm(x))


class Rivals:
    """How fast values move, how long no rival was looked at, and where to look next.

    Args:
        k: number of wanted pairs, above which no mode is a rival.
        tol: relative error asked for.
        refresh: measurements between two looks while the eigenvalue moves and no mode of the model may have
            overtaken; 0 never.
    """

    def __init__(self, k: int, tol: float, refresh: int) -> None:
        self.k, self.tol, self.refresh = k, tol, refresh
        self.looks = 0
        self.waited = self.hoped = 0  # measurements since a look, and since one at what never was multiplied
        self.drift = 0.0  # mean |Δθ_1| between measurements
        self.swing = 0.0  # what models changed by, in units of H, fading more slowly
        self.gap = 0.0  # between the wanted ones and the first rival, as a share, the smallest of late
        self._hope = False
        self._modes: tuple[Float, Float, Float] | None = None

    # -- when -----------------------------------------------------------------------------------------------

    def due(self, memory: Memory, value: float) -> bool:
        """Whether a mode below the wanted ones may have overtaken since it was last multiplied.

        Args:
            memory: what is known of the points before.
            value: the eigenvalue of the last one.
        """
        self._modes = None
        if not self.refresh or memory.rows <= self.k:
            return False
        self.waited += 1
        self.hoped += 1
        slow = SLOW * self.tol * abs(value)
        wait = int(min(WAIT, slow / (2 * self.drift))) if self.drift > 0.0 else WAIT  # the quotient may be inf
        wait = max(1, wait)
        self._hope = self.hoped >= HOPE_EVERY * wait
        each = self.looks < FIRST or self.drift > FAST * abs(value) or self.gap < NEAR
        if self._hope or self.waited >= wait * (1 if each else self.refresh):
            return True
        if wait > 1:
            return False
        mu, reach, _ = self._reach(memory, value)
        return bool(reach[: -self.k].max() >= mu[-self.k])

    def learn(self, moved: float, gap: float) -> None:
        """A measurement is over.

        Args:
            moved: by how much the eigenvalue has since the one before; a mean over about three is kept.
            gap: between the last wanted value of the model and the next one, as a share of it. The smallest is
                kept, and forgotten at the speed at which a rival may close in: a model that mixes two close
                modes may show only one of them.
        """
        if math.isfinite(moved):
            self.drift += 0.3 * (moved - self.drift)
        self.gap = min(gap, self.gap + CLOSING)

    def change(self, seen: float) -> None:
        """Products have differed from their model by so much per measurement, in units of H."""
        self.swing = max(seen, 0.5 * self.swing)

    # -- where ----------------------------------------------------------------------------------------------

    def target(self, point: Products, value: float) -> Float | None:
        """The direction of this look, orthogonal to what was multiplied; None where nothing is left to look at."""
        self.waited = 0
        self.looks += 1
        if not self._hope:
            return self._stale(point, value)
        self.hoped = 0
        return self._unseen(point, value)

    def _reach(self, memory: Memory, value: float) -> tuple[Float, Float, Float]:
        """(values, reach, modes as columns) of the memory: how high each may have risen unseen.

        Each may move by the mean drift, and the wanted ones by as much in the other direction. The floor lets
        every remembered mode have its turn, the sooner the closer it is.
        """
        if self._modes is None:
            mu, U = np.linalg.eigh(memory.models[0])
            ages = ((memory.age @ U) * U).sum(0) + 1.0
            hidden = ((memory.new @ U) * U).sum(0)
            swing = min(max(self.drift, self.swing), SURPRISE * self.drift)
            speed = self.drift + swing + CLOSING * abs(value)
            self._modes = mu, mu + speed * ages + HIDDEN * abs(value) * hidden, U
        return self._modes

    def _stale(self, point: Products, value: float) -> Float | None:
        """The remembered mode that may have risen highest since it was last multiplied."""
        _, reach, U = self._reach(point.memory, value)
        seen = ((U.T @ point.C[: len(U)]) ** 2).sum(1)  # share of each mode that this point's products cover
        reach = np.where(seen > 0.5, -math.inf, reach)
        j = int(np.argmax(reach))
        return beside(point, U[:, j]) if math.isfinite(reach[j]) else None

    @staticmethod
    def _unseen(point: Products, value: float) -> Float | None:
        """The direction of the memory that would be highest if what never was multiplied were nearly as high as
        the first."""
        memory = point.memory
        C = point.C[: memory.rows]
        high = memory.models[0] + HOPE * abs(value) * memory.new
        high += 2 * float(np.abs(high).sum(0).max()) * np.eye(len(high))  # above 0, where C is put
        P = np.eye(len(high)) - C @ C.T
        return beside(point, np.linalg.eigh(P @ high @ P)[1][:, -1])

    # -- state ----------------------------------------------------------------------------------------------

    def state(self) -> list[float]:
        """Its numbers, for a checkpoint."""
        return [float(self.looks), float(self.waited), float(self.hoped), self.drift, self.swing, self.gap]

    def restore(self, state: list[float]) -> None:
        """Continue from :meth:`state`."""
        self.looks, self.waited, self.hoped = (int(x) for x in state[:3])
        self.drift, self.swing, self.gap = state[3:]
