"""The one schema of results: a recording becomes a labelled, self-describing xarray data set."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab import __version__
from eoslab.core.vocabulary import PHASES
from eoslab.theory import classifier

if TYPE_CHECKING:
    import xarray as xr

    from eoslab.results.trajectory import Recording

__all__ = ["FORMAT", "dataset", "log10_abs"]

#: Version of the layout on disk; a reader refuses what is newer.
FORMAT = 1
UNITS = {
    "loss": "½E(y − f)²",
    "loss_osc": "½E(y − f)²",
    "loss_conv": "½E(y − f)²",
    "sharpness": "λmax(∇²L)",
    "eta_sharpness": "λmax(P⁻¹∇²L), dimensionless",
    "gfs_sharpness": "λmax(∇²L) at the gradient-flow solution",
}


def dataset(recording: Recording) -> xr.Dataset:
    """The labelled result of a recording (DESIGN: one schema)."""
    import xarray as xr

    engine, state = recording.engine, recording.state
    assert state is not None
    model, rule = engine.model, engine.rule
    columns = {name: _column(recording, name) for name in ("step", "w", "loss_osc", "loss_conv", "sharpness")}
    columns |= {name: _column(recording, name) for name in ("eta", "gfs", "above")}
    loss = columns["loss_osc"] + columns["loss_conv"] + model.loss_min
    outcome, regime = recording.verdict()
    phase = _phases(recording, columns)
    step = columns["step"]
    if recording.diverged:
        step = np.append(step, state.step + 1)
        loss, phase = _nan_row(loss), np.append(phase, classifier.TRANSIENT).astype(np.int8)
        columns = {k: _nan_row(v) if v.dtype.kind == "f" else v for k, v in columns.items()}
    events = recording.event_rows()
    ds = xr.Dataset(
        {
            "w": (("step", "param"), columns["w"]),
            "loss": ("step", loss),
            "loss_osc": ("step", columns["loss_osc"]),
            "loss_conv": ("step", columns["loss_conv"]),
            "sharpness": ("step", columns["sharpness"]),
            "eta_sharpness": ("step", columns["eta"]),
            "gfs_sharpness": ("step", columns["gfs"]),
            "phase": ("step", phase, {"flag_values": list(range(len(PHASES))), "flag_meanings": " ".join(PHASES)}),
            "measured": ("step", np.ones(len(step), bool)),
            "event_kind": ("event", np.array([e[0] for e in events], dtype="<U16")),
            "event_step": ("event", np.array([e[1] for e in events], dtype=np.int64)),
            "event_value": ("event", np.array([e[2] for e in events], dtype=float)),
            "outcome": ((), outcome),
            "regime": ((), regime),
            "threshold": ((), np.nan if rule.threshold.value is None else rule.threshold.value),
            "lr": ((), rule.lr),
            "T1": ((), engine.t1),
            "T2": ((), engine.t2),
            "steps": ((), state.step + (1 if recording.diverged else 0)),
            "max_eta_sharpness": ((), recording.max_eta),
            "excursions": ((), recording.crossings[2] + recording.crossings[1]),
            "state_w": ("param", state.w),
            "state_exponent": ("param", state.exponent),
            "state_m": ("param", state.m),
            "state_v": ("param", state.v),
            "state_flag": ((), state.flag),
        },
        coords={
            "step": step.astype(np.int64),
            "time": ("step", step * rule.lr),
            "param": np.array(model.params, dtype=str),
        },
    )
    for name, unit in UNITS.items():
        ds[name].attrs["units"] = unit
    _add_exponents(ds, recording)
    if hasattr(model, "relevance"):
        _add_directions(ds, model)
    ds.attrs = attributes(model, rule, outcome)
    ds.attrs["record_every"] = recording.record_every
    return ds


def attributes(model: Any, rule: Any, outcome: str) -> dict[str, Any]:
    """Provenance: what was run, with what, where."""
    import numba

    return {
        "format": FORMAT,
        "eoslab_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model.name,
        "optimizer": rule.name,
        "parameters": json.dumps({"model": _plain(model.settings), "optimizer": _plain(rule.settings)}),
        "loss_convention": "exact risk ½E(y − f)²",
        "dtype": "float64",
        "versions": json.dumps(
            {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
        ),
        "platform": platform.platform(),
        "complete": outcome != "interrupted",
    }


def log10_abs(ds: xr.Dataset, param: str) -> np.ndarray:
    """log10|component| for every stored step, also where it is below the float64 range (−inf for exact 0)."""
    w = ds["w"].sel(param=param).values
    with np.errstate(divide="ignore"):
        plain: np.ndarray = np.log10(np.abs(w))
        if "w_exponent" in ds:
            e, m = ds["w_exponent"].sel(param=param).values, ds["w_mantissa"].sel(param=param).values
        elif param == "beta1" and "beta1_exponent" in ds:
            e, m = ds["beta1_exponent"].values, ds["beta1_mantissa"].values
        else:
            return plain
        return np.where(e != 0, np.log10(np.abs(m)) + e * np.log10(2.0), plain)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: (v.tolist() if isinstance(v, np.ndarray) else v) for k, v in settings.items()}


def _column(recording: Recording, name: str) -> np.ndarray:
    return np.concatenate([rows[name] for rows in recording.rows])


def _nan_row(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, np.full((1, *values.shape[1:]), np.nan)])


def _phases(recording: Recording, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Definition 3.1 where it applies; else sharpening up to the first crossing, the edge up to the last step
    above the threshold, and convergence after it (without a crossing: up to the largest η·S_eff)."""
    if recording.rows[0]["phase"] is not None:
        return _column(recording, "phase")
    step = columns["step"]
    _, started, ups, _, first_up, _, last_down, _ = recording.crossings
    begin = 0 if started == 1 else first_up
    if ups == 0 and started != 1:
        return np.where(step <= recording.max_eta_at, classifier.PS, classifier.FINAL).astype(np.int8)
    end = last_down if recording.crossings[0] == 0 else np.iinfo(np.int64).max
    phase = np.where(step < begin, classifier.PS, np.where(step < end, classifier.EOS, classifier.FINAL))
    return phase.astype(np.int8)


def _add_exponents(ds: xr.Dataset, recording: Recording) -> None:
    """Mantissa and exponent variables, only if a component ever needed them."""
    if all(rows["exponent"] is None for rows in recording.rows):
        return
    mantissa = np.concatenate([r["w"] if r["mantissa"] is None else r["mantissa"] for r in recording.rows])
    exponent = np.concatenate(
        [np.zeros(r["w"].shape, np.int64) if r["exponent"] is None else r["exponent"] for r in recording.rows]
    )
    if recording.diverged:
        mantissa, exponent = (
            _nan_row(mantissa),
            np.concatenate([exponent, np.zeros((1, exponent.shape[1]), np.int64)]),
        )
    which = recording.engine.homogeneous
    if len(which) == 1 and recording.engine.model.params[which[0]] == "beta1":
        ds["beta1_mantissa"] = ("step", mantissa[:, which[0]])
        ds["beta1_exponent"] = ("step", exponent[:, which[0]])
    else:
        ds["w_mantissa"] = (("step", "param"), mantissa)
        ds["w_exponent"] = (("step", "param"), exponent)


def _add_directions(ds: xr.Dataset, model: Any) -> None:
    """Spectrum, relevance, and how much each direction oscillates, measured by projection."""
    ds["lambdas"] = ("direction", np.asarray(model.lambdas), {"long_name": "input variance λ_i"})
    ds["teacher"] = ("direction", np.asarray(model.v), {"long_name": "teacher v_i = E[x_i y]/λ_i"})
    ds["relevance"] = ("direction", model.relevance, {"long_name": "share of the learnable variance of y"})
    ds["oscillation"] = (
        "direction",
        oscillation(ds),
        {
            "long_name": "rms amplitude of the period-2 part of αβ_i",
            "comment": "from the first step at the edge on",
        },
    )


def oscillation(ds: xr.Dataset) -> np.ndarray:
    """Amplitude with which each direction of the network function αβ_i jumps to and fro.

    rms over consecutive stored steps of |x_{t+1} − 2x_t + x_{t−1}|/4 (the amplitude a of x_t = a(−1)^t), from the
    first step at or above the threshold on, over the whole run if there is none; NaN where no three
    consecutive steps are stored. Nothing is assumed about which directions these are.
    """
    w, step = ds["w"].values, ds["step"].values
    x = w[:, :1] * w[:, 1:]
    up = np.flatnonzero(ds["eta_sharpness"].values >= float(ds["threshold"]))
    first = int(step[up[0]]) if len(up) else int(step[0])
    middle = np.flatnonzero((np.diff(step)[1:] == 1) & (np.diff(step)[:-1] == 1)) + 1
    middle = middle[(step[middle] > first) & np.isfinite(x[middle + 1]).all(axis=1)]
    if len(middle) == 0:
        return np.full(x.shape[1], np.nan)
    second = (x[middle + 1] - 2 * x[middle] + x[middle - 1]) / 4
    rms: np.ndarray = np.sqrt(np.mean(second**2, axis=0))
    return rms
