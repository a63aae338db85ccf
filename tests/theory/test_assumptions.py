"""What is said about the necessity of each hypothesis: the witnesses do what their statements claim."""

from __future__ import annotations

import numpy as np
from theory_instances import simulate

from eoslab.theory.check import STATEMENTS
from eoslab.theory.endings import catapult_step
from eoslab.theory.excursions import dip_bound, overshoot_bound, step_up
from eoslab.theory.gfs import gfs_alpha2
from eoslab.theory.identities import gfs_identity
from eoslab.theory.main_theorem import floor_bound, surrogate_window
from eoslab.theory.oscillation import frozen_determinant, frozen_trace
from eoslab.theory.reduced import big_g, q_of, reduced_step
from eoslab.theory.sharpening import entry, flow_regime, stability_number


def failing(hypotheses):
    return {h.name.split(":")[0] for h in hypotheses if not h.holds}


def run(h, h1, alpha, beta1, beta2, steps, **kw):
    lanes = simulate([h], [h1], [alpha], [beta1], [beta2], steps, **kw)
    a, b1, b2 = lanes.w[:, :, 0].T
    return h1 * a**2, h1 * b1**2, a * b2 - 1


def test_every_assumption_says_what_is_known_about_it():
    for s in STATEMENTS.values():
        assert all(a.name and a.text and a.needed for a in s.hypotheses), s.id


def test_sign_lemma_needs_each_of_its_hypotheses():
    assert reduced_step(1, 0.01, 0.5, 10, 0.4)[2] > 0
    assert stability_number(1, 10, 0.4) <= 1
    assert big_g(1, 1.2, q_of(-0.1, 0.01)) < 0
    assert stability_number(1, 10, 0.01) <= 1
    assert reduced_step(1, 0, -0.1, 10, 1.5)[2] > 0
    assert stability_number(1, 10, 1.5) > 1


def test_entry_theorem_needs_h0_h1_h2():
    h, h1 = 3.14, 3.14 * 2.2
    _, _, r = run(h, h1, 0.02, 0, 0.048, 3)
    assert failing(entry(0.02, 0, 0.048, h, h1).hypotheses) == {"H0"}
    assert r[2] > -0.7
    s, _, _ = run(0.02, 2.0, 0.9, 0.5, 0.5, 1)
    assert failing(entry(0.9, 0.5, 0.5, 0.02, 2.0).hypotheses) == {"H1"}
    assert s[1] < s[0]
    s, _, r = run(0.005, 0.5, 1.0, 0.0, 0.5, 20_000)
    assert failing(entry(1.0, 0.0, 0.5, 0.005, 0.5).hypotheses) == {"H2"}
    assert s.max() < 2
    assert abs(r[-1]) < 1e-9


def test_flow_regime_needs_its_hypotheses():
    assert failing(flow_regime(0.5, 0, 3, 0.01, 1).hypotheses) == {"r0 <= 0"}
    f = flow_regime(1.99, 1e-3, 0.1, 0.0005, 0.5)
    assert "s_bar < 2" in failing(f.hypotheses)
    assert run(0.0005, 0.5, 1.99, 1e-3, 0.1, 2000)[0].max() > 2
    f = flow_regime(0.6, 1.2, 0.5, 0.01, 1.0)
    assert failing(f.hypotheses) == {"w0 <= (1-m)/2"}
    assert run(0.01, 1.0, 0.6, 1.2, 0.5, 2000)[0].min() < f.s_lo


def test_overshoot_bound_needs_entry_from_below_and_positive_g():
    assert overshoot_bound(0.1, np.log(0.1)) < 1
    assert step_up(0.1) < 1
    s, w, r = 2, 6, -0.5
    assert big_g(s, w, q_of(r, 0.4)) < 0
    assert reduced_step(s, w, r, 10, 0.4)[0] > 49


def test_undershoot_bound_needs_negative_r_and_an_excursion_before():
    s, w, _ = reduced_step(2, 1e-9, 1, 3, 0.4)
    assert 2 - s > 1.2 > dip_bound(w)
    assert 2 - dip_bound(1e-9) > 0.5


def test_surrogate_window_needs_s_at_most_k():
    rt, k = -1.0, 4
    for chi in (1.0, 1.0):
        rt = rt * (1 - 2 * chi**2 / k) - 2 / k * chi * (chi - 1)
    assert abs(rt) == 0.25
    assert surrogate_window(-1.0, 2, 1.0, 3.0, k)[0] > 12


def test_floor_theorem_needs_a_start_just_above_the_edge():
    k, edge, floor = 1e4, 1.2, 1e-3
    h1 = 2 / edge**2
    w_min = h1 * floor**2
    bound = floor_bound(w_min, w_min, k, h1**2 / k)
    alpha = np.sqrt((2 + bound.zeta) / h1)
    s, _, _ = run(h1 / k, h1, alpha, floor, 0.5 / alpha, 3000, floor=np.array([floor]))
    assert bound.holds
    assert s.max() - 2 > 1.2 * bound.zeta


def test_cap_theorem_needs_small_w():
    assert q_of(-0.1, 0.04) / 2 < 0.01
    assert reduced_step(2, 0.01, -0.1, 100, 0.04)[0] < 2


def test_minus_one_eighth_law_needs_small_eps():
    r, eps = -0.01, 8
    assert 1 + frozen_trace(r, eps) + frozen_determinant(r, eps) < 0


def test_divergence_needs_both_inequalities():
    for s, w in ((0.5, 2.1), (2.0, 1.9)):
        for _ in range(2000):
            s, w = catapult_step(s, w)
        assert s * w < 1e-30


def test_gfs_sharpness_can_increase_outside_its_region():
    for w in ((0.5, 0, 1), (1, 1.5, 1), (1.2, 1.2, 1.2)):
        lanes = simulate([0.1], [1.0], *[[x] for x in w], 1)
        c = lanes.w[:, 0] ** 2 - lanes.w[:, 1] ** 2 - lanes.w[:, 2] ** 2
        assert c[1] > c[0]
        assert gfs_alpha2(c[1]) > gfs_alpha2(c[0])
        assert abs(gfs_identity(w, 0.1, 1.0)[0]) < 1e-14
