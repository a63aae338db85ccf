"""Predicted dynamics and constrained trajectory of the general theory, on the model where all is explicit."""

from __future__ import annotations

import numpy as np
import pytest

from eoslab.core.errors import InvalidArgument
from eoslab.flows.predicted import predicted_dynamics, project_to_stable_set, top_of
from eoslab.models.minimalist import Minimalist
from eoslab.theory.orbit import orbit
from eoslab.theory.stable_set import (
    constrained_trajectory,
    fixed_amplitude,
    in_stable_branch,
    in_stable_set,
    progressive_sharpening,
    self_stabilization,
)

K, LR = 1000.0, 2.0
MODEL = Minimalist(1.0, 1 / K)


def test_projection_lands_on_the_stable_set_and_is_coordinatewise_here():
    x, active, ok = project_to_stable_set(MODEL, (1.01, 0.0, 0.7), LR)
    assert ok
    assert active
    assert x == pytest.approx((1.0, 0.0, 0.7), abs=1e-12)
    assert in_stable_set(tuple(x), MODEL.p, LR)
    inside, active, ok = project_to_stable_set(MODEL, (0.9, 0.0, 0.7), LR)
    assert ok
    assert not active
    assert inside == pytest.approx((0.9, 0.0, 0.7), abs=0)
    assert in_stable_branch((0.9, 0.0, 0.7), MODEL.p, LR)
    assert not in_stable_set((1.01, 0.0, 0.7), MODEL.p, LR)
    assert not in_stable_set((0.9, 0.1, 0.7), MODEL.p, LR)


def test_coefficients_are_those_of_the_minimalist_model():
    top = top_of(MODEL, np.array([1.0, 0.0, 0.7]))
    r = 0.7 - 1
    assert top.a_ps == pytest.approx(progressive_sharpening(r, 1.0, 1 / K))
    assert top.b_ss == pytest.approx(self_stabilization(1.0, 1.0))
    assert 2 * top.a_ps / top.b_ss == pytest.approx(fixed_amplitude(top.a_ps, top.b_ss))


def test_constrained_trajectory_equals_the_closed_form_through_the_crossing():
    p = predicted_dynamics(MODEL, LR, (0.98, 0.0, 0.7), 400)
    closed = constrained_trajectory(0.98, 0.7, LR / K, LR, 400)
    assert p.ok.all()
    assert not p.active[0]
    assert p.active[-1]
    assert np.allclose(p.dagger[:, [0, 2]], closed, atol=1e-11)


def test_the_two_cycle_is_a_fixed_amplitude_of_the_predicted_dynamics():
    """With |x|² = δ² and y = 0 the sharpness stays: the drift of v is that of the slowly moving coefficients."""
    r = -0.3
    x = np.sqrt(-0.5 * LR / K * r * (1 + r))
    p = predicted_dynamics(MODEL, LR, (1.0, x, 1 + r), 100, dagger0=(1.0, 0.0, 1 + r))
    assert np.allclose(np.abs(p.x), x, rtol=0.15)
    assert np.max(np.abs(p.predicted_sharpness * LR / 2 - 1)) < 1e-3


@pytest.mark.parametrize("k", [1000.0, 4000.0])
def test_prediction_follows_gradient_descent_over_a_cycle(k):
    """Error of the predicted iterate over a period, relative to the displacement: of order √ε."""
    model, r = Minimalist(1.0, 1 / k), -0.1
    eps = LR**2 / k
    cycle = np.sqrt(-0.5 * LR / k * r * (1 + r))
    w0 = (1.0, 0.6 * cycle, 1 + r)
    steps = round(np.pi / np.sqrt(-eps * r * (1 + r)))
    p = predicted_dynamics(model, LR, w0, steps, dagger0=(1.0, 0.0, 1 + r))
    run = orbit(1.0, 1 / k, LR, w0, steps, settle=False)
    error = np.linalg.norm(p.w - run.w, axis=1).max() / np.linalg.norm(p.v, axis=1).max()
    assert error < 3 * np.sqrt(eps)


def test_misuse():
    with pytest.raises(InvalidArgument, match="one point"):
        predicted_dynamics(MODEL, LR, np.zeros((2, 3)), 10)
