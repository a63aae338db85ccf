"""Of d inputs: which directions oscillate, and are they the irrelevant ones?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from eoslab.core.errors import InvalidArgument
from eoslab.plots import panels
from eoslab.plots.panels import View
from eoslab.plots.reading import Run
from eoslab.plots.style import DESCENT, OSCILLATORY, SOFT

__all__ = ["directions", "oscillating"]

#: A direction counts as oscillating from this share of the largest amplitude on.
SHARE = 0.1


@panels.figure(1.0, 1.0, 1.0, aspect=1.15)
def directions(axes: Sequence[Any], runs: Sequence[Run], view: View) -> None:
    """Spectrum λ_i, share of the learnable variance, and oscillation of the directions i, λ descending."""
    (run,) = runs
    missing = [name for name in ("lambdas", "relevance", "oscillation") if name not in run.ds]
    if missing:
        raise InvalidArgument(
            "run", f"a run of {run.model_name or 'a model'} without {', '.join(missing)}", "a run with d inputs",
            "this figure is of runs on data; for two inputs draw 'phase-portrait'",
        )  # fmt: skip
    moving = oscillating(run)
    # directions are counted from 1, as in λ1
    index = np.arange(1, len(moving) + 1)
    rows = (("lambdas", r"variance $\lambda_i$"), ("relevance", "relevance"),
            ("oscillation", "oscillation"))  # fmt: skip
    for ax, (name, label) in zip(axes, rows, strict=True):
        y = np.abs(np.asarray(run.ds[name].values, dtype=float))
        drawn = np.isfinite(y) & (y > 0)
        ax.set_yscale("log")
        low = _low(y[drawn], name)
        for chosen, color, what in ((moving, OSCILLATORY, "oscillates"), (~moving, DESCENT, "does not")):
            some = drawn & chosen & (y >= low)
            ax.vlines(index[some], low, y[some], color=color, linewidth=0.9, alpha=0.6)
            ax.plot(index[some], y[some], "o", color=color, markersize=3, label=what, linestyle="none")
        ax.set_ylabel(label)
        hidden = int(np.count_nonzero(drawn & (y < low)) + np.count_nonzero(y == 0))
        if hidden:
            ax.annotate(f"{hidden} below the axis", (1, 0), (-3, 4), xycoords="axes fraction",
                        textcoords="offset points", ha="right", va="bottom", color=SOFT,
                        fontsize=8 * float(ax.yaxis.label.get_fontsize()) / 9)  # fmt: skip
        if drawn.any():
            ax.set_ylim(low, 2.5 * float(y[drawn].max()))
    axes[-1].set_xlim(0, len(moving) + 1)
    axes[-1].set_xlabel("direction $i$")
    axes[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2, handlelength=0.8)


def oscillating(run: Run) -> Any:
    """Which directions have at least a tenth of the largest amplitude."""
    amplitude = np.abs(np.asarray(run.ds["oscillation"].values, dtype=float))
    largest = float(np.nanmax(amplitude)) if np.isfinite(amplitude).any() else 0.0
    return np.nan_to_num(amplitude) >= SHARE * largest if largest > 0 else np.zeros(amplitude.shape, bool)


def _low(y: Any, name: str) -> float:
    """Six decades are enough to compare directions; an amplitude at the rounding level is nothing."""
    if len(y) == 0:
        return 1e-3
    return max(float(y.min()) / 2, 1e-6 * float(y.max()))
