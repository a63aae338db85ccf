"""Phase I: sign lemma, phases, entry time, and the regime without an edge (docs/theory, section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eoslab.core.numbers import Num, maximum, sqrt, where
from eoslab.theory.context import ULP, Context
from eoslab.theory.reduced import big_g, q_of, reduced_step
from eoslab.theory.statement import Assumption, Evidence, Hypothesis, Quantity, Statement, at_least, at_most

__all__ = [
    "STATEMENTS",
    "Entry",
    "FlowRegime",
    "entry",
    "entry_overshoot",
    "flow_regime",
    "gfs_alpha2_of",
    "peak_q",
    "stability_number",
]

REFERENCE = "docs/theory/sharpening.md"

#: Cells of the quadrature in Theorem 3.2. Each is bounded from the safe side; the loss is O(1/CELLS).
CELLS = 4096


def stability_number(s: Num, k: Num, eps: Num) -> Num:
    """s/k + ε/s = ηλ2(α²+α⁻²); condition (N) of Lemma 3.0 is that it is ≤ 1. Convex in s."""
    return s / k + eps / s


def gfs_alpha2_of(c: Num) -> Num:
    """A(c) = (c + √(c²+4))/2, for c ≥ 0 (Prop 7.1)."""
    return (c + sqrt(c**2 + 4)) / 2


def peak_q(r0: Num, eps: Num) -> Num:
    """max of −ε r(1+r) over r in [r0, 0]: ε|r0|(1+r0) if r0 ≥ −½, else ε/4 (also where a ball cannot tell)."""
    return where(r0 >= -0.5, q_of(r0, eps), eps / 4)


def entry_overshoot(eps: Num) -> Num:
    """v = 2q̄ + q̄²/2 with q̄ = ε/4: how far s may jump over 2 in one step."""
    q = eps / 4
    return 2 * q + q**2 / 2


def drift(y0: Num, alpha0: Num, beta10: Num, r0: Num, h: Num, h1: Num, b1_sum: Num) -> Num:
    """Δ of Theorem 3.2: max(y0,0)·h r0²/α0² + 4β1,0²(1+ε/(4s0))·B₁, by how much y = α²−β2² may fall."""
    s0 = h1 * alpha0**2
    return maximum(y0, 0 * y0) * h * r0**2 / alpha0**2 + 4 * beta10**2 * (1 + h * h1 / (4 * s0)) * b1_sum


@dataclass(frozen=True)
class Entry:
    """What Theorem 3.2 gives from θ0. ``hypotheses`` first; the rest is None unless all hold."""

    hypotheses: tuple[Hypothesis, ...]
    r_bar: float | None = None
    xi: float | None = None
    delta: float | None = None
    T1: tuple[float, float] | None = None
    log_w_T1: float | None = None
    edge_beta2: float | None = None
    s_T1_max: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the theorem applies."""
        return all(x.holds for x in self.hypotheses)


def entry(
    alpha0: float, beta10: float, beta20: float, h: float, h1: float, *, log_w0: float | None = None
) -> Entry:
    """Theorem 3.2 (progressive sharpening, entry time) from θ0, in normalised units.

    The free constants are chosen here: ξ the smallest that (H1) admits and r̄ the least fixed point of (H2), by
    substitution from below, since every conclusion improves as either falls.

    >>> entry(1.95, 1e-3, 0.2, 0.005, 0.5).T1[1] < 185
    True
    """
    eps, k, alpha_e = h * h1, h1 / h, math.sqrt(2 / h1)
    s0, w0, r0, y0 = h1 * alpha0**2, h1 * beta10**2, alpha0 * beta20 - 1, alpha0**2 - beta20**2
    log_w0 = (math.log(w0) if w0 > 0 else -math.inf) if log_w0 is None else log_w0
    start = (
        at_least("alpha0 > 0", alpha0, 0, strict=True),
        at_least("beta20 > 0", beta20, 0, strict=True),
        at_least("r0 > -1", r0, -1, strict=True),
        at_most("r0 < 0", r0, 0, strict=True),
        at_most("s0 < 2", s0, 2, strict=True),
        at_least("H0: k >= 2", k, 2),
        at_most("H0: h|r0| <= 1", h * abs(r0), 1),
    )
    if not all(x.holds for x in start):
        return Entry(start)
    # B₁ for a grid of levels a: the slowest contraction of β1² before α passes a, then up to T̄+1 steps.
    levels = alpha0 + (alpha_e - alpha0) * np.linspace(1 / 64, 63 / 64, 63)
    m = np.maximum((1 - s0) ** 2, (1 - h1 * levels**2) ** 2)
    passed = np.floor(4 * alpha0 * (levels - alpha0) / h)
    r_bar = r0 * (1 - 1e-9)
    for attempt in range(400):
        xi = 2 * w0 / (eps * abs(r_bar) * (1 + r0)) * (1 + 1e-9) + 1e-15
        if xi >= 1:
            room = eps * abs(r_bar) * (1 + r0) / 2 - w0
            return Entry((*start, Hypothesis("H1: w0 <= xi eps |r_bar| (1+r0)/2", False, room)))
        T_bar = (alpha_e - alpha0) / ((1 - xi) * h * abs(r_bar) * beta20)
        b1_sum = min(T_bar + 1, float(np.min(1 / (1 - m) + np.exp(passed * np.log(m + 1e-300)) * (T_bar + 1))))
        delta = drift(y0, alpha0, beta10, r0, h, h1, b1_sum)
        wanted = alpha_e * math.sqrt(max(alpha_e**2 - y0 + delta, 0.0)) - 1
        if wanted >= 0 or attempt == 399:
            return Entry(
                (*start, Hypothesis("H2: alpha_e sqrt(alpha_e^2 - y0 + Delta) <= 1 + r_bar", False, -wanted))
            )
        if wanted <= r_bar:
            break
        r_bar = max(wanted * (1 - 1e-9), r_bar)
    room = eps * abs(r_bar) * (1 + r0) / 2 - w0
    hypotheses = (
        *start,
        Hypothesis("H1: w0 <= xi eps |r_bar| (1+r0)/2", True, room),
        Hypothesis("H2: alpha_e sqrt(alpha_e^2 - y0 + Delta) <= 1 + r_bar", True, abs(r_bar)),
    )
    y_lo, y_hi = y0 - delta, y0 if y0 >= 0 else y0 * max(0.0, 1 - h * r0**2 / alpha0**2)
    a = np.linspace(alpha0, alpha_e, CELLS + 1)
    residual = np.maximum(abs(r_bar), 1 - a * np.sqrt(np.maximum(a**2 - y_lo, 0)))[1:]
    beta2 = np.maximum(beta20, np.sqrt(np.maximum(a**2 - y_hi, 0)))[:-1]
    speed = np.minimum.accumulate((1 - xi) * h * residual * beta2)
    cells = np.diff(a) / speed
    log_w = None
    if s0 > 1 and w0 >= 0 and math.isfinite(log_w0):
        log_w = log_w0 + 2 * math.log(s0 - 1) + 2 * float(np.sum(np.log(h1 * a[:-1] ** 2 - 1) * cells))
    return Entry(
        hypotheses,
        r_bar=r_bar,
        xi=xi,
        delta=delta,
        T1=(4 * alpha0 * (alpha_e - alpha0) / h, 1 + float(np.sum(cells))),
        log_w_T1=log_w,
        edge_beta2=alpha_e * max(beta20, math.sqrt(max(alpha_e**2 - y_hi, 0.0))),
        s_T1_max=max(2 + entry_overshoot(eps), s0 + eps / 2 + eps**2 / (16 * s0)),
    )


@dataclass(frozen=True)
class FlowRegime:
    """Theorem 3.3: bounds s_lo ≤ s_t ≤ s_hi and the factor m of w."""

    hypotheses: tuple[Hypothesis, ...]
    s_lo: float
    s_hi: float
    m: float


def flow_regime(alpha0: float, beta10: float, beta20: float, h: float, h1: float) -> FlowRegime:
    """Theorem 3.3 (convergence without ever reaching the edge) from θ0, in normalised units."""
    eps, k = h * h1, h1 / h
    s0, w0, r0, y0 = h1 * alpha0**2, h1 * beta10**2, alpha0 * beta20 - 1, alpha0**2 - beta20**2
    s_hi, s_lo = h1 * gfs_alpha2_of(max(y0, 0.0)), s0 / 4
    m = max((1 - s_lo) ** 2, (1 - s_hi) ** 2)
    number = max(stability_number(s, k, eps) if s > 0 else math.inf for s in (s_lo, s_hi))
    hypotheses = (
        at_least("alpha0 > 0", alpha0, 0, strict=True),
        at_least("r0 > -1", r0, -1, strict=True),
        at_most("r0 <= 0", r0, 0),
        at_most("s_bar < 2", s_hi, 2, strict=True),
        at_most("w0 <= (1-m)/2", w0, (1 - m) / 2),
        at_most("N at s0/4 and s_bar", number, 1),
    )
    return FlowRegime(hypotheses, s_lo, s_hi, m)


# -- statements -------------------------------------------------------------------------------------------


def _sign(c: Context) -> Evidence:
    s, w, r = c.s, c.w, c.r
    with np.errstate(all="ignore"):
        number = stability_number(s, c.k, c.eps)
        inside = (r > -1) & (r <= 0) & (w < 1) & (s <= c.k) & (number <= 1)
        G = big_g(s, w, c.q)
        after = (
            np.append(r[1:], reduced_step(s[-1], w[-1], r[-1], c.k, c.eps)[2])
            if c.dynamics == "gd"
            else (reduced_step(s, w, r, c.k, c.eps)[2])
        )
    hypotheses: tuple[Hypothesis, ...] = (
        Hypothesis("r in (-1, 0]", bool(-1 < r[0] <= 0), float(min(-r[0], 1 + r[0]))),
        at_most("w < 1", float(w[0]), 1, strict=True),
        at_most("s <= k", float(s[0]), c.k),
        at_most("N: s/k + eps/s <= 1", float(number[0]), 1),
    )
    count = int(np.count_nonzero(inside))
    if not count:
        return Evidence(hypotheses=hypotheses, note="the margins are those of the start")
    if not all(x.holds for x in hypotheses):
        first = int(np.argmax(inside))
        hypotheses = (Hypothesis("holds at some step of the run", True, float(1 - number[first])),)
    tolerance = 16 * ULP
    fine = bool(np.all(G[inside] > 0) and np.all(after[inside] > -1) and np.all(after[inside] <= tolerance))
    return Evidence(
        hypotheses=hypotheses,
        predicted={"next_r": (-1.0, 0.0), "G_min": (0.0, math.inf)},
        measured={
            "next_r": (float(np.min(after[inside])), float(np.max(after[inside]))),
            "G_min": float(np.min(G[inside])),
            "steps_inside": float(count),
        },
        consistent=fine,
        note=f"hypotheses hold at {count} of {c.T + 1} steps",
    )


def _phases(c: Context) -> Evidence:
    measured: dict[str, Quantity] = {
        "T1": None if c.T1 is None else float(c.T1), "T2": None if c.T2 is None else float(c.T2)
    }  # fmt: skip
    if not c.has_run or c.T2 is None:
        return Evidence(measured=measured, note="T2 has not been reached" if c.has_run else "no trajectory")
    t = c.T2
    s, w, r = c.s[t:], c.w[t:], c.r[t:]
    with np.errstate(all="ignore"):
        inside = (r > -1) & (r <= c.r_tolerance) & (w < 1) & (s <= c.k) & (stability_number(s, c.k, c.eps) <= 1)
    held = len(inside) if inside.all() else int(np.argmin(inside))
    measured["max_s_after_T2"] = float(np.max(s[:held])) if held else None
    fine = not held or bool(
        np.all(s[:held] <= 2 * (1 + 2 * c.r_tolerance))
        and np.all(c.log_w[t + 1 : t + held] <= c.log_w[t : t + held - 1] + 1e-9)
    )
    return Evidence(
        predicted={"max_s_after_T2": (0.0, 2.0)} if held else {},
        measured=measured,
        consistent=fine if held else None,
        note=f"the sign lemma holds at the first {held} steps after T2",
    )


def _entry(c: Context) -> Evidence:
    e = c.entry
    if not e.holds:
        return Evidence(hypotheses=e.hypotheses)
    assert e.T1 is not None
    assert e.r_bar is not None
    assert e.edge_beta2 is not None
    assert e.s_T1_max is not None
    predicted: dict[str, Quantity] = {
        "T1": e.T1,
        "s_T1": (2.0, e.s_T1_max),
        "entry_residual": (e.edge_beta2 - 1, 0.0),
        "log_w_T1": None if e.log_w_T1 is None else (e.log_w_T1, float(c.log_w[0])),
        "r_before_T1": (float(c.r[0]), e.r_bar),
    }
    t = c.T1
    if t is None:
        late = c.has_run and e.T1[1] + 1 < c.T
        return Evidence(e.hypotheses, predicted, {"T1": None}, False if late else None)
    measured: dict[str, Quantity] = {
        "T1": float(t),
        "s_T1": float(c.s[t]),
        "entry_residual": float(c.r_tilde[t]),
        "log_w_T1": float(c.log_w[t]),
        "r_before_T1": float(np.max(c.r[:t])) if t else None,
    }
    # α moves by ~g a step: rounding of α shifts nothing but a step that lands within rounding of 2.
    slack = 1e-9
    fine = e.T1[0] * (1 - slack) <= t <= e.T1[1] * (1 + slack) and c.s[t] <= e.s_T1_max * (1 + slack)
    fine &= float(c.r_tilde[t]) >= e.edge_beta2 - 1 - slack
    if e.log_w_T1 is not None and math.isfinite(c.log_w[t]):
        fine &= bool(e.log_w_T1 - slack * (1 + t) <= c.log_w[t] <= c.log_w[0] + slack)
    if t:
        fine &= bool(np.max(c.r[:t]) <= e.r_bar + slack and np.all(np.diff(c.alpha[: t + 1]) > -slack))
        fine &= bool(np.all(np.diff(c.beta2[: t + 1]) > -slack) and np.all(np.diff(c.r[:t]) > -slack))
    return Evidence(e.hypotheses, predicted, measured, bool(fine))


def _flow_regime(c: Context) -> Evidence:
    f = flow_regime(float(c.alpha[0]), float(c.beta1[0]), float(c.beta2[0]), c.h, c.h1)
    predicted: dict[str, Quantity] = {"s": (f.s_lo, f.s_hi), "m": f.m}
    if not all(x.holds for x in f.hypotheses) or not c.has_run:
        return Evidence(f.hypotheses, predicted)
    t = np.arange(c.T + 1)
    with np.errstate(all="ignore"):
        decay = c.log_w[0] + t * (math.log(f.m) if f.m > 0 else -math.inf)
        below = c.log_w <= decay + 1e-9 + 64 * ULP * t
        below |= np.isneginf(c.log_w)
        # |r⁺| ≤ (1−s_lo/k)|r| + w, the one-step form.
        rate = np.abs(c.r[1:]) <= (1 - f.s_lo / c.k) * np.abs(c.r[:-1]) + c.w[:-1] + 16 * ULP
    fine = bool(
        np.all(c.s >= f.s_lo * (1 - 1e-9)) and np.all(c.s <= f.s_hi * (1 + 1e-9) + 2 * c.r_tolerance)
        and below.all() and rate.all() and np.all(c.r <= c.r_tolerance) and np.all(c.r > -1)
    )  # fmt: skip
    return Evidence(f.hypotheses, predicted, {"s": (float(np.min(c.s)), float(np.max(c.s))), "m": None}, fine)


STATEMENTS = (
    Statement(
        "3.0",
        "Sign lemma",
        "proved",
        f"{REFERENCE}#30",
        "If r ∈ (−1,0], 0 ≤ w < 1, s/k ≤ 1 and (N) s/k + ε/s ≤ 1, then G > 0 and r⁺ ∈ (−1,0].",
        _sign,
        (
            Assumption("r in (-1, 0]", "−1 < r ≤ 0", "k = 10, ε = 0.4, s = 1, w = 0.01, r = 0.5: r⁺ = 0.0005"),
            Assumption("w < 1", "0 ≤ w < 1", "k = 10, ε = 0.01, s = 1, w = 1.2, r = −0.1: G = −0.1991"),
            Assumption("s <= k", "s ≤ k", "not needed on its own: (N) implies it"),
            Assumption(
                "N: s/k + eps/s <= 1", "s/k + ε/s ≤ 1", "k = 10, ε = 1.5, s = 1, w = 0, r = −0.1: r⁺ = 0.032"
            ),
        ),
        dynamics="any",
    ),
    Statement(
        "3.1",
        "Phases and their end",
        "definition",
        f"{REFERENCE}#31",
        "T1 = first t with α_t ≥ α_e, T2 = first later t with β2 ≥ 1/α_e. From T2 on, while Lemma 3.0 applies, "
        "λ1α² ≤ 2/η and |β1| does not grow.",
        _phases,
    ),
    Statement(
        "3.2",
        "Progressive sharpening, entry time",
        "proved",
        f"{REFERENCE}#32",
        "Under (H0–H2) T1 exists, 4α0(α_e−α0)/h ≤ T1 ≤ 1+∫da/g̃; until then α, β2, r increase and r ≤ r̄; "
        "s_T1 ≤ 2+v, and w_T1 is bounded below by (3.2).",
        _entry,
        (
            Assumption("alpha0 > 0", "α0, β2,0 > 0", "unknown (the other sign patterns are transient)"),
            Assumption("r0 < 0", "−1 < r0 < 0", "r0 > 0: α decreases at once"),
            Assumption("s0 < 2", "s0 < 2", "definition of the phase"),
            Assumption(
                "H0", "k ≥ 2 and h|r0| ≤ 1", "h = 3.14, k = 2.2, θ0 = (.02, 0, .048), r̄ = −.7: r_2 = −.674 > r̄"
            ),
            Assumption("H1", "w0 ≤ ½ξε|r̄|(1+r0)", "k = 100, h1 = 2, θ0 = (.9, .5, .5): α falls in the first step"),
            Assumption(
                "H2", "α_e√(α_e²−y0+Δ) ≤ 1+r̄ < 1", "h1 = .5, h = .005, θ0 = (1, 0, .5): s stays below 2 for ever"
            ),
        ),
    ),
    Statement(
        "3.3",
        "Convergence without an edge",
        "proved",
        f"{REFERENCE}#33",
        "If s̄ = h1·A(max(y0,0)) < 2, w0 ≤ (1−m)/2 and (N) at s0/4 and s̄, then s0/4 ≤ s ≤ s̄, w_t ≤ "
        "w0mᵗ, r ∈ (−1,0] and "
        "GD converges geometrically.",
        _flow_regime,
        (
            Assumption(
                "r0 <= 0", "−1 < r0 ≤ 0", "k = 100, h1 = 1, θ0 = (.5, 0, 3): r0 = 0.5 contradicts r ≤ 0 at once"
            ),
            Assumption(
                "s_bar < 2", "h1·A(max(y0,0)) < 2", "h1 = .5, h = .0005, θ0 = (1.99, 1e-3, .1): crosses 2/η"
            ),
            Assumption("w0 <= (1-m)/2", "w0 ≤ (1−m)/2", "k = 100, h1 = 1, θ0 = (.6, 1.2, .5): s falls below s0/4"),
            Assumption("N at s0/4 and s_bar", "(N) at both ends", "unknown at s0/4; at s̄ see Lemma 3.0"),
        ),
    ),
)
