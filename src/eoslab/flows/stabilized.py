"""Gradient flow with many parameters: an explicit integrator whose cost grows with the root of the stiffness.

Near the edge of stability a gradient flow is stiff: its fastest rate is the sharpness S, its slowest may be 10⁵
times less. An implicit method needs linear solves with the Hessian; a classical explicit one (RK45) takes about
S/0.55 gradients per unit of time, however smooth the solution. The Hessian is symmetric, so the rates are real,
and for real rates there are Runge–Kutta–Chebyshev methods, whose s gradients reach as far as 0.65·s²/S. This is
the second-order one with an error estimate of Sommeijer, Shampine and Verwer, *RKC: an explicit solver for
parabolic PDEs*, J. Comput. Appl. Math. 88 (1998) 315–326. The stiffness comes from power iteration on
Hessian-vector products, warm from step to step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FlowState", "advance"]

Floats = NDArray[np.float64]

#: Damping of the Chebyshev polynomials: the published value, which keeps a strip around the real axis stable.
DAMPING = 2 / 13
#: Of the largest eigenvalue found; a power iteration approaches from below.
SAFETY = 1.2
#: The relative change at which a power iteration is called done, and the most products for it.
SETTLED, PRODUCTS = 0.01, 50
#: More stages lose digits to rounding (~ s²·eps) and gain nothing: a step is then shortened instead.
STAGES = 200


@dataclass(frozen=True)
class FlowState:
    """A point of the flow, and what the integrator has learnt so far: all that the rest depends on.

    Attributes:
        w: (n,) the point. time: that has passed since the first state. step: the next step to try, 0 if none.
        top: (n,) the direction of largest curvature, for the power iteration.
        error: sum of the estimated local errors ‖·‖, an estimate of the distance to the exact flow where it
            contracts. gradients, products: that were computed since the first state.
        failure: why the flow cannot go on, or empty.
    """

    w: Floats
    time: float = 0.0
    step: float = 0.0
    top: Floats | None = None
    error: float = 0.0
    gradients: int = 0
    products: int = 0
    failure: str = ""


def advance(
    objective: Any,
    state: FlowState,
    until: float,
    *,
    rtol: float = 1e-5,
    stop: Callable[[Floats, Floats], bool] | None = None,
    gradients: float = math.inf,
) -> tuple[FlowState, bool]:
    """Follow w' = −∇L(w) from ``state`` to the time ``until``; the new state and whether ``stop`` was true.

    Args:
        objective: has ``grad(w)`` and ``hvp(w, v)``.
        rtol: the estimated error of a step may be rtol·‖w‖.
        stop: asked with (w, ∇L(w)) before the first and after each step; ends the flow where it is true.
        gradients: the most gradients to compute from here on; the flow then ends early, at its state's time.

    A loss that is not finite, or steps that vanish, end the flow with ``failure``; nothing is raised.

    >>> from eoslab.models import Quadratic
    >>> flow, _ = advance(Quadratic(lambda1=100.0, lambda2=0.1), FlowState(np.ones(2)), 1.0, rtol=1e-7)
    >>> flow.time, bool(np.abs(flow.w - np.exp([-100.0, -0.1])).max() < 1e-6)
    (1.0, True)
    """
    if state.failure:
        return state, False
    w, t, h, top = np.asarray(state.w, dtype=np.float64), state.time, state.step, state.top
    error, spent, products, failure = state.error, 0, 0, ""
    slope = _gradient(objective, w)
    spent += 1
    reached = stop is not None and stop(w, slope)
    radius = 0.0
    with np.errstate(all="ignore"):  # what overflows ends the flow, as a failure
        while t < until and not reached and not failure and spent < gradients:
            if radius == 0.0:
                radius, top, used = _radius(objective, w, top, slope)
                products += used
            size = float(np.linalg.norm(w)) + 1e-300
            if h == 0.0:  # the first step ever: one that moves w by little
                h = min(until - t, 0.01 * size / (float(np.linalg.norm(slope)) + 1e-300))
            # so many stages are affordable; a shorter step needs fewer
            h_most = (STAGES**2 - 1) / (1.54 * radius) if radius > 0 else math.inf
            trial = min(h, h_most, until - t)
            stages = max(2, 1 + math.ceil(math.sqrt(1.54 * trial * radius + 1)))
            new, slope_new = _step(objective, w, slope, trial, stages)
            spent += stages
            estimate = 0.8 * (w - new) - 0.4 * trial * (slope + slope_new)
            local = float(np.linalg.norm(estimate))
            ratio = local / (rtol * size)
            if not ratio <= 1.0:
                # also where it is not finite; the stiffness may have been underestimated
                h = trial * (max(0.1, 0.8 * ratio ** (-1 / 3)) if math.isfinite(ratio) else 0.1)
                radius = 0.0
                if h <= 1e-14 * max(t, until):
                    failure = f"stopped at time {t:.6g}: no step is small enough"
                continue
            last = trial >= until - t
            t, w, slope, error = until if last else t + trial, new, slope_new, error + local
            grown = trial * min(5.0, 0.8 * (ratio + 1e-12) ** (-1 / 3))
            # a step that was cut short by the end of the stretch says little about the next
            h = max(h, grown) if trial < h else grown
            reached = stop is not None and stop(w, slope)
            radius = 0.0
    return (
        FlowState(
            w, t, h, top, error, state.gradients + spent, state.products + products, failure
        ),
        reached,
    )  # fmt: skip


def _gradient(objective: Any, w: Floats) -> Floats:
    return np.asarray(objective.grad(w), dtype=np.float64)


def _radius(objective: Any, w: Floats, top: Floats | None, slope: Floats) -> tuple[float, Floats, int]:
    """An upper estimate of the spectral radius of the Hessian, its direction and the products it took."""
    if top is None or not np.isfinite(top).all():
        # a little of everything: the gradient alone may be orthogonal to what is stiff
        noise = np.random.default_rng(0).standard_normal(len(w))
        top = slope / (np.linalg.norm(slope) + 1e-300) + noise / np.linalg.norm(noise)
    v = top / np.linalg.norm(top)
    value = 0.0
    for count in range(1, PRODUCTS + 1):
        u = np.asarray(objective.hvp(w, v), dtype=np.float64)
        before, value = value, float(np.linalg.norm(u))
        if not math.isfinite(value) or value == 0.0:
            return 0.0, v, count
        v = u / value
        if abs(value - before) <= SETTLED * value:
            break
    return SAFETY * value, v, count


def _step(objective: Any, w: Floats, slope: Floats, h: float, stages: int) -> tuple[Floats, Floats]:
    """One step of length h with so many stages: the new point and its gradient (``stages`` gradients in all)."""
    first, coefficients = _coefficients(stages)
    older, old, g = w, w - first * h * slope, slope
    for mu, nu, mu_f, gamma in coefficients:
        g = _gradient(objective, old)
        new = (1 - mu - nu) * w + mu * old + nu * older - h * (mu_f * g + gamma * slope)
        older, old = old, new
    return old, _gradient(objective, old)


@lru_cache(maxsize=256)
def _coefficients(s: int) -> tuple[float, tuple[tuple[float, float, float, float], ...]]:
    """μ̃₁ and (μ, ν, μ̃, γ̃) of stage j = 2 … s; the names are those of the paper."""
    w0 = 1 + DAMPING / s**2
    # T_j, T_j′, T_j″ at w0
    T, D, E = [1.0, w0], [0.0, 1.0], [0.0, 0.0]
    for _ in range(2, s + 1):
        E.append(2 * w0 * E[-1] - E[-2] + 4 * D[-1])
        D.append(2 * w0 * D[-1] - D[-2] + 2 * T[-1])
        T.append(2 * w0 * T[-1] - T[-2])
    w1 = D[s] / E[s]
    b = [E[j] / D[j] ** 2 if j >= 2 else 0.0 for j in range(s + 1)]
    b[0] = b[1] = b[2]
    a = [1 - b[j] * T[j] for j in range(s + 1)]
    rows = []
    for j in range(2, s + 1):
        mu_f = 2 * b[j] * w1 / b[j - 1]
        rows.append((2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], mu_f, -a[j - 1] * mu_f))
    return b[1] * w1, tuple(rows)
