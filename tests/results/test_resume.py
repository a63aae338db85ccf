"""A run that stops and goes on is the run that never stopped, bit for bit."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import eoslab
from eoslab.core.errors import DamagedRun, InvalidArgument
from eoslab.results import provenance, trajectory
from eoslab.results.resume import resume
from eoslab.results.store import open_run

RULES = eoslab.optimizers
MODEL = eoslab.models.Minimalist(1.0, 1e-3)
X = np.random.default_rng(1).normal(size=(50, 3))
DATA = eoslab.models.MinimalistD.from_data(X, X @ [1.0, 2.0, 3.0])
INPUTS = eoslab.models.MinimalistD([1.0, 0.5, 0.01], [0.0, 0.02, 1.0])
CASES = {
    "edge": (MODEL, RULES.GD(lr=2.0), [0.95, 1e-3, 0.9]),
    "underflow": (MODEL, RULES.GD(lr=2.662), [0.5, 0.01, 0.1]),
    "diverges": (MODEL, RULES.GD(lr=2.5), [9.0, 0.01, 0.1]),
    "floor": (eoslab.models.Minimalist(), eoslab.dynamics.Floor(RULES.GD(lr=2.4), 1e-4), None),
    "cap": (eoslab.models.Minimalist(), eoslab.dynamics.Cap(RULES.GD(lr=2.4)), None),
    "heavy-ball": (MODEL, RULES.HeavyBall(lr=3.5, beta=0.5), [0.5, 0.01, 0.1]),
    "adam": (MODEL, RULES.Adam(lr=0.01), [0.5, 0.01, 0.1]),
    "rmsprop": (MODEL, RULES.RMSProp(lr=0.003), [0.5, 0.01, 0.1]),
    "inputs": (INPUTS, RULES.GD(lr=2.4), [0.3, 1e-3, 0.02, 0.1]),
    "mini-batch": (DATA, eoslab.dynamics.MiniBatch(RULES.GD(lr=0.1), 7, seed=3), [0.3, 0.1, 0.1, 0.1]),
}  # fmt: skip
STEPS = 2000


def assert_same_run(a: xr.Dataset, b: xr.Dataset) -> None:
    """Equal in every variable and attribute but the time of creation."""
    xr.testing.assert_identical(a.assign_attrs(created=""), b.assign_attrs(created=""))


@pytest.mark.parametrize("name", CASES)
@given(st.data())
@settings(max_examples=5, deadline=None)
def test_run_then_resume_is_one_run(name, data):
    model, rule, w0 = CASES[name]
    every = data.draw(st.sampled_from([1, 2, 7, 100, 5000]), "record_every")
    cuts = sorted(data.draw(st.lists(st.integers(0, STEPS), min_size=1, max_size=3), "cuts"))
    chunk = data.draw(st.sampled_from([97, 1024, trajectory.CHUNK]), "chunk")
    whole = eoslab.trajectory(model, rule, w0, steps=STEPS, record_every=every)
    with mock.patch.object(trajectory, "CHUNK", chunk):
        ds = eoslab.trajectory(model, rule, w0, steps=cuts[0], record_every=every)
        for cut in [*cuts[1:], STEPS]:
            ds = resume(ds, cut)
    assert_same_run(ds, whole)


@given(st.integers(1, 4000), st.integers(1, 3000))
@settings(max_examples=10, deadline=None)
def test_what_is_kept_does_not_depend_on_chunks(every, chunk):
    model, rule, w0 = CASES["underflow"]
    whole = eoslab.trajectory(model, rule, w0, steps=STEPS, record_every=every)
    with mock.patch.object(trajectory, "CHUNK", chunk):
        assert_same_run(eoslab.trajectory(model, rule, w0, steps=STEPS, record_every=every), whole)


@pytest.mark.parametrize("every", [7, 100, 5000])
@pytest.mark.parametrize("name", ["edge", "underflow", "adam"])
def test_decimation_keeps_events_and_extremes(name, every):
    full = eoslab.trajectory(*CASES[name], steps=STEPS)
    few = eoslab.trajectory(*CASES[name], steps=STEPS, record_every=every)
    for variable in (
        "event_kind",
        "event_step",
        "event_value",
        "max_eta_sharpness",
        "outcome",
        "regime",
        "T1",
        "T2",
    ):
        xr.testing.assert_identical(few[variable], full[variable])
    # what is kept are rows of the full run: every k-th, the last, and the extremes of each bin
    xr.testing.assert_equal(few.w, full.w.sel(step=few.step))
    kept = set(few.step.values.tolist())
    assert set(range(0, STEPS + 1, every)) | {STEPS} <= kept
    for begin in range(0, STEPS, every):
        window = full.isel(step=slice(begin, begin + every))
        eta, loss = window.eta_sharpness.values, window.loss.values
        for at in (eta.argmax(), eta.argmin(), loss.argmax()):
            assert int(window.step.values[at]) in kept


@pytest.mark.parametrize("every", [1, 7])
def test_an_interrupted_run_is_completed(every):
    model, rule, w0 = CASES["underflow"]
    answers = iter([False, False, True])
    with mock.patch.object(trajectory, "CHUNK", 400):
        part = eoslab.trajectory(model, rule, w0, steps=STEPS, record_every=every, stop=lambda: next(answers))
    assert str(part.outcome.values) == "interrupted"
    assert part.attrs["complete"] is False
    assert int(part.steps) == int(part.step[-1]) == 1200
    assert_same_run(resume(part), eoslab.trajectory(model, rule, w0, steps=STEPS, record_every=every))


def test_a_stored_run_goes_on_too(store):
    model, rule, w0 = CASES["mini-batch"]
    saved = store.save(eoslab.trajectory(model, rule, w0, steps=100))
    store.update(saved.path, resume(open_run(saved.path), 150))
    assert_same_run(open_run(saved.path), eoslab.trajectory(model, rule, w0, steps=150))
    assert [run.steps for run in store.list()] == [150]


def test_a_continuation_keeps_what_the_caller_recorded():
    ds = provenance.stamp(
        eoslab.trajectory(*CASES["edge"], steps=10),
        command="eoslab run", typed={"lr": "2/1", "steps": "10"}, seed=7, sources={"lr": "flag"},
    ).assign_attrs(data="digits")  # fmt: skip
    out = resume(ds, 15)
    for name in ("created", "command", "seed", "sources", "data"):
        assert out.attrs[name] == ds.attrs[name]
    groups = provenance.parameters(out)
    assert groups["typed"] == {"lr": "2/1"}
    assert groups["run"] == {"start": [0.95, 1e-3, 0.9], "steps": 15, "record_every": 1}


@pytest.mark.parametrize("name", CASES)
def test_model_and_rule_come_back_from_the_attributes(name):
    model, rule, w0 = CASES[name]
    again = provenance.rebuild(eoslab.trajectory(model, rule, w0, steps=1))
    assert again[1] == rule
    assert type(again[0]) is type(model)
    assert again[0].settings == model.settings


def test_a_generator_state_travels_with_the_run():
    """A rule may carry ``rng_state``; it is stored after the last step and set on the rebuilt rule."""
    rule = RULES.GD(lr=2.0)
    state = np.random.default_rng(5).bit_generator.state
    object.__setattr__(rule, "rng_state", state)
    ds = eoslab.trajectory(MODEL, rule, [0.95, 1e-3, 0.9], steps=3)
    assert resume(ds, 5).attrs["rng_state"] == ds.attrs["rng_state"]
    from eoslab.results.resume import recording_of

    assert recording_of(ds).engine.rule.rng_state == state


def test_what_cannot_be_continued_says_so(runs):
    for steps in (-1, 2999):
        with pytest.raises(InvalidArgument, match="steps"):
            resume(runs["edge"], steps)
    with pytest.raises(DamagedRun, match="cannot be continued"):
        resume(runs["edge"].drop_vars("state_w"), 4000)
    with pytest.raises(DamagedRun, match="parameters"):
        resume(xr.Dataset(), 1)
    foreign = runs["edge"].assign_attrs(parameters='{"model": {"lambda9": 1.0}, "optimizer": {"lr": 1.0}}')
    with pytest.raises(DamagedRun, match="minimalist"):
        resume(foreign, 4000)
