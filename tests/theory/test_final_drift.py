"""Theorem 5.5: on which side of 2 − 1/k a run converges is the direction in which it ends."""

from __future__ import annotations

import numpy as np
import pytest

from eoslab.models.minimalist import Minimalist
from eoslab.theory.certificate import search_trapping
from eoslab.theory.check import check
from eoslab.theory.endings import final_drift
from eoslab.theory.reduced import reduced_step
from eoslab.theory.sharpening import stability_number


def step(s, w, r, k, eps):
    """(G − 1, s⁺, w⁺, r⁺), each to relative precision however small w and r are: r⁺ = rF − w(1+r(1−s/k))."""
    inner = 1 + r * (1 - s / k)
    gain = -eps * r * (1 + r) / s - w
    F = 1 - s / k - eps / s * (1 + r) * inner
    return gain, s * (1 + gain) ** 2, w * (1 - s) ** 2, r * F - w * inner


def test_the_step_is_the_reduced_map():
    assert step(1.9, 0.01, -0.2, 50.0, 0.03)[1:] == pytest.approx(
        reduced_step(1.9, 0.01, -0.2, 50.0, 0.03), rel=1e-13
    )


def test_where_it_decides_every_later_step_has_that_direction():
    """States near the separatrix |r|/w = s/ε and near s = 2 − 1/k: the boundary of the hypotheses."""
    rng = np.random.default_rng(5)
    decided = {1: 0, -1: 0}
    for _ in range(12_000):
        k, alpha_e = 10.0 ** rng.uniform(0.7, 4), rng.uniform(0.7, 2.5)
        eps = 4 / (k * alpha_e**4)
        s = 2 - 10.0 ** rng.uniform(-1.2, 1.2) / k
        w = 10.0 ** rng.uniform(-9, -3) / k**2
        r = -w * s / eps * 10.0 ** rng.uniform(-0.5, 0.5)
        trap = search_trapping(s, w, r, k, eps)
        if trap is None or trap.s_lo <= 1 or max(stability_number(x, k, eps) for x in (trap.s_lo, trap.s_hi)) >= 1:
            continue
        direction, *_ = final_drift(s, w, r, k, eps, trap)
        if direction == 0:
            continue
        decided[direction] += 1
        for _ in range(400):
            gain, s, w, r = step(s, w, r, k, eps)
            assert direction * gain > 0, (k, eps, s, w, r)
            if w < 1e-280 or r > -1e-280:
                break
    assert min(decided.values()) > 500


def test_a_side_that_is_not_invariant_is_left():
    """The witness of the second hypothesis: s rises at once; above 2 − 1/k it falls in the end."""
    k, eps, s, r = 100.0, 0.01, 1.995, -1e-5
    w = -r / 400
    assert 400 > s / eps
    trap = search_trapping(s, w, r, k, eps)
    assert final_drift(s, w, r, k, eps, trap)[0] == 0
    gains = []
    for _ in range(4000):
        gain, s, w, r = step(s, w, r, k, eps)
        gains.append(gain)
    assert gains[0] > 0
    assert gains[-1] < 0


@pytest.mark.parametrize(
    ("lambda2", "lr", "w0", "direction"),
    [(1e-3, 0.5, (1.99, 1e-3, 0.1), 1), (1 / 100, 0.5, (1.95, 1e-3, 0.2), -1)],
    ids=["M2", "M1"],
)
def test_sets_of_both_kinds(lambda2, lr, w0, direction):
    (found,) = check(Minimalist(1.0, lambda2), lr, w0, only=["5.5"])
    assert found.applies
    assert found.consistent
    assert found.predicted["direction"] == found.measured["direction"] == direction
    lo, hi = found.predicted["s_limit"]
    assert (hi < 2 - lambda2) if direction > 0 else (lo > 2 - lambda2)
