"""A run in a few numbers, and in one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.errors import InvalidArgument
from eoslab.core.vocabulary import title
from eoslab.results.schema import log10_abs

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["edge_text", "summary", "verdict_sentence"]

#: Per-step numbers of a row, in order, with their names in the data set.
MEASURES = ("loss", "loss_osc", "loss_conv", "sharpness", "gfs_sharpness")


def summary(ds: xr.Dataset, at: Sequence[int] = ()) -> dict[str, Any]:
    """The run as plain JSON values: outcome, regime, threshold, phases, events, first and last row.

    ``threshold`` is dimensionless (2 for gradient descent), ``threshold_sharpness`` = threshold/η. ``initial``,
    ``final`` and, for the steps in ``at``, ``rows`` hold step, parameters, losses and sharpness; for a model
    with inputs β1 … βd the lists ``beta`` and ``beta_log10_abs``. log10|β| is also right where |β| is below the
    float64 range. What is not finite is None, also log10 of an exact zero.

    Raises :class:`~eoslab.core.errors.InvalidArgument` for a step in ``at`` that is not stored.
    """
    threshold, lr = float(ds["threshold"]), float(ds["lr"])
    kinds, steps, values = (ds[f"event_{k}"].values.tolist() for k in ("kind", "step", "value"))
    out: dict[str, Any] = {
        "outcome": str(ds["outcome"].values),
        "regime": str(ds["regime"].values),
        "threshold": _finite(threshold),
        "threshold_sharpness": _finite(threshold / lr),
        "phases": {name: _step_or_none(ds[name]) for name in ("T1", "T2")},
        "events": [
            {"kind": kind, "step": step, "value": _finite(value)}
            for kind, step, value in zip(kinds, steps, values, strict=True)
        ],
        "initial": _row(ds, 0),
        "final": _row(ds, ds.sizes["step"] - 1),
        "max_eta_sharpness": _finite(float(ds["max_eta_sharpness"])),
        "steps": int(ds["steps"]),
    }
    if len(at) > 0:
        out["rows"] = [_row(ds, _position(ds, step)) for step in at]
    return out


def edge_text(ds: xr.Dataset) -> str:
    """The threshold as a reader meets it: '2/η = 0.8333', or for a rule with a preconditioner its value."""
    threshold, lr = float(ds["threshold"]), float(ds["lr"])
    if "edge" in ds:
        return "the edge, which moves with the gradient norm,"
    if _preconditioned(ds):
        return f"the threshold {threshold:.4g} of the preconditioned sharpness"
    return f"{threshold:.4g}/η = {threshold / lr:.4g}"


def verdict_sentence(ds: xr.Dataset) -> str:
    """What happened, in one sentence.

    For example 'Edge of stability: above 2/η = 0.8333 from step 235 to 832, settled at 0.970·2/η'.
    """
    outcome, regime, steps = str(ds["outcome"].values), str(ds["regime"].values), int(ds["steps"])
    stopped = f" (interrupted at step {steps})" if outcome == "interrupted" else ""
    if regime == "diverged":
        return f"Diverged at step {steps}: the learning rate is too large for this start{_above_first(ds)}"
    if not math.isfinite(float(ds["threshold"])):
        loss = float(ds["loss"][-1])
        return f"{_capital(title(outcome))} after {steps} steps with loss {loss:.3g}; this rule has no threshold"
    if regime == "no-threshold":
        return f"{_capital(title(outcome))} after {steps} steps; the sharpness was not measured"
    edge, top = edge_text(ds), float(ds["max_eta_sharpness"]) / float(ds["threshold"])
    if regime == "stable":
        return f"Stable: never above {edge}, at most {top:.3f} of it{_ending(outcome, steps)}{stopped}"
    begin, end, count = _stretch(ds)
    settled = f"settled at {_ratio(ds):.3f}{_unit(ds)}"
    if regime == "catapult":
        return f"Catapult: above {edge} from the start to step {end}, {settled}{stopped}"
    if regime == "edge":
        times = "" if count <= 1 else f"in {count} excursions "
        return f"Edge of stability: above {edge} {times}from step {begin} to {end}, {settled}{stopped}"
    if outcome == "period-2":
        jumps = f"it jumps across {edge} at every step after {steps} steps, so every second step looks calm"
        return f"Two-cycle: above {edge} first at step {begin}; {jumps}{stopped}"
    now = "still above" if end is None else f"last above at step {end}"
    rest = f"{now}{_ending(outcome, steps)}{stopped}"
    return f"Edge of stability, not settled: above {edge} from step {begin}, {rest}"


# -- parts ------------------------------------------------------------------------------------------------


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _step_or_none(step: xr.DataArray) -> int | None:
    return int(step) if int(step) >= 0 else None


def _row(ds: xr.Dataset, position: int) -> dict[str, Any]:
    one = ds.isel(step=[position])
    row: dict[str, Any] = {"step": int(one["step"][0])}
    # the weights of a network are in its checkpoint
    params = [] if "w" not in one else [str(name) for name in one["param"].values]
    w = dict(zip(params, one["w"].values[0].tolist(), strict=True)) if params else {}
    logs = {name: _finite(float(log10_abs(one, name)[0])) for name in params if name.startswith("beta")}
    inputs = [name for name in params if name.startswith("beta_")]
    for name, value in w.items():
        if name not in inputs:
            row[name] = _finite(value)
        if name == "beta1":
            row["beta1_log10_abs"] = logs[name]
    if inputs:
        row["beta"] = [_finite(w[name]) for name in inputs]
        row["beta_log10_abs"] = [logs[name] for name in inputs]
    return row | {name: _finite(float(one[name][0])) if name in one else None for name in MEASURES}


def _position(ds: xr.Dataset, step: int) -> int:
    stored = ds["step"].values
    i = int(np.searchsorted(stored, step))
    if i < len(stored) and stored[i] == step:
        return i
    near = sorted({int(stored[j]) for j in (i - 1, i) if 0 <= j < len(stored)})
    last = int(stored[-1])
    if step > last or step < 0:
        raise InvalidArgument("at", step, f"a step of the run, 0 to {last}")
    raise InvalidArgument(
        "at", step, f"a stored step; the nearest are {' and '.join(map(str, near))}",
        f"stored are every {ds.attrs.get('record_every', 1)}th step and the extremes; record_every=1 keeps all",
    )  # fmt: skip


def _preconditioned(ds: xr.Dataset) -> bool:
    """Whether η·S_eff is something else than η times the sharpness (which then need not be measured)."""
    eta, s = float(ds["eta_sharpness"][0]), float(ds["sharpness"][0])
    return eta != float(ds["lr"]) * s


def _unit(ds: xr.Dataset) -> str:
    return " of it" if _preconditioned(ds) else f"·{float(ds['threshold']):.4g}/η"


def _ratio(ds: xr.Dataset) -> float:
    return _last_eta(ds) / float(ds["threshold"])


def _last_eta(ds: xr.Dataset) -> float:
    """η·S_eff where it was measured last; NaN if it never was."""
    eta = ds["eta_sharpness"].values
    measured = np.flatnonzero(np.isfinite(eta))
    return float(eta[measured[-1]]) if len(measured) else math.nan


def _stretch(ds: xr.Dataset) -> tuple[int | None, int | None, int]:
    """First and last step above the threshold (None: still above at the end), number of excursions."""
    kinds, steps = ds["event_kind"].values, ds["event_step"].values
    threshold = float(ds["threshold"])
    ups, downs = steps[kinds == "crossing-up"], steps[kinds == "crossing-down"]
    started = float(ds["eta_sharpness"][0]) >= threshold
    begin = 0 if started else (int(ups[0]) if len(ups) else None)
    above = _last_eta(ds) >= threshold
    end = None if above or not len(downs) else int(downs[-1]) - 1
    return begin, end, len(ups) + int(started)


def _above_first(ds: xr.Dataset) -> str:
    if not math.isfinite(float(ds["threshold"])):
        return ""
    begin = _stretch(ds)[0]
    return "" if begin is None else f"; above {edge_text(ds)} from step {begin}"


def _ending(outcome: str, steps: int) -> str:
    if outcome in ("running", "interrupted"):
        return f"; {steps} steps made"
    return f"; {title(outcome)} after {steps} steps"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
