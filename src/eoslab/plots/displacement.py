"""The displacement along the top eigenvector: the oscillation itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.phase_portrait import ON_AXIS
from eoslab.plots.reading import Run
from eoslab.plots.style import DESCENT, INK, MUTED, OSCILLATORY

__all__ = ["displacement", "two_cycle"]


@panels.figure(aspect=0.72)
def displacement(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """x_t = β1 at even and odd steps, and the amplitude ±β1* of the two-cycle with frozen β2 (Prop 4.10)."""
    (run,), (ax,) = runs, axes
    x, beta1 = run.x(view.x), run.param("beta1")
    panels.x_axis(ax, runs, view)
    odd = run.step % 2 == 1
    side = _side(run, beta1)
    fine = np.isfinite(beta1) & (np.abs(beta1) <= 2 * side)
    # on the axis the sign cannot be seen: grey
    flat = np.abs(beta1) < ON_AXIS * side
    for rows, color, label in ((~flat & ~odd, DESCENT, "even steps"), (~flat & odd, OSCILLATORY, "odd steps"),
                               (flat, MUTED, "_")):  # fmt: skip
        panels.dots(ax, x[fine & rows], beta1[fine & rows], view, color=color, label=label)
    predicted = two_cycle(run)
    if predicted is not None:
        for sign, label in ((1, r"two-cycle $\pm\beta_1^*$"), (-1, "_")):
            panels.line(ax, run, sign * predicted, view, color=INK, linestyle="--", linewidth=0.9, label=label)
    ax.set_ylim(-side, side)
    ax.set_ylabel(r"displacement $\beta_1$")
    ax.legend(loc="best", handlelength=1.4)
    panels.band_marks([ax], run, view)
    panels.divergence_mark(ax, run, view)


def two_cycle(run: Run) -> Any:
    """β1* = √(−½ηb²λ2·r(1+r)), the amplitude around which cycles turn; NaN outside the edge, None if not GD."""
    model = run.parameters.get("model", {})
    if run.optimizer not in ("gd", "gd-floor", "gd-cap") or "lambda2" not in model or run.scalar("T1", -1) < 0:
        return None
    r = run.param("alpha") * run.param("beta2") / model["b"] - 1
    at_edge = (run.step >= run.scalar("T1")) & ((run.scalar("T2", -1) < 0) | (run.step <= run.scalar("T2")))
    with np.errstate(invalid="ignore", over="ignore"):
        square = -0.5 * run.lr * model["b"] ** 2 * model["lambda2"] * r * (1 + r)
        return np.where(at_edge & (square >= 0), np.sqrt(np.maximum(square, 0)), np.nan)


def _side(run: Run, beta1: Any) -> float:
    fine = np.abs(beta1[np.isfinite(beta1)])
    largest = float(fine.max()) if len(fine) else 1.0
    if run.diverged_at is not None:
        largest = min(largest, 10 * (float(fine[0]) or 1.0))
    return 1.1 * largest or 1.0
