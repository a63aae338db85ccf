"""A compiled trajectory of the minimalist model up to where its future is decided, for the theory's checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.errors import InvalidArgument
from eoslab.kernels.engine import LowDimensionalEngine, State
from eoslab.results.provenance import rebuild
from eoslab.theory.certificate import diverges_d1, diverges_d2, search_trapping
from eoslab.theory.context import Trajectory
from eoslab.theory.reduced import coordinates

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["problem_of_run", "settled_trajectory"]

#: Steps between two looks for a trapping region.
LOOK = 512


def settled_trajectory(model: Any, rule: Any, w0: Any, steps: int, *, settle: bool = True) -> Trajectory:
    """Every step of ``rule`` on a Minimalist model from w0, until Theorem 5.1 or 5.3 decides the rest.

    ``steps`` is the most that is made; ``settle=False`` makes all of them. The same states as
    :func:`eoslab.theory.orbit.orbit` up to rounding, much faster, with β1 by mantissa and exponent.
    """
    engine = LowDimensionalEngine(model, rule)
    state = State.start(w0)
    ws, logs = [], []
    while True:
        rows, state, diverged = engine.advance(state, min(LOOK if settle else 32768, steps - state.step))
        first = 1 if ws else 0
        ws.append(rows.w[first:])
        with np.errstate(divide="ignore"):
            log = np.log10(np.abs(rows.w[:, 1]))
            if rows.mantissa is not None and rows.exponent is not None:
                e = rows.exponent[:, 1]
                log = np.where(e != 0, np.log10(np.abs(rows.mantissa[:, 1])) + e * np.log10(2.0), log)
        logs.append(log[first:])
        if diverged or state.step >= steps or (settle and _decided(model, rule, rows.w[-1])):
            return Trajectory.of(np.concatenate(ws), np.concatenate(logs))


def problem_of_run(ds: xr.Dataset, name: str = "") -> tuple[Any, Any, tuple[float, ...], int]:
    """(model, rule, w0, steps) of a stored run that the theory is about.

    Raises InvalidArgument for anything but gradient descent, or a projection of it, on the two-input model;
    ``name`` is what the message calls the run.
    """
    model_name, rule_name = str(ds.attrs.get("model", "")), str(ds.attrs.get("optimizer", ""))
    if model_name != "minimalist" or rule_name not in ("gd", "gd-floor", "gd-cap"):
        got = f"{rule_name} on {model_name}"
        raise InvalidArgument(
            "RUN", f"{name}: {got}" if name else got, "gradient descent or a projection of it on minimalist",
            "the theory is about the two-input model",
        )  # fmt: skip
    model, rule = rebuild(ds)
    return model, rule, tuple(ds["w"].values[0].tolist()), int(ds["steps"])


def _decided(model: Any, rule: Any, w: Any) -> bool:
    x = coordinates(tuple(w.tolist()), model.p, rule.lr)
    k, eps = x.steps.k, x.steps.eps
    if x.s and (diverges_d1(x.s, x.w, eps) or diverges_d2(x.s, x.w, x.nu, x.r, k)):
        return True
    return rule.name == "gd" and search_trapping(x.s, x.w, x.r, k, eps) is not None
