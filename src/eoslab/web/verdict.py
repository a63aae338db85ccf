"""Beside what happened: what the statements say from the start alone, and what to try next."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from eoslab.core.errors import EoslabError
from eoslab.core.vocabulary import title
from eoslab.theory.check import check
from eoslab.web.request import Request

__all__ = ["attempt", "beside", "edge_at"]

#: An end of a proved interval that is a whole number must not lose it to rounding.
ROUNDING = 1e-12
#: Learning rates that are tried to reach the edge, over that at which the sharpness of the run would be at it: of
#: a run that converged, and of one whose steps ended while it sharpened.
FACTORS = {True: (1.075, 1.02), False: (0.9, 1.1)}

#: What a row of the regime map with a proof allows a run to be (docs/theory/regimes.md).
ALLOWED: dict[str, tuple[str, ...]] = {
    "flow": ("stable",),
    "tame edge": ("edge", "edge-unsettled"),
    "edge reached": ("edge", "edge-unsettled", "diverged"),
    "divergence": ("diverged",),
}


def beside(request: Request, ds: Any) -> dict[str, Any] | None:
    """The regime map, the interval for T1 and the bound of the sharpness, each beside the run.

    ``rows`` are [what, theory, this run, whether they agree], the last None where nothing is proved or the run is
    too short to tell. None where the theory does not speak: another model, another rule.
    """
    if request.chosen.name != "minimalist" or request.rule.name != "gd":
        return None
    try:
        entry, main, regimes = check(
            request.model, request.rule.lr, request.w0, steps=0, only=["3.2", "4.6'", "8"]
        )
    except (EoslabError, ArithmeticError, ValueError):
        return None
    name, _, standing = regimes.note.partition(": ")
    observed, steps, measured = str(ds["regime"].values), int(ds["steps"]), int(ds["T1"])
    found: dict[str, Any] = {"regime": name, "standing": standing}
    allowed = ALLOWED.get(name) if "proved" in standing and "linear" not in standing else None
    interval = whole_interval(entry.predicted.get("T1")) if entry.applies else None
    crossed = measured >= 0
    early = interval is not None and not crossed and steps <= interval[1]
    agrees = None if allowed is None or early else observed in allowed
    rows: list[list[Any]] = [["regime", f"{name} – {standing}", title(observed), agrees]]
    if interval is not None:
        found["T1"] = list(interval)
        inside = interval[0] <= measured <= interval[1] if crossed else None if early else False
        rows.append(
            ["ηλ₁α² ≥ 2 first", f"step {interval[0]} to {interval[1]}",
             f"step {measured}" if crossed else f"not in {steps} steps", inside]
        )  # fmt: skip
    delta = main.predicted.get("delta") if main.applies else None
    if isinstance(delta, float) and math.isfinite(delta):
        found["delta"] = delta
        most = float(ds["max_eta_sharpness"])
        rows.append(
            [
                "largest sharpness",
                f"at most {2 + delta:.4f}/η (δ = {delta:.2g})",
                f"{most:.4f}/η",
                most <= 2 + delta,
            ]
        )
    failing = [h.name for h in entry.hypotheses if not h.holds]
    if failing:
        found["fails"] = failing[0]
    return found | {"measured_T1": measured if crossed else None, "rows": rows}


def whole_interval(bounds: Any) -> tuple[int, int] | None:
    """The whole steps within the bounds; None unless both are finite numbers."""
    if not isinstance(bounds, tuple) or not all(math.isfinite(x) for x in bounds):
        return None
    return math.ceil(bounds[0] * (1 - ROUNDING)), math.floor(bounds[1] * (1 + ROUNDING))


def edge_at(request: Request) -> float | None:
    """|α| at which ηλ1α² is at the threshold, where the first component of the iterate is α."""
    tau, model = request.rule.threshold.value, request.model
    if tau is None or request.rule.adaptive or model.params[0] != "alpha":
        return None
    first = model.lambda1 if hasattr(model, "lambda1") else model.lambdas[0]
    return math.sqrt(tau / (request.rule.lr * first))


def attempt(request: Request, ds: Any) -> float | None:
    """For a run that stays below its threshold, a larger learning rate that does reach it; else None.

    Guessed from the sharpness of the gradient-flow solution, or from the largest so far, and tried.
    """
    tau = request.rule.threshold.value
    if str(ds["regime"].values) != "stable" or tau is None or request.rule.adaptive:
        return None
    converged = str(ds["outcome"].values) == "converged"
    sharpest = float(ds["sharpness"].max())
    if converged and "gfs_sharpness" in ds and math.isfinite(float(ds["gfs_sharpness"][0])):
        sharpest = max(sharpest, float(ds["gfs_sharpness"][0]))
    for factor in FACTORS[converged] if sharpest > 0 else ():
        lr = float(f"{factor * tau / sharpest:.3g}")
        if lr > request.rule.lr:
            other = replace(request, rule=replace(request.rule, lr=lr)).run()
            # on a quadratic there is nothing at the edge: beyond it the loss grows
            lives = float(other["loss"][-1]) < float(other["loss"][0])
            if lives and str(other["regime"].values) in ("edge", "edge-unsettled"):
                return lr
    return None
