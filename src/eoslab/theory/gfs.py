"""Gradient-flow-solution (GFS) sharpness: formula, one step, where it falls (docs/theory, section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eoslab.core.numbers import Num, maximum, sqrt, where
from eoslab.theory.certificate import search_trapping
from eoslab.theory.context import ULP, Array, Context
from eoslab.theory.identities import gfs_identity
from eoslab.theory.statement import Assumption, Evidence, Hypothesis, Quantity, Statement

__all__ = [
    "STATEMENTS",
    "Account",
    "accounting",
    "c_change",
    "conserved_of",
    "eta_gfs_sharpness",
    "gfs_alpha2",
    "non_increasing",
]

REFERENCE = "docs/theory/gfs.md"


def gfs_alpha2(c: Num) -> Num:
    """A(c) = (c + √(c²+4))/2 = 2/(√(c²+4) − c): α² of the minimiser that gradient flow ends at (Prop 7.1)."""
    root = sqrt(c**2 + 4)
    return where(c < 0, 2 / (root + abs(c)), (c + root) / 2)


def eta_gfs_sharpness(c: Num, h: Num, h1: Num) -> Num:
    """η·S_GFS = max(h1A, h(A + 1/A)) for b = 1, c = α²−β1²−β2² (Prop 7.1)."""
    A = gfs_alpha2(c)
    return maximum(h1 * A, h * (A + 1 / A))


def c_change(alpha: Num, beta1: Num, beta2: Num, h: Num, h1: Num) -> tuple[Num, Num, Num]:
    """The three terms of c⁺−c (I8): −h²r²(α²−β2²), −h1²α²β1²(α²−β1²), 2εr(1+r)β1²."""
    r = alpha * beta2 - 1
    return (
        -(h**2) * r**2 * (alpha**2 - beta2**2),
        -(h1**2) * alpha**2 * beta1**2 * (alpha**2 - beta1**2),
        2 * h * h1 * r * (1 + r) * beta1**2,
    )


def non_increasing(alpha: Num, beta1: Num, beta2: Num) -> Num:
    """Prop 7.3: α² ≥ β2², α² ≥ β1², −1 ≤ r ≤ 0. Then c⁺ ≤ c."""
    r = alpha * beta2 - 1
    return (alpha**2 >= beta2**2) & (alpha**2 >= beta1**2) & (r >= -1) & (r <= 0)


@dataclass(frozen=True)
class Account:
    """What happened to c and η·S_GFS in one phase: steps [start, end), first and last value, steps of increase."""

    start: int
    end: int
    c: tuple[float, float]
    eta_gfs: tuple[float, float]
    increases: int
    by_residual: float
    by_oscillation: float
    by_coupling: float

    @property
    def change(self) -> float:
        """c at the end minus c at the start."""
        return self.c[1] - self.c[0]


def conserved_of(ctx: Context) -> Array:
    """c = α²−β1²−β2² at every step, in units of |b|."""
    return ctx.alpha**2 - ctx.beta1**2 - ctx.beta2**2


def accounting(ctx: Context) -> Mapping[str, Account]:
    """Phase → Account ('ps', 'eos', 'final'), with the change of c split into the three terms of (I8)."""
    T1 = ctx.T1 if ctx.T1 is not None else (ctx.T2 if ctx.T2 is not None else ctx.T)
    T2 = ctx.T2 if ctx.T2 is not None else ctx.T
    c = conserved_of(ctx)
    gfs = np.asarray(eta_gfs_sharpness(c, ctx.h, ctx.h1))
    terms = [np.asarray(x)[:-1] for x in c_change(ctx.alpha, ctx.beta1, ctx.beta2, ctx.h, ctx.h1)]
    out = {}
    for name, a, b in (("ps", 0, T1), ("eos", T1, T2), ("final", T2, ctx.T)):
        if b > a:
            parts = [float(np.sum(x[a:b])) for x in terms]
            out[name] = Account(
                a, b, (float(c[a]), float(c[b])), (float(gfs[a]), float(gfs[b])),
                int(np.count_nonzero(np.diff(c[a : b + 1]) > 0)), *parts,
            )  # fmt: skip
    return out


# -- statements -------------------------------------------------------------------------------------------


def _solution(c: Context) -> Evidence:
    gfs = np.asarray(eta_gfs_sharpness(conserved_of(c), c.h, c.h1))
    predicted: dict[str, Quantity] = {"eta_gfs_sharpness_at_start": float(gfs[0])}
    trap = search_trapping(float(c.s[-1]), float(c.w[-1]), float(c.r[-1]), c.k, c.eps) if c.has_run else None
    settled = trap is not None and abs(c.r[-1]) < 1e-6 and c.w[-1] < 1e-6
    if not settled:
        return Evidence(
            (), predicted, {"eta_gfs_sharpness_at_start": None}, None, "nothing to compare with before convergence"
        )
    # At a minimiser the flow stays: S_GFS = S there, to first order in what is left of r and w.
    S, left = float(c.eta_sharpness[-1]), abs(float(c.r[-1])) + float(c.w[-1])
    A = float(gfs_alpha2(conserved_of(c)[-1]))
    slack = (64 * ULP + 16 * left * (1 + c.h1 * (A + 1 / A) * (A + 1 / A) + c.k)) * (1 + S)
    return Evidence(
        (),
        predicted | {"eta_gfs_sharpness_at_end": float(gfs[-1])},
        {"eta_gfs_sharpness_at_end": S},
        abs(float(gfs[-1]) - S) <= slack,
    )


def _one_step(c: Context) -> Evidence:
    with np.errstate(all="ignore"):
        defect, scale = gfs_identity((c.alpha, c.beta1, c.beta2), c.h, c.h1)
        worst = float(np.max(np.abs(defect) / scale))
    predicted: dict[str, Quantity] = {"relative_defect": 0.0}
    measured: dict[str, Quantity] = {"relative_defect": worst}
    if c.has_run and c.dynamics == "gd":
        for name, account in accounting(c).items():
            predicted[f"c_change_{name}"] = account.by_residual + account.by_oscillation + account.by_coupling
            measured[f"c_change_{name}"] = account.change
    return Evidence((), predicted, measured, worst <= 64 * ULP)


def _monotone(c: Context) -> Evidence:
    inside = np.asarray(non_increasing(c.alpha, c.beta1, c.beta2))
    count = int(np.count_nonzero(inside))
    if not count:
        room = float(np.max(np.minimum(c.alpha**2 - c.beta2**2, c.alpha**2 - c.beta1**2)))
        return Evidence((Hypothesis("alpha^2 >= beta2^2, beta1^2 and -1 <= r <= 0 at some step", False, room),))
    change = np.sum([np.asarray(x) for x in c_change(c.alpha, c.beta1, c.beta2, c.h, c.h1)], axis=0)
    fine = bool(np.all(change[inside] <= 0))
    predicted: dict[str, Quantity] = {"largest_c_change_inside": (-np.inf, 0.0)}
    measured: dict[str, Quantity] = {
        "largest_c_change_inside": float(np.max(change[inside])),
        "steps_inside": float(count),
    }
    if c.has_run and c.dynamics == "gd":
        values = conserved_of(c)
        scale = 64 * ULP * (np.max(c.alpha) ** 2 + np.max(np.abs(c.beta2)) ** 2 + 1)
        fine &= bool(np.all(np.diff(values)[inside[:-1]] <= scale))
        measured["steps_of_increase_inside"] = float(np.count_nonzero(np.diff(values)[inside[:-1]] > scale))
        predicted["steps_of_increase_inside"] = 0.0
    return Evidence(
        (Hypothesis("alpha^2 >= beta2^2, beta1^2 and -1 <= r <= 0 at some step", True, float(count)),),
        predicted,
        measured,
        fine,
    )


STATEMENTS = (
    Statement(
        "7.1",
        "Gradient-flow-solution sharpness",
        "proved",
        f"{REFERENCE}#71",
        "Gradient flow conserves c = α²−β1²−β2² and, off a null set in {c ≤ 0}, ends at α∞² = A(c): "
        "S_GFS = max(λ1A, λ2(A+1/A)).",
        _solution,
        dynamics="any",
    ),
    Statement(
        "7.2", "One step of GD", "proved", f"{REFERENCE}#72", "c⁺−c by (I8), exactly.", _one_step, dynamics="any"
    ),
    Statement(
        "7.3",
        "Where GFS sharpness does not increase",
        "proved",
        f"{REFERENCE}#73",
        "If α² ≥ β2², α² ≥ β1² and −1 ≤ r ≤ 0, then c⁺ ≤ c, so λ1A(c) does not increase.",
        _monotone,
        (
            Assumption("alpha^2 >= beta2^2", "α² ≥ β2²", "θ = (.5, 0, 1): c = −.75 increases"),
            Assumption("alpha^2 >= beta1^2", "α² ≥ β1²", "θ = (1, 1.5, 1), h1 = 1: r = 0 and c increases by 2.8"),
            Assumption("-1 <= r <= 0", "−1 ≤ r ≤ 0", "θ = (1.2, 1.2, 1.2): r > 0 and the last term is positive"),
        ),
        dynamics="any",
    ),
)
