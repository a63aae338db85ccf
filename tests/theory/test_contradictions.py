"""Every statement on many random instances inside its hypotheses, biased to the boundary: never contradicted."""

from __future__ import annotations

import numpy as np
import pytest
from theory_instances import Lanes, contradictions, edge_starts, simulate

from eoslab.theory.certificate import diverges_d1, diverges_d2, search_trapping, trapping
from eoslab.theory.check import STATEMENTS
from eoslab.theory.endings import catapult_step
from eoslab.theory.gfs import gfs_alpha2
from eoslab.theory.main_theorem import a_priori_bound, edge_bound, floor_bound
from eoslab.theory.reduced import big_g, q_of, reduced_step
from eoslab.theory.sharpening import entry, flow_regime, stability_number

POINTS = [
    "0.1", "0.2", "0.3", "1.1", "1.2", "1.3", "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "3.0", "4.10", "5.2",
    "6.1", "7.2", "7.3", "9",
]  # fmt: skip


def concat(parts):
    """Lanes of equal length side by side."""
    return Lanes(
        np.concatenate([x.h for x in parts]),
        np.concatenate([x.h1 for x in parts]),
        np.concatenate([x.w for x in parts], axis=2),
        np.concatenate([x.logs for x in parts], axis=1),
    )


def assert_none(bad):
    assert not bad, [(i, name, f.predicted, f.measured, f.note) for i, name, f in bad[:3]]


def test_statements_about_points_hold_on_wild_short_runs():
    """Any k ≥ 1, any α_e, any sign of α and r, far outside the regimes of interest."""
    rng = np.random.default_rng(1)
    n = 700
    k = np.where(rng.random(n) < 0.1, 1 + 10.0 ** rng.uniform(-9, 0, n), 10.0 ** rng.uniform(0, 5, n))
    h1 = 10.0 ** rng.uniform(-2, 1, n)
    alpha, beta2 = rng.normal(0, 1, n) * np.sqrt(2 / h1), rng.normal(0, 1, n) * np.sqrt(h1 / 2)
    near = rng.random(n) < 0.6
    r = -rng.random(n)
    beta2 = np.where(near, (1 + r) / alpha, beta2)
    lanes = simulate(h1 / k, h1, alpha, 10.0 ** rng.uniform(-8, 0.3, n), beta2, 30)
    bad, counts = contradictions(lanes, POINTS, STATEMENTS)
    assert_none(bad)
    # Statements about (−1, 0) apply to the part of the starts that lies there; they get their own test below.
    few = {"4.10", "6.1", "7.3", "3.0"}
    assert all(counts[name] >= 500 for name in POINTS if name not in few), counts
    assert all(counts[name] >= 150 for name in few), counts


def test_statements_along_the_edge_are_never_contradicted():
    rng = np.random.default_rng(2)
    slow = simulate(*edge_starts(rng, 420), 1500)
    wild = simulate(*edge_starts(rng, 420, k=(3, 40), alpha_e=(0.5, 2.5), log_w=(-6, -0.3)), 300)
    tame = simulate(*edge_starts(rng, 320, k=(20, 150), alpha_e=(1.0, 3.0), log_w=(-5, -2)), 600)
    along = ["3.0", "3.1", "4.2", "4.3", "4.4", "4.5", "4.7", "6.1", "6.2", "7.3", "4.10"]
    total = dict.fromkeys(along, 0)
    for lanes in (slow, wild, tame):
        bad, counts = contradictions(lanes, along, STATEMENTS)
        assert_none(bad)
        total = {name: total[name] + counts[name] for name in along}
    assert all(count >= 500 for name, count in total.items() if name not in ("4.5",)), total
    assert total["4.5"] >= 150, total


def test_reentry_bound_on_many_dips():
    """Prop 4.5 needs runs with several excursions: strong damping is avoided by large α_e and r away from 0."""
    rng = np.random.default_rng(3)
    lanes = simulate(*edge_starts(rng, 1000, k=(30, 300), alpha_e=(0.6, 1.3), log_w=(-5, -1)), 500)
    bad, counts = contradictions(lanes, ["4.5", "4.4"], STATEMENTS)
    assert_none(bad)
    assert counts["4.5"] >= 500, counts


def test_sign_lemma_on_states_at_the_boundary():
    rng = np.random.default_rng(4)
    n = 200_000
    k, s = 10.0 ** rng.uniform(0, 4, n), 10.0 ** rng.uniform(-3, 1, n)
    s = np.minimum(s, k * (1 - 10.0 ** rng.uniform(-9, 0, n)))
    # ε up to the last ulp that (N) allows, w up to 1, r to both ends.
    eps = s * (1 - s / k) * np.where(rng.random(n) < 0.5, 1 - 1e-9, rng.random(n))
    w = np.where(rng.random(n) < 0.5, 1 - 10.0 ** rng.uniform(-9, 0, n), 10.0 ** rng.uniform(-9, 0, n) * 0.999)
    r = -np.where(
        rng.random(n) < 0.5, 10.0 ** rng.uniform(-12, 0, n) * 0.999999, 1 - 10.0 ** rng.uniform(-9, -1, n)
    )
    inside = (stability_number(s, k, eps) <= 1) & (w < 1) & (s <= k)
    assert np.count_nonzero(inside) > 100_000
    after = reduced_step(s, w, r, k, eps)[2]
    assert np.all(big_g(s, w, q_of(r, eps))[inside] > 0)
    assert np.all(after[inside] <= 1e-15)
    assert np.all(after[inside] > -1)


def test_entry_time_of_theorem_32():
    rng = np.random.default_rng(5)
    chosen = []
    while len(chosen) < 520:
        a_e, k = rng.uniform(0.5, 2.5), np.exp(rng.uniform(np.log(2.2), np.log(800)))
        h1 = 2 / a_e**2
        alpha = a_e * (1 - 10.0 ** rng.uniform(-2.5, -0.2))
        beta2 = 10.0 ** rng.uniform(-1.5, 0) / alpha
        r0 = alpha * beta2 - 1
        # w0 up to what (H1) can admit, half of the time close to it.
        w_cap = 0.5 * h1 * h1 / k * abs(r0) * (1 + r0)
        w0 = w_cap * (rng.uniform(0.2, 1) if rng.random() < 0.5 else 10.0 ** rng.uniform(-8, 0))
        args = (alpha, np.sqrt(w0 / h1), beta2, h1 / k, h1)
        e = entry(*args)
        if e.holds and e.T1[1] < 1200:
            chosen.append((args[3], args[4], *args[:3]))
    lanes = simulate(*np.array(chosen).T, 1205)
    bad, counts = contradictions(lanes, ["3.2", "4.2"], STATEMENTS)
    assert_none(bad)
    assert counts["3.2"] >= 500, counts


def test_convergence_without_an_edge_of_theorem_33():
    rng = np.random.default_rng(6)
    chosen = []
    while len(chosen) < 520:
        h1, k = 10.0 ** rng.uniform(-2, 0.6), 10.0 ** rng.uniform(0.3, 3)
        alpha = np.sqrt(2 / h1) * rng.uniform(0.1, 1)
        r0 = -rng.random()
        args = [alpha, 0.0, (1 + r0) / alpha, h1 / k, h1]
        f = flow_regime(*args)
        if f.m < 1:
            args[1] = np.sqrt((1 - f.m) / 2 / h1) * (
                rng.uniform(0.9, 1) if rng.random() < 0.5 else rng.random() ** 2
            )
        if all(x.holds for x in flow_regime(*args).hypotheses):
            chosen.append((args[3], args[4], *args[:3]))
    bad, counts = contradictions(simulate(*np.array(chosen).T, 300), ["3.3", "8"], STATEMENTS)
    assert_none(bad)
    assert counts["3.3"] >= 500, counts


def test_main_theorem_and_sharpness_version_at_the_boundary():
    """r̃0 is pushed, by bisection, to within 10⁻³ … 1 of the largest residual that (C1)–(C4) admit."""
    rng = np.random.default_rng(7)
    chosen = []
    while len(chosen) < 520:
        a_e, k = 10.0 ** rng.uniform(-0.1, 0.6), np.exp(rng.uniform(np.log(10), np.log(400)))
        h1 = 2 / a_e**2
        eps = h1 * h1 / k
        s0, w0 = 2 + 10.0 ** rng.uniform(-6, -1.3), 10.0 ** rng.uniform(-10, -2)
        lo, hi = 0.0, 1.0
        if not edge_bound(s0, w0, 0.0, k, eps).holds:
            continue
        for _ in range(9):
            mid = (lo + hi) / 2
            lo, hi = (mid, hi) if edge_bound(s0, w0, -mid, k, eps).holds else (lo, mid)
        rt = -lo * (1 - 10.0 ** rng.uniform(-3, 0))
        alpha, beta2 = np.sqrt(s0 / h1), (1 + rt) / a_e
        if alpha * beta2 < 1:
            chosen.append((h1 / k, h1, alpha, np.sqrt(w0 / h1), beta2))
    lanes = simulate(*np.array(chosen).T, 800)
    bad, counts = contradictions(lanes, ["4.6", "4.6S", "6.2"], STATEMENTS)
    assert_none(bad)
    assert counts["4.6"] >= 500, counts
    assert counts["4.6S"] >= 500, counts


def test_corollary_from_the_start():
    rng = np.random.default_rng(8)
    chosen = []
    while len(chosen) < 510:
        a_e, k = 10.0 ** rng.uniform(0, 0.6), np.exp(rng.uniform(np.log(10), np.log(300)))
        h1 = 2 / a_e**2
        alpha = a_e * (1 - 10.0 ** rng.uniform(-3, -1.3))
        beta2 = (1 - 10.0 ** rng.uniform(-2, 0)) / alpha
        args = (alpha, np.sqrt(10.0 ** rng.uniform(-9, -5) / h1), beta2, h1 / k, h1)
        if beta2 <= 0:
            continue
        e, bound = a_priori_bound(*args)
        if bound is not None and bound.holds and e.T1[1] < 600:
            chosen.append((args[3], args[4], *args[:3]))
    bad, counts = contradictions(simulate(*np.array(chosen).T, 1000), ["4.6'", "8"], STATEMENTS)
    assert_none(bad)
    assert counts["4.6'"] >= 500, counts


def test_floor_projected_descent():
    rng = np.random.default_rng(9)
    chosen = []
    while len(chosen) < 510:
        a_e, k = 10.0 ** rng.uniform(-0.3, 0.5), 10.0 ** rng.uniform(1.7, 4.5)
        h1 = 2 / a_e**2
        eps = h1 * h1 / k
        w_min = 10.0 ** rng.uniform(-8, -2) * eps
        w0 = w_min * 10.0 ** rng.choice([0.0, rng.uniform(0, 2)])
        bound = floor_bound(w0, w_min, k, eps)
        # Half of them with U close to its limit 4/3.
        if bound.holds and (bound.U > 0.8 or rng.random() < 0.3):
            v = eps / 2 + eps**2 / 32
            alpha = np.sqrt((2 + v * rng.uniform(0, 0.999)) / h1)
            r = -rng.uniform(0.02, 0.98)
            chosen.append((h1 / k, h1, alpha, np.sqrt(w0 / h1), (1 + r) / alpha, np.sqrt(w_min / h1)))
    columns = np.array(chosen).T
    lanes = simulate(*columns[:5], 900, floor=columns[5])
    bad, counts = contradictions(lanes, ["4.8", "4.7"], STATEMENTS)
    assert_none(bad)
    assert counts["4.8"] >= 500, counts


def test_cap_projected_descent_follows_the_constrained_residual():
    rng = np.random.default_rng(10)
    n = 520
    k, a_e = 10.0 ** rng.uniform(0.5, 3, n), 10.0 ** rng.uniform(-0.3, 0.3, n)
    h1 = 2 / a_e**2
    r = -rng.uniform(0.01, 0.99, n)
    w = 0.5 * h1**2 / k * abs(r) * (1 + r) * np.where(rng.random(n) < 0.5, 1 - 1e-9, rng.random(n))
    lanes = simulate(h1 / k, h1, a_e, np.sqrt(w / h1), (1 + r) / a_e, 400, cap=True)
    bad, counts = contradictions(lanes, ["4.9"], STATEMENTS)
    assert_none(bad)
    assert counts["4.9"] >= 500, counts


def test_frozen_two_cycle_is_stable_exactly_above_minus_one_eighth():
    """Growth of a small perturbation in the frozen map itself, on both sides of −1/8."""
    from eoslab.theory.oscillation import frozen_step, two_cycle_w

    rng = np.random.default_rng(11)
    n = 1000
    eps = rng.uniform(0.05, 1.5, n)
    side = np.where(rng.random(n) < 0.5, 1, -1)
    r = -0.125 + side * rng.uniform(0.02, 0.1, n)
    h1 = np.exp(rng.uniform(-1, 1, n))
    h, w = eps / h1, two_cycle_w(r, eps)
    beta2 = (1 + r) / np.sqrt(2 / h1)
    scale = 1e-7
    s, v = 2 + scale * w, w * (1 + scale)
    first = last = np.zeros(n)
    for t in range(1500):
        s, v = frozen_step(s, v, beta2, h, h1)
        size = np.hypot((s - 2) / np.sqrt(w), (v - w) / w) / scale
        if t < 20:
            first = np.maximum(first, size)
        if t >= 1200:
            last = np.maximum(last, size)
    # Large growth ends in another attractor or in divergence (nan): both count as grown.
    assert np.array_equal(~(last < first), side < 0)


def test_trapping_region_holds_from_states_at_its_boundary():
    rng = np.random.default_rng(12)
    chosen, spans = [], []
    while len(chosen) < 520:
        k, a_e = 10.0 ** rng.uniform(0.5, 3), 10.0 ** rng.uniform(-0.3, 0.5)
        h1 = 2 / a_e**2
        eps = h1**2 / k
        s = 2 - 10.0 ** rng.uniform(-2.5, 0.2)
        w, r = 10.0 ** rng.uniform(-3, 0), rng.choice([-1, 1]) * 10.0 ** rng.uniform(-3, 0)
        # The largest multiple of (w, r) that is still trapped, by bisection of its logarithm.
        lo, hi = -14.0, 0.0
        if search_trapping(s, w * 10.0**lo, r * 10.0**lo, k, eps) is None:
            continue
        for _ in range(10):
            mid = (lo + hi) / 2
            lo, hi = (mid, hi) if search_trapping(s, w * 10.0**mid, r * 10.0**mid, k, eps) else (lo, mid)
        w, r = w * 10.0**lo, r * 10.0**lo
        alpha = np.sqrt(s / h1)
        chosen.append((h1 / k, h1, alpha, np.sqrt(w / h1), (1 + r) / alpha))
        trap = search_trapping(s, w, r, k, eps)
        spans.append((trap.s_lo, trap.s_hi))
    lanes = simulate(*np.array(chosen).T, 1500)
    s = lanes.h1 * lanes.w[:, 0] ** 2
    lo, hi = np.array(spans).T
    assert np.all(s >= lo * (1 - 1e-10))
    assert np.all(s <= hi * (1 + 1e-10))
    bad, counts = contradictions(lanes, ["5.1", "7.1", "0.3"], STATEMENTS)
    assert_none(bad)
    assert counts["5.1"] >= 500, counts


@pytest.mark.parametrize("kind", ["d1", "d2"])
def test_certified_divergence_diverges(kind):
    rng = np.random.default_rng(13)
    n = 600
    k, h1 = 10.0 ** rng.uniform(0, 3, n), 10.0 ** rng.uniform(-1, 1, n)
    eps = h1**2 / k
    if kind == "d1":
        s = 2 + np.where(rng.random(n) < 0.3, 0, 10.0 ** rng.uniform(-6, 1, n))
        w = 2 + eps / (4 * s) + 10.0 ** rng.uniform(-3, 0, n)
        r = np.where(rng.random(n) < 0.6, -0.5 + rng.normal(0, 0.05, n), rng.normal(0, 1, n))
        alpha = np.sqrt(s / h1)
        beta1, beta2 = np.sqrt(w / h1), (1 + r) / alpha
        s, w = h1 * alpha**2 * (1 + 1e-15), h1 * beta1**2
        alpha = np.sqrt(s / h1)
        inside = diverges_d1(s, w, eps)
    else:
        p = (1 + 10.0 ** rng.uniform(-1, 1, n)) * rng.choice([-1, 1], n)
        s = 2 * k / (1 - 1 / abs(p)) * (1 + 10.0 ** rng.uniform(-4, 0, n))
        alpha = np.sqrt(s / h1)
        beta2 = p / alpha
        w = np.maximum(0, 2 - h1 / k * beta2**2 * (1 - 1 / abs(p))) + 10.0 ** rng.uniform(-3, 0, n)
        beta1 = np.sqrt(w / h1)
        inside = diverges_d2(s, h1 * beta1**2, h1 * beta2**2, alpha * beta2 - 1, k)
    assert np.count_nonzero(inside) >= 500
    lanes = simulate(*(x[inside] for x in (h1 / k, h1, alpha, beta1, beta2)), 3000)
    size = np.abs(lanes.w[:, 0]).max(axis=0)
    assert np.all((size > 1e6) | ~np.isfinite(lanes.w[-1, 0]))
    bad, counts = contradictions(
        simulate(*(x[inside] for x in (h1 / k, h1, alpha, beta1, beta2)), 12), ["5.3"], STATEMENTS
    )
    assert_none(bad)
    assert counts["5.3"] >= 500, counts


def test_catapult_threshold_is_exactly_four_without_a_relevant_direction():
    rng = np.random.default_rng(14)
    n = 2000
    Sigma = 4 + np.where(rng.random(n) < 0.5, -1, 1) * 10.0 ** rng.uniform(-3, 0, n)
    share = rng.uniform(0.02, 0.98, n)
    s, w = Sigma * share, Sigma * (1 - share)
    total = np.zeros(n)
    with np.errstate(all="ignore"):
        for _ in range(20_000):
            total = total + np.where(np.isfinite(s * w), s * w, 0)
            s, w = catapult_step(s, w)
            s, w = np.where(s + w < 1e9, s, np.inf), np.where(s + w < 1e9, w, np.inf)
            done = ~np.isfinite(s + w) | (s * w < 1e-30)
            if done.all():
                break
    below = Sigma < 4
    assert np.all(s[below] + w[below] <= 4)
    assert np.all(total[below] <= (Sigma / (4 - Sigma))[below] * (1 + 1e-9))
    assert np.all(~np.isfinite((s + w)[~below]))


def test_gradient_flow_ends_at_the_predicted_sharpness():
    """RK4 on 600 starts; c is conserved to the order of the method and α∞² = A(c)."""
    rng = np.random.default_rng(15)
    n = 600
    k = rng.uniform(1, 6, n)
    w = np.array([rng.uniform(0.2, 1.5, n) * rng.choice([-1, 1], n), rng.normal(0, 0.7, n), rng.normal(0, 0.7, n)])

    def slope(x):
        a, b1, b2 = x
        r = a * b2 - 1
        return -np.array([k * a * b1**2 + r * b2, k * a**2 * b1, r * a])

    c = w[0] ** 2 - w[1] ** 2 - w[2] ** 2
    dt = 0.05 / (1 + k * (w**2).sum(axis=0))
    for _ in range(4000):
        a = slope(w)
        b = slope(w + dt / 2 * a)
        d = slope(w + dt / 2 * b)
        e = slope(w + dt * d)
        w = w + dt / 6 * (a + 2 * b + 2 * d + e)
        dt = 0.3 / (1 + k * (w**2).sum(axis=0))
    settled = (np.abs(w[0] * w[2] - 1) < 1e-6) & (k * w[0] ** 2 * w[1] ** 2 < 1e-12)
    assert np.count_nonzero(settled) >= 500
    assert np.allclose((w[0] ** 2)[settled], gfs_alpha2(c)[settled], rtol=1e-4)


def test_trapping_answers_alike_on_floats_and_on_arrays():
    rng = np.random.default_rng(16)
    s, w, r = (
        2 - 10.0 ** rng.uniform(-3, 0, 500),
        10.0 ** rng.uniform(-9, -3, 500),
        -(10.0 ** rng.uniform(-9, -2, 500)),
    )
    D = np.log(2 / s) * rng.uniform(0.1, 0.99, 500)
    many = trapping(s, w, r, 100.0, 0.04, D).holds
    one = [
        trapping(*x, 100.0, 0.04, d).holds
        for *x, d in zip(s.tolist(), w.tolist(), r.tolist(), D.tolist(), strict=True)
    ]
    assert many.tolist() == one
    assert 50 < sum(one) < 450
