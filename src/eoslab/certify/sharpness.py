"""Proving S ≤ τ/η along a stretch of a trajectory, without eigenvalues.

τ/η·I − H is positive definite iff the minors τ/η − m1, τ/η − m2 and the determinant of the arrowhead are positive
(:func:`eoslab.core.arrowhead.arrowhead3_below`, here on balls). When no τ was asked for, the smallest one is
found on the way: where a state is not certainly below the present τ, a floating-point eigenvalue proposes a
larger one, and only the verification in balls counts. τ never falls, so the states seen before stay covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from typing import Any, TypeAlias

from flint import arb, ctx

from eoslab.certify.problem import Problem
from eoslab.certify.regions import ball
from eoslab.core.arrowhead import arrowhead3_below
from eoslab.models.minimalist import hessian, sharpness

__all__ = ["SharpnessWatch", "certainly_above", "certainly_below"]

State: TypeAlias = tuple[Any, Any, Any]
Params: TypeAlias = tuple[Any, Any, Any]

#: With a free τ the minors need no more bits than this, however many the trajectory needs.
MINOR_BITS = 192
#: How far (relatively) above the floating-point eigenvalue τ is put, tried in this order.
MARGINS = (2.0**-36, 2.0**-30, 2.0**-24)


def certainly_below(state: State, p: Params, level: Any) -> bool:
    """Whether λmax(H) < level for every member of the balls."""
    (q, c1, c2), (_, m1, _), (_, _, m2) = hessian(state, p)
    return bool(arrowhead3_below(q, c1, m1, c2, m2, level))


def certainly_above(state: State, p: Params, level: Any) -> bool:
    """Whether λmax(H) > level for every member: some principal minor of level·I − H is negative."""
    (q, c1, c2), (_, m1, _), (_, _, m2) = hessian(state, p)
    d0, d1, d2 = level - q, level - m1, level - m2
    return bool(
        d0 < 0
        or d1 < 0
        or d2 < 0
        or d0 * d1 - c1**2 < 0
        or d0 * d2 - c2**2 < 0
        or d0 * d1 * d2 - c1**2 * d2 - c2**2 * d1 < 0
    )


class SharpnessWatch:
    """Follows max η·S over the states it is shown: τ (a proved bound) and where the largest value was seen.

    ``fixed`` is the τ that was asked for, or None for the smallest. This is the one mutable object of the
    certifier; each attempt at a new precision starts a fresh one.
    """

    def __init__(self, problem: Problem, p: Params, fixed: Fraction | None) -> None:
        self.p = p
        self.fixed = fixed
        self.lr = ball(problem.lr)
        self.tau = arb(0) if fixed is None else ball(fixed)
        self.level = self.tau / self.lr
        self.floats = tuple(float(x) for x in p)
        self.lr_float = float(self.lr)
        self.peak = 0.0
        self.peak_step = 0
        self.peak_state: State | None = None

    def estimate(self, state: State) -> float:
        """η·S in floating point (a proposal, not a bound)."""
        point = tuple(float(x) for x in state)
        if not all(map(isfinite, point)):
            return float("inf")
        try:
            return self.lr_float * sharpness(point, (1.0, 1.0, 1.0), self.floats)
        except OverflowError:
            return float("inf")

    def note(self, state: State, step: int, value: float) -> None:
        """Remember where the largest value was seen."""
        if value > self.peak:
            self.peak, self.peak_step, self.peak_state = value, step, state

    def cover(self, path: Sequence[State], first: int) -> tuple[str, int]:
        """Prove the bound for all states of a path: ("covered" | "exceeded" | "unclear", step)."""
        precision = ctx.prec
        # A given δ may lie arbitrarily close to the largest sharpness; then all bits count.
        ctx.prec = min(precision, MINOR_BITS) if self.fixed is None else precision
        try:
            for i, state in enumerate(path):
                if certainly_below(state, self.p, self.level):
                    continue
                if self.fixed is not None:
                    above = certainly_above(state, self.p, self.level)
                    self.note(state, first + i, max(self.peak, self.estimate(state)))
                    return ("exceeded" if above else "unclear"), first + i
                if not self.raise_to(state, first + i):
                    return "unclear", first + i
        finally:
            ctx.prec = precision
        return "covered", first + len(path)

    def raise_to(self, state: State, step: int) -> bool:
        """Lift τ above this state; False where the balls are too wide for that."""
        value = self.estimate(state)
        if not isfinite(value):
            return False
        for margin in MARGINS:
            tau = max(value, self.peak) * (1 + margin)
            level = arb(tau) / self.lr
            if certainly_below(state, self.p, level):
                self.tau, self.level = arb(tau).max(self.tau), level.max(self.level)
                self.note(state, step, value)
                return True
        return False
