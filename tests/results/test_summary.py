"""A run in a few numbers: strict JSON, right where float64 ends, plain where a step is not stored."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eoslab
from eoslab.core.errors import InvalidArgument
from eoslab.results.summary import summary, verdict_sentence

ROW = {"step", "alpha", "beta1", "beta1_log10_abs", "beta2", "loss", "loss_osc", "loss_conv", "sharpness",
       "gfs_sharpness"}  # fmt: skip
TOP = {"outcome", "regime", "threshold", "threshold_sharpness", "phases", "events", "initial", "final",
       "max_eta_sharpness", "steps"}  # fmt: skip


def test_every_summary_is_strict_json_with_the_same_keys(runs):
    for ds in runs.values():
        s = summary(ds)
        assert json.loads(json.dumps(s, allow_nan=False)) == s
        assert set(s) == TOP
        assert set(s["phases"]) == {"T1", "T2"}


def test_rows_are_the_stored_numbers(runs):
    ds = runs["edge"]
    s = summary(ds, at=[0, 10, 3000])
    assert s["rows"][0] == s["initial"]
    assert s["rows"][2] == s["final"]
    row = s["rows"][1]
    assert set(row) == ROW
    w = ds.w.sel(step=10).values.tolist()
    assert [row["alpha"], row["beta1"], row["beta2"]] == w
    assert row["beta1_log10_abs"] == math.log10(abs(w[1]))
    assert row["sharpness"] == float(ds.sharpness.sel(step=10))
    assert s["threshold"] == 2.0
    assert s["threshold_sharpness"] == 2.0 / 2.4


def test_log10_is_right_below_the_float64_range(runs):
    ds = runs["underflow"]
    log10 = np.log10(np.abs(ds.beta1_mantissa.values)) + ds.beta1_exponent.values * math.log10(2)
    step = int(ds.step[np.argmin(log10)])
    row = summary(ds, at=[step])["rows"][0]
    assert row["beta1"] == 0.0
    mantissa, exponent = float(ds.beta1_mantissa.sel(step=step)), int(ds.beta1_exponent.sel(step=step))
    # log10|m·2^e|, two roundings
    assert row["beta1_log10_abs"] == pytest.approx(math.log10(abs(mantissa)) + exponent * math.log10(2), rel=1e-15)
    assert row["beta1_log10_abs"] < -308


def test_an_exact_zero_has_no_logarithm(runs):
    first = summary(runs["nothing"])["initial"]
    assert first["beta1"] == 0.0
    assert first["beta1_log10_abs"] is None


def test_a_diverged_run_ends_in_nulls_at_the_step_of_divergence(runs):
    s = summary(runs["diverged"])
    assert s["outcome"] == s["regime"] == "diverged"
    assert s["events"][-1] == {"kind": "divergence", "step": s["steps"], "value": None}
    assert s["final"]["step"] == s["steps"]
    assert all(v is None for k, v in s["final"].items() if k != "step")


def test_inputs_come_as_lists(runs):
    first = summary(runs["inputs"])["initial"]
    assert first["beta"] == [1e-3, 0.02, 0.1]
    assert first["beta_log10_abs"] == [math.log10(x) for x in first["beta"]]
    assert "beta1" not in first


def test_other_parameters_go_by_their_names():
    model = eoslab.models.UV()
    first = summary(eoslab.trajectory(model, eoslab.optimizers.GD(lr=0.1), steps=3))["initial"]
    assert set(model.params) <= set(first)


def test_a_step_that_is_not_stored_names_its_neighbours(runs):
    ds = runs["decimated"]
    stored = ds.step.values
    missing = int(stored[np.flatnonzero(np.diff(stored) > 1)[0]]) + 1
    after = int(stored[stored > missing][0])
    with pytest.raises(InvalidArgument, match=f"{missing - 1} and {after}"):
        summary(ds, at=[missing])
    for step in (-1, 3001):
        with pytest.raises(InvalidArgument, match="0 to 3000"):
            summary(ds, at=[step])


@given(st.integers(0, 3000))
@settings(max_examples=20, deadline=None)
def test_every_stored_step_has_its_row(runs, step):
    ds = runs["edge"]
    assert summary(ds, at=[step])["rows"][0]["loss"] == float(ds.loss.sel(step=step))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("edge", "Edge of stability: above 2/η = 0.8333 from step 235 to 832, settled at 0.969·2/η"),
        ("underflow", "Edge of stability: above 2/η = 0.7513 from step 521 to 1781"),
        ("diverged", "Diverged at step 6: the learning rate is too large for this start; above 2/η = 0.8 from"),
        ("stable", "Stable: never above 2/η = 4"),
        ("adam", "above the threshold 38 of the preconditioned sharpness"),
        ("inputs", "not settled: above 2/η = 0.8333 from step 94, still above; 300 steps made"),
    ],
)
def test_the_verdict_says_what_happened(runs, name, text):
    assert text in verdict_sentence(runs[name])


def test_the_steps_of_the_verdict_are_the_first_and_last_above_the_threshold(runs):
    ds = runs["edge"]
    above = ds.step.values[ds.eta_sharpness.values >= 2.0]
    assert f"from step {above[0]} to {above[-1]}" in verdict_sentence(ds)


def test_a_start_at_zero_has_left_no_range(runs):
    assert summary(runs["nothing"])["events"] == []
