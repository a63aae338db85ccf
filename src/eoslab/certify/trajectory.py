"""The exact trajectory of gradient descent in balls, run until its future is known.

One attempt runs at one precision, in blocks of :data:`BLOCK` steps of the model's own ``gd_step`` on Arb balls.
Between blocks a look at floating-point midpoints decides only *whether it is worth asking* the rigorous tests of
:mod:`eoslab.certify.regions`; it is never part of an argument. Divergence once provable stays provable, and so
does (almost) the trapping region, hence nothing is lost by asking between blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from eoslab.certify.problem import Problem
from eoslab.certify.regions import (
    Reduced,
    Trap,
    ball,
    bounds,
    divergence,
    propose_trap,
    seems_divergent,
    tail_below,
    trap,
)
from eoslab.certify.sharpness import SharpnessWatch
from eoslab.models.minimalist import gd_step

__all__ = ["Attempt", "Progress", "attempt", "run_balls"]

State: TypeAlias = tuple[Any, Any, Any]
#: Called now and then with the step and the radius of the ball of α.
Progress: TypeAlias = Callable[[int, float], None]

#: Steps between two looks. Long enough that looking costs a few per cent, short against k.
BLOCK = 16
#: A ball of α wider than this, relative to max(|α|, α_e), is given up. Proofs would often still succeed, but the
#: margins of the certificate would depend on the radii, and a second implementation could not confirm them.
WIDEST = 2.0**-80
#: Steps between two calls of the progress callback.
REPORT_EVERY = 1024


@dataclass(frozen=True)
class Attempt:
    """How a run at one precision ended.

    ``kind``: "trapped", "divergence-D1", "divergence-D2", "exceeded" (the sharpness is above the given bound),
    "steps" (max_steps reached), "precision" (balls too wide), "interrupted".
    """

    kind: str
    step: int
    bits: int
    state: Reduced | None = None
    trap: Trap | None = None
    margins: tuple[tuple[str, Any], ...] = ()


def run_balls(state: State, lr: Any, p: tuple[Any, Any, Any], steps: int) -> list[State]:
    """The states before each of ``steps`` steps, and the one after them (steps + 1 in all)."""
    path = [state]
    for _ in range(steps):
        state = gd_step(state, lr, p)
        path.append(state)
    return path


def attempt(
    problem: Problem,
    bits: int,
    *,
    max_steps: int,
    width: Fraction,
    tau: Fraction | None = None,
    watch_sharpness: bool = False,
    progress: Progress | None = None,
) -> tuple[Attempt, SharpnessWatch | None]:
    """Run in balls of ``bits`` bits until trapped, divergent, above the given sharpness, too wide or out of steps.

    After the first trapping region the run goes on until its interval for ηλ1α∞² is no wider than ``width`` (it
    shrinks geometrically); whatever stops it then, the narrowest region found is what counts.
    With ``watch_sharpness`` every state before the region is proved to have η·S < τ, for the given τ (then the
    region must guarantee it too) or the smallest. Call it with ``flint.ctx.prec == bits``.
    """
    lr = ball(problem.lr)
    p = (ball(problem.lambda1), ball(problem.lambda2), ball(problem.b))
    watch = SharpnessWatch(problem, p, tau) if watch_sharpness else None
    state: State = (ball(problem.w0[0]), ball(problem.w0[1]), ball(problem.w0[2]))
    h1, b = ball(problem.h1), ball(problem.b)
    k, eps, edge = float(ball(problem.k)), float(ball(problem.eps)), float((2 / h1).sqrt())
    best: Attempt | None = None
    best_width: Fraction | None = None
    step, next_try, next_report = 0, 0, REPORT_EVERY
    path: Sequence[State] = ()

    def give_up(kind: str) -> Attempt:
        return best or Attempt(kind, step, bits)

    try:
        while True:
            alpha, beta1, beta2 = state
            s, w, r = float(h1 * alpha**2), float(h1 * beta1**2), float(alpha * beta2 / b - 1)
            if step == 0 or seems_divergent(s, w, r, k, eps):
                # D1 and D2 are invariant: the first state of the last block that proves one comes first.
                for i, earlier in enumerate([*path, state]):
                    reduced = Reduced.of(earlier, problem)
                    if found := divergence(reduced):
                        return Attempt(found[0], step - len(path) + i, bits, reduced, None, found[1]), watch
            if watch is not None and path:
                verdict, where = watch.cover(path, step - len(path))
                if verdict == "exceeded":
                    return Attempt("exceeded", where, bits), watch
                if verdict == "unclear":
                    return give_up("precision"), watch
            if step >= min(next_try, max_steps):
                proposal = propose_trap(s, w, r, k, eps, bool(beta1.is_zero()))
                if proposal:
                    reduced = Reduced.of(state, problem)
                    region = trap(reduced, *map(_rounded_up, proposal))
                    if region and (tau is None or tail_below(reduced, region, ball(tau))):
                        if watch is not None and tau is None:
                            watch.note(state, step, watch.estimate(state))
                        this_width = bounds(region.hi)[1] - bounds(region.lo)[0]
                        if best_width is None or this_width < best_width:
                            best = Attempt("trapped", step, bits, reduced, region, region.margins)
                            best_width = this_width
                        if best_width <= width:
                            return give_up("trapped"), watch
                # Attempts cost more than a block; 0.4 % of the steps done is a fair price for the next.
                next_try = step + step // 256
            if step >= max_steps:
                return give_up("steps"), watch
            # `not (<=)` is also true for NaN.
            if not float(alpha.rad()) <= WIDEST * max(abs(float(alpha)), edge):
                return give_up("precision"), watch
            if progress is not None and step >= next_report:
                progress(step, float(alpha.rad()))
                next_report = step + REPORT_EVERY
            *path, state = run_balls(state, lr, p, min(BLOCK, max_steps - step))
            step += len(path)
    except KeyboardInterrupt:
        return give_up("interrupted"), watch


def _rounded_up(x: float) -> Fraction:
    """A decimal of 7 digits a little above: parameters of a certificate should be short."""
    return Fraction(f"{x * (1 + 1e-6):.6e}")
