"""The verb ``resume``: go on with a finished or interrupted run, to the last bit as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from eoslab.core.errors import DamagedRun, InvalidArgument, whole
from eoslab.core.vocabulary import EVENTS
from eoslab.kernels.engine import EXTRA, State
from eoslab.results import provenance
from eoslab.results.trajectory import Columns, Recording, engine_for
from eoslab.theory import classifier

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["recording_of", "resume"]

#: Column of a recording → variable of a data set.
VARIABLES = {
    "w": "w",
    "loss_osc": "loss_osc",
    "loss_conv": "loss_conv",
    "sharpness": "sharpness",
    "eta": "eta_sharpness",
    "gfs": "gfs_sharpness",
}
#: Attributes of the run as a whole, which a continuation keeps.
KEPT = ("created", "command", "seed", "sources")


def resume(
    ds: xr.Dataset,
    steps: int | None = None,
    *,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Continue a run until it has made ``steps`` updates in all (default: as many as it was asked for).

    The result equals that of one uninterrupted run of ``steps`` updates in every variable, bit for bit, also
    where the run was interrupted, stored every k-th step only, or carried β1 below the float64 range.
    ``created``, ``command``, ``seed``, ``sources`` and attributes that others have added are those of ``ds``.
    A run that diverged has nowhere to go and stays as it is.

    Raises :class:`~eoslab.core.errors.InvalidArgument` where it has made more than ``steps`` already, and
    :class:`~eoslab.core.errors.DamagedRun` where ``ds`` holds no state to go on from.

    >>> import eoslab
    >>> model, rule = eoslab.models.Minimalist(), eoslab.optimizers.GD(lr=2.4)
    >>> half = eoslab.trajectory(model, rule, steps=1000)
    >>> whole = eoslab.trajectory(model, rule, steps=3000)
    >>> resume(half, 3000).loss.equals(whole.loss)
    True
    """
    from eoslab.results.schema import dataset

    if ds.attrs.get("kind") == "network":
        raise InvalidArgument(
            "resume", "the run of a network", "that of a model", "eoslab train --resume goes on with a network"
        )
    recording = recording_of(ds)
    state = recording.state
    assert state is not None
    end = recording.asked if steps is None else whole("steps", steps)
    if end < state.step:
        raise InvalidArgument(
            "steps", end, f"at least the {state.step} updates that the run has made", "steps count from the start"
        )
    if recording.diverged:
        recording.asked = end
    else:
        recording.run(state, end - state.step, stop, progress)
    out = dataset(recording)
    out.attrs |= {name: value for name, value in ds.attrs.items() if name in KEPT or name not in out.attrs}
    typed = provenance.parameters(ds).get("typed")
    if typed is None:
        return out
    # what was typed for steps no longer holds
    return provenance.stamp(out, typed={k: v for k, v in typed.items() if steps is None or k != "steps"})


def recording_of(ds: xr.Dataset) -> Recording:
    """The recording that made a data set, in the state in which it ended."""
    model, rule = provenance.rebuild(ds)
    if "rng_state" in ds.attrs:
        # the rule is a frozen value but for the generator that it draws from
        object.__setattr__(rule, "rng_state", json.loads(ds.attrs["rng_state"]))
    try:
        return _recording(ds, model, rule)
    except (KeyError, ValueError) as error:
        raise DamagedRun(
            f"this data set cannot be continued: it lacks {error}",
            "Only what eoslab.trajectory returned, or the run store keeps, holds the whole state",
        ) from error


def _recording(ds: xr.Dataset, model: Any, rule: Any) -> Recording:
    engine = engine_for(model, rule)
    engine.t1, engine.t2 = int(ds["T1"]), int(ds["T2"])
    outcome = str(ds["outcome"].values)
    diverged = outcome == "diverged"
    memory = json.loads(ds.attrs["classifier"])
    rows = _columns(ds.isel(step=slice(None, -1)) if diverged else ds, engine)
    if not getattr(engine, "defines_phases", False):
        rows.pop("phase")
    kinds = list(EVENTS)
    events = zip(ds["event_kind"].values, ds["event_step"].values, ds["event_value"].values, strict=True)
    recording = Recording(
        engine,
        record_every=int(ds.attrs["record_every"]),
        carried="exponent" in rows,
        first_step=int(rows["step"][0]),
        asked=int(provenance.parameters(ds)["run"]["steps"]),
        events=[(kinds.index(str(kind)), int(step), float(value)) for kind, step, value in events],
        crossings=cast(classifier.Crossings, tuple(memory["crossings"])),
        extreme=memory["extreme"],
        extreme_at=memory["extreme_at"],
        max_eta=float(ds["max_eta_sharpness"]),
        max_eta_at=memory["max_eta_at"],
        under=memory["under"],
        least=memory["least"],
        recent=ds["state_recent"].values,
        state=State(
            int(ds["steps"]) - int(diverged),
            ds["state_w"].values,
            ds["state_exponent"].values,
            ds["state_m"].values,
            ds["state_v"].values,
            int(ds["state_flag"]),
        ),
        outcome="interrupted" if outcome == "interrupted" else "running",
        diverged=diverged,
    )
    recording.restore(rows)
    return recording


def _columns(ds: xr.Dataset, engine: Any) -> Columns:
    """The kept steps of a data set, as a recording holds them."""
    rows: Columns = {"step": ds["step"].values, "phase": ds["phase"].values}
    rows |= {name: ds[variable].values for name, variable in VARIABLES.items()}
    rows |= {EXTRA + name: ds[name].values for name in getattr(engine, "extras", ())}
    if "w_exponent" in ds:
        rows |= {"mantissa": ds["w_mantissa"].values, "exponent": ds["w_exponent"].values}
    elif "beta1_exponent" in ds:
        i = engine.homogeneous[0]
        mantissa, exponent = rows["w"].copy(), np.zeros(rows["w"].shape, np.int64)
        mantissa[:, i], exponent[:, i] = ds["beta1_mantissa"].values, ds["beta1_exponent"].values
        rows |= {"mantissa": mantissa, "exponent": exponent}
    return rows
