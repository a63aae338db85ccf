"""How runs end: trapping regions, local rates, divergence, the catapult threshold (docs/theory, section 5)."""

from __future__ import annotations

import math

import numpy as np

from eoslab.core.numbers import Num
from eoslab.models import minimalist
from eoslab.theory.certificate import Trap, diverges_d1, diverges_d2, search_trapping
from eoslab.theory.context import ULP, Context
from eoslab.theory.sharpening import stability_number
from eoslab.theory.statement import Assumption, Evidence, Hypothesis, Quantity, Statement, at_least, at_most

__all__ = ["STATEMENTS", "catapult_step", "final_drift", "first_trap", "minimiser_multipliers"]

REFERENCE = "docs/theory/endings.md"


def minimiser_multipliers(s: Num, k: Num, eps: Num) -> tuple[Num, Num, Num]:
    """Prop 5.2: multipliers of GD at the minimiser with ηλ1α² = s: 1−s (β1), 1−s/k−ε/s (r), 1 "
    "(along the valley)."""
    return 1 - s, 1 - s / k - eps / s, 1 + 0 * s


def catapult_step(s: Num, w: Num) -> tuple[Num, Num]:
    """λ2 = 0: s⁺ = s(1−w)², w⁺ = w(1−s)²; Σ⁺−4 = (Σ−4)(1+P) (Theorem 5.4)."""
    return s * (1 - w) ** 2, w * (1 - s) ** 2


def first_trap(c: Context) -> tuple[int, Trap] | None:
    """An early step of the run at which Theorem 5.1 applies, and its region.

    Steps are tried from the last one backwards in geometric strides, then bisected: a trapping region tends to
    stay one, so this finds the first step of the last stretch of them, or one near it.
    """

    def at(t: int) -> Trap | None:
        return search_trapping(float(c.s[t]), float(c.w[t]), float(c.r[t]), c.k, c.eps)

    trap = at(c.T)
    if trap is None:
        return None
    found, t, low = trap, c.T, 0
    stride = 1
    while t - stride > 0:
        earlier = at(t - stride)
        if earlier is None:
            low = t - stride
            break
        found, t, stride = earlier, t - stride, 2 * stride
    while t - low > 1:
        mid = (t + low) // 2
        earlier = at(mid)
        if earlier is None:
            low = mid
        else:
            found, t = earlier, mid
    return t, found


def final_drift(s: Num, w: Num, r: Num, k: Num, eps: Num, trap: Trap) -> tuple[int, Num, Num]:
    """Theorem 5.5 at a state with a trapping region: (direction, margin of the ratio, margin of invariance).

    Direction +1: s increases at every later step; −1: it decreases; 0: not decided here (then the margins are
    those of the nearer side). The caller sees to s₋ > 1, w > 0, −1 < r < 0 and (N) at both ends.
    """
    lo, hi, R, x = trap.s_lo, trap.s_hi, trap.R, abs(r) / w
    up, down = hi / (eps * (1 - R)), lo / eps
    least = 1 - max(lo / k + eps / lo, hi / k + eps / hi)
    most = 1 - lo / k - eps / hi * (1 - R) ** 2
    rise = x / up - 1, least + (1 - R) / up - (hi - 1) ** 2
    fall = 1 - x / down, (lo - 1) ** 2 - most - 1 / down
    if rise[0] > 0 and rise[1] >= 0:
        return 1, *rise
    if fall[0] > 0 and fall[1] >= 0:
        return -1, *fall
    return 0, *max(rise, fall, key=min)


def _trapping(c: Context) -> Evidence:
    got = first_trap(c)
    if got is None:
        s, w, r = float(c.s[-1]), float(c.w[-1]), float(c.r[-1])
        return Evidence(
            (
                at_most("s < 2", s, 2, strict=True),
                Hypothesis("some D of the search satisfies the inequalities", False),
            ),
            note=f"at step {c.T}: s = {s:.6g}, w = {w:.3g}, r = {r:.3g}",
        )
    t, trap = got
    last = search_trapping(float(c.s[-1]), float(c.w[-1]), float(c.r[-1]), c.k, c.eps) or trap
    inside, n = c.s[t:], np.arange(c.T + 1 - t)
    slack = 1e-12 + c.r_tolerance
    with np.errstate(divide="ignore"):
        decay = np.asarray(c.log_w[t] + n * math.log(trap.m)) if trap.m > 0 else np.full(len(n), np.inf)
    fine = bool(
        np.all(inside >= trap.s_lo * (1 - slack)) and np.all(inside <= trap.s_hi * (1 + slack))
        and np.all((c.log_w[t:] <= decay + 1e-9 + 64 * ULP * n) | np.isneginf(c.log_w[t:]))
        and np.all(np.abs(c.r[t:]) <= trap.R + slack)
        and np.all(np.abs(c.r[t + 1 :]) <= trap.rho * np.abs(c.r[t:-1]) + (1 + trap.R) * c.w[t:-1] + 16 * ULP)
        and last.s_hi >= trap.s_lo and last.s_lo <= trap.s_hi
    )  # fmt: skip
    predicted: dict[str, Quantity] = {
        "s_limit": (float(trap.s_lo), float(trap.s_hi)),
        "other_eigenvalue": (0.0, float(1 + trap.rho)),
    }
    measured: dict[str, Quantity] = {
        "s_limit": (float(last.s_lo), float(last.s_hi)),
        "other_eigenvalue": float(c.s[-1] / c.k + c.eps / c.s[-1]),
        "step": float(t),
    }
    room = float(trap.D - trap.needed)
    return Evidence(
        (
            at_most("s < 2", float(c.s[t]), 2, strict=True),
            Hypothesis("some D of the search satisfies the inequalities", room >= 0, room),
        ),
        predicted,
        measured,
        fine,
        note=f"region found at step {t}; measured: region of step {c.T}",
    )


def _rates(c: Context) -> Evidence:
    s = min(float(c.s[-1]), 2.0) if c.has_run else float(c.s[0])
    if s <= 0:
        return Evidence((Hypothesis("alpha != 0", False, s),))
    predicted = minimiser_multipliers(s, c.k, c.eps)
    alpha = math.sqrt(s / c.h1)
    H = np.array(
        [[float(x) for x in row] for row in minimalist.hessian((alpha, 0.0, 1 / alpha), (c.h1, c.h, 1.0))]
    )
    measured = np.sort(1 - np.linalg.eigvalsh(H))
    error = float(np.max(np.abs(np.sort([float(x) for x in predicted]) - measured)))
    names = ("beta1", "r", "valley")
    # The eigenvalue of each direction, told apart by its eigenvector: the Hessian is block diagonal here.
    direct = (1 - float(H[1, 1]), 1 - float(H[0, 0] + H[2, 2]), 1.0)
    return Evidence(
        (),
        {f"multiplier_{n}": float(x) for n, x in zip(names, predicted, strict=True)},
        {f"multiplier_{n}": x for n, x in zip(names, direct, strict=True)},
        error <= 256 * ULP * float(np.abs(H).sum() + 1),
        note=f"at the minimiser with ηλ1α² = {s:.6g}",
    )


def _divergence(c: Context) -> Evidence:
    with np.errstate(all="ignore"):
        d1 = np.asarray(diverges_d1(np.where(c.s > 0, c.s, 1e-300), c.w, c.eps))
        d2 = np.asarray(diverges_d2(c.s, c.w, c.nu, c.r, c.k))
    either = d1 | d2
    if not either.any():
        room = float(np.max(np.minimum(c.s - 2, c.w - 2 - c.eps / (4 * np.maximum(c.s, 1e-300)))))
        return Evidence((Hypothesis("D1 or D2 at some step", False, room),))
    t = int(np.argmax(either))
    with np.errstate(all="ignore"):
        grows = bool(np.all(np.diff(c.s[t:]) >= -8 * ULP * c.s[t:-1]))
        grows &= bool(np.all(np.diff(c.w[t:]) >= -8 * ULP * c.w[t:-1])) if d1[t] or c.s[t] >= 2 else True
        stays = bool(np.all(either[t:]))
    margin = float(max(c.w[t] - 2 - c.eps / (4 * c.s[t]), c.s[t] - 2 * c.k))
    return Evidence(
        (Hypothesis("D1 or D2 at some step", True, margin),),
        {"diverges": 1.0},
        {"diverges": 1.0 if c.cut else None, "step": float(t), "s_last": float(c.s[-1])},
        grows and stays,
        note=f"{'D1' if d1[t] else 'D2'} at step {t}",
    )


def _catapult(c: Context) -> Evidence:
    Sigma0 = float(c.s[0] + c.w[0])
    # λ2 > 0 here, so the theorem itself never applies; the threshold is reported as what it is nearby.
    return Evidence(
        (Hypothesis("lambda2 = 0", False, -c.h),),
        {"sigma0_threshold": 4.0},
        {"sigma0": Sigma0},
        note=f"for small ε the threshold separates catapult from divergence [observed]; ε = {c.eps:.3g}",
    )


def _final_drift(c: Context) -> Evidence:
    got = first_trap(c)
    if got is None:
        return Evidence((Hypothesis("the run is trapped (5.1)", False),))
    first, _ = got
    limit = 2 - 1 / c.k
    side = (0.0, 0.0)
    # The later the state, the narrower its region: the first of a few that decides has the most to show.
    for t in sorted({first + (c.T - first) * j // 16 for j in range(17)}):
        s, w, r = float(c.s[t]), float(c.w[t]), float(c.r[t])
        trap = search_trapping(s, w, r, c.k, c.eps)
        # Below these sizes r and w are what rounding left of them.
        if trap is None or not (w > 1e-250 and -1 < r < -1e3 * c.r_tolerance and float(trap.s_lo) > 1):
            continue
        if not max(stability_number(float(x), c.k, c.eps) for x in (trap.s_lo, trap.s_hi)) < 1:
            continue
        direction, *margins = final_drift(s, w, r, c.k, c.eps, trap)
        side = (float(margins[0]), float(margins[1]))
        if direction:
            break
    else:
        return Evidence(
            (
                Hypothesis(
                    "the limit is separated from 2 - 1/k, and the ratio |r|/w is on its side", False, min(side)
                ),
            )
        )
    # The conclusion is about exact steps; one of s·ulp is rounding, and so is r at its floor.
    kept = np.abs(c.r[t:]) > 1e3 * c.r_tolerance
    end = t + (len(kept) if kept.all() else int(np.argmin(kept)))
    steps = np.diff(c.s[t : end + 1])
    slack = 16 * ULP
    after = (s, float(trap.s_hi)) if direction > 0 else (float(trap.s_lo), s)
    return Evidence(
        (
            at_least("|r|/w on its side", side[0], 0, strict=True),
            at_least("the side is invariant", side[1], 0),
        ),
        {"direction": float(direction), "s_limit": after, "two_minus_1_over_k": limit},
        {
            "direction": float(np.sign(c.s[end if end <= c.T else c.T] - s)),
            "s_limit": float(c.s[-1]),
            "two_minus_1_over_k": None,
        },
        bool(np.all(direction * steps >= -slack)) if len(steps) else None,
        note=f"s {'rises' if direction > 0 else 'falls'} from step {t} on",
    )


STATEMENTS = (
    Statement(
        "5.1",
        "Trapping region",
        "proved",
        f"{REFERENCE}#51",
        "If for some D the inequalities hold at one state, then for ever s ∈ [s₋, s₊], w_t ≤ w0mᵗ, "
        "|r| ≤ R, and GD "
        "converges to a minimiser with ηλ1α∞² ∈ [s₋, s₊].",
        _trapping,
        (
            Assumption("s < 2", "s₊ < 2", "s > 2 with any w > 0: β1 grows"),
            Assumption(
                "inequalities", "ρ < 1, m < 1, g < 1, R, D large enough", "unknown: sufficient, not necessary"
            ),
        ),
    ),
    Statement(
        "5.2",
        "Local rates",
        "proved",
        f"{REFERENCE}#52",
        "At a minimiser with ηλ1α² = s < 2 the multipliers are 1−s, 1−s/k−ε/s and 1.",
        _rates,
        dynamics="any",
    ),
    Statement(
        "5.3",
        "Certified divergence",
        "proved",
        f"{REFERENCE}#53",
        "(D1) s ≥ 2, w > 2+ε/(4s), or (D2) |p| > 1, s(1−1/|p|) ≥ 2k, w+n(1−1/|p|) > 2: GD diverges.",
        _divergence,
        (
            Assumption("D1: s >= 2", "s ≥ 2", "ε → 0, s = 0.5, w = 2.1: converges (Theorem 5.4, Σ < 4)"),
            Assumption("D1: w > 2 + eps/(4s)", "w > 2+ε/(4s)", "ε → 0, s = 2, w = 1.9: converges (Σ < 4)"),
        ),
    ),
    Statement(
        "5.4",
        "Exact catapult threshold",
        "proved",
        f"{REFERENCE}#54",
        "For λ2 = 0, Σ⁺−4 = (Σ−4)(1+P): Σ0 < 4 converges with ΣP ≤ Σ0/(4−Σ0), Σ0 > 4 diverges unless αβ1 hits 0.",
        _catapult,
        (Assumption("lambda2 = 0", "λ2 = 0", "k = 10, ηλ1 = 1: 15 of 2000 starts are misclassified"),),
        dynamics="any",
    ),
    Statement(
        "5.5",
        "Direction of the end",
        "proved",
        f"{REFERENCE}#55",
        "Inside a trapping region with s₋ > 1: if |r|/w is above s₊/(ε(1−R)) (below s₋/ε) and that side is "
        "invariant, s increases (decreases) at every later step. A run that converges to s∞ ∈ (1,2), s∞ ≠ 2−1/k, "
        "ends so: rising if s∞ < 2−1/k, falling if s∞ > 2−1/k.",
        _final_drift,
        (
            Assumption("|r|/w on its side", "x_N > s₊/(ε(1−R)) or x_N < s₋/ε", "G − 1 has the other sign at N"),
            Assumption(
                "the side is invariant",
                "F₋ + (1−R)/K ≥ (s₊−1)² or F₊ + 1/K ≤ (s₋−1)²",
                "k = 100, ε = .01, s = 1.995, r = −1e-5, x_N = 400 > s/ε: s rises at once and falls later",
            ),
        ),
    ),
)
