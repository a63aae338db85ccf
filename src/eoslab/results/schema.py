"""The one schema of results: a recording becomes a labelled, self-describing xarray data set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.vocabulary import PHASES
from eoslab.kernels.engine import EXTRA
from eoslab.results.provenance import attributes
from eoslab.theory import classifier

if TYPE_CHECKING:
    import xarray as xr

    from eoslab.results.trajectory import Recording

__all__ = ["dataset", "log10_abs", "missing", "oscillation"]

UNITS = {
    "loss": "½E(y − f)²",
    "loss_osc": "½E(y − f)²",
    "loss_conv": "½E(y − f)²",
    "sharpness": "λmax(∇²L)",
    "eta_sharpness": "λmax(P⁻¹∇²L), dimensionless",
    "gfs_sharpness": "λmax(∇²L) at the gradient-flow solution",
}


#: What every data set of a run has.
REQUIRED = (
    *(
        "step",
        "time",
        "param",
        "w",
        "loss",
        "loss_osc",
        "loss_conv",
        "sharpness",
        "eta_sharpness",
        "gfs_sharpness",
    ),
    *("phase", "measured", "event_kind", "event_step", "event_value", "outcome", "regime", "threshold", "lr"),
    *("T1", "T2", "steps", "max_eta_sharpness", "excursions"),
    *("state_w", "state_exponent", "state_m", "state_v", "state_flag", "state_recent"),
)
REQUIRED_ATTRS = (
    *("format", "eoslab_version", "created", "model", "optimizer", "parameters", "seed", "dtype", "platform"),
    *("versions", "complete", "record_every", "classifier"),
)
#: What the run of a network has instead of parameters, split losses and the state of a model.
NETWORK = (
    *("step", "time", "loss", "grad_norm", "sharpness", "eta_sharpness", "matvecs", "phase", "measured"),
    *("event_kind", "event_step", "event_value", "outcome", "regime", "threshold", "lr", "T1", "T2", "steps"),
    *("max_eta_sharpness", "excursions"),
)
NETWORK_ATTRS = ("kind", "device", "columns", "timing")


def dataset(recording: Recording) -> xr.Dataset:
    """The labelled result of a recording (DESIGN: one schema)."""
    import xarray as xr

    engine, state = recording.engine, recording.state
    assert state is not None
    assert recording.recent is not None
    model, rule = engine.model, engine.rule
    columns = recording.columns()
    # the two parts are the excess over the minimum; a loss that is unbounded below has no excess, only itself
    loss = columns["loss_osc"] + columns["loss_conv"] + (model.loss_min if np.isfinite(model.loss_min) else 0.0)
    outcome, regime = recording.verdict()
    phase = _phases(recording, columns)
    step = columns["step"]
    if recording.diverged:
        step = np.append(step, state.step + 1)
        loss, phase = _past_the_end(loss), np.append(phase, classifier.TRANSIENT).astype(np.int8)
        columns = {k: _past_the_end(v) for k, v in columns.items()}
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
            "max_eta_sharpness": ((), recording.max_eta if recording.max_eta_at >= 0 else np.nan),
            "excursions": ((), recording.crossings[2] + recording.crossings[1]),
            "state_w": ("param", state.w),
            "state_exponent": ("param", state.exponent),
            "state_m": ("param", state.m),
            "state_v": ("param", state.v),
            "state_flag": ((), state.flag),
            "state_recent": (("recent", "param"), recording.recent),
        },
        coords={
            "step": step.astype(np.int64),
            "time": ("step", step * rule.lr),
            "param": np.array(model.params, dtype=str),
        },
    )
    for name, unit in UNITS.items():
        is_loss = unit == UNITS["loss"]
        ds[name].attrs["units"] = getattr(model, "loss_convention", unit) if is_loss else unit
    _add_exponents(ds, recording, columns)
    for name, values in columns.items():
        if name.startswith(EXTRA):
            ds[name.removeprefix(EXTRA)] = ("step", values)
    if hasattr(model, "relevance"):
        _add_directions(ds, model)
    if getattr(rule, "batch", 0):
        # the batches to come are drawn from it
        x, y = model.sample
        ds["sample_x"], ds["sample_y"] = (("sample", "direction"), x), ("sample", y)
    asked = {"start": columns["w"][0], "steps": recording.asked, "record_every": recording.record_every}
    ds.attrs = attributes(model, rule, outcome, asked)
    ds.attrs["record_every"] = recording.record_every
    ds.attrs["classifier"] = json.dumps(recording.classifier_state())
    rng_state = getattr(rule, "rng_state", None)
    if rng_state is not None:
        ds.attrs["rng_state"] = json.dumps(rng_state, default=np.ndarray.tolist)
    if recording.failure:
        ds.attrs["failure"] = recording.failure
    if rule.threshold.reason:
        ds["threshold"].attrs["reason"] = rule.threshold.reason
    return ds


def missing(ds: xr.Dataset) -> list[str]:
    """Names of the variables and attributes that every run of its kind has and this one lacks."""
    network = ds.attrs.get("kind") == "network"
    variables = NETWORK if network else REQUIRED
    attributes = (*REQUIRED_ATTRS, *NETWORK_ATTRS) if network else REQUIRED_ATTRS
    return [n for n in variables if n not in ds.variables] + [n for n in attributes if n not in ds.attrs]


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


def _past_the_end(values: np.ndarray) -> np.ndarray:
    """The column with one row more for the step of divergence: NaN, or 0 in a column of integers."""
    fill = np.nan if values.dtype.kind == "f" else 0
    return np.concatenate([values, np.full((1, *values.shape[1:]), fill, values.dtype)])


def _phases(recording: Recording, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Definition 3.1 where it applies; else sharpening up to the first crossing, the edge up to the last step
    above the threshold, and convergence after it (without a crossing: up to the largest η·S_eff)."""
    if "phase" in columns:
        return columns["phase"]
    step = columns["step"]
    _, started, ups, _, first_up, _, last_down, _ = recording.crossings
    begin = 0 if started == 1 else first_up
    if ups == 0 and started != 1:
        return np.where(step <= recording.max_eta_at, classifier.PS, classifier.FINAL).astype(np.int8)
    end = last_down if recording.crossings[0] == 0 else np.iinfo(np.int64).max
    phase = np.where(step < begin, classifier.PS, np.where(step < end, classifier.EOS, classifier.FINAL))
    return phase.astype(np.int8)


def _add_exponents(ds: xr.Dataset, recording: Recording, columns: dict[str, np.ndarray]) -> None:
    """Mantissa and exponent variables, only if a component ever needed them."""
    if "exponent" not in columns:
        return
    which = recording.engine.homogeneous
    if len(which) == 1 and recording.engine.model.params[which[0]] == "beta1":
        ds["beta1_mantissa"] = ("step", columns["mantissa"][:, which[0]])
        ds["beta1_exponent"] = ("step", columns["exponent"][:, which[0]])
    else:
        ds["w_mantissa"] = (("step", "param"), columns["mantissa"])
        ds["w_exponent"] = (("step", "param"), columns["exponent"])


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
