"""Inequalities that decide the future of a run from one state (Theorems 5.1 and 5.3, Prop 0.3).

Pure functions of (s, w, r; k, ε), number-generic: on balls a predicate is True only where it certainly holds,
so a True is a proof whenever the state is an enclosure of the true one. On arrays they broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eoslab.core.numbers import Num, exp, maximum, minimum, where

__all__ = [
    "D_FRACTIONS",
    "Trap",
    "diverges_d1",
    "diverges_d2",
    "no_stable_minimiser",
    "search_trapping",
    "trapping",
]

#: Fractions f of log(2/s0) that are tried for D. f = 1 violates s₊ < 2, and many runs need f close to it.
D_FRACTIONS: tuple[float, ...] = tuple(
    np.concatenate([np.geomspace(1e-9, 0.5, 28)[:-1], np.linspace(0.5, 0.99, 50)]).tolist()
)


@dataclass(frozen=True)
class Trap:
    """The trapping region of Theorem 5.1 around one state.

    ``holds``: every inequality is satisfied. Then s stays in [s_lo, s_hi] for ever, w_t ≤ w0·mᵗ, |r_t| ≤ R with
    |r_{t+1}| ≤ ρ|r_t| + (1+R)w_t, and gradient descent converges to a minimiser with ηλ1α∞² in [s_lo, s_hi].
    ``needed`` is the right-hand side of the last inequality, D ≥ needed.
    """

    holds: Any
    D: Num
    s_lo: Num
    s_hi: Num
    m: Num
    rho: Num
    R: Num
    g: Num
    needed: Num


def contraction(s_lo: Num, s_hi: Num, R: Num, k: Num, eps: Num) -> Num:
    """ρ: a bound of |1 − s/k − (ε/s)(1+ϱ)(1+ϱ(1−s/k))| for s in [s_lo, s_hi], |ϱ| ≤ R."""
    steep = eps * (1 + R) ** 2
    top = maximum(s_lo / k + steep / s_lo, s_hi / k + steep / s_hi) - 1
    return maximum(top, 1 - s_lo / k - eps / s_hi * (1 - R) ** 2)


def trapping(s0: Num, w0: Num, r0: Num, k: Num, eps: Num, D: Num, R: Num | None = None) -> Trap:
    """Theorem 5.1 for one state and one D > 0.

    ``R`` < 1 is free; by default it is taken one per cent above the least admissible value, found by three
    substitutions (a bad R can only make the test fail, never make it wrong).

    >>> trapping(1.9, 1e-9, -1e-6, 1000.0, 0.004, 0.04).holds
    True
    """
    spread = exp(D)
    s_lo, s_hi = s0 / spread, s0 * spread
    m = maximum((1 - s_lo) ** 2, (1 - s_hi) ** 2)
    size = abs(r0)
    if R is None:
        R = size
        for _ in range(3):
            gap = 1 - contraction(s_lo, s_hi, R, k, eps)
            R = minimum(maximum(size, (1 + R) * w0 / where(gap > 0, gap, gap * 0 + 1)) * 1.01, size * 0 + 0.5)
    rho = contraction(s_lo, s_hi, R, k, eps)
    gap = where(1 - rho > 0, 1 - rho, rho * 0 + 1e-300)
    fade = where(1 - m > 0, 1 - m, m * 0 + 1e-300)
    g = w0 + eps / s_lo * (1 + R) * R
    kept = where(1 - g > 0, 1 - g, g * 0 + 1e-300)
    kicks = (1 + R) * w0
    needed = 2 / kept * (w0 / fade + eps * (1 + R) / s_lo * (size + kicks / fade) / gap)
    holds = (
        (D > 0) & (s0 > 0) & (s_hi < 2) & (s_hi <= k) & (m < 1) & (rho < 1) & (R < 1) & (size <= R)
        & (kicks / gap <= R) & (g < 1) & (needed <= D)
    )  # fmt: skip
    return Trap(holds, D, s_lo, s_hi, m, rho, R, g, needed)


def search_trapping(
    s0: float, w0: float, r0: float, k: float, eps: float, *, tightest: bool = True
) -> Trap | None:
    """The smallest of the tried D for which Theorem 5.1 holds at this state (floats), or None.

    All candidates D = f·log(2/s0), f in :data:`D_FRACTIONS`, are tested at once, and the smallest that holds is
    shrunk further by substitution: the smallest D gives the tightest enclosure of the limit. ``tightest=False``
    takes the D with the most room between D and what is needed, which is what a certificate wants whose state is
    known to few digits.
    """
    if not (0 < s0 < 2 and 0 <= w0 < 1 and abs(r0) < 1):
        return None
    D = np.log(2 / s0) * np.asarray(D_FRACTIONS)
    one = np.ones_like(D)
    with np.errstate(all="ignore"):
        trap = trapping(s0 * one, w0 * one, r0 * one, k, eps, D)
    found = np.flatnonzero(trap.holds)
    if not len(found):
        return None
    i = found[0] if tightest else found[np.argmax(D[found] / np.maximum(trap.needed[found], 1e-300))]
    best = trapping(s0, w0, r0, k, eps, float(D[i]), R=float(trap.R[i]))
    # What is needed shrinks with D, so D ← needed(D) descends to the least D of this shape.
    while tightest:
        tighter = trapping(s0, w0, r0, k, eps, float(best.needed) * (1 + 1e-6))
        if not (tighter.holds and tighter.D < 0.999 * best.D):
            break
        best = tighter
    return best


def diverges_d1(s: Num, w: Num, eps: Num) -> Any:
    """(D1): s ≥ 2 and w > 2 + ε/(4s). Then |α| and |β1| grow without bound (Theorem 5.3)."""
    return (s >= 2) & (w > 2 + eps / (4 * s))


def diverges_d2(s: Num, w: Num, nu: Num, r: Num, k: Num) -> Any:
    """(D2): |p| > 1, s(1−1/|p|) ≥ 2k, w + n(1−1/|p|) > 2 with p = 1+r, n = ηλ2β2² = ν/k (Theorem 5.3)."""
    size = abs(1 + r)
    # Multiplied through by |p|, so that p = 0 needs no care.
    return (size > 1) & (s * (size - 1) >= 2 * k * size) & (w * size + nu / k * (size - 1) > 2 * size)


def no_stable_minimiser(h: Num, h1: Num) -> Any:
    """Prop 0.3: True if every minimiser has sharpness above 2/η. Then GD converges from a null set only.

    Decided without division: (h1 > 2 and ε > 4(1 − 1/k)) or (h1 ≤ 2 and h > 1), where ε·h1 > 4(h1 − h).
    """
    return ((h1 > 2) & (h * h1**2 > 4 * (h1 - h))) | ((h1 <= 2) & (h > 1))
