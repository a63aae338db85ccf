"""A reference trajectory in plain Python, for checks that bring no trajectory of their own.

β1 is carried as mantissa and exponent: in ordinary runs it falls to 1e−100 and below before the edge is reached,
and a run that loses it there "converges" to a minimiser above 2/η that exact arithmetic leaves again.
"""

from __future__ import annotations

import math

import numpy as np

from eoslab.theory.certificate import diverges_d1, diverges_d2, search_trapping
from eoslab.theory.context import FAR, Trajectory

__all__ = ["orbit"]

TINY, HUGE, SHIFT = 2.0**-500, 2.0**500, 500


def orbit(
    lambda1: float,
    lambda2: float,
    lr: float,
    w0: tuple[float, float, float],
    steps: int,
    *,
    b: float = 1.0,
    floor: float | None = None,
    cap: bool = False,
    settle: bool = True,
) -> Trajectory:
    """Gradient descent from w0 for at most ``steps`` steps, every step recorded.

    ``floor``: |β1| ← max(|β1|, floor) after each step, released for good once q ≤ 2ηλ1·floor² (Theorem 4.8).
    ``cap``: |α| ← min(|α|, α_e) (Theorem 4.9). With ``settle`` the run ends as soon as its future is decided:
    by the trapping region of Theorem 5.1 (looked for every 512 steps of plain GD) or by divergence (Theorem 5.3).
    """
    h1, h = lr * lambda1, lr * lambda2
    hb, eps, k = h * b, h * h1 * b * b, lambda1 / lambda2
    edge = math.sqrt(2 / h1)
    w_min = 0.0 if floor is None else h1 * floor**2
    alpha, beta1, beta2 = w0
    exponent = 0
    if beta1 != 0 and abs(beta1) < TINY:
        beta1, exponent = beta1 * HUGE, -SHIFT
    released = floor is None
    rows, logs = [w0], [_log10(beta1, exponent)]
    for t in range(1, steps + 1):
        w = h1 * beta1 * beta1 if exponent == 0 else 0.0
        a2 = alpha * alpha
        alpha, beta1, beta2 = (
            alpha * (1 - w - h * beta2 * beta2) + hb * beta2,
            beta1 * (1 - h1 * a2),
            beta2 * (1 - h * a2) + hb * alpha,
        )
        size = abs(beta1)
        if size < TINY and size != 0:
            beta1, exponent = beta1 * HUGE, exponent - SHIFT
        elif exponent < 0 and size >= 1:
            beta1, exponent = beta1 * TINY, exponent + SHIFT
        if not released and floor is not None:
            r = alpha * beta2 / b - 1
            if -eps * r * (1 + r) <= 2 * w_min:
                released = True
            elif exponent < 0 or abs(beta1) < floor:
                beta1, exponent = math.copysign(floor, beta1), 0
        if cap and abs(alpha) > edge:
            alpha = math.copysign(edge, alpha)
        rows.append((alpha, math.ldexp(beta1, exponent) if exponent else beta1, beta2))
        logs.append(_log10(beta1, exponent))
        if not (abs(alpha) < FAR and size < FAR and abs(beta2) < FAR):
            break
        if settle and t % 512 == 0:
            s, w = h1 * alpha * alpha, h1 * rows[-1][1] ** 2
            r = alpha * beta2 / b - 1
            if released and not cap and search_trapping(s, w, r, k, eps) is not None:
                break
            if s and (diverges_d1(s, w, eps) or diverges_d2(s, w, h1 * beta2**2, r, k)):
                break
    return Trajectory.of(np.array(rows), np.array(logs))


def _log10(mantissa: float, exponent: int) -> float:
    if mantissa == 0:
        return -math.inf
    return math.log10(abs(mantissa)) + exponent * math.log10(2.0)
