"""Gradient flow as a rule of ``trajectory``: same schema, closed forms, evidence, failure as data."""

from __future__ import annotations

import numpy as np
import pytest

import eoslab
from eoslab.core.errors import InvalidArgument, UnknownName
from eoslab.dynamics import GradientFlow
from eoslab.flows.gradient_flow import IMPLICIT, METHODS, gradient_flow
from eoslab.models import Berthier, Minimalist, MinimalistD, Quadratic
from eoslab.optimizers import GD
from eoslab.results.provenance import rebuild
from eoslab.results.resume import resume
from eoslab.results.store import Store, open_run

RTOL = 1e-10


@pytest.mark.parametrize("method", METHODS)
def test_every_integrator_gives_the_exponentials_of_a_quadratic(method):
    model, times = Quadratic(lambda1=1.0, lambda2=0.01), np.linspace(0.0, 20.0, 11)
    flow = gradient_flow(model, [1.0, -2.0], times, method=method, rtol=1e-9, atol=1e-12)
    exact = np.exp(-np.outer(times, [1.0, 0.01])) * [1.0, -2.0]
    # tolerances are per step; a few hundred steps (RK23: a few thousand) of a contraction
    assert np.abs(flow.w - exact).max() < 1e-6
    assert flow.evaluations > 0
    assert np.isnan(flow.drift).all()


def test_result_has_the_schema_of_every_trajectory():
    model, w0 = Minimalist(1.0, 1e-3), (0.5, 0.01, 0.1)
    flow = eoslab.trajectory(model, GradientFlow(time=5e4), w0, steps=1000)
    descent = eoslab.trajectory(model, GD(lr=0.5), w0, steps=10)
    assert set(descent.variables) - set(flow.variables) == set()
    assert set(flow.variables) - set(descent.variables) == {"conserved_drift"}
    assert flow.time.values[[0, -1]].tolist() == [0.0, 5e4]
    assert len(flow.step) == 1001
    assert np.isnan(flow.threshold)
    assert flow.threshold.attrs["reason"]
    assert (int(flow.T1), int(flow.T2)) == (-1, -1)
    assert np.isnan(flow.eta_sharpness).all()
    assert np.isnan(flow.max_eta_sharpness)
    assert (flow.outcome.item(), flow.regime.item()) == ("converged", "no-threshold")
    assert len(flow.event) == 0


def test_sharpness_ends_where_the_closed_form_says_and_c_is_conserved():
    model, w0 = Minimalist(1.0, 1e-3), (0.5, 0.01, 0.1)
    ds = eoslab.trajectory(model, GradientFlow(time=5e4), w0, steps=500)
    # < 10³ internal steps, each wrong by rtol·|w|, |∇c| = 2|w|, |w|² < 2
    assert float(ds.conserved_drift.max()) < 1e3 * RTOL * 4
    assert float(ds.sharpness[-1]) == pytest.approx(model.gfs_sharpness(w0), rel=1e-6)
    np.testing.assert_allclose(ds.gfs_sharpness, model.gfs_sharpness(w0), rtol=1e-6)
    assert np.diff(ds.loss).max() <= 1e-15


def test_descent_with_a_small_step_follows_the_flow_to_first_order():
    model, w0, time = Minimalist(1.0, 0.1), (0.5, 0.3, 0.4), 20.0
    flow = eoslab.trajectory(model, GradientFlow(time=time), w0, steps=10)
    errors = []
    for lr in (0.02, 0.01, 0.005):
        ds = eoslab.trajectory(model, GD(lr=lr), w0, steps=round(time / lr))
        errors.append(float(np.abs(ds.w[-1] - flow.w[-1]).max()))
    order = np.log2(np.array(errors[:-1]) / errors[1:])
    # Euler's method: error c·η + O(η²)
    assert order == pytest.approx([1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("method", IMPLICIT)
def test_stiff_problems_are_cheap_for_implicit_methods(method):
    """Rates 10⁶ apart over the time of the slow one: an explicit method needs some 10⁶ gradients."""
    flow = gradient_flow(Quadratic(lambda1=1e3, lambda2=1e-3), [1.0, 1.0], [0.0, 1e3], method=method, rtol=1e-6)
    assert flow.w[-1, 1] == pytest.approx(np.exp(-1.0), rel=1e-3)
    assert flow.evaluations < 2000


def test_points_fix_the_spacing_and_a_run_in_two_pieces_agrees():
    model, w0 = Minimalist(1.0, 1e-2), (0.5, 0.1, 0.1)
    rule = GradientFlow(time=1000.0, points=100)
    whole = eoslab.trajectory(model, rule, w0, steps=100)
    half = eoslab.trajectory(model, rule, w0, steps=50)
    assert float(half.time[-1]) == 500.0
    # the integrator restarts in between: equal to its tolerances, times 10³ steps
    np.testing.assert_allclose(half.w, whole.w[:51], rtol=1e3 * RTOL, atol=1e3 * RTOL)


def test_a_stored_flow_goes_on(tmp_path):
    model, w0 = MinimalistD(lambdas=(1.0, 0.01), v=(0.0, 1.0)), (0.5, 0.1, 0.1)
    rule = GradientFlow(time=1000.0, points=100)
    whole = eoslab.trajectory(model, rule, w0, steps=100)
    saved = Store(tmp_path).save(eoslab.trajectory(model, rule, w0, steps=40))
    stored = open_run(saved.path)
    assert rebuild(stored) == (model, rule)
    more = resume(stored, 100)
    assert more.step.values.tolist() == list(range(101))
    np.testing.assert_allclose(more.w, whole.w, rtol=1e3 * RTOL, atol=1e3 * RTOL)
    drift = np.abs(model.conserved(more.w.values) - model.conserved(w0))
    np.testing.assert_array_equal(more.conserved_drift, drift)


def test_chunks_change_a_flow_by_no_more_than_its_tolerances(monkeypatch):
    from eoslab.results import trajectory as module

    model, w0, rule = Minimalist(1.0, 1e-2), (0.5, 0.1, 0.1), GradientFlow(time=1000.0)
    whole = eoslab.trajectory(model, rule, w0, steps=200)
    monkeypatch.setattr(module, "CHUNK", 30)
    pieces = eoslab.trajectory(model, rule, w0, steps=200)
    np.testing.assert_allclose(pieces.w, whole.w, rtol=1e3 * RTOL, atol=1e3 * RTOL)
    # drift is measured from the start of the run, not of the chunk
    drift = np.abs(model.conserved(pieces.w.values) - model.conserved(w0))
    np.testing.assert_array_equal(pieces.conserved_drift, drift)


def test_blow_up_in_finite_time_is_a_recorded_failure():
    """Far out ẋ = −(3/2)x² − xy: the flow of Berthier's loss from x < 0 is gone before time 1."""
    ds = eoslab.trajectory(Berthier(), GradientFlow(time=1.0), (-5.0, 5.0), steps=100)
    assert ds.outcome.item() == "failed"
    assert "no step is small enough" in ds.attrs["failure"]
    assert int(ds.steps) == len(ds.step) - 1 < 100
    assert np.isfinite(ds.w).all()


def test_flow_of_the_d_input_model_ends_at_its_closed_form():
    model = MinimalistD(lambdas=(1.0, 0.3, 0.05), v=(0.0, 0.2, 1.0))
    ds = eoslab.trajectory(model, GradientFlow(time=2000.0), (0.3, 0.1, 0.02, 0.05), steps=100)
    assert ds.outcome.item() == "converged"
    assert float(ds.sharpness[-1]) == pytest.approx(float(ds.gfs_sharpness[0]), rel=1e-6)


def test_wrong_settings_raise():
    with pytest.raises(InvalidArgument, match="time"):
        GradientFlow(time=0.0)
    with pytest.raises(UnknownName, match="LSODA"):
        GradientFlow(time=1.0, method="LSODE")
    with pytest.raises(InvalidArgument, match="points"):
        GradientFlow(time=1.0, points=0)
