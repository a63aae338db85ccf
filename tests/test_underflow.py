"""β1 never dies by underflow: the delayed catapult of docs/theory §12, against 60 digits.

λ1 = 1, start (.5, .01, .1), η = 2.662. At λ2 = 1e-3 phase I takes |β1| to 2e-320, among the subnormal float64
numbers; it comes back, and at step 1772 throws the run off at three halves of the threshold. Afterwards it falls
to 1e-2134. At λ2 = 1e-4 it comes back from 1e-1160, and later falls to 1e-3173.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import eoslab
from eoslab.models import minimalist
from eoslab.results.schema import log10_abs

ETA, START, STEPS = 2.662, (0.5, 0.01, 0.1), 20_000
EPS = np.finfo(float).eps


class Run:
    """One setting three times: by the laboratory, at 60 digits, and as the plain float64 loop."""

    def __init__(self, lambda2):
        model = eoslab.models.Minimalist(1.0, lambda2)
        self.ds = eoslab.trajectory(model, eoslab.optimizers.GD(lr=ETA), START, steps=STEPS)
        self.s = ETA * self.ds.w.sel(param="alpha").values ** 2
        self.log10 = log10_abs(self.ds, "beta1")
        self.plain = np.array([ETA * w[0] ** 2 for w in float_loop(model.p)])
        with mpmath.workdps(60):
            self.exact_s, self.exact_log10 = exact_loop(mpmath.mpf(lambda2))
        self.peak = int(np.argmax(self.exact_s))


def exact_loop(lambda2):
    """ηλ1α² and log10|β1| of every step, from the same float64 inputs."""
    p, w, lr = (mpmath.mpf(1), lambda2, mpmath.mpf(1)), tuple(map(mpmath.mpf, START)), mpmath.mpf(ETA)
    s, log10 = np.empty(STEPS + 1), np.empty(STEPS + 1)
    for t in range(STEPS + 1):
        s[t] = lr * w[0] ** 2
        # from the binary exponent: a logarithm at 60 digits would be the whole cost of the loop
        mantissa, exponent = mpmath.frexp(w[1])
        log10[t] = np.log10(abs(float(mantissa))) + int(exponent) * np.log10(2.0)
        w = minimalist.gd_step(w, lr, p)
    return s, log10


def float_loop(p):
    """The loop that everyone writes."""
    w = START
    for _ in range(STEPS + 1):
        yield w
        w = tuple(x - ETA * g for x, g in zip(w, minimalist.grad(w, p), strict=True))


@pytest.fixture(scope="module")
def early():
    return Run(1e-3)


@pytest.fixture(scope="module")
def late():
    return Run(1e-4)


@pytest.mark.parametrize("which", ["early", "late"])
def test_catapult_comes_at_the_exact_step_and_height(which, request):
    run = request.getfixturevalue(which)
    assert int(run.ds.T1) == int(np.argmax(run.exact_s >= 2))
    assert int(np.argmax(run.s)) == run.peak
    # every step rounds log β1 by a few ε, and ds/dlog|β1| is below 1 on the way to the peak
    assert run.s[run.peak] == pytest.approx(run.exact_s[run.peak], rel=4 * EPS * run.peak)
    assert run.exact_s[run.peak] > 2.99


@pytest.mark.parametrize("which", ["early", "late"])
def test_whole_trajectory_and_the_size_of_beta1_are_exact(which, request):
    run = request.getfixturevalue(which)
    # the descent from the peak amplifies the rounding of the steps before it less than tenfold
    rounding = 10 * 4 * EPS * STEPS
    np.testing.assert_allclose(run.s, run.exact_s, rtol=rounding)
    # log|β1| sums log|1 − s|: STEPS errors of that size
    np.testing.assert_allclose(run.log10, run.exact_log10, rtol=0, atol=rounding * STEPS)


def test_magnitudes_are_those_of_the_theory(early, late):
    assert int(early.ds.T1) == 521
    assert -320 < early.log10[: early.peak].min() < -319
    assert np.floor(early.log10[[10_000, STEPS]]).tolist() == [-1104, -2135]
    assert -3174 < late.log10.min() < -3173


def test_plain_float64_loses_digits_first_and_then_the_catapult(early, late):
    """With subnormal β1 only leading digits survive; further down β1 stops at the smallest subnormal, which times
    any 1 − s of magnitude ½ to 3/2 rounds to itself, and the run is another one."""
    relative = abs(early.plain[early.peak] / early.exact_s[early.peak] - 1)
    assert relative > 1e5 * abs(early.s[early.peak] / early.exact_s[early.peak] - 1)
    assert abs(int(np.argmax(late.plain)) - late.peak) > 5000
    assert late.plain[-1] > 2.0 > late.exact_s[-1]


def test_events_say_when_beta1_was_below_the_float64_range(early):
    kinds, steps = early.ds.event_kind.values, early.ds.event_step.values
    low = early.exact_log10 < np.log10(np.finfo(float).tiny)
    down, up = np.flatnonzero(low[1:] & ~low[:-1]) + 1, np.flatnonzero(~low[1:] & low[:-1]) + 1
    assert steps[kinds == "beta1-underflow"].tolist() == down.tolist() == [404, 2398]
    assert steps[kinds == "beta1-return"].tolist() == up.tolist() == [665]
    at_return = early.ds.event_value.values[kinds == "beta1-return"]
    assert at_return == pytest.approx(early.exact_log10[:2000].min(), abs=1e-9)


def test_dead_beta1_is_metastable_not_converged():
    """From β1 = 0 exactly nothing can return: at a minimum above the threshold, and labelled so."""
    model = eoslab.models.Minimalist(1.0, 1e-3)
    ds = eoslab.trajectory(model, eoslab.optimizers.GD(lr=ETA), (0.5, 0.0, 0.1), steps=40_000)
    assert ds.outcome.item() == "metastable"
    assert ds.regime.item() == "edge-unsettled"
    assert "beta1-underflow" not in ds.event_kind.values


@pytest.mark.parametrize("name", ["HeavyBall", "Nesterov", "EMA"])
def test_momentum_carries_beta1_below_the_float64_range(name):
    """|β1| at step 4000 against 60 digits, far below what float64 can hold."""
    lr = {"HeavyBall": 0.2, "Nesterov": 0.2, "EMA": 2.0}[name]
    rule = getattr(eoslab.optimizers, name)(lr=lr, beta=0.5)
    model = eoslab.models.Minimalist(1.0, 1e-3)
    ds = eoslab.trajectory(model, rule, START, steps=4000)
    with mpmath.workdps(60):
        p, h = tuple(map(mpmath.mpf, model.p)), tuple(map(mpmath.mpf, rule.h))
        w, m = list(map(mpmath.mpf, START)), [mpmath.mpf(0)] * 3
        for t in range(4000):
            g = minimalist.grad(w, p)
            for i in range(3):
                dw, m[i], _ = rule.formulas.update(g[i], m[i], mpmath.mpf(0), t, h)
                w[i] += dw
        expected = float(mpmath.log10(abs(w[1])))
    assert expected < -330
    # 4000 steps that each round by a few ε relative to a factor that is bounded away from 0
    assert log10_abs(ds, "beta1")[-1] == pytest.approx(expected, abs=4 * EPS * 4000 * 100)
