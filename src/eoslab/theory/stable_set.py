"""The stable set, its coefficients, and the constrained trajectory (docs/theory, section 6)."""

from __future__ import annotations

import math

import numpy as np

from eoslab.core.numbers import Num
from eoslab.models import minimalist
from eoslab.theory.context import ULP, Array, Context
from eoslab.theory.main_theorem import edge_bound, surrogate_defect_bound
from eoslab.theory.statement import Assumption, Evidence, Hypothesis, Quantity, Statement, at_least, at_most

__all__ = [
    "STATEMENTS",
    "constrained_residual",
    "constrained_trajectory",
    "displacement",
    "distance_bound",
    "distance_squared",
    "fixed_amplitude",
    "in_stable_branch",
    "in_stable_set",
    "progressive_sharpening",
    "self_stabilization",
    "stable_set_coefficients",
]

REFERENCE = "docs/theory/stable-set.md"


def progressive_sharpening(r: Num, lambda1: Num, lambda2: Num) -> Num:
    """a_PS = −∇L·∇S = −2λ1λ2 r(1+r) on M₀ (times b² for teacher b); positive iff −1 < r < 0."""
    return -2 * lambda1 * lambda2 * r * (1 + r)


def self_stabilization(alpha: Num, lambda1: Num) -> Num:
    """b_SS = |∇S|² = 4λ1²α² on M₀."""
    return 4 * lambda1**2 * alpha**2


def fixed_amplitude(a_ps: Num, b_ss: Num) -> Num:
    """β1*² = 2a_PS/b_SS: where the oscillation holds the sharpness. At the edge −½ηλ2 r(1+r) (Prop 6.1)."""
    return 2 * a_ps / b_ss


def in_stable_branch(w: tuple[float, float, float], p: tuple[float, float, float], lr: float) -> bool:
    """θ ∈ M₀: β1 = 0, λ1α² ≤ 2/η and λ1α² strictly above the top eigenvalue of the (α, β2) block."""
    alpha, beta1, beta2 = w
    lambda1, lambda2, b = p
    m, q, d, c = lambda1 * alpha**2, lambda2 * beta2**2, lambda2 * alpha**2, lambda2 * (2 * alpha * beta2 - b)
    top = (q + d) / 2 + math.sqrt((q - d) ** 2 / 4 + c**2)
    return beta1 == 0 and lr * m <= 2 and m > top


def stable_set_coefficients(
    w: tuple[float, float, float], p: tuple[float, float, float]
) -> tuple[float, float, float, float]:
    """(S, ∇L·u, a_PS, b_SS) at any point, from the gradient, the Hessian and the third derivative."""
    H = np.array([[float(x) for x in row] for row in minimalist.hessian(w, p)])
    values, vectors = np.linalg.eigh(H)
    u = vectors[:, -1]
    g = np.array(minimalist.grad(w, p), dtype=float)
    grad_s = np.array(minimalist.third(w, tuple(u.tolist()), p), dtype=float)
    return float(values[-1]), float(g @ u), float(-g @ grad_s), float(grad_s @ grad_s)


def in_stable_set(
    w: tuple[float, float, float], p: tuple[float, float, float], lr: float, *, tolerance: float = 1e-9
) -> bool:
    """θ ∈ M: S ≤ 2/η, simple top eigenvector u, ∇L·u = 0, and on the boundary −∇L·∇S > 0 (Prop 6.1).

    Equalities are judged to ``tolerance``, relative to the sizes of S and ∇L.
    """
    S, slope, a_ps, _ = stable_set_coefficients(w, p)
    H = np.array([[float(x) for x in row] for row in minimalist.hessian(w, p)])
    values = np.linalg.eigvalsh(H)
    size = float(np.abs(np.array(minimalist.grad(w, p), dtype=float)).sum())
    simple = values[-1] - values[-2] > tolerance * abs(values[-1])
    at_edge = lr * S >= 2 * (1 - tolerance)
    return bool(
        lr * S <= 2 * (1 + tolerance) and simple and abs(slope) <= tolerance * max(size, 1e-300)
        and (a_ps > 0 or not at_edge)
    )  # fmt: skip


def constrained_step(alpha: Num, beta2: Num, h: Num, alpha_e: Num) -> tuple[Num, Num]:
    """θ† → θ†⁺ on {β1 = 0, α ≤ α_e}: one step of GD in (α, β2), α then capped (Prop 6.1; b = 1, normalised)."""
    r = alpha * beta2 - 1
    up = alpha - h * r * beta2
    return (alpha_e if up > alpha_e else up), beta2 - h * r * alpha


def constrained_trajectory(alpha0: float, beta2_0: float, h: float, h1: float, steps: int) -> Array:
    """θ†_0 … θ†_steps as (α†, β2†), shape (steps+1, 2), from (min(α0, α_e), 0, β2,0), normalised units.

    At the edge with −1 < r† ≤ 0 the closed form r†_t = r†_0(1−2/k)ᵗ is used, so the long part costs nothing.
    """
    edge, k = math.sqrt(2 / h1), h1 / h
    out = np.empty((steps + 1, 2))
    alpha, beta2 = min(alpha0, edge), beta2_0
    for t in range(steps + 1):
        r = alpha * beta2 - 1
        if alpha == edge and -1 < r <= 0 and k >= 2:
            shadow = constrained_residual(r, np.arange(steps + 1 - t), k)
            out[t:, 0], out[t:, 1] = edge, (1 + shadow) / edge
            return out
        out[t] = alpha, beta2
        alpha, beta2 = constrained_step(alpha, beta2, h, edge)
    return out


def constrained_residual(r0: Num, t: Num, k: Num) -> Num:
    """r†_t = r†_0(1 − 2/k)ᵗ at the edge (Prop 6.1)."""
    return r0 * (1 - 2 / k) ** t


def displacement(c: Context, t0: int) -> tuple[Array, Array]:
    """(observed, predicted) displacement from θ† started at (α_e, 0, β2,t0): (T+1−t0, 3) and its leading form.

    Observed is θ_t − θ†_t in normalised units, with α > 0. Predicted is what the oscillation alone makes of it,
    (α_e·z/4, β1, 0): β2 follows θ† to first order.
    """
    dagger = constrained_trajectory(c.alpha_e, float(c.beta2[t0]), c.h, c.h1, c.T - t0)
    observed = np.stack((c.alpha[t0:] - dagger[:, 0], c.beta1[t0:], c.beta2[t0:] - dagger[:, 1]), axis=1)
    predicted = np.stack((c.alpha_e * c.z[t0:] / 4, c.beta1[t0:], np.zeros(c.T + 1 - t0)), axis=1)
    return observed, predicted


def distance_squared(chi: Num, w: Num, r_tilde: Num, r_dagger: Num, alpha_e: Num) -> Num:
    """|θ−θ†|² = α_e²[(χ−1)² + w/2 + (r̃−r†)²/α_e⁴] at the edge (Prop 6.2)."""
    return alpha_e**2 * ((chi - 1) ** 2 + w / 2 + (r_tilde - r_dagger) ** 2 / alpha_e**4)


def distance_bound(excursion: Num, w_bar: Num, defect: Num, alpha_e: Num) -> Num:
    """Bound of |θ−θ†|² from |z| ≤ ``excursion`` = max(ζ, U), w ≤ w̄ and |r̃−r†| ≤ ``defect`` (Prop 6.2)."""
    return alpha_e**2 * (excursion**2 / 4 + w_bar / 2 + defect**2 / alpha_e**4)


# -- statements -------------------------------------------------------------------------------------------


def _coefficients(c: Context) -> Evidence:
    # The point of M₀ below the state: β1 = 0, α capped at the edge.
    t = c.T1 or 0
    alpha, beta2 = min(float(c.alpha[t]), c.alpha_e), float(c.beta2[t])
    w, p = (alpha, 0.0, beta2), (c.h1, c.h, 1.0)
    inside = in_stable_branch((alpha * (1 - 1e-15), 0.0, beta2), p, 1.0)
    hypotheses = (Hypothesis("(min(alpha, alpha_e), 0, beta2) lies in M0", inside),)
    if not inside:
        return Evidence(hypotheses)
    r = alpha * beta2 - 1
    a, b = float(progressive_sharpening(r, c.h1, c.h)), float(self_stabilization(alpha, c.h1))
    S, slope, a_num, b_num = stable_set_coefficients(w, p)
    # In units of the problem: a_PS has λ1λ2b² = 1/η²·h1h, b_SS has λ1²|b| = h1²/(η²|b|).
    unit_a, unit_b = 1 / c.lr**2, 1 / (c.lr**2 * abs(c.b))
    error = max(abs(a - a_num) / (abs(a) + c.h * c.h1), abs(b - b_num) / b, abs(slope) / (c.h + 1e-300))
    predicted: dict[str, Quantity] = {
        "a_PS": a * unit_a,
        "b_SS": b * unit_b,
        "beta1_fixed_squared": float(fixed_amplitude(a, b)) * abs(c.b),
        "eta_sharpness": c.h1 * alpha**2,
    }
    measured: dict[str, Quantity] = {
        "a_PS": a_num * unit_a,
        "b_SS": b_num * unit_b,
        "beta1_fixed_squared": 2 * a_num / b_num * abs(c.b),
        "eta_sharpness": S,
    }
    fine = error <= 1e-10
    if c.T1 is not None and -1 < r < 0:
        # On the edge the fixed amplitude is the frozen two-cycle of Prop 4.10.
        cycle = -c.h * r * (1 + r) / 2
        fine &= abs(fixed_amplitude(a, b) - cycle) <= 1e-12 * cycle or alpha < c.alpha_e
    return Evidence(hypotheses, predicted, measured, bool(fine), note=f"at the projection of step {t}")


def _distance(c: Context) -> Evidence:
    t = c.T1
    if t is None or not c.has_run:
        return Evidence((Hypothesis("phase II is reached", False),))
    r0 = float(c.r_tilde[t])
    end = c.T2 if c.T2 is not None else c.T + 1
    hypotheses = (
        at_most("r_tilde <= 0 at T1", r0, 0),
        at_least("r_tilde > -1", r0, -1, strict=True),
        at_least("k >= 2", c.k, 2),
    )
    if not all(x.holds for x in hypotheses) or end - t < 2:
        return Evidence((*hypotheses, Hypothesis("phase II lasts", end - t >= 2)))
    observed, _ = displacement(c, t)
    observed = observed[: end - t]
    n = np.arange(end - t)
    shadow = constrained_residual(r0, n, c.k)
    exact = distance_squared(c.chi[t:end], c.w[t:end], c.r_tilde[t:end], shadow, c.alpha_e)
    direct = np.sum(observed**2, axis=1)
    error = float(np.max(np.abs(direct - exact) / (c.alpha_e**2 + exact)))
    fine = error <= 256 * ULP * (1 + 1 / c.alpha_e**2) * (1 + math.sqrt(float(end - t)))
    predicted: dict[str, Quantity] = {"identity_error": 0.0}
    measured: dict[str, Quantity] = {
        "identity_error": error, "distance": (math.sqrt(float(np.min(direct))), math.sqrt(float(np.max(direct))))
    }  # fmt: skip
    bound = edge_bound(float(c.s[t]), float(c.w[t]), r0, c.k, c.eps)
    z, logs = c.z[t:end], c.log_w[t:end]
    good = bool(np.all((c.r[t:end] < 0) & (c.r[t:end] > -1)))
    if bound.holds and c.dynamics == "gd" and good and np.all(np.isfinite(logs)) and bound.U <= 0.5:
        defect = float(np.max(surrogate_defect_bound(z, logs, c.k)))
        limit = math.sqrt(float(distance_bound(max(bound.zeta, bound.U), bound.w_bar, defect, c.alpha_e)))
        predicted["distance"] = (0.0, limit)
        fine &= math.sqrt(float(np.max(direct))) <= limit * (1 + 1e-9)
    return Evidence(hypotheses, predicted, measured, bool(fine), note=f"θ† from step {t}; until step {end - 1}")


STATEMENTS = (
    Statement(
        "6.1",
        "Stable set, its coefficients, constrained trajectory",
        "proved",
        f"{REFERENCE}#61",
        "On M₀ = {β1 = 0, λ1α² ≤ 2/η, λ1α² strictly on top}: a_PS = −2λ1λ2r(1+r), b_SS = 4λ1²α²; at the edge "
        "2a_PS/b_SS = −½ηλ2r(1+r) and r†_t = r†(1−2/k)ᵗ.",
        _coefficients,
        (Assumption("lies in M0", "the projected point lies in M₀", "where λ1α² is not on top, u ≠ e_β1"),),
        dynamics="any",
    ),
    Statement(
        "6.2",
        "Distance to the constrained trajectory",
        "proved",
        f"{REFERENCE}#62",
        "At the edge |θ−θ†|² = α_e²[(χ−1)² + w/2 + (r̃−r†)²/α_e⁴], bounded through 4.6 and 4.7(b).",
        _distance,
        (
            Assumption("r_tilde in (-1, 0]", "r̃ ∈ (−1, 0] at T1", "r̃ > 0: a_PS < 0, θ† leaves the edge"),
            Assumption("k >= 2", "k ≥ 2", "k = 1: r† alternates in sign and θ† leaves the edge"),
        ),
        dynamics="any",
    ),
)
