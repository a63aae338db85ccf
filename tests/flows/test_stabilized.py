"""The explicit integrator of stiff gradient flows: order, tolerance, price and failure."""

from __future__ import annotations

import numpy as np
import pytest

from eoslab.flows.gradient_flow import gradient_flow
from eoslab.flows.stabilized import FlowState, _step, advance
from eoslab.models.minimalist import Minimalist


class Diagonal:
    """½Σλ_i w_i², whose flow is e^(−λ_i t) w_i."""

    def __init__(self, rates):
        self.rates, self.seen = np.array(rates, dtype=float), 0

    def grad(self, w):
        self.seen += 1
        return self.rates * w

    def hvp(self, w, v):
        return self.rates * v

    def at(self, w0, t):
        return w0 * np.exp(-self.rates * t)


@pytest.mark.parametrize("stages", [2, 5, 20])
def test_a_step_is_of_second_order(stages):
    """The error of one step is h³ times a constant, whatever the number of stages."""
    problem, w = Diagonal([1.0, 0.5]), np.ones(2)
    errors = []
    for h in (0.1, 0.05):
        new, slope = _step(problem, w, problem.grad(w), h, stages)
        assert slope == pytest.approx(problem.rates * new)
        errors.append(np.abs(new - problem.at(w, h)).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize("stages", [2, 10, 60])
def test_so_many_stages_are_stable_as_far_as_promised(stages):
    """|R(z)| ≤ 1 for −z up to (s² − 1)/1.54, which is what the number of stages is chosen by."""
    for z in np.linspace(0.01, (stages**2 - 1) / 1.54, 400):
        problem = Diagonal([z])
        new, _ = _step(problem, np.ones(1), problem.grad(np.ones(1)), 1.0, stages)
        assert abs(new[0]) <= 1.0


@pytest.mark.parametrize("rtol", [1e-4, 1e-6])
def test_the_sum_of_estimated_errors_holds_the_distance_to_the_exact_flow(rtol):
    problem, w0 = Diagonal([1000.0, 10.0, 1.0, 0.01]), np.ones(4)
    flow, _ = advance(problem, FlowState(w0), 2.0, rtol=rtol)
    assert flow.time == 2.0
    assert np.linalg.norm(flow.w - problem.at(w0, 2.0)) <= flow.error
    assert flow.gradients == problem.seen


def test_the_price_grows_with_the_root_of_the_stiffness():
    prices = []
    for stiffness in (1e2, 1e4):
        flow, _ = advance(Diagonal([stiffness, 1.0]), FlowState(np.ones(2)), 5.0, rtol=1e-4)
        prices.append(flow.gradients)
    # an explicit method without stabilisation pays 100 times as much, this one 10 times and something to begin
    assert prices[1] < 20 * prices[0]
    assert prices[1] < 5.0 * 1e4 / 10


def test_it_follows_the_flow_of_a_nonlinear_model_as_an_independent_integrator_does():
    model, w0 = Minimalist(1.0, 0.01, 1.0), np.array([0.9, 0.3, 0.5])
    exact = gradient_flow(model, w0, [0.0, 40.0], method="DOP853").w[-1]
    flow, _ = advance(Hessian(model), FlowState(w0), 40.0, rtol=1e-7)
    assert flow.w == pytest.approx(exact, abs=2 * flow.error)
    assert flow.error < 1e-4


class Hessian:
    """A model with a dense Hessian as an objective."""

    def __init__(self, model):
        self.model, self.grad = model, model.grad

    def hvp(self, w, v):
        return self.model.hessian(w) @ v


def test_stretches_make_the_flow_of_their_sum():
    problem, whole = Diagonal([100.0, 0.3]), FlowState(np.ones(2))
    parts, tail = whole, 0.0
    for t in (0.1, 0.5, 3.0):
        parts, _ = advance(problem, parts, t, rtol=1e-6)
        tail += parts.error
    whole, _ = advance(problem, whole, 3.0, rtol=1e-6)
    assert parts.time == whole.time == 3.0
    assert parts.w == pytest.approx(whole.w, abs=parts.error + whole.error)


def test_it_stops_where_asked_and_where_the_budget_ends():
    problem = Diagonal([1.0])
    flow, ended = advance(problem, FlowState(np.ones(1)), 1e6, stop=lambda w, g: abs(g[0]) < 1e-3)
    assert ended
    assert 1e-4 < flow.w[0] < 1e-3
    flow, ended = advance(problem, FlowState(np.ones(1)), 1e6, gradients=10)
    assert not ended
    assert 10 <= flow.gradients < 30
    assert flow.time < 1e6
    assert not flow.failure


def test_a_flow_that_leaves_to_infinity_says_so_and_stays_where_it_is():
    class Escape:
        """L = −w³/3: w' = w², infinite at time 1 from w = 1."""

        def grad(self, w):
            return -(w**2)

        def hvp(self, w, v):
            return -2 * w * v

    flow, ended = advance(Escape(), FlowState(np.ones(1)), 2.0, gradients=100_000)
    assert not ended
    assert "no step is small enough" in flow.failure
    assert flow.time == pytest.approx(1.0, abs=1e-3)
    assert advance(Escape(), flow, 2.0) == (flow, False)
