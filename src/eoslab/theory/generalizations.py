"""More irrelevant directions, correlated inputs (docs/theory, section 9): the exact d-input identities.

L = ½Σλ_i(αβ_i − v_i)²,  r_i = αβ_i − v_i,  θ = (α, β_1 … β_d)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eoslab.core.numbers import Num
from eoslab.theory.context import ULP, Context
from eoslab.theory.statement import Evidence, Statement

__all__ = [
    "STATEMENTS",
    "conserved_defect",
    "gradient_d",
    "loss_d",
    "loss_identity_d",
    "multipliers_d",
    "total_w",
]

REFERENCE = "docs/theory/generalizations.md"


def loss_d(alpha: Num, beta: Sequence[Num], lam: Sequence[Num], v: Sequence[Num]) -> Num:
    """L = ½Σλ_i(αβ_i − v_i)²."""
    return sum(x * (alpha * y - z) ** 2 for x, y, z in zip(lam, beta, v, strict=True)) / 2


def gradient_d(alpha: Num, beta: Sequence[Num], lam: Sequence[Num], v: Sequence[Num]) -> tuple[Num, list[Num]]:
    """(g_α, g_β): Σλ_ir_iβ_i and λ_ir_iα."""
    r = [x * (alpha * y - z) for x, y, z in zip(lam, beta, v, strict=True)]
    return sum(x * y for x, y in zip(r, beta, strict=True)), [x * alpha for x in r]


def loss_identity_d(alpha: Num, beta: Sequence[Num], lam: Sequence[Num], v: Sequence[Num]) -> Num:
    """L − [½α∂_αL − ½Σλ_iv_ir_i], which is zero for any d and v."""
    g, _ = gradient_d(alpha, beta, lam, v)
    leak = sum(x * z * (alpha * y - z) for x, y, z in zip(lam, beta, v, strict=True))
    return loss_d(alpha, beta, lam, v) - alpha * g / 2 + leak / 2


def conserved_defect(alpha: Num, beta: Sequence[Num], lam: Sequence[Num], v: Sequence[Num], lr: Num) -> Num:
    """(c⁺−c) − η²(g_α² − |g_β|²) for c = α² − |β|² and one GD step, which is zero for any d and v."""
    g, gb = gradient_d(alpha, beta, lam, v)
    after = (alpha - lr * g) ** 2 - sum((y - lr * z) ** 2 for y, z in zip(beta, gb, strict=True))
    before = alpha**2 - sum(y**2 for y in beta)
    return after - before - lr**2 * (g**2 - sum(z**2 for z in gb))


def total_w(beta: Sequence[Num], lam: Sequence[Num], lr: Num) -> Num:
    """w = ηΣλ_iβ_i² over the irrelevant directions: G = 1 − w + q/s is unchanged with it."""
    return lr * sum(x * y**2 for x, y in zip(lam, beta, strict=True))


def multipliers_d(s: Num, lam: Sequence[Num]) -> list[Num]:
    """β_i⁺/β_i = 1 − sλ_i/λ_1 of the irrelevant directions."""
    return [1 - s * x / lam[0] for x in lam]


def _split(c: Context) -> Evidence:
    # β1 is spread over three irrelevant directions with variances λ1, λ1/2, λ1/3 of which the first is on top;
    # the relevant direction and a leakage v_1 ≠ 0 complete a five-number state.
    a, b1, b2 = c.alpha, c.beta1, c.beta2
    beta = [0.8 * b1, 0.5 * b1, -0.3 * b1, b2]
    lam = [c.h1, c.h1 / 2, c.h1 / 3, c.h]
    size = (1 + c.s + c.w + c.nu) ** 2 * (a**2 + b1**2 + b2**2 + 1)
    worst = 0.0
    with np.errstate(all="ignore"):
        for v in ([0.0, 0.0, 0.0, 1.0], [0.1, -0.05, 0.0, 1.0]):
            worst = max(worst, float(np.max(np.abs(loss_identity_d(a, beta, lam, v)) / size)))
            worst = max(worst, float(np.max(np.abs(conserved_defect(a, beta, lam, v, 1.0)) / size)))
        g, gb = gradient_d(a, beta, lam, [0.0, 0.0, 0.0, 1.0])
        # G = 1 − w + q/s with the summed w, and the multipliers of the irrelevant directions.
        r = a * b2 - 1
        w = total_w(beta[:3], lam[:3], 1.0)
        worst = max(worst, float(np.max(np.abs(a - g - (a * (1 - w) - c.h * r * b2)) / size)))
        for y, step, m in zip(beta[:3], gb[:3], multipliers_d(c.s, lam[:3]), strict=True):
            worst = max(worst, float(np.max(np.abs(y - step - m * y) / size)))
    return Evidence((), {"relative_defect": 0.0}, {"relative_defect": worst}, worst <= 64 * ULP)


STATEMENTS = (
    Statement(
        "9",
        "Generalisations: d inputs, correlated inputs",
        "proved",
        REFERENCE,
        "For L = ½Σλ_i(αβ_i−v_i)²: L = ½α∂_αL − ½Σλ_iv_ir_i, c⁺−c = η²(g_α²−|g_β|²); with v = b·e_d, "
        "G = 1−w+q/s with the "
        "summed w and β_i⁺ = (1−sλ_i/λ1)β_i.",
        _split,
        dynamics="any",
    ),
)
