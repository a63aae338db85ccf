"""Exact one-step identities of gradient descent (docs/theory, section 2).

Each function returns (left − right, scale): the defect of the identity in one step θ → θ⁺ = ``gd_step(θ)``, and
the sum of the sizes of its terms, in units of which rounding is judged. On symbols the defect simplifies to zero.
All take the normalised state w = (α, β1, β2) (teacher 1) and (h, h1), with η = 1 in units of time: λ_i = h_i.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from eoslab.core.numbers import Num, Vec, log, sqrt
from eoslab.models import minimalist
from eoslab.theory.context import ULP, Context
from eoslab.theory.statement import Assumption, Evidence, Statement, at_least

__all__ = ["IDENTITIES", "STATEMENTS", "balance_at_zero", "mean_log_multiplier", "mean_loss", "step"]

REFERENCE = "docs/theory/identities.md"


def step(w: Vec, h: Num, h1: Num) -> Vec:
    """One step of gradient descent in normalised units."""
    return minimalist.gd_step(w, 1, (h1, h, 1))


def _reduced(w: Vec, h: Num, h1: Num) -> Vec:
    alpha, beta1, beta2 = w
    return h1 * alpha**2, h1 * beta1**2, h1 * beta2**2, alpha * beta2 - 1


def _drive(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """q = −ε r(1+r) from 1 + r = αβ2 (r + 1 loses its digits as α → 0), and the size of its terms."""
    p = w[0] * w[2]
    return -h * h1 * (p - 1) * p, h * h1 * abs(p) * (1 + abs(p))


def loss_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I1) L = −½λ2 r + (1/4η)[α² − α⁺² + (α⁺−α)²], times η."""
    alpha, beta1, beta2 = w
    moved, r = step(w, h, h1)[0], alpha * beta2 - 1
    left = h1 * alpha**2 * beta1**2 / 2 + h * r**2 / 2
    drop = (alpha**2 - moved**2 + (moved - alpha) ** 2) / 4
    return left - (-h * r / 2 + drop), left + h * abs(r) + alpha**2 + moved**2 + h


def pinning_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I2) w⁺ = w(1−s)², of which log w⁺ − log w = 2 log|1−s| is the logarithm."""
    s, v, _, _ = _reduced(w, h, h1)
    return h1 * step(w, h, h1)[1] ** 2 - v * (1 - s) ** 2, v * (1 + s) ** 2


def energy_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I3) E = w + z²/4: E⁺ − E = z q + (1−G)²[s z/2 + s²(1+G)²/4]."""
    s, v, _, _ = _reduced(w, h, h1)
    s1, v1, _, _ = _reduced(step(w, h, h1), h, h1)
    q, q_size = _drive(w, h, h1)
    z, G = s - 2, 1 - v + q / s
    left = v1 + (s1 - 2) ** 2 / 4 - v - z**2 / 4
    right = z * q + (1 - G) ** 2 * (s * z / 2 + s**2 * (1 + G) ** 2 / 4)
    size = 1 + abs(G) + v + q_size / s
    return left - right, (1 + s) ** 2 * size**4 * (1 + v)


def balance_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I4) s w − q = ½(s − s⁺) + ½ s(1−G)²."""
    s, v, _, _ = _reduced(w, h, h1)
    s1 = h1 * step(w, h, h1)[0] ** 2
    q, q_size = _drive(w, h, h1)
    G = 1 - v + q / s
    return s * v - q - ((s - s1) / 2 + s * (1 - G) ** 2 / 2), s * (1 + v + q_size / s) ** 2 + q_size


def catapult_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I5) Σ = s + w: Σ⁺ − Σ = P(Σ−4) + 2(1−w)q + q²/s."""
    s, v, _, _ = _reduced(w, h, h1)
    s1, v1, _, _ = _reduced(step(w, h, h1), h, h1)
    q, q_size = _drive(w, h, h1)
    right = s * v * (s + v - 4) + 2 * (1 - v) * q + q**2 / s
    return s1 + v1 - s - v - right, s * (1 + v + q_size / s) ** 2 + v * (1 + s) ** 2 + q_size * (1 + v)


def lyapunov_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I6) Λ = s + w − ν: Λ⁺ − Λ = −P(4−Σ) − 2wq − h²r²(s−ν)."""
    s, v, nu, r = _reduced(w, h, h1)
    s1, v1, nu1, _ = _reduced(step(w, h, h1), h, h1)
    q, q_size = _drive(w, h, h1)
    right = -s * v * (4 - s - v) - 2 * v * q - h**2 * r**2 * (s - nu)
    size = s * (1 + v + h * (nu / h1 + abs(r))) ** 2 + v * (1 + s) ** 2 + nu + nu1 + h**2 * (r**2 + 1) * (s + nu)
    return s1 + v1 - nu1 - (s + v - nu) - right, size + s1 + v1 + q_size * v + h * h1


def surrogate_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I7) r̃ = α_eβ2 − 1, χ = α/α_e: r̃⁺ = r̃(1 − 2χ²/k) − (2/k)χ(χ−1)."""
    alpha, _, beta2 = w
    edge = sqrt(2 / h1)
    moved = step(w, h, h1)[2]
    chi, rt, k = alpha / edge, edge * beta2 - 1, h1 / h
    right = rt * (1 - 2 * chi**2 / k) - 2 / k * chi * (chi - 1)
    return edge * moved - 1 - right, (1 + abs(rt)) * (1 + chi**2 * (1 + 2 / k)) + 2 / k * (abs(chi) + chi**2)


def gfs_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I8) c = α²−β1²−β2²: c⁺ − c = −h²r²(α²−β2²) − h1²α²β1²(α²−β1²) + 2εr(1+r)β1²."""
    alpha, beta1, beta2 = w
    a1, b1, b2 = step(w, h, h1)
    r = alpha * beta2 - 1
    left = a1**2 - b1**2 - b2**2 - alpha**2 + beta1**2 + beta2**2
    right = (
        -(h**2) * r**2 * (alpha**2 - beta2**2)
        - h1**2 * alpha**2 * beta1**2 * (alpha**2 - beta1**2)
        + 2 * h * h1 * r * (1 + r) * beta1**2
    )
    size = 1 + h1 * (alpha**2 + beta1**2) + h * (alpha**2 + beta2**2) + h
    return left - right, size**2 * (alpha**2 + beta1**2 + beta2**2)


def gfs_gradient_identity(w: Vec, h: Num, h1: Num) -> tuple[Num, Num]:
    """(I8), second form: c⁺ − c = η²(g_α² − |g_β|²)."""
    alpha, beta1, beta2 = w
    a1, b1, b2 = step(w, h, h1)
    g = minimalist.grad(w, (h1, h, 1))
    left = a1**2 - b1**2 - b2**2 - alpha**2 + beta1**2 + beta2**2
    size = 1 + h1 * (alpha**2 + beta1**2) + h * (alpha**2 + beta2**2) + h
    return left - (g[0] ** 2 - g[1] ** 2 - g[2] ** 2), size**2 * (alpha**2 + beta1**2 + beta2**2)


def balance_at_zero(alpha: Num, beta2: Num, h: Num) -> Num:
    """y = α²−β2² at β1 = 0: y⁺ − y(1−h²r²), which is zero."""
    a1, _, b2 = step((alpha, 0 * alpha, beta2), h, h)
    r = alpha * beta2 - 1
    return a1**2 - b2**2 - (alpha**2 - beta2**2) * (1 - h**2 * r**2)


#: Name → (left − right, scale).
IDENTITIES: Mapping[str, tuple[Callable[[Vec, Num, Num], tuple[Num, Num]], ...]] = {
    "I1": (loss_identity,),
    "I2": (pinning_identity,),
    "I3": (energy_identity,),
    "I4": (balance_identity,),
    "I5": (catapult_identity,),
    "I6": (lyapunov_identity,),
    "I7": (surrogate_identity,),
    "I8": (gfs_identity, gfs_gradient_identity),
}


def mean_loss(c: Context) -> tuple[float, float]:
    """(mean L, its value by the telescoped I1) over the whole run, in units of b² and η|b| = 1 of h, h1."""
    r, a = c.r[:-1], c.alpha
    n = len(r)
    left = float(np.mean(c.loss[:-1])) * c.lr * abs(c.b)
    right = -c.h * float(np.mean(r)) / 2 + float(a[0] ** 2 - a[-1] ** 2) / (4 * n)
    # With α → |α| a change of sign counts as α⁺ − α of the unreflected run.
    delta = np.diff(c._states[0][:, 0]) / np.sqrt(abs(c.b))
    return left, right + float(np.mean(delta**2)) / 4


def mean_log_multiplier(c: Context) -> tuple[float, float]:
    """(mean log|1−s|, [log w_N − log w_0]/(2N)) over the run; nan where β1 or 1−s is zero somewhere."""
    with np.errstate(all="ignore"):
        left = float(np.mean(log(np.abs(1 - c.s[:-1]))))
        right = float(c.log_w[-1] - c.log_w[0]) / (2 * c.T)
    return left, right


def _identity(name: str) -> Callable[[Context], Evidence]:
    def test(c: Context) -> Evidence:
        w = (c.alpha, c.beta1, c.beta2)
        usable = c.s > 0
        worst = 0.0
        with np.errstate(all="ignore"):
            for identity in IDENTITIES[name]:
                defect, scale = identity(w, c.h, c.h1)
                relative = np.abs(defect) / np.maximum(scale, 1e-290)
                worst = max(worst, float(np.max(relative[usable]))) if usable.any() else worst
        predicted: dict[str, float | tuple[float, float] | None] = {"relative_defect": 0.0}
        measured: dict[str, float | tuple[float, float] | None] = {"relative_defect": worst}
        fine = worst <= 64 * ULP
        if c.has_run and c.dynamics == "gd" and name == "I1":
            measured["mean_eta_loss"], predicted["mean_eta_loss"] = left, right = mean_loss(c)
            size = float(np.max(c.alpha) ** 2 + c.h) * (1 + float(np.max(c.s + c.w)))
            fine &= abs(left - right) <= 64 * ULP * size * (1 + float(np.max(np.abs(c.G)))) ** 2
        if c.has_run and c.dynamics == "gd" and name == "I2":
            left, right = mean_log_multiplier(c)
            if np.isfinite(left) and np.isfinite(right):
                measured["mean_log_multiplier"], predicted["mean_log_multiplier"] = left, right
                # A logarithm is as exact as 1−s is: a step with s close to 1 weighs in with its own error.
                noise = float(np.mean((1 + c.s[:-1]) / np.abs(1 - c.s[:-1])))
                logs = float(np.max(np.abs(c.log_w[[0, -1]])))
                fine &= abs(left - right) <= 64 * ULP * (noise + np.sqrt(c.T) + logs / c.T + abs(left))
        return Evidence(
            hypotheses=(at_least("alpha != 0", float(np.min(c.s)), 0, strict=True),),
            predicted=predicted,
            measured=measured,
            consistent=bool(fine),
        )

    return test


_TITLES = {
    "I1": ("Loss identity", "L = −½λ2 r + (1/4η)[α² − α⁺² + (α⁺−α)²]; the smoothed loss is ½λ2|r|."),
    "I2": (
        "Pinning identity",
        "log w⁺ − log w = 2 log|1−s|: λ1α² is pinned at 2/η while β1 neither grows nor dies.",
    ),
    "I3": ("Energy identity", "E = w + z²/4: E⁺ − E = z q + (1−G)²[s z/2 + s²(1+G)²/4]."),
    "I4": ("Balance identity", "s w − q = s(1−G) = ½(s − s⁺) + ½ s(1−G)²."),
    "I5": ("Catapult identity", "Σ⁺ − Σ = P(Σ−4) + 2(1−w)q + q²/s."),
    "I6": ("Lyapunov identity", "Λ⁺ − Λ = −P(4−Σ) − 2wq − h²r²(s−ν)."),
    "I7": ("Surrogate identity", "r̃⁺ = r̃(1 − 2χ²/k) − (2/k)χ(χ−1)."),
    "I8": (
        "Gradient-flow-solution identity",
        "c⁺ − c = −h²r²(α²−β2²) − h1²α²β1²(α²−β1²) + 2εr(1+r)β1² = η²(g_α² − |g_β|²).",
    ),
}

STATEMENTS = tuple(
    Statement(
        name,
        title,
        "proved",
        REFERENCE,
        text,
        _identity(name),
        (
            Assumption(
                "alpha != 0", "α ≠ 0", "only the form with q/s divides by α; the identity holds by continuity"
            ),
        ),
        dynamics="any",
    )
    for name, (title, text) in _TITLES.items()
)
