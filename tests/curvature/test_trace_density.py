"""Estimates lie within a few of their own standard errors of the truth."""

from __future__ import annotations

import numpy as np
import pytest

from eoslab.core.errors import InvalidArgument
from eoslab.curvature import density, trace

N = 150
LAM = np.r_[5.0, 3.0, 2.0, np.linspace(-0.2, 0.3, N - 3)]
U = np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))[0]
A = (U * LAM) @ U.T
A = (A + A.T) / 2


@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
def test_the_trace_lies_within_its_standard_error(method):
    z = []
    for seed in range(20):
        e = trace(A, 30, method, seed)
        assert e.matvecs <= 30
        z.append((e.value - LAM.sum()) / e.stderr)
    # Twenty t-variables with at least nine degrees of freedom: spread near one, none beyond five.
    assert 0.5 < np.std(z) < 2.0
    assert np.abs(z).max() < 5


def test_hutch_plus_plus_beats_hutchinson_where_few_eigenvalues_dominate():
    few = np.r_[5.0, 3.0, 2.0, np.linspace(-0.01, 0.01, N - 3)]
    B = (U * few) @ U.T
    errors = {
        m: np.std([trace((B + B.T) / 2, 30, m, s).value for s in range(20)]) for m in ("hutchinson", "hutch++")
    }
    assert errors["hutch++"] < errors["hutchinson"] / 2


def test_the_density_integrates_to_one_and_has_the_moments_of_the_spectrum():
    d = density(A, steps=40, probes=10)
    assert np.trapezoid(d.values, d.grid) == pytest.approx(1, abs=1e-6)
    assert d.weights.sum(1) == pytest.approx(1)
    for k in (1, 2):
        value, stderr = d.moment(k)
        assert abs(value - (LAM**k).mean()) < 5 * stderr
    assert np.nanmax(d.nodes) == pytest.approx(5.0, rel=1e-6)


def test_a_multiple_of_the_identity_is_one_peak():
    d = density(2.0 * np.eye(10), steps=5, probes=2)
    assert d.grid[np.argmax(d.values)] == pytest.approx(2.0, abs=0.02)


def test_unknown_methods_and_too_few_samples_are_refused():
    with pytest.raises(InvalidArgument):
        trace(A, method="guess")
    with pytest.raises(InvalidArgument):
        trace(A, samples=1)
