"""Around the constrained trajectory θ†: what the general and the explicit theory predict, and what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eoslab.core.errors import EoslabError, InvalidArgument
from eoslab.flows.predicted import Predicted, predicted_dynamics
from eoslab.plots import panels
from eoslab.plots.case import case
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import CONVERGENT, DESCENT, INK, MUTED, OSCILLATORY, SOFT, THIRD
from eoslab.plots.theory import DASHDOT
from eoslab.results.provenance import rebuild
from eoslab.theory.context import Context
from eoslab.theory.main_theorem import edge_bound, surrogate_band
from eoslab.theory.stable_set import distance_bound

__all__ = ["Account", "account", "amplitude", "bound_of_distance", "stable_set"]

#: The general theory is followed for at most so many steps: it costs a Hessian and its eigenvectors a step.
STEPS = 1500
#: … of a model with at most so many parameters.
LARGEST = 100
#: Points a side of the grid on which the stable set is found.
GRID = 90


@dataclass(frozen=True)
class Account:
    """A run from its first step at the edge on, beside the predicted dynamics of the general theory.

    ``x`` (observed displacement u·(θ−θ†)), ``distance`` |θ−θ†| and ``sharpness`` are over the steps ``start`` …,
    as many as ``predicted`` has rows; ``model`` and ``w`` belong to the run.
    """

    start: int
    model: Any
    w: Any
    x: Any
    distance: Any
    sharpness: Any
    predicted: Predicted

    @property
    def steps(self) -> Any:
        """Steps of the run, one for each row."""
        return self.start + np.arange(len(self.w))


def account(run: Run) -> Account:
    """The general theory beside a run of plain gradient descent that reaches the edge, every step recorded.

    Raises InvalidArgument for other runs: another rule, a model without third derivatives or of many
    parameters, decimated storage, a run that stays below 2/η.
    """
    wanted = "plain gradient descent that reaches 2/η, every step stored"
    if run.optimizer != "gd":
        raise InvalidArgument("run", f"a run of {run.optimizer}", wanted, "the general theory is about it")
    model, rule = rebuild(run.ds)
    if not hasattr(model, "third") or not hasattr(model, "hessian"):
        raise InvalidArgument(
            "run", f"a run of {model.name}, which has no third derivative", "a model that has one"
        )
    if "w" not in run.ds or len(run.params) > LARGEST:
        raise InvalidArgument("run", f"{len(run.params)} parameters", f"a model of at most {LARGEST} parameters")
    if len(run.step) < 3 or np.any(np.diff(run.step) != 1):
        raise InvalidArgument("run", "a run of which not every step is stored", wanted)
    over = np.flatnonzero(run.sharpness >= run.threshold)
    if not len(over):
        raise InvalidArgument("run", f"a run that stays below {run.threshold_label}", wanted)
    start = int(over[0])
    if start == 0:
        raise InvalidArgument(
            "run", f"a run that starts above {run.threshold_label}", wanted, "θ† starts below it"
        )
    w = np.asarray(run.ds["w"].values, dtype=float)[start:]
    finite = np.all(np.isfinite(w), axis=1)
    rows = min(len(w) if finite.all() else int(np.argmin(finite)), STEPS + 1)
    try:
        p = predicted_dynamics(model, rule.lr, w[0], rows - 1)
    except (EoslabError, np.linalg.LinAlgError) as error:
        raise InvalidArgument("run", "predicted dynamics that cannot be followed", wanted, str(error)) from None
    good = p.ok & np.all(np.isfinite(p.v), axis=1)
    rows = len(good) if good.all() else int(np.argmin(good))
    if rows < 2:
        raise InvalidArgument(
            "run", "a run that the projection to the stable set does not converge for", wanted,
            "there may be no stable point near the crossing",
        )  # fmt: skip
    w, p = w[:rows], _first(p, rows)
    apart = w - p.dagger
    return Account(
        start, model, w, np.sum(p.u * apart, axis=1), np.sqrt(np.sum(apart**2, axis=1)),
        run.sharpness[start : start + rows], p,
    )  # fmt: skip


def _first(p: Predicted, rows: int) -> Predicted:
    return Predicted(**{name: value[:rows] for name, value in vars(p).items()})


@panels.figure(1.15, 1.0, 1.0, 1.0, aspect=1.95, share_x=False)
def stable_set(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Path on the stable set (grey), displacement x_t, sharpness, and distance |θ−θ†|: observed and predicted.

    Dashed: predicted dynamics of the general theory, for any smooth model. Dash-dotted: the amplitude that holds
    the sharpness (on the two-input model the exact two-cycle β1*, Prop 6.1), and for that model the proved bound
    of the distance (Prop 6.2).
    """
    (run,) = runs
    a = account(run)
    c = case(run) if run.model_name == "minimalist" else None
    plane, displacement, sharp, distance = axes
    _plane(plane, run, a, view)
    for ax in (displacement, sharp, distance):
        x = _x(run, a.steps, view)
        ax.set_xlim(x[0], x[-1])
        ax.set_xlabel((r"time $\eta t$" if view.x == "time" else "step") if ax is distance else "")
        ax.tick_params(labelbottom=ax is distance)
    _displacement(displacement, run, a, view)
    _sharpness(sharp, run, a, view)
    _distance(distance, run, a, c, view)


def _plane(ax: Any, run: Run, a: Account, view: View) -> None:
    """Displacement along ∇S⊥ and along u, in the plane through θ† at the crossing; grey where S ≤ 2/η."""
    p = a.predicted
    u, across = p.u[0], _unit(p, a)
    apart, told = a.w - p.dagger, p.v
    along, x = apart @ across, a.x
    low, high = _limits(np.concatenate((along, told @ across)))
    side = 1.12 * max(float(np.abs(x).max()), 1e-12)
    ax.set_xlim(low, high)
    ax.set_ylim(-side, side)
    grid = np.meshgrid(np.linspace(low, high, GRID), np.linspace(-side, side, GRID))
    points = p.dagger[0] + grid[0][..., None] * across + grid[1][..., None] * u
    S = np.linalg.eigvalsh(np.asarray([a.model.hessian(w) for w in points.reshape(-1, points.shape[-1])]))[:, -1]
    S = S.reshape(grid[0].shape)
    if S.min() < run.threshold:
        ax.contourf(*grid, S, levels=[-np.inf, run.threshold], colors=[MUTED], alpha=0.16, zorder=0)
        ax.annotate(f"$S \\leq$ {run.threshold_name}", (0, 1), (4, -3), xycoords="axes fraction", va="top",
                    textcoords="offset points", color=SOFT, fontstyle="italic", fontsize=_small(ax))  # fmt: skip
    odd = a.steps % 2 == 1
    for rows, color, label in ((~odd, DESCENT, "even steps"), (odd, OSCILLATORY, "odd steps")):
        panels.dots(ax, along[rows], x[rows], view, color=color, label=label, markersize=1.8)
    # the predicted path alternates like the observed one: its envelope says where it is
    size = np.abs(p.x)
    ax.plot(told @ across, size, color=INK, linestyle="--", linewidth=0.8, label="predicted $|x|$", zorder=3)
    ax.plot([0], [0], "+", color=INK, markersize=6, zorder=4)
    ax.annotate(r"$\theta^\dagger$", (0, 0), (3, -11), textcoords="offset points", fontsize=_small(ax))
    ax.set_xlabel(r"$(\theta-\theta^\dagger)\cdot\nabla S_\perp/|\nabla S_\perp|$")
    ax.set_ylabel(r"$x=u\cdot(\theta-\theta^\dagger)$")
    _legend(ax)


def _unit(p: Predicted, a: Account) -> Any:
    third = np.asarray(a.model.third(p.dagger[0], p.u[0]), dtype=float)
    across = third - p.u[0] * (p.u[0] @ third)
    return across / (float(np.linalg.norm(across)) or 1.0)


def _displacement(ax: Any, run: Run, a: Account, view: View) -> None:
    """x_t changes its sign every step: even and odd steps apart."""
    t, p = _x(run, a.steps, view), a.predicted
    odd = a.steps % 2 == 1
    for rows, color in ((~odd, DESCENT), (odd, OSCILLATORY)):
        panels.curve(ax, t[rows], a.x[rows], view, color=color, linewidth=0.9)
    for rows, label in ((~odd, "predicted"), (odd, "_")):
        panels.curve(ax, t[rows], p.x[rows], view, color=INK, linestyle="--", linewidth=0.8, label=label)
    size = amplitude(p)
    for sign, label in ((1, r"$\pm\sqrt{2a/b}$"), (-1, "_")):
        panels.curve(ax, t, sign * size, view, color=CONVERGENT, linestyle=DASHDOT, linewidth=0.8, label=label)
    side = 1.15 * max(float(np.abs(v[np.isfinite(v)]).max()) for v in (a.x, p.x, size) if np.isfinite(v).any())
    ax.set_ylim(-side or -1, side or 1)
    ax.set_ylabel("$x_t$")
    _legend(ax)


def amplitude(p: Predicted) -> Any:
    """√(2a_PS/b_SS) along θ†: the amplitude that holds the sharpness; NaN where sharpness would not grow."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(p.active & (p.a_ps > 0) & (p.b_ss > 0), np.sqrt(2 * p.a_ps / p.b_ss), np.nan)


def _sharpness(ax: Any, run: Run, a: Account, view: View) -> None:
    t, p = _x(run, a.steps, view), a.predicted
    told = p.predicted_sharpness
    seen = np.concatenate((a.sharpness, told[np.isfinite(told)]))
    low, high = _limits(np.append(seen[seen <= panels.CLIP * run.threshold], run.threshold))
    panels.curve(ax, t, a.sharpness, view, top=2 * high, color=DESCENT, linewidth=0.9, label="sharpness")
    panels.curve(ax, t, told, view, top=2 * high, color=INK, linestyle="--", linewidth=0.8,
                 label=r"predicted $S^\dagger+y$")  # fmt: skip
    ax.set_ylim(low, high)
    panels.threshold_mark(ax, run, view)
    ax.set_ylabel("sharpness")
    _legend(ax)


def bound_of_distance(c: Context) -> tuple[int, Any] | None:
    """(first step, bound of |θ−θ†| at each step from T1 on) by Prop 6.2 with 4.6 and 4.7(b), or None.

    In the units of the run; θ† starts at T1 from (α_e, 0, β2).
    """
    if c.T1 is None or c.dynamics != "gd":
        return None
    edge = edge_bound(float(c.s[c.T1]), float(c.w[c.T1]), float(c.r_tilde[c.T1]), c.k, c.eps)
    _, band = surrogate_band(c)
    if not edge.holds or band is None or band.from_shadow is None or not -1 < c.r[c.T1] <= 0:
        return None
    square = distance_bound(max(edge.zeta, edge.U), edge.w_bar, band.from_shadow, c.alpha_e)
    return band.start, np.sqrt(np.asarray(square) * abs(c.b))


def _distance(ax: Any, run: Run, a: Account, c: Context | None, view: View) -> None:
    t, p = _x(run, a.steps, view), a.predicted
    told = np.sqrt(np.sum(p.v**2, axis=1))
    bound = bound_of_distance(c) if c is not None else None
    seen = [a.distance, told]
    ax.set_yscale("log")
    if bound is not None:
        first, values = bound
        # the account begins where S ≥ 2/η, the proposition a little later, where λ1α² ≥ 2/η
        values = values[: max(len(t) - (first - a.start), 0)]
        x = _x(run, first + np.arange(len(values)), view)
        panels.curve(ax, x, values, view, color=THIRD, linestyle=DASHDOT, linewidth=1.0, label="bound (6.2)")
        seen.append(values)
    panels.curve(ax, t, a.distance, view, color=DESCENT, linewidth=0.9, label="observed")
    panels.curve(ax, t, told, view, color=INK, linestyle="--", linewidth=0.8, label="predicted $|v|$")
    fine = np.concatenate(seen)
    fine = fine[np.isfinite(fine) & (fine > 0)]
    if len(fine):
        high = float(fine.max())
        ax.set_ylim(max(float(np.quantile(fine, 0.005)), 1e-6 * high) / 1.5, 2 * min(high, 1e3 * fine[0] + 1))
    ax.set_ylabel(r"$|\theta-\theta^\dagger|$")
    _legend(ax)


def _legend(ax: Any) -> None:
    # above the panel: the curves fill it
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.1, handlelength=1.6,
              columnspacing=0.9)  # fmt: skip


def _limits(values: Any) -> tuple[float, float]:
    fine = values[np.isfinite(values)]
    low, high = float(fine.min()), float(fine.max())
    room = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _x(run: Run, steps: Any, view: View) -> Any:
    return np.asarray(steps, dtype=float) * (run.lr if view.x == "time" else 1.0)


def _small(ax: Any) -> float:
    return 8 * float(ax.yaxis.label.get_fontsize()) / 9
