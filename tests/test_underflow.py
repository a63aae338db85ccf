"""β1 never dies by underflow: the delayed catapult of docs/theory §12, against 60 digits.

λ1 = 1, λ2 = 1e-3, start (.5, .01, .1), η = 2.662. In phase I |β1| falls to 1e-319, below the smallest normal
float64; it comes back and throws the run off at twice the threshold. Later it falls to 1e-2134.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import eoslab
from eoslab.models import minimalist
from eoslab.results.schema import log10_abs

LAMBDA2, ETA, START = 1e-3, 2.662, (0.5, 0.01, 0.1)
STEPS = 20_000


@pytest.fixture(scope="module")
def run():
    model = eoslab.models.Minimalist(1.0, LAMBDA2)
    return eoslab.trajectory(model, eoslab.optimizers.GD(lr=ETA), START, steps=STEPS)


@pytest.fixture(scope="module")
def exact():
    """ηλ1α² and log10|β1| of every step, from the same float64 inputs at 60 digits."""
    with mpmath.workdps(60):
        p = (mpmath.mpf(1), mpmath.mpf(LAMBDA2), mpmath.mpf(1))
        w, lr = tuple(map(mpmath.mpf, START)), mpmath.mpf(ETA)
        s, log10 = np.empty(STEPS + 1), np.empty(STEPS + 1)
        for t in range(STEPS + 1):
            s[t] = lr * w[0] ** 2
            # log10 from the binary exponent: a full logarithm at 60 digits would be the whole cost of the loop
            sign, man, exp, bits = w[1]._mpf_
            log10[t] = (np.log2(float(man >> max(bits - 60, 0))) + max(bits - 60, 0) + exp) * np.log10(2.0)
            w = minimalist.gd_step(w, lr, p)
    return s, log10


def s_of(ds):
    return ETA * ds.w.sel(param="alpha").values ** 2


def test_catapult_comes_at_the_exact_step_and_height(run, exact):
    s, _ = exact
    mine = s_of(run)
    assert int(run.T1) == int(np.argmax(s >= 2)) == 521
    assert int(np.argmax(mine)) == int(np.argmax(s))
    # log|β1| has made ~1500 rounded steps of up to |1 − s|⁻¹ ≈ 10⁴ ε each by the peak, and ds/dlog|β1| ≤ 1
    assert mine.max() == pytest.approx(s.max(), rel=1e-8)
    assert s.max() > 2.9


def test_whole_trajectory_follows_the_exact_one(run, exact):
    s, _ = exact
    np.testing.assert_allclose(s_of(run), s, rtol=1e-7)


def test_size_of_beta1_is_exact_down_to_1e_minus_2134(run, exact):
    _, log10 = exact
    mine = log10_abs(run, "beta1")
    # the same accumulated rounding, in units of log10, and proportional to the number of steps
    np.testing.assert_allclose(mine, log10, atol=1e-6, rtol=1e-8)
    assert round(float(log10[:2000].min())) == -319
    assert round(float(mine[10_000])) == -1103
    assert round(float(mine[STEPS])) == -2134


def test_events_say_when_beta1_was_below_the_float64_range(run, exact):
    _, log10 = exact
    kinds, steps = run.event_kind.values, run.event_step.values
    low = log10 < np.log10(np.finfo(float).tiny)
    down = np.flatnonzero(low[1:] & ~low[:-1]) + 1
    up = np.flatnonzero(~low[1:] & low[:-1]) + 1
    assert steps[kinds == "beta1-underflow"].tolist() == down.tolist()
    assert steps[kinds == "beta1-return"].tolist() == up.tolist()
    assert len(down) == 2
    assert len(up) == 1


def test_plain_float64_has_no_catapult():
    """The loop that everyone writes: β1 is flushed to zero and the run sits above the threshold for ever."""
    w, p = START, (1.0, LAMBDA2, 1.0)
    for _ in range(STEPS):
        g = minimalist.grad(w, p)
        w = tuple(x - ETA * d for x, d in zip(w, g, strict=True))
    assert w[1] == 0.0
    assert ETA * w[0] ** 2 > 2.0


def test_dead_beta1_is_metastable_not_converged():
    """From β1 = 0 exactly nothing can return: at a minimum above the threshold, and labelled so."""
    model = eoslab.models.Minimalist(1.0, LAMBDA2)
    ds = eoslab.trajectory(model, eoslab.optimizers.GD(lr=ETA), (0.5, 0.0, 0.1), steps=40_000)
    assert ds.outcome.item() == "metastable"
    assert ds.regime.item() == "edge-unsettled"
    assert "beta1-underflow" not in ds.event_kind.values


@pytest.mark.parametrize("name", ["HeavyBall", "Nesterov", "EMA"])
def test_momentum_carries_beta1_below_the_float64_range(name):
    """|β1| at step 3000 against 60 digits, far below what float64 can hold."""
    lr = {"HeavyBall": 0.2, "Nesterov": 0.2, "EMA": 2.0}[name]
    rule = getattr(eoslab.optimizers, name)(lr=lr, beta=0.5)
    model = eoslab.models.Minimalist(1.0, 1e-3)
    ds = eoslab.trajectory(model, rule, START, steps=3000)
    with mpmath.workdps(60):
        p, h = tuple(map(mpmath.mpf, model.p)), tuple(map(mpmath.mpf, rule.h))
        w, m = list(map(mpmath.mpf, START)), [mpmath.mpf(0)] * 3
        for t in range(3000):
            g = minimalist.grad(w, p)
            for i in range(3):
                dw, m[i], _ = rule.formulas.update(g[i], m[i], mpmath.mpf(0), t, h)
                w[i] += dw
        expected = float(mpmath.log10(abs(w[1])))
    assert expected < -330
    # 3000 steps that each round by a few ε relative to a factor that is bounded away from 0
    assert log10_abs(ds, "beta1")[-1] == pytest.approx(expected, rel=1e-9)
