"""Scaling, the reduced map, critical points and stable minimisers (docs/theory, section 0)."""

from __future__ import annotations

import numpy as np

from eoslab.core.numbers import Num, maximum, sqrt
from eoslab.models import minimalist
from eoslab.theory.certificate import no_stable_minimiser, search_trapping
from eoslab.theory.context import ULP, Context
from eoslab.theory.reduced import normalise
from eoslab.theory.statement import Assumption, Evidence, Statement, at_least

__all__ = ["STATEMENTS", "least_eta_sharpness", "minimiser_eta_sharpness", "minimiser_s_range", "saddle_spectrum"]

REFERENCE = "docs/theory/coordinates.md"


def minimiser_eta_sharpness(s: Num, k: Num, eps: Num) -> Num:
    """η·sharpness of the minimiser with ηλ1α² = s: max(s, s/k + ε/s) (Prop 0.3)."""
    return maximum(s, s / k + eps / s)


def least_eta_sharpness(h: Num, h1: Num) -> Num:
    """The smallest η·sharpness of any minimiser.

    s/k + ε/s is convex with minimum 2h at s = h1; s crosses it at s² = ε/(1 − 1/k). If the crossing lies left of
    h1 (k ≥ 2) the minimum is at the crossing, else at h1.
    """
    k, eps = h1 / h, h * h1
    if not k > 2:
        return 2 * h
    return sqrt(eps / (1 - 1 / k))


def minimiser_s_range(h: Num, h1: Num) -> tuple[Num, Num] | None:
    """The s = ηλ1α² of all minimisers with sharpness ≤ 2/η: an interval, or None if there is none (Prop 0.3)."""
    if not no_stable_minimiser(h, h1) and h <= 1:
        k = h1 / h
        root = sqrt(1 - h**2)
        # s/k + ε/s ≤ 2 between the roots k(1 ± √(1−h²)); the smaller one without cancellation.
        lo, hi = h * h1 / (1 + root), k * (1 + root)
        return lo, hi if hi < 2 else 2 + 0 * hi
    return None


def saddle_spectrum(beta1: Num, lambda1: Num, lambda2: Num) -> tuple[Num, Num, Num]:
    """Hessian eigenvalues 0, ½(λ1β1² ± √(λ1²β1⁴ + 4λ2²)) at the saddle (0, β1, 0), for b = 1 (Prop 0.3)."""
    m = lambda1 * beta1**2
    root = sqrt(m**2 + 4 * lambda2**2)
    return 0 * m, (m + root) / 2, (m - root) / 2


def _scaling(c: Context) -> Evidence:
    p, unit = c.p, (c.h1 / (c.lr * abs(c.b)), c.h / (c.lr * abs(c.b)), 1.0)
    w = tuple(c._states[0].T)
    ours = minimalist.gd_step(w, c.lr, p)
    theirs = minimalist.gd_step(normalise(w, p), c.lr * abs(c.b), unit)
    scale = 1 + c.s + c.w + c.nu
    size = scale * (1 + sum(np.abs(x) for x in normalise(w, p)))
    worst = max(float(np.max(np.abs(a - b) / size)) for a, b in zip(normalise(ours, p), theirs, strict=True))
    L, S = minimalist.loss(w, p), minimalist.loss(normalise(w, p), unit)
    worst = max(worst, float(np.max(np.abs(L / c.b**2 - S) / (np.abs(S) + unit[1]))))
    return Evidence(
        predicted={"relative_error": 0.0}, measured={"relative_error": worst}, consistent=worst <= 64 * ULP
    )


def _map(c: Context) -> Evidence:
    w = tuple(c._states[0].T)
    moved = minimalist.gd_step(w, c.lr, c.p)
    g = c.lr * c.lambda1
    with np.errstate(all="ignore"):
        G = c.G
        p = np.abs(1 + c.r)
        size = 1 + c.w + c.eps * p * (1 + p) / c.s
        errors = (
            np.abs(g * moved[0] ** 2 - c.s * G**2) / (c.s * size**2),
            np.abs(g * moved[1] ** 2 - c.w * (1 - c.s) ** 2) / (c.w * (1 + c.s) ** 2 + 1e-300),
            np.abs(moved[0] * moved[2] / c.b - G * (1 + c.r - c.r * c.s / c.k))
            / (size * (1 + np.abs(c.r)) * (1 + c.s / c.k)),
        )
    usable = c.s > 0
    worst = max((float(np.max(e[usable])) for e in errors), default=0.0) if usable.any() else 0.0
    return Evidence(
        hypotheses=(at_least("alpha != 0", float(np.min(c.s)), 0, strict=True),),
        predicted={"relative_error": 0.0},
        measured={"relative_error": worst},
        consistent=worst <= 64 * ULP,
    )


def _stable(c: Context) -> Evidence:
    none = bool(no_stable_minimiser(c.h, c.h1))
    least = float(least_eta_sharpness(c.h, c.h1))
    # The two ways of deciding must agree, except within rounding of the boundary.
    agree = (least > 2) == none or abs(least - 2) < 1e-12
    trap = search_trapping(float(c.s[-1]), float(c.w[-1]), float(c.r[-1]), c.k, c.eps) if c.has_run else None
    measured = None if trap is None else minimiser_eta_sharpness(float(c.s[-1]), c.k, c.eps)
    span = minimiser_s_range(c.h, c.h1)
    return Evidence(
        predicted={"least_eta_sharpness": least, "stable_minimisers_s": span},
        measured={"eta_sharpness_reached": measured},
        consistent=agree and not (none and trap is not None),
        note="no minimiser has sharpness ≤ 2/η: convergence from a null set only" if none else "",
    )


STATEMENTS = (
    Statement(
        "0.1",
        "Scaling and sign symmetries",
        "proved",
        f"{REFERENCE}#01",
        "With θ = √b·θ̃, L(θ; b) = b²L(θ̃; 1) and GD with step η on L(·; b) is GD with step ηb on "
        "L(·; 1); b < 0 flips "
        "β2. θ → (−α, −β1, −β2) and β1 → −β1 are exact symmetries.",
        _scaling,
        dynamics="any",
    ),
    Statement(
        "0.2",
        "Reduced map",
        "proved",
        f"{REFERENCE}#02",
        "s⁺ = sG², w⁺ = w(1−s)², 1+r⁺ = G(1+r−rs/k): a closed map of (s, w, r) with two parameters (k, ε).",
        _map,
        (Assumption("alpha != 0", "α ≠ 0", "needed: at s = 0, r = −1 two values of β2 give two values of s⁺"),),
        dynamics="any",
    ),
    Statement(
        "0.3",
        "Critical points and stable minimisers",
        "proved",
        f"{REFERENCE}#03",
        "A minimiser with sharpness ≤ 2/η exists iff (h1 ≤ 2 and h ≤ 1) or (h1 > 2 and ε ≤ "
        "4(1−1/k)). If none does, GD "
        "converges to a minimiser from a null set of initialisations only.",
        _stable,
        dynamics="any",
    ),
)
