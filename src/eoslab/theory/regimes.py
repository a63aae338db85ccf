"""The regime map (docs/theory, section 8): what is decided about a run from its parameters and start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from eoslab.theory.certificate import diverges_d1, diverges_d2, no_stable_minimiser
from eoslab.theory.context import Context
from eoslab.theory.main_theorem import a_priori_bound
from eoslab.theory.oscillation import gain_exponent
from eoslab.theory.sharpening import flow_regime, gfs_alpha2_of
from eoslab.theory.statement import Evidence, Hypothesis, Quantity, Statement

__all__ = ["MAP", "STATEMENTS", "regime_of_start"]

REFERENCE = "docs/theory/regimes.md"

#: The rows of the map, with the standing of each. The position is the code.
MAP: Final[Mapping[str, str]] = {
    "undecided": "no row applies",
    "no stable minimiser": "proved (0.3)",
    "flow": "proved (3.3)",
    "tame edge": "proved (4.6')",
    "edge reached": "proved (3.2)",
    "growing cycles": "linear part proved (4.10)",
    "edge divergence": "observed (4.15)",
    "catapult": "exact for λ2 = 0 (5.4)",
    "divergence": "proved (5.3)",
}


def regime_of_start(alpha0: float, beta10: float, beta20: float, h: float, h1: float) -> str:
    """The first row of the map that applies to θ0 (normalised units, α0 > 0).

    >>> regime_of_start(1.95, 1e-3, 0.2, 0.005, 0.5)
    'tame edge'
    """
    eps, k = h * h1, h1 / h
    s, w, nu, r = h1 * alpha0**2, h1 * beta10**2, h1 * beta20**2, alpha0 * beta20 - 1
    if s > 0 and (diverges_d1(s, w, eps) or diverges_d2(s, w, nu, r, k)):
        return "divergence"
    if no_stable_minimiser(h, h1):
        return "no stable minimiser"
    if all(x.holds for x in flow_regime(alpha0, beta10, beta20, h, h1).hypotheses):
        return "flow"
    e, bound = a_priori_bound(alpha0, beta10, beta20, h, h1)
    if e.holds:
        if bound is not None and bound.holds:
            return "tame edge"
        residual = min((e.edge_beta2 or 0.0) - 1, 0.0)
        gamma = gain_exponent(residual, math.sqrt(2 / h1))
        if gamma > 14:
            return "edge divergence"
        return "growing cycles" if residual < -0.125 else "edge reached"
    if 2 < s + w < 4 and (w > 2 or s > 2) and eps < 0.05:
        return "catapult"
    return "undecided"


def _map(c: Context) -> Evidence:
    name = regime_of_start(float(c.alpha[0]), float(c.beta1[0]), float(c.beta2[0]), c.h, c.h1)
    y0, c0 = float(c.alpha[0] ** 2 - c.beta2[0] ** 2), float(c.alpha[0] ** 2 - c.beta1[0] ** 2 - c.beta2[0] ** 2)
    predicted: dict[str, Quantity] = {
        "regime": float(list(MAP).index(name)),
        "gfs_ratio_to_edge": c.h1 * float(gfs_alpha2_of(c0)) / 2,
    }
    if not c.has_run:
        return Evidence(
            (Hypothesis("a row applies", name != "undecided"),), predicted, note=f"{name}: {MAP[name]}"
        )
    with np.errstate(all="ignore"):
        diverged = c.cut or bool(np.any(diverges_d1(np.maximum(c.s, 1e-300), c.w, c.eps)))
    crossed = c.T1 is not None
    consistent: bool | None = None
    if name == "flow":
        consistent = not crossed and not diverged
    elif name == "tame edge":
        consistent = not diverged and (crossed or not _late(c))
    elif name in ("edge reached", "growing cycles"):
        consistent = crossed or not _late(c)
    elif name == "divergence":
        consistent = diverged or bool(c.s[-1] >= c.s[0])
    return Evidence(
        (Hypothesis("a row applies", name != "undecided"),),
        predicted,
        {"crossed": float(crossed), "diverged": float(diverged), "y0": y0},
        consistent,
        note=f"{name}: {MAP[name]}",
    )


def _late(c: Context) -> bool:
    """Whether the run went on beyond the latest T1 that Theorem 3.2 allows."""
    latest = c.entry.T1
    return latest is not None and latest[1] + 1 < c.T


STATEMENTS = (
    Statement(
        "8",
        "Regime map",
        "definition",
        REFERENCE,
        "Which row of the map (no stable minimiser, flow, edge, catapult, divergence) applies to θ0; "
        "the rows marked "
        "proved are compared with the run.",
        _map,
    ),
)
