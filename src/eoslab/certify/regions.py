"""Where the future of a trajectory is known: the trapping region (Theorem 5.1), divergence (Theorem 5.3) and the
sharpness inside the trapping region, as finitely many inequalities in balls.

Every function here takes Arb balls and decides by python-flint's comparisons, which are true only if they hold
for all members of the balls. The two functions named ``propose_…`` are floating-point searches for parameters;
what they propose is believed only after it was verified in balls.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, isfinite, log
from typing import Any, TypeAlias

from flint import arb, fmpq

from eoslab.certify.problem import Problem

__all__ = [
    "Reduced",
    "Trap",
    "ball",
    "bounds",
    "divergence",
    "propose_tail",
    "propose_trap",
    "seems_divergent",
    "tail_below",
    "trap",
]

Ball: TypeAlias = Any
State: TypeAlias = tuple[Ball, Ball, Ball]


def ball(x: Fraction) -> Ball:
    """The tightest ball around a rational number at the working precision."""
    return arb(fmpq(x.numerator, x.denominator))


def _fraction(x: Ball) -> Fraction:
    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def bounds(x: Ball) -> tuple[Fraction, Fraction]:
    """Exact rationals [lo, hi] that enclose a finite ball."""
    return _fraction(x.lower()), _fraction(x.upper())


@dataclass(frozen=True)
class Reduced:
    """The reduced state (s, w, r) with the parameters (k, ε) of THEORY §0, in balls.

    ``dead`` says that β1 = 0 exactly. Then w = 0 for ever, and of Theorem 5.1 the conditions s₊ < 2 and m < 1,
    which only serve to sum w, are not needed.
    """

    s: Ball
    w: Ball
    r: Ball
    k: Ball
    eps: Ball
    dead: bool

    @classmethod
    def of(cls, state: State, problem: Problem) -> Reduced:
        """The reduced coordinates of θ = (α, β1, β2)."""
        alpha, beta1, beta2 = state
        h1 = ball(problem.h1)
        return cls(
            h1 * alpha**2,
            h1 * beta1**2,
            alpha * beta2 / ball(problem.b) - 1,
            ball(problem.k),
            ball(problem.eps),
            bool(beta1.is_zero()),
        )


# -- Theorem 5.1 --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trap:
    """A verified trapping region: s_t ∈ [lo, hi] for ever, with all quantities of Theorem 5.1 in balls."""

    D: Fraction
    R: Fraction
    lo: Ball
    hi: Ball
    rho: Ball
    m: Ball
    g: Ball
    margins: tuple[tuple[str, Ball], ...]


def trap(x: Reduced, D: Fraction, R: Fraction) -> Trap | None:
    """The trapping region of Theorem 5.1 around a state, or None where an inequality is not certain.

    With s± = s·e^{±D}, m = max (1−s±)², ρ = max( max_± [s±/k + (ε/s±)(1+R)²] − 1, 1 − s₋/k − (ε/s₊)(1−R)² ):

        s₊ < 2,  s₊ ≤ k,  m < 1,  ρ < 1,  |r| ≤ R < 1,  (1+R)w/(1−ρ) ≤ R,  g = w + (ε/s₋)(1+R)R < 1,
        D ≥ 2/(1−g)·[ w/(1−m) + (ε(1+R)/s₋)·(|r| + (1+R)w/(1−m))/(1−ρ) ].
    """
    s, w, r, k, eps = x.s, x.w, abs(x.r), x.k, x.eps
    d, cap = ball(D), ball(R)
    lo, hi = s * (-d).exp(), s * d.exp()
    low, high = eps / lo, eps / hi
    rho = (
        (lo / k + low * (1 + cap) ** 2 - 1)
        .max(hi / k + high * (1 + cap) ** 2 - 1)
        .max(1 - lo / k - high * (1 - cap) ** 2)
    )
    m = arb(0) if x.dead else ((1 - lo) ** 2).max((1 - hi) ** 2)
    g = w + low * (1 + cap) * cap
    sum_w = w / (1 - m)
    sum_r = (r + (1 + cap) * sum_w) / (1 - rho)
    drift = 2 / (1 - g) * (sum_w + low * (1 + cap) * sum_r)
    margins = [
        ("0 < s₋", lo),
        ("s₊ < k", k - hi),
        ("ρ < 1", 1 - rho),
        ("R < 1", 1 - cap),
        ("|r| < R", cap - r),
        ("(1+R)w/(1−ρ) < R", cap - (1 + cap) * w / (1 - rho)),
        ("g < 1", 1 - g),
        ("drift of log s < D", d - drift),
    ]
    if not x.dead:
        margins += [("s₊ < 2", 2 - hi), ("m < 1", 1 - m)]
    if not all(margin > 0 for _, margin in margins):
        return None
    return Trap(D, R, lo, hi, rho, m, g, tuple(margins))


def propose_trap(s: float, w: float, r: float, k: float, eps: float, dead: bool) -> tuple[float, float] | None:
    """The smallest (D, R) that looks like a trapping region in floating point, or None.

    D ↦ drift(D) increases, so its least fixed point is reached from D = 0; each round asks for a little more
    than it needs, which ends the iteration and leaves room for the verification in balls.
    """
    r = abs(r)
    ceiling = k if dead else min(2.0, k)
    # Below 1e-100 the floats of this search underflow; such a state is not about to be trapped.
    if not (1e-100 < s < ceiling and w < 0.5 and r < 0.9):
        return None
    room = log(ceiling / s)
    D, R = 0.0, max(r, 1e-30)
    for _ in range(60):
        if room <= D:
            return None
        lo, hi = s * exp(-D), s * exp(D)
        m = 0.0 if dead else max((1 - lo) ** 2, (1 - hi) ** 2)
        if m >= 1.0:
            return None
        for _ in range(20):
            up = (1 + R) ** 2
            rho = max(lo / k + eps / lo * up - 1, hi / k + eps / hi * up - 1, 1 - lo / k - eps / hi * (1 - R) ** 2)
            if rho >= 1.0:
                return None
            need = max(r, (1 + R) * w / (1 - rho))
            if need < R:
                break
            R = need * (1 + 1e-6) + 1e-30
            if R >= 1.0:
                return None
        g = w + eps / lo * (1 + R) * R
        if g >= 1.0 or need >= R:
            return None
        sum_w = w / (1 - m)
        drift = 2 / (1 - g) * (sum_w + eps / lo * (1 + R) * (r + (1 + R) * sum_w) / (1 - rho))
        if drift < D:
            return D, R
        D = drift * (1 + 1e-4) + 1e-15
    return None


# -- the sharpness inside the region ------------------------------------------------------------------------


def tail_below(x: Reduced, t: Trap, tau: Ball) -> bool:
    """Whether η·S < τ at every point of the trapping region, for all later times.

    With d1 = τ − s > 0 and d2 = τ − s/k > 0, τ·I − ηH is positive definite iff its Schur complement is > 0:
    τ − w − ε(1+r)²/s − 4sw/d1 − (ε/k)(1+2r)²/d2 (Prop 1.2; Prop 1.3 is a consequence and slightly weaker).
    It is bounded from below on s ∈ [s₋, s₊], w ≤ w_N, |r| ≤ R.
    """
    cap = ball(t.R)
    d1, d2 = tau - t.hi, tau - t.hi / x.k
    if not (d1 > 0 and d2 > 0):
        return False
    spread = 4 * t.hi * x.w / d1 + x.eps / x.k * (1 + 2 * cap) ** 2 / d2
    return bool(tau - x.w - x.eps * (1 + cap) ** 2 / t.lo - spread > 0)


def propose_tail(x: Reduced, t: Trap) -> float:
    """A τ, good to about 10⁻¹¹, for which :func:`tail_below` should hold (a floating-point bisection)."""
    lo, hi, w, k, eps, cap = float(t.lo), float(t.hi), float(x.w), float(x.k), float(x.eps), float(t.R)
    corner = w + eps * (1 + cap) ** 2 / lo

    def short(tau: float) -> bool:
        d1, d2 = tau - hi, tau - hi / k
        if d1 <= 0.0 or d2 <= 0.0:
            return True
        return tau - corner - 4 * hi * w / d1 - eps / k * (1 + 2 * cap) ** 2 / d2 <= 0.0

    left = max(hi, hi / k, corner)
    gap = 1e-12 * left
    while short(left + gap):
        gap *= 2
    right, left = left + gap, left + gap / 2 if gap > 2e-12 * left else left
    for _ in range(60):
        middle = (left + right) / 2
        left, right = (middle, right) if short(middle) else (left, middle)
    return right * (1 + 2.0**-36)


# -- Theorem 5.3 --------------------------------------------------------------------------------------------


def divergence(x: Reduced) -> tuple[str, tuple[tuple[str, Ball], ...]] | None:
    """Which of (D1), (D2) of Theorem 5.3 certainly holds, with its margins, or None.

    (D1) s ≥ 2 and w > 2 + ε/(4s);  (D2) |p| > 1, s(1−1/|p|) ≥ 2k and w + n(1−1/|p|) > 2, where p = 1 + r and
    n = ηλ2β2² = εp²/s. (D2 also needs k ≥ 1, which :class:`Problem` grants.)
    """
    one = (("s ≥ 2", x.s - 2), ("w > 2 + ε/(4s)", x.w - 2 - x.eps / (4 * x.s)))
    if one[0][1] >= 0 and one[1][1] > 0:
        return "divergence-D1", one
    p = abs(1 + x.r)
    if not p > 1:
        return None
    factor = 1 - 1 / p
    two = (
        ("|p| > 1", p - 1),
        ("s(1−1/|p|) ≥ 2k", x.s * factor - 2 * x.k),
        ("w + n(1−1/|p|) > 2", x.w + x.eps * p**2 / x.s * factor - 2),
    )
    if two[1][1] >= 0 and two[2][1] > 0:
        return "divergence-D2", two
    return None


def seems_divergent(s: float, w: float, r: float, k: float, eps: float) -> bool:
    """Floating-point screening for :func:`divergence`; also true where a number left the float range."""
    if not (isfinite(s) and isfinite(w) and isfinite(r)):
        return True
    if s >= 2.0 and w > 2.0:
        return True
    p = abs(1.0 + r)
    return p > 1.0 and s * (1.0 - 1.0 / p) >= 2.0 * k
