"""How far an operator's cheaper products may be relied on: what comparisons with exact ones have shown."""

from __future__ import annotations

import math

__all__ = ["Trust"]

#: What errors of rough products may use up of tol where they are the first of a pair.
SHARE = 0.8
#: The error between two comparisons may be this multiple of what they showed, and one seen fades this fast.
FACTOR, FADE = 2.0, 0.5
#: Measurements between two comparisons, and between those after one that showed too much.
EVERY, SOON = 16, 4
#: The best to be hoped for, as a share of the error that the operator states for any vector.
BEST = 0.02


class Trust:
    """The error of rough products of top vectors within the basis, relative to the eigenvalue, as last seen."""

    def __init__(self) -> None:
        self.seen, self.since = math.inf, 0.0

    @property
    def error(self) -> float:
        """What is to be allowed for."""
        return FACTOR * self.seen

    def decide(self, tol: float, claimed: float, moved: float) -> tuple[bool, bool]:
        """(compare, trust) for the next measurement: take the first product both ways; let rough ones be first.

        A value that moves by less than their error is taken exactly, so that its curve shows its own movement.

        Args:
            tol: relative error asked for.
            claimed: the operator's own bound for any vector.
            moved: mean relative change of the eigenvalue between measurements.
        """
        self.since += 1
        if FACTOR * BEST * claimed > SHARE * tol:
            return False, False
        small = self.error <= SHARE * tol
        if self.since >= (EVERY if small else SOON) or not math.isfinite(self.error):
            return True, False
        return False, small and self.error <= moved

    def see(self, error: float) -> None:
        """A comparison has shown this."""
        self.seen = max(error, FADE * self.seen) if math.isfinite(self.seen) else error
        self.since = 0.0

    def state(self) -> list[float]:
        """Both numbers, for a checkpoint."""
        return [self.seen, self.since]

    def restore(self, state: list[float]) -> None:
        """Continue from :meth:`state`."""
        self.seen, self.since = state
