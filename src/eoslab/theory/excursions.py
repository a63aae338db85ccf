"""Phase II, one excursion at a time: overshoot, peak, undershoot, re-entry (docs/theory, 4.2–4.5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eoslab.core.numbers import Num, exp, log, maximum, minimum, sqrt, where
from eoslab.theory.context import Context, segment
from eoslab.theory.sharpening import Entry, entry, peak_q, stability_number
from eoslab.theory.statement import Assumption, Evidence, Hypothesis, Quantity, Statement, at_least, at_most

__all__ = [
    "STATEMENTS",
    "after_peak",
    "dip_bound",
    "first_overshoot",
    "overshoot_bound",
    "overshoot_lower",
    "peak_bound",
    "peak_bound_1",
    "peak_bound_2",
    "phi",
    "phi_inverse",
    "psi",
    "reentry_bound",
    "step_up",
]

REFERENCE = "docs/theory/edge.md"


def phi(x: Num) -> Num:
    """Φ(x) = (1+x)log(1+x) − x = ∫₀ˣ log(1+y)dy ≈ x²/2, without cancellation for small x."""
    if isinstance(x, (float, int, np.ndarray, np.generic)):
        y = np.asarray(x, dtype=float)
        # Below 1e-3 the series to order five is exact to float64.
        series = y**2 * (0.5 - y * (1 / 6 - y * (1 / 12 - y * (1 / 20 - y / 30))))
        with np.errstate(all="ignore"):
            out = np.where(np.abs(y) < 1e-3, series, (1 + y) * np.log1p(y) - y)
        return float(out) if out.ndim == 0 else out
    return (1 + x) * log(1 + x) - x


def psi(u: Num) -> Num:
    """Ψ(u) = u + (1−u)log(1−u) = −∫₀ᵘ log(1−y)dy ≈ u²/2."""
    return phi(-u)


def phi_inverse(y: Num) -> Num:
    """The x ≥ 0 with Φ(x) = y ≥ 0, from above: the value returned is never too small (up to rounding).

    Newton's method on a convex increasing function, started right of the root, decreases to it, so each iterate
    is an upper bound; on balls the last one is returned after checking Φ(x) ≥ y, which makes the bound certain.
    """
    # Φ(x) ≥ x²/2 − x³/6 and Φ(x) ≥ x log(1+x)/2; the start √(2y) + y lies right of the root.
    if isinstance(y, (float, int, np.ndarray, np.generic)):
        a = np.asarray(y, dtype=float)
        x = np.sqrt(2 * a) + a
        for _ in range(60):
            with np.errstate(all="ignore"):
                new = np.where(x > 0, x - (phi(x) - a) / np.where(x > 0, np.log1p(x), 1.0), 0.0)
            if np.all(new >= x * (1 - 1e-16)):
                break
            x = np.minimum(new, x)
        x = np.maximum(x, 0.0)
        return float(x) if x.ndim == 0 else x
    x = y * 0 + phi_inverse(float(y)) * (1 + 1e-12)
    for _ in range(20):
        if phi(x) >= y:
            return x
        x = x * (1 + 1e-6)
    # At this working precision Φ cannot be told from y (both tiny): the start of the iteration is a bound.
    return sqrt(2 * y) + y


def step_up(q_bar: Num) -> Num:
    """v = 2q̄ + q̄²/2, the most by which s ≥ 2 rises in one step."""
    return 2 * q_bar + q_bar**2 / 2


def overshoot_bound(q_bar: Num, log_w: Num) -> Num:
    """Theorem 4.2: Z ≤ 2v + Φ⁻¹((v/2)·log⁺(q̄/2w_τ)), from log w_τ (which may be below the float range)."""
    v = step_up(q_bar)
    gain = log(q_bar / 2) - log_w
    return 2 * v + phi_inverse(v / 2 * maximum(gain, 0 * gain))


def overshoot_lower(q_lo: Num, z_max: Num, log_w: Num) -> Num:
    """Theorem 4.2, other side: a lower bound of Φ(Z), (q_lo/2)·log⁺(q_lo/(2(2+Z̄)w_τ))."""
    gain = log(q_lo / (2 * (2 + z_max))) - log_w
    return q_lo / 2 * maximum(gain, 0 * gain)


#: Multiples M of q̄ at which the proof of Prop 4.3 starts to sum; M = 1 is best for large q̄, large M for small.
MULTIPLES = (1, 2, 4, 8, 16)


def peak_bound_1(Z: Num, w_start: Num, q_bar: Num, M: int = 1) -> Num:
    """W₁ of Prop 4.3: max(w_τ, (1+Z)²Mq̄) + Z²(2+Z)κ, κ = M/(4M−2)."""
    return maximum(w_start, (1 + Z) ** 2 * M * q_bar) + Z**2 * (2 + Z) * M / (4 * M - 2)


def peak_bound_2(Z: Num, w_start: Num, q_bar: Num, M: int = 1) -> Num:
    """W₂ of Prop 4.3, valid where κCZ < 1 with C = (2+Z)Z/2 + (2+Z)², κ = M/(4M−2)."""
    C = (2 + Z) * Z / 2 + (2 + Z) ** 2
    first = maximum(w_start, (1 + Z) ** 2 * M * q_bar)
    rise = q_bar * (1 + Z / 2) / 2 * log(peak_bound_1(Z, w_start, q_bar, M) / (M * q_bar))
    return (Z**2 / 4 + first + rise) / (1 - C * Z * M / (4 * M - 2))


def peak_bound(Z: Num, w_start: Num, q_bar: Num) -> Num:
    """W(Z, w_τ, q̄) of Prop 4.3: the least of W₁ and, where valid, W₂ over the multiples M."""
    best = peak_bound_1(Z, w_start, q_bar)
    C = (2 + Z) * Z / 2 + (2 + Z) ** 2
    for M in MULTIPLES:
        best = minimum(best, peak_bound_1(Z, w_start, q_bar, M))
        valid = C * Z * M < 4 * M - 2
        if isinstance(valid, np.ndarray):
            with np.errstate(all="ignore"):
                best = np.where(valid, np.fmin(best, peak_bound_2(Z, w_start, q_bar, M)), best)
        elif valid:
            best = minimum(best, peak_bound_2(Z, w_start, q_bar, M))
    return best


def after_peak(Z: Num, W: Num) -> Num:
    """Bound of w_N, one step after the peak: W·min((1+Z)², (2/(1−W)² − 1)²), the second where W < 1.

    s_N ≤ 2 and G ≥ 1−w leave s_{N−1} ≤ 2/(1−W)²: the last step of an excursion starts close to the edge.
    """
    gap = where(W < 1, 1 - W, 0 * W + 1)
    late = where(W < 1, (2 / gap**2 - 1) ** 2, (1 + Z) ** 2)
    return W * minimum((1 + Z) ** 2, late)


#: Values of θ that Prop 4.4 is used with; the best lies between 1/8 (small w) and 1/2.
THETAS = (0.5, 0.4, 0.3, 0.22, 0.16, 0.1, 0.05)


def dip_bound(w: Num) -> Num:
    """B(w) of Prop 4.4: min over θ ≤ ½ of max(4w/θ, U_θ(w)), where U = U_θ solves

        U²(1−θ²)/4 = w + 4w²(1 + 1/(1−(1−θU)⁴)).

    The right-hand side falls with U, so U ← T(U) (the equation solved for the left U) jumps across the root each
    time: from 4/3, where T(4/3) ≤ 4/3, an even number of substitutions ends at or above the root. Elsewhere, and
    never more than, the closed form min(max(10.8w, √(32w/3)), max(24w, √(6.4w))) is returned.
    """
    best = minimum(maximum(54 * w / 5, sqrt(32 * w / 3)), maximum(24 * w, sqrt(32 * w / 5)))
    for theta in THETAS:
        top = _descent(0 * w + 4 / 3, w, theta)
        small, U = top <= 4 / 3, top
        for _ in range(5):
            U = _descent(minimum(U, 0 * w + 4 / 3), w, theta)
        best = where(small, minimum(best, maximum(4 * w / theta, U)), best)
    return best


def _descent(U: Num, w: Num, theta: float) -> Num:
    # A dip with w = 0 has U = 0: the geometric sum is kept finite there.
    rate = 1 - (1 - theta * U) ** 4
    rate = where(rate > 1e-12, rate, rate * 0 + 1e-12)
    return 2 * sqrt((w + 4 * w**2 * (1 + 1 / rate)) / (1 - theta**2))


def reentry_bound(w_start: Num, q_lo: Num, depth: Num) -> Num:
    """Prop 4.5: w_τ' ≥ min(w_N, ¼q_lo(1−U)²)·(1−U)²·exp(−(2/q_lo)Ψ(U))."""
    keep = (1 - depth) ** 2
    return minimum(w_start, q_lo * keep / 4) * keep * exp(-2 / q_lo * psi(depth))


def first_overshoot(
    alpha0: float, beta10: float, beta20: float, h: float, h1: float, *, log_w0: float | None = None
) -> tuple[tuple[Hypothesis, ...], float | None]:
    """Bound of the first overshoot from θ0 alone: Theorem 3.2 with (3.2), the corollary of 4.2, Theorem 4.2.

    Returns (hypotheses, Z): before and in the first excursion 1+r ≥ 1+r0, so q̄ = max of q over [r0, 0].
    """
    return _first_overshoot(entry(alpha0, beta10, beta20, h, h1, log_w0=log_w0), alpha0, beta10, beta20, h, h1)


def _first_overshoot(
    e: Entry, alpha0: float, beta10: float, beta20: float, h: float, h1: float
) -> tuple[tuple[Hypothesis, ...], float | None]:
    eps, k = h * h1, h1 / h
    if not e.holds or e.log_w_T1 is None:
        return (*e.hypotheses, at_least("s0 > 1", h1 * alpha0**2, 1, strict=True)), None
    q_bar = float(peak_q(alpha0 * beta20 - 1, eps))
    Z = float(overshoot_bound(q_bar, e.log_w_T1))
    # s_{τ−1} ≥ 2 − 3q̄ or s_{T1} would not be reached; (N) is convex in s, so two ends decide.
    before = 2 - 3 * eps / 4
    number = max(stability_number(s, k, eps) for s in (before, 2 + Z)) if before > 0 else math.inf
    room = min(1 - number, before - eps / 4)
    # The overshoot bound speaks about G > 0. While w < 1 and q ≥ 0 that is so; at the first index with w ≥ 1
    # Prop 4.3, which holds up to it, would give w ≤ W.
    W = float(peak_bound(Z, h1 * beta10**2, q_bar))
    hypotheses = (
        *e.hypotheses,
        Hypothesis("N on [2 - 3 eps/4, 2 + Z]", room >= 0, room),
        at_most("W(Z, w0, q) < 1", W, 1, strict=True),
    )
    return hypotheses, Z


# -- statements -------------------------------------------------------------------------------------------


def _windows(c: Context) -> dict[str, Any]:
    """The excursions that were entered from below, with what the propositions ask of them."""
    ex = c.excursions
    # The cap stops every rise at the edge: its runs have no excursions to speak of.
    keep = (ex.start > 0) & (not c.cap)
    start, end = ex.start[keep], ex.end[keep]
    before = start - 1
    peak = segment(np.maximum, c.z, start, end)
    G = np.nan_to_num(c.G, nan=-1.0)
    return {
        "start": start,
        "end": end,
        "peak": peak,
        "argmax": np.array([a + int(np.argmax(c.z[a:b])) for a, b in zip(start, end, strict=True)], dtype=int),
        "q_max": segment(np.maximum, c.q, before, end),
        "q_min": segment(np.minimum, c.q, start, end),
        "G_min": segment(np.minimum, G, before, end),
        "closed": end <= c.T,
        "w_max": segment(np.maximum, c.w, start, end),
    }


def _overshoot(c: Context) -> Evidence:
    a_priori, Z0 = (
        _first_overshoot(c.entry, float(c.alpha[0]), float(c.beta1[0]), float(c.beta2[0]), c.h, c.h1)
        if c.dynamics == "gd"
        else ((), None)
    )
    usable_a_priori = Z0 is not None and all(x.holds for x in a_priori)
    predicted: dict[str, Quantity] = {}
    measured: dict[str, Quantity] = {}
    fine: list[bool] = []
    x: dict[str, Any] = _windows(c) if c.has_run else {"start": np.empty(0)}
    n = len(x["start"])
    if usable_a_priori:
        predicted["first_overshoot_from_start"] = (0.0, Z0 or 0.0)
        measured["first_overshoot_from_start"] = float(x["peak"][0]) if n else None
        if n and x["start"][0] == c.T1:
            fine.append(bool(x["peak"][0] <= (Z0 or 0.0) + 1e-9))
    ok = np.zeros(0, bool)
    if n:
        q_bar = np.maximum(x["q_max"], 0) * (1 + 1e-12)
        ok = (x["G_min"] > 0) & (c.s[x["start"] - 1] >= q_bar) & (q_bar > 0) & np.isfinite(c.log_w[x["start"]])
    if ok.any():
        log_w, q_ok = c.log_w[x["start"]][ok], q_bar[ok]
        upper = np.asarray(overshoot_bound(q_ok, log_w))
        lower = np.zeros_like(upper)
        two = x["closed"][ok] & (x["q_min"][ok] > 0)
        with np.errstate(all="ignore"):
            lower[two] = phi_inverse(overshoot_lower(x["q_min"][ok][two], x["peak"][ok][two], log_w[two]))
        peak = x["peak"][ok]
        slack = 1e-9 + c.r_tolerance
        fine.append(bool(np.all(peak <= upper + slack) and np.all(peak >= lower - slack)))
        tight = int(np.argmax(peak))
        predicted |= {"first_overshoot": (float(lower[0]), float(upper[0]))}
        predicted |= {"largest_overshoot": (float(lower[tight]), float(upper[tight]))}
        measured |= {"first_overshoot": float(peak[0]), "largest_overshoot": float(peak[tight])}
        measured |= {"excursions": float(n)}
    hypotheses: tuple[Hypothesis, ...] = (
        Hypothesis("an excursion entered from s in [q, 2] with G > 0", bool(ok.any())),
    )
    if not ok.any():
        hypotheses = a_priori if usable_a_priori or not c.has_run else hypotheses
    return Evidence(
        hypotheses, predicted, measured, all(fine) if fine else None, note=f"{int(ok.sum())} excursions tested"
    )


def _peak(c: Context) -> Evidence:
    x: dict[str, Any] = _windows(c) if c.has_run else {"start": np.empty(0)}
    if not len(x["start"]):
        return Evidence((Hypothesis("an excursion", False),))
    # The largest q of the excursion is the sharpest admissible q̄.
    q_bar, w_start = np.maximum(x["q_max"], 1e-12 * c.eps), c.w[x["start"]]
    # G is asked for inside the excursion only, up to the step that ends it.
    ok = (x["G_min"] > 0) & (x["q_min"] >= 0)
    if not ok.any():
        return Evidence((Hypothesis("an excursion with G > 0 and q >= 0", False, float(np.max(x["G_min"]))),))
    W = np.asarray(peak_bound(np.maximum(x["peak"][ok], 0), w_start[ok], q_bar[ok]))
    w_max = x["w_max"][ok]
    after = x["end"][ok]
    closed = x["closed"][ok]
    w_next = np.where(closed, c.w[np.minimum(after, c.T)], 0.0)
    limit = np.asarray(after_peak(np.maximum(x["peak"][ok], 0), W))
    fine = bool(np.all(w_max <= W * (1 + 1e-9)) and np.all(w_next <= limit * (1 + 1e-9)))
    i = int(np.argmax(w_max / W))
    return Evidence(
        (Hypothesis("an excursion with G > 0 and q >= 0", True, float(np.min(x["G_min"][ok]))),),
        {"w_peak": (0.0, float(W[i])), "w_after": (0.0, float(limit[i]))},
        {"w_peak": float(w_max[i]), "w_after": float(w_next[i]) if closed[i] else None},
        fine,
        note=f"{int(ok.sum())} excursions tested; the tightest is shown",
    )


def _dip_windows(c: Context) -> dict[str, Any]:
    """Dips entered from an excursion, each with the step before it and the step that would end it."""
    d = c.dips
    start, end = d.start, d.end
    inner = np.minimum(end, c.T + 1)
    G = np.nan_to_num(c.G, nan=-1.0)
    before = start - 1
    return {
        "start": start, "end": inner, "closed": inner <= c.T,
        "depth": -segment(np.minimum, c.z, start, inner),
        "r_max": segment(np.maximum, c.r, before, inner), "r_min": segment(np.minimum, c.r, before, inner),
        "G_min": segment(np.minimum, G, before, inner), "s_min": segment(np.minimum, c.s, start, inner),
        "q_min": segment(np.minimum, c.q, start, inner),
    }  # fmt: skip


def _undershoot(c: Context) -> Evidence:
    name = "a dip with r in (-1,0], G > 0, eps <= s and B(w) + 4w <= 4/3"
    x: dict[str, Any] = _dip_windows(c) if c.has_run else {"start": np.empty(0, int)}
    if not len(x["start"]):
        return Evidence((Hypothesis("a dip", False),))
    w = c.w[x["start"].astype(int)]
    B = np.asarray(dip_bound(w))
    room = 4 / 3 - B - 4 * w
    ok = (room >= 0) & (x["r_max"] <= 0) & (x["r_min"] > -1) & (x["G_min"] > 0) & (x["s_min"] >= c.eps)
    if not ok.any():
        return Evidence((Hypothesis(name, False, float(np.max(room))),))
    fine = bool(np.all(x["depth"][ok] <= B[ok] + 1e-9))
    i = int(np.argmax(x["depth"][ok]))
    return Evidence(
        (Hypothesis(name, True, float(np.min(room[ok]))),),
        {"undershoot": (0.0, float(B[ok][i]))},
        {"undershoot": float(x["depth"][ok][i])},
        fine,
        note=f"{int(ok.sum())} dips tested; the deepest is shown",
    )


def _reentry(c: Context) -> Evidence:
    name = "a dip of depth U < 1 with q > 0, ended by an up-crossing"
    x: dict[str, Any] = _dip_windows(c) if c.has_run else {"start": np.empty(0, int)}
    ok = (x["closed"] & (x["depth"] < 1) & (x["q_min"] > 0)) if len(x["start"]) else np.zeros(0, bool)
    if not ok.any():
        return Evidence((Hypothesis(name, False),))
    start, end = x["start"].astype(int)[ok], x["end"].astype(int)[ok]
    q, U = x["q_min"][ok], x["depth"][ok]
    # In logarithms: w at re-entry may be below the range of float64.
    keep = 2 * np.log1p(-U)
    bound = np.minimum(c.log_w[start], np.log(q / 4) + keep) + keep - 2 / q * np.asarray(psi(U))
    gap = c.log_w[end] - bound
    fine = bool(np.all((gap >= -1e-9 * (1 + np.abs(bound))) | np.isneginf(c.log_w[start])))
    i = int(np.argmin(gap))
    return Evidence(
        (Hypothesis(name, True, float(np.min(1 - U))),),
        {"log_w_at_reentry": (float(bound[i]), math.inf)},
        {"log_w_at_reentry": float(c.log_w[end[i]])},
        fine,
        note=f"{int(ok.sum())} dips tested; the tightest is shown",
    )


STATEMENTS = (
    Statement(
        "4.2",
        "Overshoot of one excursion, two-sided",
        "proved",
        f"{REFERENCE}#42",
        "Z ≤ 2v + Φ⁻¹((v/2)log⁺(q̄/2w_τ)) and Φ(Z) ≥ (q_lo/2)log⁺(q_lo/(2(2+Z̄)w_τ)) with v = 2q̄ + q̄²/2.",
        _overshoot,
        (
            Assumption("entered from s in [q, 2]", "s_{τ−1} ∈ [q̄, 2]", "a start with s = 3, w = q̄ has Z = 1 > 2v"),
            Assumption("G > 0", "G > 0 up to the maximum", "k = 10, ε = .4, s = 2, w = 6, r = −.5: s jumps to 49"),
        ),
        dynamics="any",
    ),
    Statement(
        "4.3",
        "Peak of β1",
        "proved",
        f"{REFERENCE}#43",
        "In an excursion with G > 0, 0 ≤ q ≤ q̄, max z ≤ Z: w ≤ W(Z, w_τ, q̄), w_N ≤ W·min((1+Z)², (2/(1−W)²−1)²).",
        _peak,
        (
            Assumption("G > 0", "G > 0", "unknown"),
            Assumption("q >= 0", "0 ≤ q ≤ q̄", "unknown; the sums of the proof need the sign"),
        ),
        dynamics="any",
    ),
    Statement(
        "4.4",
        "Undershoot of a whole dip",
        "proved",
        f"{REFERENCE}#44",
        "If B(w_N) + 4w_N ≤ 4/3, then s ≥ 2 − B(w_N) on the whole dip, however long.",
        _undershoot,
        (
            Assumption(
                "r in (-1,0]", "r ∈ (−1,0]", "k = 3, ε = .4, s = 2, w = 1e-9, r = 1: one step falls by 1.3"
            ),
            Assumption("B(w)+4w <= 4/3", "B(w_N)+4w_N ≤ 4/3", "unknown: beyond it the bound says nothing of use"),
            Assumption(
                "entered from an excursion", "s_{N−1} ≥ 2", "a start at s = ½ with w = 1e-9 lies below 2 − B"
            ),
        ),
        dynamics="any",
    ),
    Statement(
        "4.5",
        "Re-entry",
        "proved",
        f"{REFERENCE}#45",
        "w_τ' ≥ min(w_N, ¼q_lo(1−U)²)(1−U)²exp(−(2/q_lo)Ψ(U)).",
        _reentry,
        (
            Assumption("U < 1", "depth U < 1", "unknown; for U ≥ 1 a step with s = 1 kills β1 exactly"),
            Assumption("q > 0", "q ≥ q_lo > 0 in the dip", "without it s need not rise and the dip need not end"),
        ),
    ),
)
