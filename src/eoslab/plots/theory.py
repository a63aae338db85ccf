"""Bounds and laws of the theory, drawn on the run that they are about; only those whose hypotheses hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eoslab.plots import panels
from eoslab.plots.case import case, findings
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import CONVERGENT, DESCENT, INK, MUTED, OSCILLATORY, SOFT, THIRD
from eoslab.plots.text import number_text, step_text
from eoslab.theory.context import Context
from eoslab.theory.endings import first_trap
from eoslab.theory.hessian_bounds import top_eigenvalue
from eoslab.theory.main_theorem import sharpness_excess, surrogate_band
from eoslab.theory.stable_set import constrained_trajectory
from eoslab.theory.statement import Finding

__all__ = ["constrained", "edge_interval", "theory"]

DOTTED = (0, (1, 1.6))
DASHDOT = (0, (5, 1.5, 1, 1.5))
#: The third panel ends at this multiple of the entry into the edge of stability.
ENTRY = 1.6


@panels.figure(1.0, 1.25, 1.0, aspect=1.5, share_x=False)
def theory(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Loss with its surrogate and bounds, sharpness with the proved interval, and the entry into the edge.

    What does not apply to the run is not drawn; numbers in the legends are those of docs/theory.
    """
    (run,) = runs
    c = case(run)
    found = findings(run, c, "3.2", "3.3", "4.2", "4.6'", "4.6S", "4.8", "5.1")
    loss, sharp, entry = axes
    for ax in (loss, sharp):
        panels.x_axis(ax, runs, view)
    loss.set_xlabel("")
    loss.tick_params(labelbottom=False)
    _loss(loss, run, c, view)
    _sharpness(sharp, run, c, found, view)
    panels.band_marks((loss, sharp), run, view)
    for ax in (loss, sharp):
        panels.divergence_mark(ax, run, view, label=ax is loss)
    _entry(entry, run, c, found, view)


# -- loss -------------------------------------------------------------------------------------------------


def _loss(ax: Any, run: Run, c: Context, view: View) -> None:
    top = panels.y_loss(ax, [run], view)
    panels.line(ax, run, run.series("loss"), view, top=top, color=DESCENT, linewidth=0.8, label="loss")
    scale = 0.5 * c.lambda2 * c.b**2
    _, band = surrogate_band(c)
    # on the way to infinity there is nothing to average
    if band is not None and not c.cut:
        rows = slice(band.start, band.end)
        low, high = band.low, band.high
        if band.from_shadow is not None:
            shadow = (1 - 2 / c.k) ** np.arange(len(low)) * abs(c.r_tilde[band.start])
            low, high = np.maximum(low, shadow - band.from_shadow), np.minimum(high, shadow + band.from_shadow)
        x = _x(run, np.arange(band.start, band.end), view)
        surrogate = scale * np.abs(c.r_tilde[rows])
        panels.curve(ax, x, surrogate, view, color=THIRD, linestyle=DASHDOT, linewidth=1.0,
                     label=r"$\frac{1}{2}\lambda_2|\tilde r|$")  # fmt: skip
        panels.between(ax, x, np.maximum(scale * low, 0), scale * high, view, color=THIRD, alpha=0.16, gid="4.7",
                       label="bounds (4.7)")  # fmt: skip
    dagger = constrained(c)
    if dagger is not None:
        _, flow_loss = dagger
        panels.curve(ax, _x(run, np.arange(len(flow_loss)), view), flow_loss, view, color=INK, linestyle="--",
                     linewidth=0.9, label=r"$L^\dagger$ (6.1)")  # fmt: skip
    ax.set_ylabel("loss")
    # below the panel: above it are the names of the phases
    _legend(ax, view, loc="upper left", y=-0.02)


def constrained(c: Context) -> tuple[Any, Any] | None:
    """(S†, L†) of the constrained trajectory from θ0 at every step; None where it leaves the branch M₀."""
    if not (c.alpha[0] > 0 and -1 < c.r[0] <= 0):
        return None
    alpha, beta2 = constrained_trajectory(float(c.alpha[0]), float(c.beta2[0]), c.h, c.h1, c.T).T
    r = alpha * beta2 - 1
    zero = np.zeros_like(alpha)
    s = c.h1 * alpha**2
    eta_S = top_eigenvalue(c.h * beta2**2, zero, s, c.h * (1 + 2 * r), c.h * alpha**2)
    # on M₀ the top eigenvalue is λ1α²; elsewhere projecting on {β1 = 0, α ≤ α_e} is not projecting on the set
    if not np.all(eta_S <= s * (1 + 1e-9)):
        return None
    return eta_S / c.lr, 0.5 * c.lambda2 * c.b**2 * r**2


# -- sharpness --------------------------------------------------------------------------------------------


def edge_interval(c: Context, found: Mapping[str, Finding]) -> tuple[str, int, int, float, float] | None:
    """(statement, first step, step after the last, low, high) of the proved interval of the sharpness, or None.

    From the state at T1 (4.6S), which is the sharper one, else from the start (4.6'), else that of the floor
    (4.8), to whose bounds of s, w and r Prop 1.3 applies as it does in 4.6S.
    """
    if "4.6S" in found:
        low, high = found["4.6S"].predicted["eta_sharpness"]  # type: ignore[misc]
        return "4.6S", c.T1 or 0, c.T + 1, float(low) / c.lr, float(high) / c.lr
    if "4.6'" in found:
        p = found["4.6'"].predicted
        if isinstance(p["delta"], float):
            low = 2 - p["undershoot"][1]  # type: ignore[index]
            return "4.6'", c.T1 or 0, c.T + 1, float(low) / c.lr, (2 + p["delta"]) / c.lr
    if "4.8" in found and found["4.8"].note.startswith("steps"):
        p, words = found["4.8"].predicted, found["4.8"].note.split()
        zeta, U, w_bar = (p[name][1] for name in ("overshoot", "undershoot", "w_max"))  # type: ignore[index]
        delta = sharpness_excess(zeta, w_bar, 2 - U, c.k, c.eps)
        if delta is not None:
            return "4.8", int(words[1]), int(words[3]) + 1, (2 - U) / c.lr, (2 + float(delta)) / c.lr
    return None


def _sharpness(ax: Any, run: Run, c: Context, found: Mapping[str, Finding], view: View) -> None:
    calm = run.diverged_at is None
    gfs = run.series("gfs_sharpness") if run.has("gfs_sharpness") else None
    interval = edge_interval(c, found)
    extra = [gfs] if gfs is not None and calm else []
    if interval is not None:
        extra.append(np.array(interval[3:]))
    top = panels.y_sharpness(ax, [run], extra)
    if interval is not None:
        name, a, b, low, high = interval
        x = _x(run, np.array([a, b - 1]), view)
        ax.fill_between(x, low, high, color=THIRD, alpha=0.12, linewidth=0, gid=name)
        small = 8 * float(ax.yaxis.label.get_fontsize()) / 9
        ends = ((high, rf"$(2+\delta)/\eta$, $\delta$ = {number_text(high * c.lr - 2)}", -2, "top"),
                (low, r"$s_-/\eta$", 2, "bottom"))  # fmt: skip
        for y, words, gap, side in ends:
            ax.plot(x, [y, y], color=THIRD, linestyle=DASHDOT, linewidth=1.0, gid="interval",
                    label=f"proved ({name})" if y == high else "_")  # fmt: skip
            ax.annotate(words, (x[-1], y), (-2, gap), textcoords="offset points", ha="right", va=side, color=INK,
                        fontsize=small)  # fmt: skip
    panels.line(ax, run, run.sharpness, view, top=top, color=DESCENT, linewidth=0.8, label="$S$")
    if gfs is not None:
        panels.line(ax, run, gfs, view, top=top, color=CONVERGENT, linestyle=(0, (6, 4)), label="GFS (7.1)")
    dagger = constrained(c)
    if dagger is not None:
        panels.curve(ax, _x(run, np.arange(len(dagger[0])), view), dagger[0], view, color=INK, linestyle="--",
                     linewidth=0.9, label=r"$S^\dagger$ (6.1)")  # fmt: skip
    panels.threshold_mark(ax, run, view)
    got = first_trap(c) if "5.1" in found else None
    if got is not None:
        _upright(ax, run, got[0], view, f"5.1 holds from step {step_text(got[0])}", gid="5.1")
    ax.set_ylabel(run.sharpness_label)
    _legend(ax, view)


# -- entry ------------------------------------------------------------------------------------------------


def _entry(ax: Any, run: Run, c: Context, found: Mapping[str, Finding], view: View) -> None:
    """λ1α² up to the first excursion, with the proved interval of T1 and the bound of the first peak."""
    T1 = found["3.2"].predicted["T1"] if "3.2" in found else None
    first = c.excursions.end[0] if len(c.excursions) else 0
    marks = [c.T1 or 0, first, T1[1] if isinstance(T1, tuple) else 0]
    end = min(int(ENTRY * max(marks)) + 2, c.T) if max(marks) else c.T
    steps = np.arange(end + 1)
    values = c.s[: end + 1] / c.lr
    x = _x(run, steps, view)
    edge = 2 / c.lr
    peak = found["4.2"].predicted.get("first_overshoot_from_start") if "4.2" in found else None
    if isinstance(peak, tuple) and first:
        span = _x(run, np.array([c.T1 or 0, min(first, end)]), view)
        ax.plot(span, [(2 + peak[1]) / c.lr] * 2, color=OSCILLATORY, linestyle=DASHDOT, linewidth=1.0, gid="4.2",
                label=r"first peak (4.2)")  # fmt: skip
    if "3.3" in found:
        low, high = (float(v) / c.lr for v in found["3.3"].predicted["s"])  # type: ignore[union-attr]
        ax.fill_between(x[[0, -1]], low, high, color=THIRD, alpha=0.12, linewidth=0, gid="3.3",
                        label="proved interval (3.3)")  # fmt: skip
    shown = np.isfinite(values)
    high = min(float(values[shown].max()), panels.CLIP * max(edge, float(values[0])))
    high = max(high, edge, (2 + peak[1]) / c.lr if isinstance(peak, tuple) else 0.0)
    panels.curve(ax, x, values, view, top=2 * high, color=DESCENT)
    ax.set_xlim(x[0] if view.xscale == "linear" else x[1], x[-1] if x[-1] > x[0] else x[0] + 1)
    ax.set_xscale(view.xscale)
    low = float(values[shown].min())
    ax.set_ylim(max(0.0, low - 0.15 * (high - low)) if low > 0.25 * high else 0.0, high + 0.12 * (high - low))
    panels.threshold_mark(ax, run, view)
    if isinstance(T1, tuple):
        a, b = _x(run, np.array(T1), view)
        ax.axvspan(a, b, color=THIRD, alpha=0.16, linewidth=0, gid="3.2",
                   label=rf"$T_1 \in$ [{_whole(T1[0], up=True)}, {_whole(T1[1])}] (3.2)")  # fmt: skip
    if c.T1 is not None:
        _upright(ax, run, c.T1, view, f"$T_1$ = {step_text(c.T1)}", gid="T1")
    else:
        ax.annotate("never reaches the edge" if c.T else "no step was made", (0, 1), (4, -3), va="top", ha="left",
                    xycoords="axes fraction", textcoords="offset points", color=SOFT)  # fmt: skip
    ax.set_xlabel(r"time $\eta t$" if view.x == "time" else "step")
    ax.set_ylabel(r"$\lambda_1\alpha^2$")
    if ax.get_legend_handles_labels()[0]:
        _legend(ax, view)


def _legend(ax: Any, view: View, *, loc: str = "lower left", y: float = 1.0) -> None:
    """Beside the panel, in one row: the bounds fill it. In one column of a page it needs the margin too."""
    at = (-0.12 if view.size == "single" else 0.0, y)
    ax.legend(ncols=4, loc=loc, bbox_to_anchor=at, borderaxespad=0.2, handlelength=1.5, handletextpad=0.5,
              columnspacing=0.8)  # fmt: skip


def _whole(value: float, *, up: bool = False) -> str:
    """T1 is a whole number, so an interval of reals is one of integers."""
    return step_text(np.ceil(value - 1e-9) if up else np.floor(value + 1e-9))


def _upright(ax: Any, run: Run, step: int, view: View, words: str, *, gid: str) -> None:
    at = float(_x(run, np.array([step]), view)[0])
    ax.axvline(at, color=MUTED, linestyle=DOTTED, linewidth=0.9, zorder=1.5, gid=gid)
    low, high = ax.get_xlim()
    right = (at - low) / (high - low) < 0.55
    ax.annotate(
        words, (at, 0), (4 if right else -4, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
        va="bottom", ha="left" if right else "right", color=SOFT,
        fontsize=8 * float(ax.yaxis.label.get_fontsize()) / 9,
    )  # fmt: skip


def _x(run: Run, steps: Any, view: View) -> Any:
    """Horizontal positions of steps of the case, which may lie between the recorded ones."""
    return np.asarray(steps, dtype=float) * (run.lr if view.x == "time" else 1.0)
