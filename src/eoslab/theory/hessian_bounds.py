"""Gradient, Hessian, sharpness and its bounds (docs/theory, section 1)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from eoslab.core.numbers import Num, sqrt
from eoslab.models import minimalist
from eoslab.theory.context import ULP, Array, Context
from eoslab.theory.statement import Assumption, Evidence, Statement, at_least

__all__ = [
    "STATEMENTS",
    "characteristic",
    "eta_sharpness_bound",
    "lower_block",
    "sharpness_bound_far",
    "sharpness_bound_near",
    "sharpness_bound_simple",
    "top_eigenvalue",
]

REFERENCE = "docs/theory/hessian.md"


def top_eigenvalue(Q: Array, c1: Array, m: Array, c2: Array, d: Array) -> Array:
    """λmax of [[Q, c1, c2], [c1, m, 0], [c2, 0, d]] for arrays, m ≥ d (see :mod:`eoslab.core.arrowhead`).

    From the root that all weight on the pole m would give, the secular equation is solved for x = μ − m with
    c1²/x kept and the rest linearised: monotone after one step, quadratic.
    """
    w1, w2, gap, b0 = c1**2, c2**2, m - d, m - Q
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = _positive_root(np.ones_like(Q), b0, w1 + w2)
        for _ in range(40):
            y = x + gap
            t = np.where(y > 0, w2 / np.where(y > 0, y, 1.0), 0.0)
            slope = 1 + np.where(y > 0, t / np.where(y > 0, y, 1.0), 0.0)
            new = _positive_root(slope, x + b0 - t - slope * x, w1)
            moved = np.abs(new - x) <= 2 * ULP * (np.abs(m) + x)
            x = np.where(np.isfinite(new), new, x)
            if moved.all():
                break
    return np.asarray(m + x)


def _positive_root(a: Array, b: Array, c: Array) -> Array:
    root = np.sqrt(b * b + 4 * a * c)
    safe = np.where(b + root > 0, b + root, 1.0)
    return np.where(b > 0, 2 * c / safe, (root - b) / (2 * a))


def _parts(w: Any, p: Any) -> Any:
    (Q, c1, c2), (_, m, _), (_, _, d) = minimalist.hessian(w, p)
    return Q, c1, m, c2, d


def characteristic(mu: Num, w: Any, p: Any) -> Num:
    """The polynomial of Prop 1.2 at μ: (μ−Q)(μ−m)(μ−d) − 4λ1²α²β1²(μ−d) − λ2²(2αβ2−b)²(μ−m)."""
    Q, c1, m, c2, d = _parts(w, p)
    return (mu - Q) * (mu - m) * (mu - d) - c1**2 * (mu - d) - c2**2 * (mu - m)


def lower_block(w: Any, p: Any) -> Num:
    """S12 = (m+Q)/2 + √((m−Q)²/4 + 4λ1²α²β1²) ≤ S: the top eigenvalue of the (α, β1) block (Prop 1.3)."""
    Q, c1, m, _, _ = _parts(w, p)
    return (m + Q) / 2 + sqrt((m - Q) ** 2 / 4 + c1**2)


def sharpness_bound_near(w: Any, p: Any) -> Num:
    """S ≤ (S12+d)/2 + √((S12−d)²/4 + λ2²(2αβ2−b)²) (Prop 1.3)."""
    _, _, _, c2, d = _parts(w, p)
    top = lower_block(w, p)
    return (top + d) / 2 + sqrt((top - d) ** 2 / 4 + c2**2)


def sharpness_bound_far(w: Any, p: Any) -> Num:
    """S ≤ m + 4λ1²α²β1²/(m−Q) + λ2²(2αβ2−b)²/((λ1−λ2)α²), for m > Q and λ1 > λ2 (Prop 1.3)."""
    Q, c1, m, c2, d = _parts(w, p)
    return m + c1**2 / (m - Q) + c2**2 / (m - d)


def sharpness_bound_simple(w: Any, p: Any) -> Num:
    """S ≤ λ1(α²+4β1²) + λ2(max(α²,β2²) + |2αβ2−b|), without any condition (Prop 1.3)."""
    return minimalist.sharpness_bound(w, p)


def eta_sharpness_bound(s: Num, w: Num, r: Num, k: Num, eps: Num) -> Num:
    """ηS ≤ s + 4sw/(s − w − ε(1+r)²/s) + ε(1+2r)²/((k−1)s); needs s > w + ε(1+r)²/s and k > 1 (Prop 1.3)."""
    return s + 4 * s * w / (s - w - eps * (1 + r) ** 2 / s) + eps * (1 + 2 * r) ** 2 / ((k - 1) * s)


def taylor_defect(w: Any, v: Any, p: Any) -> Num:
    """L(w+v) − [L + g·v + ½vᵀHv + ⅙∇³L(v,v,v) + ½x²(λ1y²+λ2z²)]: zero, since L has degree four."""
    lambda1, lambda2, _ = p
    x, y, z = v
    g = minimalist.grad(w, p)
    H = minimalist.hessian(w, p)
    moved = tuple(a + b for a, b in zip(w, v, strict=True))
    first = sum(a * b for a, b in zip(g, v, strict=True))
    second = sum(v[i] * H[i][j] * v[j] for i in range(3) for j in range(3))
    alpha, beta1, beta2 = w
    third = 6 * x * (lambda1 * y * (beta1 * x + alpha * y) + lambda2 * z * (beta2 * x + alpha * z))
    fourth = x**2 * (lambda1 * y**2 + lambda2 * z**2)
    taylor = minimalist.loss(w, p) + first + second / 2 + third / 6 + fourth / 2
    return minimalist.loss(moved, p) - taylor


# -- statements -------------------------------------------------------------------------------------------


def _derivatives(c: Context) -> Evidence:
    # Exact rational arithmetic: the defect is zero or the formulas are wrong.
    w = tuple(Fraction(x) for x in c.w0)
    p = tuple(Fraction(x) for x in c.p)
    worst = max(
        abs(taylor_defect(w, v, p))
        for v in (
            (Fraction(1, 7), Fraction(-2, 5), Fraction(3, 11)),
            (Fraction(-5, 3), Fraction(1, 2), Fraction(1)),
        )
    )
    at_zero = minimalist.third((c.w0[0], 0.0, c.w0[2]), (0.0, 1.0, 0.0), c.p)
    error = max(abs(at_zero[0] - 2 * c.lambda1 * c.w0[0]), abs(at_zero[1]), abs(at_zero[2]))
    return Evidence(
        predicted={"taylor_defect": 0.0, "grad_S_error": 0.0},
        measured={"taylor_defect": float(worst), "grad_S_error": error},
        consistent=worst == 0 and error <= 4 * ULP * abs(2 * c.lambda1 * c.w0[0]),
        note="Taylor expansion to fourth order in exact rational arithmetic; ∇S at β1 = 0",
    )


def _polynomial(c: Context) -> Evidence:
    H = np.array([[float(x) for x in row] for row in minimalist.hessian(c.w0, c.p)])
    scale = float(np.abs(H).sum()) or 1.0
    worst = max(abs(characteristic(mu, c.w0, c.p)) for mu in np.linalg.eigvalsh(H).tolist()) / scale**3
    return Evidence(
        predicted={"relative_residual": 0.0}, measured={"relative_residual": worst}, consistent=worst <= 64 * ULP
    )


def _bounds(c: Context) -> Evidence:
    S, w = c.eta_sharpness, (c.alpha, c.beta1, c.beta2)
    p = (c.h1, c.h, 1.0)
    with np.errstate(all="ignore"):
        lower = np.maximum(c.h1 * c.alpha**2, lower_block(w, p))
        near, simple = sharpness_bound_near(w, p), sharpness_bound_simple(w, p)
        usable = c.s > c.w + c.eps * (1 + c.r) ** 2 / np.where(c.s > 0, c.s, np.inf)
        far = np.where(usable, sharpness_bound_far(w, p), np.inf) if c.k > 1 else np.full_like(S, np.inf)
        upper = np.minimum(np.minimum(near, simple), far)
    tolerance = 64 * ULP * (np.abs(near) + 1)
    slack = float(np.min(np.minimum(S - lower, upper - S) + tolerance))
    t = int(np.argmax(S))
    return Evidence(
        hypotheses=(
            at_least("alpha != 0", float(np.min(c.alpha)), 0, strict=True),
            at_least("lambda1 > lambda2", c.k, 1, strict=True),
        ),
        predicted={
            "eta_sharpness_at_start": (float(lower[0]), float(upper[0])),
            "eta_sharpness_at_maximum": (float(lower[t]), float(upper[t])),
        },
        measured={"eta_sharpness_at_start": float(S[0]), "eta_sharpness_at_maximum": float(S[t])},
        consistent=slack >= 0,
        note=f"all {c.T + 1} points tested",
    )


STATEMENTS = (
    Statement(
        "1.1",
        "Gradient, Hessian, third derivative",
        "proved",
        f"{REFERENCE}#11",
        "g, H (an arrowhead) and ∇³L are the printed polynomials; where β1 = 0 and λ1α² is the strict top "
        "eigenvalue, u = e_β1, ∇³L(u,u,u) = 0 and ∇S = (2λ1α, 0, 0).",
        _derivatives,
        dynamics="any",
    ),
    Statement(
        "1.2",
        "Characteristic polynomial of the Hessian",
        "proved",
        f"{REFERENCE}#12",
        "The eigenvalues are the roots of (μ−Q)(μ−m)(μ−d) − 4λ1²α²β1²(μ−d) − λ2²(1+2r)²(μ−m).",
        _polynomial,
        dynamics="any",
    ),
    Statement(
        "1.3",
        "Two-sided bounds of the sharpness",
        "proved",
        f"{REFERENCE}#13",
        "λ1α² ≤ S12 ≤ S ≤ (S12+d)/2 + √((S12−d)²/4 + λ2²(1+2r)²), S ≤ λ1(α²+4β1²) + λ2(max(α²,β2²) + |1+2r|), "
        "and, if m > Q, S ≤ λ1α² + 4λ1²α²β1²/(m−Q) + λ2²(1+2r)²/((λ1−λ2)α²).",
        _bounds,
        (
            Assumption("alpha != 0", "α ≠ 0", "only the third bound divides by α²; the others hold at α = 0 too"),
            Assumption("lambda1 > lambda2", "λ1 > λ2", "only the third bound divides by λ1 − λ2"),
        ),
        dynamics="any",
    ),
)
