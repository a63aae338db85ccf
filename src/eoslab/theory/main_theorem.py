"""Phase II as a whole: the main theorem and its projected versions (docs/theory, 4.6–4.9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eoslab.core.numbers import Num, log, maximum, sqrt
from eoslab.theory.context import ULP, Array, Context
from eoslab.theory.excursions import after_peak, dip_bound, overshoot_bound, peak_bound, step_up
from eoslab.theory.sharpening import Entry, entry, peak_q, stability_number
from eoslab.theory.statement import Assumption, Evidence, Hypothesis, Quantity, Statement, at_least, at_most

__all__ = [
    "STATEMENTS",
    "EdgeBound",
    "SurrogateBand",
    "a_priori_bound",
    "drive_bound",
    "edge_bound",
    "edge_constants",
    "floor_bound",
    "loss_sum",
    "product_sum",
    "residual_sum",
    "sharpness_excess",
    "surrogate_band",
    "surrogate_window",
    "zeta_lyapunov",
]

REFERENCE = "docs/theory/edge.md"

U_MAX = 4 / 3


def zeta_lyapunov(s0: Num, w0: Num, rt0: Num, s_lo: Num, k: Num, eps: Num) -> Num:
    """(C1) ζ = (s0−2) + w0 + (h1²/2)(1−(1+r̃0)²) + (ε/s₋)(h1²/2 − s₋)⁺, with h1² = kε."""
    half = k * eps / 2
    excess = half - s_lo
    return (s0 - 2) + w0 + half * (1 - (1 + rt0) ** 2) + eps / s_lo * maximum(excess, 0 * excess)


def drive_bound(U: Num, rt0: Num, eps: Num) -> Num:
    """q̄ = ε·max |r|(1+r) over r ≥ √(s₋/2)(1+r̃0) − 1: a bound of q_t for as long as s ≥ s₋ = 2−U.

    1 + r = χ(1+r̃), χ ≥ √(s₋/2), and r̃ does not decrease. At most ε/4, and much less where r̃0 is small.
    """
    r_lo = sqrt((2 - U) / 2) * (1 + rt0) - 1
    return maximum(peak_q(r_lo, eps), eps * 1e-12)


def edge_constants(U: Num, zeta: Num, w0: Num, q_bar: Num) -> tuple[Num, Num]:
    """(w̄, B(w̄)) of (C2), (C3): w̄ = W·min((1+ζ)², (2/(1−W)²−1)²), W = W(ζ, max(w0, q̄/s₋), q̄), s₋ = 2−U."""
    w_bar = after_peak(zeta, peak_bound(zeta, maximum(w0, q_bar / (2 - U)), q_bar))
    return w_bar, dip_bound(w_bar)


def residual_sum(s_lo: Num, k: Num, h1: Num, beta2: Num) -> Num:
    """Σ|r_t| ≤ (k/s₋)(1 − α_min β2,0), α_min = √(s₋/h1)."""
    return k / s_lo * (1 - sqrt(s_lo / h1) * beta2)


def product_sum(s0: Num, w0: Num, s_lo: Num, zeta: Num, w_bar: Num, h1: Num, beta2: Num, eps: Num) -> Num:
    """ΣP_t ≤ [s0 + w0 + h1(α_min⁻² − β2,0²) + (ε/s₋)h1α_min⁻²]/(2 − max(ζ, w̄))."""
    least = h1 / s_lo
    return (s0 + w0 + h1 * (least - beta2**2) + eps / s_lo * h1 * least) / (2 - maximum(zeta, w_bar))


def loss_sum(products: Num, residuals: Num, eps: Num, h1: Num) -> Num:
    """η ΣL_t ≤ (ΣP + εΣ|r|)/(2h1) (times η|b|, normalised)."""
    return (products + eps * residuals) / (2 * h1)


def sharpness_excess(zeta: Num, w_bar: Num, s_lo: Num, k: Num, eps: Num) -> Num | None:
    """δ = ζ + 4w̄s₋/(s₋ − w̄ − ε/s₋) + ε/((k−1)s₋), or None where the denominator is not positive."""
    gap = s_lo - w_bar - eps / s_lo
    if not gap > 0 or not k > 1:
        return None
    return zeta + 4 * w_bar * s_lo / gap + eps / ((k - 1) * s_lo)


@dataclass(frozen=True)
class EdgeBound:
    """Theorem 4.6 for the least admissible U: s ∈ [2−U, 2+ζ], w ≤ w̄ for all later steps."""

    hypotheses: tuple[Hypothesis, ...]
    U: float = math.nan
    zeta: float = math.nan
    w_bar: float = math.nan

    @property
    def s_lo(self) -> float:
        """s₋ = 2 − U."""
        return 2 - self.U

    @property
    def holds(self) -> bool:
        """Whether (C1)–(C4) hold."""
        return all(x.holds for x in self.hypotheses)


def _least_edge(
    zeta_of: Callable[[float], float], q_of: Callable[[float], float], w0: float, k: float, eps: float
) -> EdgeBound:
    """The least U with B(w̄(U)) ≤ U: w̄ and ζ increase with U, so substitution from 0 climbs to it."""
    U, zeta, w_bar = 0.0, math.nan, math.nan
    for _ in range(500):
        zeta = float(zeta_of(2 - U))
        if not zeta < 1:
            return EdgeBound((at_most("C1: zeta < 1", zeta, 1, strict=True),), U, zeta)
        w_bar, dip = (float(x) for x in edge_constants(U, zeta, w0, q_of(U)))
        if not (w_bar < 1 and dip + 4 * w_bar <= U_MAX and dip < U_MAX):
            return EdgeBound(
                (
                    at_most("C1: zeta < 1", zeta, 1, strict=True),
                    at_most("C2: w_bar < 1", w_bar, 1, strict=True),
                    at_most("C3: B(w_bar) + 4 w_bar <= 4/3", dip + 4 * w_bar, U_MAX),
                ),
                U, zeta, w_bar,
            )  # fmt: skip
        if dip <= U:
            break
        # A little above the value, so that the climb ends; U is the least one to within this factor.
        U = dip * (1 + 1e-4)
    number = max(stability_number(s, k, eps) for s in (2 - U, 2 + zeta))
    return EdgeBound(
        (
            at_most("C1: zeta < 1", zeta, 1, strict=True),
            at_most("C2: w_bar < 1", w_bar, 1, strict=True),
            at_most("C3: B(w_bar) + 4 w_bar <= 4/3", float(dip_bound(w_bar)) + 4 * w_bar, U_MAX),
            at_most("C4: N at 2-U and 2+zeta", number, 1),
        ),
        U, zeta, w_bar,
    )  # fmt: skip


def edge_bound(s0: float, w0: float, rt0: float, k: float, eps: float) -> EdgeBound:
    """Theorem 4.6 from a state with s0 ≥ 2, r0 ∈ (−1, 0]; the hypotheses on the state are the caller's."""
    return _least_edge(
        lambda s_lo: float(zeta_lyapunov(s0, w0, rt0, s_lo, k, eps)),
        lambda U: float(drive_bound(U, rt0, eps)),
        w0, k, eps,
    )  # fmt: skip


def floor_bound(w0: float, w_min: float, k: float, eps: float) -> EdgeBound:
    """Theorem 4.8: the same with ζ = 2v + Φ⁻¹((v/2)log⁺(q̄/2w_min)), which does not depend on r."""
    zeta = float(overshoot_bound(eps / 4, log(w_min)))
    return _least_edge(lambda s_lo: zeta, lambda U: eps / 4, w0, k, eps)


def a_priori_bound(
    alpha0: float, beta10: float, beta20: float, h: float, h1: float, *, log_w0: float | None = None
) -> tuple[Entry, EdgeBound | None]:
    """Corollary 4.6': Theorem 3.2 and, from its conclusions, Theorem 4.6, all from θ0."""
    e = entry(alpha0, beta10, beta20, h, h1, log_w0=log_w0)
    return e, _after_entry(e, h1 * beta10**2, h1 / h, h * h1)


def _after_entry(e: Entry, w0: float, k: float, eps: float) -> EdgeBound | None:
    if not e.holds or e.edge_beta2 is None:
        return None
    # 2 + v, not the larger s_T1_max: s_{T1−1} ≥ ε/4 by the entry condition (proof of the corollary).
    bound = edge_bound(2 + float(step_up(eps / 4)), w0, min(e.edge_beta2 - 1, 0.0), k, eps)
    entry_number = stability_number(2 - 3 * eps / 4, k, eps) if eps <= 0.5 else math.inf
    step_in = at_most("C5: eps <= 1/2 and N at 2 - 3 eps/4", entry_number, 1)
    return EdgeBound((*bound.hypotheses, step_in), bound.U, bound.zeta, bound.w_bar)


def surrogate_window(rt0: Num, n: Num, chi_lo: Num, chi_hi: Num, k: Num) -> tuple[Num, Num]:
    """Theorem 4.7(a): |r̃_{t0+n}| lies in this interval if χ ∈ [chi_lo, chi_hi] ∋ 1, r̃ ≤ 0, 2chi_hi² ≤ k."""
    M = 0.25 if chi_lo <= 0.5 else chi_lo * (1 - chi_lo)
    low = (1 - 2 * chi_hi**2 / k) ** n * abs(rt0) - M / chi_hi**2
    return low, (1 - 2 * chi_lo**2 / k) ** n * abs(rt0) + chi_hi * (chi_hi - 1) / chi_lo**2


# -- statements -------------------------------------------------------------------------------------------


def _start(c: Context, t: int) -> tuple[Hypothesis, ...]:
    r = float(c.r[t])
    return (
        at_least("s >= 2", float(c.s[t]), 2),
        at_least("alpha > 0", float(c.alpha[t]), 0, strict=True),
        at_least("r > -1", r, -1, strict=True),
        at_most("r <= 0", r, 0),
    )


def _inside(c: Context, t: int, bound: EdgeBound) -> bool:
    s, slack = c.s[t:], 1e-9 + c.r_tolerance
    return bool(
        np.all(s >= bound.s_lo - slack) and np.all(s <= 2 + bound.zeta + slack)
        and np.all(c.w[t:] <= bound.w_bar * (1 + 1e-9))
        and np.all(c.r[t:] <= c.r_tolerance) and np.all(c.r[t:] > -1)
        and np.all(np.diff(c.beta2[t:]) >= -slack)
    )  # fmt: skip


def _edge(c: Context) -> Evidence:
    t = c.T1
    if t is None:
        return Evidence((at_least("s >= 2", float(np.max(c.s)), 2),), note="needs the state at T1; see 4.6'")
    start = _start(c, t)
    if not all(x.holds for x in start):
        return Evidence(start, note=f"t0 = {t}")
    s0, w0, beta2 = float(c.s[t]), float(c.w[t]), float(c.beta2[t])
    bound = edge_bound(s0, w0, float(c.r_tilde[t]), c.k, c.eps)
    hypotheses = (*start, *bound.hypotheses)
    if not all(x.holds for x in hypotheses):
        return Evidence(hypotheses, {"overshoot": None, "undershoot": None}, note=f"t0 = {t}")
    residuals = float(residual_sum(bound.s_lo, c.k, c.h1, beta2))
    products = float(product_sum(s0, w0, bound.s_lo, bound.zeta, bound.w_bar, c.h1, beta2, c.eps))
    losses = float(loss_sum(products, residuals, c.eps, c.h1)) / (c.lr * abs(c.b)) * c.b**2
    predicted: dict[str, Quantity] = {
        "overshoot": (0.0, bound.zeta),
        "undershoot": (0.0, bound.U),
        "w_max": (0.0, bound.w_bar),
        "sum_abs_r": (0.0, residuals),
        "sum_P": (0.0, products),
        "sum_loss": (0.0, losses),
        "s_limit": (bound.s_lo, 2.0),
    }
    if not c.has_run:
        return Evidence(hypotheses, predicted, note=f"t0 = {t}")
    sums = (float(np.sum(np.abs(c.r[t:]))), float(np.sum(c.s[t:] * c.w[t:])), float(np.sum(c.loss[t:])) * c.b**2)
    fine = _inside(c, t, bound)
    # Rounding leaves |r| at its floor at each of the summed steps.
    fine &= sums[0] <= residuals * (1 + 1e-9) + c.r_tolerance * (c.T + 1) and sums[1] <= products * (1 + 1e-9)
    fine &= sums[2] <= losses * (1 + 1e-9) + c.r_tolerance**2 * (c.T + 1)
    measured: dict[str, Quantity] = {
        "overshoot": float(np.max(c.z[t:])),
        "undershoot": max(float(-np.min(c.z[t:])), 0.0),
        "w_max": float(np.max(c.w[t:])),
        "sum_abs_r": sums[0],
        "sum_P": sums[1],
        "sum_loss": sums[2],
        "s_limit": float(c.s[-1]) if c.T2 is not None else None,
    }
    return Evidence(hypotheses, predicted, measured, fine, note=f"t0 = {t}")


def _a_priori(c: Context) -> Evidence:
    e = c.entry
    bound = _after_entry(e, float(c.w[0]), c.k, c.eps)
    hypotheses = (*e.hypotheses, *(bound.hypotheses if bound else ()))
    if bound is None or not bound.holds or e.T1 is None:
        return Evidence(hypotheses)
    predicted: dict[str, Quantity] = {
        "T1": e.T1,
        "overshoot": (0.0, bound.zeta),
        "undershoot": (0.0, bound.U),
        "s_limit": (bound.s_lo, 2.0),
        "delta": sharpness_excess(bound.zeta, bound.w_bar, bound.s_lo, c.k, c.eps),
    }
    t = c.T1
    if t is None:
        return Evidence(hypotheses, predicted, {"T1": None}, False if e.T1[1] + 1 < c.T else None)
    measured: dict[str, Quantity] = {
        "T1": float(t),
        "overshoot": float(np.max(c.z)),
        "undershoot": max(float(-np.min(c.z[t:])), 0.0),
        "s_limit": float(c.s[-1]) if c.T2 is not None else None,
        "delta": float(np.max(c.eta_sharpness[t:])) - 2,
    }
    fine = e.T1[0] * (1 - 1e-9) <= t <= e.T1[1] * (1 + 1e-9) and _inside(c, t, bound)
    return Evidence(hypotheses, predicted, measured, bool(fine))


def _sharpness(c: Context) -> Evidence:
    t = c.T1
    if t is None:
        return Evidence((at_least("s >= 2", float(np.max(c.s)), 2),))
    start = _start(c, t)
    if not all(x.holds for x in start):
        return Evidence(start, note=f"t0 = {t}")
    bound = edge_bound(float(c.s[t]), float(c.w[t]), float(c.r_tilde[t]), c.k, c.eps)
    hypotheses = (*start, *bound.hypotheses)
    if not all(x.holds for x in hypotheses):
        return Evidence(hypotheses, note=f"t0 = {t}")
    gap = bound.s_lo - bound.w_bar - c.eps / bound.s_lo
    hypotheses = (*hypotheses, at_least("s_lo - w_bar - eps/s_lo > 0", gap, 0, strict=True))
    delta = sharpness_excess(bound.zeta, bound.w_bar, bound.s_lo, c.k, c.eps)
    if delta is None:
        return Evidence(hypotheses, note=f"t0 = {t}")
    S = c.eta_sharpness[t:]
    slack = 1e-9 + c.r_tolerance
    fine = bool(np.all(2 + delta + slack >= S) and np.all(bound.s_lo - slack <= S)) if c.has_run else None
    return Evidence(
        hypotheses,
        {"eta_sharpness": (bound.s_lo, 2 + float(delta)), "delta": (0.0, float(delta))},
        {"eta_sharpness": (float(np.min(S)), float(np.max(S))), "delta": max(float(np.max(S)) - 2, 0.0)},
        fine,
        note=f"t0 = {t}",
    )


def surrogate_defect_bound(z: np.ndarray, log_w: np.ndarray, k: float) -> np.ndarray:
    """Theorem 4.7(b) at every step of a window: (1/k)max|log(w_j/w_t0)| + 0.232(2/k)Σ(1−2/k)^(t−1−j)z_j²."""
    swing = np.maximum.accumulate(np.abs(log_w - log_w[0])) / k
    a = 1 - 2 / k
    memory = np.empty_like(z)
    total = 0.0
    for j, x in enumerate((z**2).tolist()):
        memory[j] = total
        total = a * total + x
    return np.asarray(swing + 0.464 / k * memory)


@dataclass(frozen=True)
class SurrogateBand:
    """Theorem 4.7 along a run: |r̃_t| ∈ [low, high] for t = start …, with the bound of |r̃−r†| where (b) applies."""

    start: int
    low: Array
    high: Array
    from_shadow: Array | None

    @property
    def end(self) -> int:
        """The step after the last one."""
        return self.start + len(self.low)


def surrogate_band(c: Context) -> tuple[tuple[Hypothesis, ...], SurrogateBand | None]:
    """Theorem 4.7 from T1 on, as long as r ∈ (−1,0) and r̃ ≤ 0, with the range of χ that the run has there.

    ``low`` and ``high`` are those of (a); where (b) applies, ``from_shadow`` bounds |r̃−r†| at every step.
    """
    t = c.T1
    if t is None or not c.has_run or t >= c.T:
        return (Hypothesis("phase II is reached", False),), None
    end = c.T2 if c.T2 is not None else c.T + 1
    # The window ends before r̃ > 0 and before r leaves (−1, 0).
    good = (c.r_tilde[t:end] <= 0) & (c.r[t:end] > -1) & (c.r[t:end] < 0)
    end = t + (len(good) if good.all() else int(np.argmin(good)))
    if end - t < 2:
        return (Hypothesis("r in (-1,0) and r_tilde <= 0 at T1", False, -float(c.r_tilde[t])),), None
    chi, z, logs = c.chi[t:end], c.z[t:end], c.log_w[t:end]
    lo, hi = min(float(np.min(chi)), 1.0), max(float(np.max(chi)), 1.0)
    hypotheses = (
        Hypothesis("r in (-1,0) and r_tilde <= 0 from T1 on", True, -float(c.r_tilde[t])),
        at_most("2 chi^2 <= k", 2 * hi**2, c.k),
        at_least("chi > 0", lo, 0, strict=True),
    )
    if not all(x.holds for x in hypotheses):
        return hypotheses, None
    low, high = surrogate_window(float(abs(c.r_tilde[t])), np.arange(end - t), lo, hi, c.k)
    near = c.dynamics == "gd" and c.k >= 2 and np.min(z) >= -0.5 and np.max(z) <= 1 and np.all(np.isfinite(logs))
    return hypotheses, SurrogateBand(t, low, high, surrogate_defect_bound(z, logs, c.k) if near else None)


def _surrogate(c: Context) -> Evidence:
    hypotheses, band = surrogate_band(c)
    if band is None:
        return Evidence(hypotheses)
    t, end, low, high = band.start, band.end, band.low, band.high
    rt = np.abs(c.r_tilde[t:end])
    slack = 1e-9 + c.r_tolerance
    fine = bool(np.all(rt >= low - slack) and np.all(rt <= high + slack))
    mid = len(rt) // 2
    predicted: dict[str, Quantity] = {
        "abs_r_tilde_midway": (max(float(low[mid]), 0.0), float(high[mid])),
        "abs_r_tilde_at_end": (max(float(low[-1]), 0.0), float(high[-1])),
    }
    measured: dict[str, Quantity] = {
        "abs_r_tilde_midway": float(rt[mid]), "abs_r_tilde_at_end": float(rt[-1])
    }  # fmt: skip
    if band.from_shadow is not None:
        defect = np.abs(rt - (1 - 2 / c.k) ** np.arange(len(rt)) * float(rt[0]))
        fine &= bool(np.all(defect <= band.from_shadow + slack))
        worst = int(np.argmax(defect))
        predicted["largest_distance_from_r_dagger"] = (0.0, float(band.from_shadow[worst]))
        measured["largest_distance_from_r_dagger"] = float(defect[worst])
    return Evidence(hypotheses, predicted, measured, fine, note=f"window [{t}, {end})")


def _floor(c: Context) -> Evidence:
    v = float(step_up(c.eps / 4))
    fits = (c.s >= 2) & (c.s <= 2 + v) & (c.w >= c.w_min * (1 - 1e-12)) & (c.r > -1) & (c.r <= 0)
    if not fits.any():
        nearest = float(np.min(np.maximum(2 - c.s, c.s - 2 - v)))
        return Evidence((Hypothesis("s in [2, 2+v], w >= w_min, r in (-1,0]", False, -nearest),))
    t = int(np.argmax(fits))
    bound = floor_bound(float(c.w[t]), c.w_min, c.k, c.eps)
    hypotheses = (
        Hypothesis("s in [2, 2+v], w >= w_min, r in (-1,0]", True, float(2 + v - c.s[t])),
        *(x for x in bound.hypotheses),
    )
    if not bound.holds:
        return Evidence(hypotheses, note=f"t0 = {t}")
    alive = c.q[t:] > 2 * c.w_min
    n = len(alive) if alive.all() else int(np.argmin(alive))
    predicted: dict[str, Quantity] = {
        "overshoot": (0.0, bound.zeta), "undershoot": (0.0, bound.U), "w_max": (0.0, bound.w_bar)
    }  # fmt: skip
    if n < 2:
        return Evidence(hypotheses, predicted, note=f"t0 = {t}; q <= 2 w_min at once")
    s, w, r, slack = c.s[t : t + n], c.w[t : t + n], c.r[t : t + n], 1e-9 + c.r_tolerance
    fine = bool(
        np.all(s <= 2 + bound.zeta + slack) and np.all(s >= bound.s_lo - slack)
        and np.all(w <= bound.w_bar * (1 + 1e-9)) and np.all(r <= c.r_tolerance) and np.all(r > -1)
    )  # fmt: skip
    return Evidence(
        hypotheses,
        predicted,
        {
            "overshoot": float(np.max(s)) - 2,
            "undershoot": max(2 - float(np.min(s)), 0.0),
            "w_max": float(np.max(w)),
        },
        fine,
        note=f"steps {t} to {t + n - 1}",
    )


def _cap(c: Context) -> Evidence:
    on = np.abs(c.s - 2) <= 8 * ULP
    good = on & (c.r > -1) & (c.r < 0) & (c.w <= c.q / 2)
    if not good.any():
        return Evidence(
            (Hypothesis("alpha = alpha_e, r in (-1,0), w <= q/2", False, float(np.max(c.q / 2 - c.w))),)
        )
    t = int(np.argmax(good))
    held = good[t:]
    n = len(held) if held.all() else int(np.argmin(held))
    # The statement is about w0 ≤ q_t/2 with q along r†; where that holds the run must still be capped.
    shadow = float(c.r[t]) * (1 - 2 / c.k) ** np.arange(c.T + 1 - t)
    lasts = float(c.w[t]) <= -c.eps * shadow * (1 + shadow) / 2
    m = len(lasts) if lasts.all() else int(np.argmin(lasts))
    m = min(m + 1, c.T + 1 - t)
    slack = c.r_tolerance + 64 * ULP * np.arange(m)
    error = np.abs(c.r[t : t + m] - shadow[:m])
    ratio = np.abs(c.w[t : t + m] / c.w[t] - 1) if c.w[t] > 0 else np.zeros(m)
    # At s = 2(1 + few ulp) |β1| changes by as many ulp a step.
    fine = bool(
        np.all(error <= slack) and np.all(np.abs(c.s[t : t + m] - 2) <= 16 * ULP) and np.all(ratio <= slack * 8)
    )
    return Evidence(
        (Hypothesis("alpha = alpha_e, r in (-1,0), w <= q/2", True, float(c.q[t] / 2 - c.w[t])),),
        {"r_after": float(shadow[m - 1]), "s": 2.0, "steps_capped": (float(m - 1), math.inf)},
        {"r_after": float(c.r[t + m - 1]), "s": float(c.s[t + m - 1]), "steps_capped": float(n)},
        fine,
        note=f"steps {t} to {t + m - 1}",
    )


_EDGE_ASSUMPTIONS = (
    Assumption("s >= 2", "s_t0 ≥ 2", "definition of the start"),
    Assumption("r <= 0", "r_t0 ∈ (−1, 0]", "k = 10, h1 = 2, s = 2.1, w = .01, r = .2: r⁺ stays positive"),
    Assumption("C1", "ζ < 1", "unknown: the bound then says nothing of use"),
    Assumption("C2", "w̄ < 1", "unknown"),
    Assumption(
        "C3", "B(w̄) ≤ U, B(w̄)+4w̄ ≤ 4/3", "unknown: the chain of 4.3 and 4.4 breaks, the run may still obey"
    ),
    Assumption("C4", "(N) at 2−U and 2+ζ", "see Lemma 3.0: without (N) r changes sign"),
)

STATEMENTS = (
    Statement(
        "4.6",
        "Main theorem: the whole edge of stability of plain GD",
        "proved",
        f"{REFERENCE}#46",
        "From a state with s ≥ 2, r ∈ (−1,0] and (C1–C4): for ever 2−U ≤ s ≤ 2+ζ, w ≤ w̄, r ∈ "
        "(−1,0]; Σ|r| and ΣP are "
        "bounded; GD converges to a minimiser with 2−U ≤ ηλ1α∞² ≤ 2 (unless β1 becomes exactly 0).",
        _edge,
        _EDGE_ASSUMPTIONS,
    ),
    Statement(
        "4.6'",
        "Everything from the start",
        "proved",
        f"{REFERENCE}#46-prime",
        "If Theorem 3.2 applies at θ0 and (C1–C4) hold with s0 := 2+v, w0 := w(θ0), r̃0 := its bound at T1, all "
        "conclusions of 3.2 and 4.6 hold for plain GD from θ0.",
        _a_priori,
        (*_EDGE_ASSUMPTIONS[2:], Assumption("C5", "ε ≤ 1/2 and (N) at 2 − 3ε/4", "unknown: keeps r ≤ 0 at T1")),
    ),
    Statement(
        "4.6S",
        "Sharpness version",
        "proved",
        f"{REFERENCE}#46-sharpness",
        "Under 4.6, s₋ ≤ ηS ≤ 2+δ, δ = ζ + 4w̄s₋/(s₋−w̄−ε/s₋) + ε/((k−1)s₋), for all later steps.",
        _sharpness,
        (*_EDGE_ASSUMPTIONS, Assumption("s_lo - w_bar - eps/s_lo > 0", "positive denominator", "unknown")),
    ),
    Statement(
        "4.7",
        "Surrogate loss",
        "proved",
        f"{REFERENCE}#47",
        "(a) (1−2χ₊²/k)ⁿ|r̃_0| − M/χ₊² ≤ |r̃_n| ≤ (1−2χ₋²/k)ⁿ|r̃_0| + χ₊(χ₊−1)/χ₋². "
        "(b) |r̃−r†| ≤ (1/k)max|log(w_j/w_0)| + 0.232(2/k)Σ(1−2/k)^(t−1−j)z_j².",
        _surrogate,
        (
            Assumption("r_tilde <= 0", "r ∈ (−1,0), r̃ ≤ 0", "unknown for (b); (a) is about |r̃| of one sign"),
            Assumption("2 chi^2 <= k", "s ≤ k", "k = 4, χ = 1, 1, 3, r̃ = −1: |r̃_2| = ¼, the lower bound is 12"),
            Assumption("z in [-1/2, 1]", "for (b)", "unknown: outside it the constants change"),
        ),
        dynamics="any",
    ),
    Statement(
        "4.8",
        "Floor-projected descent",
        "proved",
        f"{REFERENCE}#48",
        "With |β1| ← max(|β1|, β_min), s ∈ [2, 2+v] at t0, and (C2–C4) with ζ = 2v + "
        "Φ⁻¹((v/2)log⁺(q̄/2w_min)): while "
        "q > 2w_min, 2−U ≤ s ≤ 2+ζ, w ≤ w̄, r ∈ (−1,0]. ζ → 0 as k → ∞.",
        _floor,
        (
            Assumption(
                "s in [2, 2+v]",
                "s_t0 ∈ [2, 2+v]",
                "k = 10⁴, α_e = 1.2, β_min = 10⁻³, s = 2+ζ, w = w_min, r = −½: max z = .0217 > ζ = .0168",
            ),
            *_EDGE_ASSUMPTIONS[3:],
        ),
        dynamics="floor",
    ),
    Statement(
        "4.9",
        "Cap-projected descent",
        "proved",
        f"{REFERENCE}#49",
        "With α ← min(α, α_e), from α = α_e, r ∈ (−1,0): while w0 ≤ −½εr†(1+r†), α = α_e, |β1| is constant and "
        "r_t = r0(1−2/k)ᵗ exactly.",
        _cap,
        (Assumption("w <= q/2", "w0 ≤ q/2", "k = 100, h1 = 2, s = 2, w = .01, r = −.1: G < 1, α leaves α_e"),),
        dynamics="cap",
    ),
)
