"""The path in the plane of α and β1: even and odd steps, the edge, the stable set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import DESCENT, INK, MUTED, OSCILLATORY, SOFT

__all__ = ["phase_portrait"]

#: The stable set is found on a grid of this many points a side and drawn as a smooth boundary.
GRID = 160
#: Below this share of the height a dot lies on the axis.
ON_AXIS = 0.012


@panels.figure(aspect=0.85)
def phase_portrait(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """(α, β1) at even and odd steps, the line λ1α² = threshold/η, and where the sharpness is below it (grey).

    Dots on the axis are grey: there the sign of β1 cannot be seen.
    """
    (run,), (ax,) = runs, axes
    alpha, beta1 = run.param("alpha"), run.param("beta1")
    drawn = _finite(run, alpha, beta1)
    odd = run.step % 2 == 1
    _limits(ax, alpha[drawn], beta1[drawn], run)
    _stable_set(ax, run)
    # one colour for each parity: at the edge the two clouds are mirror images, β1 changes sign every step
    flat = np.abs(beta1) < ON_AXIS * ax.get_ylim()[1]
    for rows, color, label in ((~flat & ~odd, DESCENT, "even steps"), (~flat & odd, OSCILLATORY, "odd steps"),
                               (flat, MUTED, "_")):  # fmt: skip
        panels.dots(ax, alpha[drawn & rows], beta1[drawn & rows], view, color=color, label=label, zorder=3)
    first, last = np.flatnonzero(drawn)[[0, -1]]
    ax.plot(*_at(alpha, beta1, first), "o", color="white", markeredgecolor=INK, markeredgewidth=1.0, markersize=5,
            label="start", zorder=5, linestyle="none")  # fmt: skip
    ax.plot(*_at(alpha, beta1, last), "o", color=INK, markersize=5, label="end", zorder=5, linestyle="none")
    ax.set_xlabel(r"$\alpha$")
    ax.set_ylabel(r"$\beta_1$", rotation=0, va="center")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.07), ncols=4, borderaxespad=0.2, handlelength=0.8)
    if run.diverged_at is not None:
        ax.annotate(f"diverged at step {run.diverged_at}", (1, 0), (-3, 4), xycoords="axes fraction",
                    textcoords="offset points", va="bottom", ha="right")  # fmt: skip


def _at(alpha: Any, beta1: Any, i: int) -> tuple[list[float], list[float]]:
    return [float(alpha[i])], [float(beta1[i])]


def _finite(run: Run, alpha: Any, beta1: Any) -> Any:
    """Rows to draw; the last steps of a divergent run are on another scale and left out."""
    fine = np.isfinite(alpha) & np.isfinite(beta1)
    if run.diverged_at is None:
        return fine
    room = 3.0 * max(abs(alpha[0]), abs(beta1[0]), np.sqrt(run.threshold) if np.isfinite(run.threshold) else 0.0)
    return fine & (np.abs(alpha) <= room) & (np.abs(beta1) <= room)


def _limits(ax: Any, alpha: Any, beta1: Any, run: Run) -> None:
    edge = _edge(run)
    low, high = float(alpha.min()), float(alpha.max())
    if edge is not None:
        low, high = min(low, edge), max(high, edge)
    room = 0.08 * (high - low) or 0.1
    side = 1.12 * float(np.abs(beta1).max()) or 0.1
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(-side, side)


def _edge(run: Run) -> float | None:
    """α_e: there λ1α² equals the threshold."""
    lambda1 = run.parameters.get("model", {}).get("lambda1")
    if lambda1 is None or run.preconditioned or not np.isfinite(run.threshold):
        return None
    return float(np.sqrt(run.threshold / lambda1))


def _stable_set(ax: Any, run: Run) -> None:
    """Grey: the sharpness is at most threshold/η, at the β2 of the run's end."""
    edge = _edge(run)
    if edge is None:
        return
    ax.axvline(edge, color=INK, linestyle=(0, (1, 1.6)), linewidth=1.0, zorder=2.5, gid="threshold")
    small = 8 * float(ax.yaxis.label.get_fontsize()) / 9
    label = rf"$\lambda_1\alpha^2$ = {run.threshold_name}"
    ax.annotate(label, (edge, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
                ha="center", va="bottom", fontsize=small, annotation_clip=False)  # fmt: skip
    if run.model is None:
        return
    beta2 = run.param("beta2")
    beta2 = float(beta2[np.flatnonzero(np.isfinite(beta2))[-1]])
    a, b = np.meshgrid(np.linspace(*ax.get_xlim(), GRID), np.linspace(*ax.get_ylim(), GRID))
    hessians = run.model.hessian(np.stack([a, b, np.full_like(a, beta2)], axis=-1))
    sharpness = np.linalg.eigvalsh(hessians)[..., -1]
    if sharpness.min() < run.threshold:
        ax.contourf(a, b, sharpness, levels=[-np.inf, run.threshold], colors=[MUTED], alpha=0.16, zorder=0)
        # the corner of the smallest α and the largest β1: in the set wherever the set reaches across the page
        if sharpness[-1, 0] < run.threshold:
            ax.annotate("stable", (0, 1), (4, -3), xycoords="axes fraction", textcoords="offset points", va="top",
                        color=SOFT, fontstyle="italic", fontsize=small)  # fmt: skip
