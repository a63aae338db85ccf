"""The certifier under attack: truth lies in the balls, and arithmetic that lies is caught.

The oracle is exact rational arithmetic for a few steps and mpmath with several hundred digits for long runs. The
same comparators are run on arithmetic with an injected fault and must object, so they are known to see one.
"""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from math import exp

import flint
import mpmath
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath.libmp import to_rational

import eoslab.certify.prove as prove_module
import eoslab.certify.regions as regions
import eoslab.certify.second_opinion as replay_module
import eoslab.certify.trajectory as trajectory
from eoslab.certify import certify, replay
from eoslab.certify.problem import Problem
from eoslab.certify.regions import Reduced, ball, bounds, divergence, propose_tail, propose_trap, tail_below, trap
from eoslab.certify.sharpness import certainly_above, certainly_below
from eoslab.models.minimalist import gd_step, grad

S1 = {"lambda1": 1, "lambda2": "1/300", "b": 1, "lr": "3.125", "w0": ".75,.001,.8"}
BITS = 256


def exact_path(problem, steps):
    """Gradient descent in rationals from the gradient itself (not from the factored map)."""
    p, w, path = (problem.lambda1, problem.lambda2, problem.b), problem.w0, []
    for _ in range(steps):
        path.append(w)
        w = tuple(x - problem.lr * g for x, g in zip(w, grad(w, p), strict=True))
    return [*path, w]


def ball_path(problem, steps, bits=BITS):
    with flint.ctx.workprec(bits):
        p = tuple(map(ball, (problem.lambda1, problem.lambda2, problem.b)))
        path = trajectory.run_balls(tuple(map(ball, problem.w0)), ball(problem.lr), p, steps)
        return [[bounds(x) for x in state] for state in path]


def intervals(problem, bits):
    """The second implementation at the start of a problem."""
    cert = certify(problem.lambda1, problem.lambda2, problem.b, problem.lr, problem.w0, "no-stable-minimiser")
    return replay_module._Trajectory(cert, replay_module._parse(cert), bits, None)


def interval_path(problem, steps, bits=BITS):
    """The replay's own loop."""
    run, path = intervals(problem, bits), []
    for _ in range(steps + 1):
        path.append([(Fraction(*to_rational(lo)), Fraction(*to_rational(hi))) for lo, hi in run.theta])
        run.advance(1)
    return path


def first_lie(enclosures, truth):
    """The first step at which a true value is outside its enclosure, or None."""
    for step, (boxes, point) in enumerate(zip(enclosures, truth, strict=True)):
        if any(not lo <= x <= hi for (lo, hi), x in zip(boxes, point, strict=True)):
            return step
    return None


rationals = st.builds(Fraction, st.integers(-60, 60), st.integers(1, 40))
positives = st.builds(Fraction, st.integers(1, 60), st.integers(1, 40))


@settings(max_examples=150, deadline=None)
@given(positives, positives, rationals.filter(bool), positives, st.tuples(rationals, rationals, rationals))
def test_exact_iterates_lie_in_balls_and_intervals(one, two, b, lr, w0):
    problem = Problem(max(one, two), min(one, two), b, lr, w0)
    truth = exact_path(problem, 4)
    # 40 bits make the radii visible: with 256 nearly all these rationals would be almost points.
    for bits in (40, BITS):
        assert first_lie(ball_path(problem, 4, bits), truth) is None
        assert first_lie(interval_path(problem, 4, bits), truth) is None


def long_truth(problem, steps, digits):
    """Gradient descent with ``digits`` digits, so many that its error is far below every radius looked at."""
    with mpmath.workdps(digits):

        def number(x):
            return mpmath.mpf(x.numerator) / x.denominator

        p, lr = tuple(map(number, (problem.lambda1, problem.lambda2, problem.b))), number(problem.lr)
        w, path = tuple(map(number, problem.w0)), []
        for _ in range(steps + 1):
            path.append([Fraction(*to_rational(x._mpf_)) for x in w])
            w = tuple(x - lr * g for x, g in zip(w, grad(w, p), strict=True))
    return path


def test_long_runs_lie_in_balls_and_intervals():
    # 300 steps through two excursions of S1 at 128 bits; 400 digits are 1200 bits more.
    problem = Problem.parse(**S1)
    truth = long_truth(problem, 300, 400)
    assert first_lie(ball_path(problem, 300, 128), truth) is None
    assert first_lie(interval_path(problem, 300, 128), truth) is None


def shrunk(w, lr, p):
    """Wrong rounding: every step throws the radii away."""
    return tuple(arb(x.mid()) for x in gd_step(w, lr, p))


def halved(w, lr, p):
    """Wrong rounding, subtler: radii are scaled by 2⁻²⁰ at every step."""
    return tuple(arb(x.mid(), x.rad() * arb(2) ** -20) for x in gd_step(w, lr, p))


def dropped(w, lr, p):
    """A dropped term: ηλ2·b·β2 of α⁺, times 10⁻²⁰, is missing."""
    alpha, beta1, beta2 = gd_step(w, lr, p)
    return alpha - lr * p[1] * p[2] * w[2] / arb(10) ** 20, beta1, beta2


@pytest.mark.parametrize("fault", [shrunk, halved, dropped])
def test_wrong_balls_are_caught_by_the_comparator(monkeypatch, fault):
    monkeypatch.setattr(trajectory, "gd_step", fault)
    problem = Problem.parse(**S1)
    assert first_lie(ball_path(problem, 4), exact_path(problem, 4)) is not None
    assert first_lie(ball_path(problem, 60, 128), long_truth(problem, 60, 400)) is not None


def test_wrong_intervals_are_caught_by_the_comparator(monkeypatch):
    def narrow(s, t, prec):
        lo, _ = mpmath.libmp.mpi_mul(s, t, prec)
        return lo, lo

    monkeypatch.setattr(replay_module, "mpi_mul", narrow)
    problem = Problem.parse(**S1)
    assert first_lie(interval_path(problem, 4), exact_path(problem, 4)) is not None


def test_a_certificate_from_a_wrong_map_fails_the_replay(monkeypatch):
    def coarse(w, lr, p):
        alpha, beta1, beta2 = gd_step(w, lr, p)
        return alpha - lr * p[1] * p[2] * w[2] / 10**6, beta1, beta2

    monkeypatch.setattr(trajectory, "gd_step", coarse)
    cert = certify(**S1)
    monkeypatch.undo()
    assert not replay(cert).ok


def test_a_wrong_trapping_inequality_fails_the_replay(monkeypatch):
    """Without the Σ|r| of the drift a region is believed too early and too narrow."""

    def hasty(x, D, R):
        patched = Reduced(x.s, x.w, x.r * 0, x.k, x.eps, x.dead)
        region = trap(patched, D, R)
        return region and regions.Trap(
            region.D, region.R, region.lo, region.hi, region.rho, region.m, region.g, region.margins
        )

    def proposal(s, w, r, k, eps, dead):
        return propose_trap(s, w, 0.0, k, eps, dead)

    monkeypatch.setattr(trajectory, "trap", hasty)
    monkeypatch.setattr(trajectory, "propose_trap", proposal)
    cert = certify(**S1, prove="converges")
    assert cert.verdict == "PROVED"
    assert not replay(cert).ok


def test_a_wrong_sharpness_check_fails_the_replay(monkeypatch):
    """Looking at λ1α² alone (a lower bound of S) gives too small a δ."""
    import eoslab.certify.sharpness as sharpness_module

    def lax(state, p, level):
        return bool(p[0] * state[0] ** 2 < level)

    monkeypatch.setattr(sharpness_module, "certainly_below", lax)
    monkeypatch.setattr(sharpness_module.SharpnessWatch, "estimate", lambda self, w: 3.125 * float(w[0]) ** 2)
    monkeypatch.setattr(prove_module, "_witness", lambda watch: None)
    cert = certify(**S1)
    assert cert.verdict == "PROVED"
    monkeypatch.undo()
    assert float(cert.delta) < float(certify(**S1).delta_lower)
    assert not replay(cert).ok


# -- the theorems behind the verdicts -------------------------------------------------------------------------


def random_reduced(rng):
    k = 10 ** rng.uniform(0, 4)
    eps = 10 ** rng.uniform(-5, 0.3)
    s = rng.choice([rng.uniform(0.05, 2), 2 - 10 ** rng.uniform(-5, 0)])
    return s, 10 ** rng.uniform(-12, -1), rng.choice([-1, 1]) * 10 ** rng.uniform(-9, -0.3), k, eps


def reduced_step(s, w, r, k, eps):
    """(0.2)"""
    growth = 1 - w - eps * r * (1 + r) / s
    return s * growth**2, w * (1 - s) ** 2, growth * (1 + r - r * s / k) - 1


def reduced_sharpness(s, w, r, k, eps):
    from eoslab.core.arrowhead import arrowhead3_top

    return arrowhead3_top(w + eps * (1 + r) ** 2 / s, 2 * (s * w) ** 0.5, s, (eps / k) ** 0.5 * (1 + 2 * r), s / k)


def test_nothing_leaves_500_random_trapping_regions():
    rng, found = random.Random(0), 0
    with flint.ctx.workprec(BITS):
        while found < 500:
            s, w, r, k, eps = state = random_reduced(rng)
            proposal = propose_trap(*state, False)
            if proposal is None:
                continue
            D, R = map(Fraction, proposal)
            x = Reduced(*(arb(v) for v in state), False)
            region = trap(x, D * (1 + Fraction(1, 10**6)), R * (1 + Fraction(1, 10**6)))
            if region is None:
                continue
            found += 1
            lo, hi, m, cap = float(region.lo), float(region.hi), float(region.m), float(R) * (1 + 1e-6)
            tau = propose_tail(x, region)
            assert tail_below(x, region, arb(tau))
            now = reduced_sharpness(*state)
            assert now < tau
            assert not tail_below(x, region, arb(now * (1 - 1e-9)))
            w_bound = w
            # Float noise: 2 ulp a step relative to s and to 1 + r, hence 1e-12 over 300 steps.
            for _ in range(300):
                s, w, r = reduced_step(s, w, r, k, eps)
                w_bound *= m
                assert lo * (1 - 1e-12) <= s <= hi * (1 + 1e-12)
                assert w <= w_bound * (1 + 1e-11)
                assert abs(r) <= cap + 1e-12
                assert reduced_sharpness(s, w, r, k, eps) < tau * (1 + 1e-12)


def test_a_region_just_below_the_needed_drift_is_refused():
    rng, found = random.Random(1), 0
    with flint.ctx.workprec(BITS):
        while found < 100:
            state = random_reduced(rng)
            proposal = propose_trap(*state, False)
            if proposal is None:
                continue
            D, R = proposal
            s, w, r, _, eps = state
            lo = s * exp(-D)
            # Half the least drift (with ρ = m = g = 0) is too little whatever the other quantities are.
            least = 2 * (w + eps / lo * abs(r))
            assert trap(Reduced(*(arb(v) for v in state), False), Fraction(least / 2), Fraction(R)) is None
            found += 1


def test_divergence_criteria_are_invariant_and_grow():
    rng, found = random.Random(2), {"divergence-D1": 0, "divergence-D2": 0}
    with flint.ctx.workprec(512):
        while min(found.values()) < 100:
            k = 10 ** rng.uniform(0, 3)
            eps = 10 ** rng.uniform(-4, 3)
            s = rng.choice([2 + 10 ** rng.uniform(-6, 2), 2 * k * 10 ** rng.uniform(0, 2)])
            w = rng.choice([10 ** rng.uniform(-6, 0), 2 + 10 ** rng.uniform(-6, 1)])
            x = Reduced(
                arb(s), arb(w), arb(rng.choice([-1, 1]) * 10 ** rng.uniform(-2, 2)), arb(k), arb(eps), False
            )
            which = divergence(x)
            if which is None:
                continue
            found[which[0]] += 1
            for _ in range(5):
                s, w, r = reduced_step(x.s, x.w, x.r, x.k, x.eps)
                assert s > x.s
                x = Reduced(s, w, r, x.k, x.eps, False)
                assert divergence(x) is not None


@settings(max_examples=100, deadline=None)
@given(positives, positives, rationals.filter(bool), positives)
def test_proposition_0_3_against_a_scan_of_the_minimisers(one, two, b, lr):
    problem = Problem(max(one, two), min(one, two), b, lr, (Fraction(1), Fraction(0), Fraction(1)))
    h1, h = float(problem.h1 * abs(b)), float(problem.lr * abs(b) * problem.lambda2)
    # Minimisers form a line; the least sharpness over s ≤ 2 on a fine grid (and at the optimum s = h1).
    grid = [2 * i / 2000 for i in range(1, 2001)] + [min(2.0, h1)]
    least = min(max(s, s * h / h1 + h * h1 / s) for s in grid)
    if abs(least - 2) > 1e-9:
        assert problem.has_stable_minimiser == (least < 2)


def test_the_sharpness_bound_holds_at_sampled_points_with_50_digits():
    for question in (S1, {"lambda1": 1, "lambda2": "1/1000", "b": -2, "lr": "100/49", "w0": ".919,.0014,-1.27"}):
        cert = certify(**question)
        assert cert.verdict == "PROVED"
        problem = Problem.parse(**question)
        with mpmath.workdps(50):
            path = long_truth(problem, cert.step + 200, 80)
            steps = {cert.peak_step, 0, cert.step, cert.step + 200, *range(0, cert.step, 37)}
            for step in steps:
                value = high_precision_sharpness(problem, path[step])
                assert value < 2 + mpmath.mpf(cert.delta)
                if step == cert.peak_step:
                    assert value > 2 + mpmath.mpf(cert.delta_lower)
            s_end = problem.h1 * path[-1][0] ** 2
            assert Fraction(cert.enclosure[0]) < s_end < Fraction(cert.enclosure[1])


def test_verdicts_of_random_questions_against_high_precision():
    """Every PROVED convergence and sharpness bound is looked at with more digits than the balls had."""
    rng, proved = random.Random(3), 0
    while proved < 30:
        b = Fraction(rng.choice([-1, 1]) * rng.randint(1, 9), rng.randint(1, 9))
        size, k = float(abs(b)) ** 0.5, Fraction(rng.choice([1, 1.5, 2, 5, 20]))
        w0 = [Fraction(rng.uniform(-1.5, 1.5) * size).limit_denominator(200) for _ in range(3)]
        lr = Fraction(rng.randint(5, 35), 10) / abs(b)
        cert = certify(1, 1 / k, b, lr, w0, max_steps=400)
        if cert.statement != "sharpness-bound":
            continue
        proved += 1
        problem = Problem(Fraction(1), 1 / k, b, lr, tuple(w0))
        with mpmath.workdps(40):
            path = long_truth(problem, cert.step + 50, cert.bits)
            for step in {cert.peak_step, *range(0, cert.step + 50, 1 + cert.step // 8)}:
                assert high_precision_sharpness(problem, path[step]) < 2 + mpmath.mpf(cert.delta)
            assert high_precision_sharpness(problem, path[cert.peak_step]) > 2 + mpmath.mpf(cert.delta_lower)
        for alpha, _, _ in path[cert.step :]:
            assert Fraction(cert.enclosure[0]) < problem.h1 * alpha**2 < Fraction(cert.enclosure[1])


def high_precision_sharpness(problem, w):
    def number(x):
        return mpmath.mpf(x.numerator) / x.denominator

    a, x, y = map(number, w)
    l1, l2, b, lr = map(number, (problem.lambda1, problem.lambda2, problem.b, problem.lr))
    H = mpmath.matrix(
        [
            [l1 * x * x + l2 * y * y, 2 * l1 * a * x, l2 * (2 * a * y - b)],
            [2 * l1 * a * x, l1 * a * a, 0],
            [l2 * (2 * a * y - b), 0, l2 * a * a],
        ]
    )
    return lr * max(mpmath.eigsy(H, eigvals_only=True))


@settings(max_examples=60, deadline=None)
@given(st.tuples(rationals, rationals, rationals), positives, positives)
def test_minors_bracket_the_largest_eigenvalue(w, one, two):
    problem = Problem(max(one, two), min(one, two), Fraction(1), Fraction(1), w)
    with mpmath.workdps(50):
        top = Fraction(*to_rational(high_precision_sharpness(problem, w)._mpf_))
    hair = (1 + abs(top)) / 10**30
    with flint.ctx.workprec(BITS):
        p, state = tuple(map(ball, (problem.lambda1, problem.lambda2, problem.b))), tuple(map(ball, w))
        assert certainly_below(state, p, ball(top + hair))
        assert not certainly_below(state, p, ball(top - hair))
        assert certainly_above(state, p, ball(top - hair))
        assert not certainly_above(state, p, ball(top + hair))
    run = intervals(problem, BITS)
    assert run.sharpness_below(run.raw(top + hair))
    assert not run.sharpness_below(run.raw(top - hair))
    assert run.sharpness_above(top - hair - 2)
    assert not run.sharpness_above(top + hair - 2)


def test_the_replay_bounds_the_sharpness_inside_the_region_by_itself():
    """Trapped at step 0 nothing but the bound for the region is left, where a smaller δ must not be confirmed."""
    # The (α, β2) block has the larger eigenvalue in the first, the (α, β1) block in the second.
    for w0 in ("0.7,0.05,1.428", "1.7,0.03,0.588"):
        question = {"lambda1": 1, "lambda2": "1/2", "b": 1, "lr": "1/2", "w0": w0}
        cert = certify(**question, max_steps=0)
        assert (cert.verdict, cert.step) == ("PROVED", 0)
        assert replay(cert).ok
        with mpmath.workdps(50):
            top = high_precision_sharpness(Problem.parse(**question), Problem.parse(**question).w0)
        for below in (1e-6, 1e-2):
            delta = str(Fraction(float(top) - 2 - below).limit_denominator(10**9))
            forged = replace(cert, delta=delta, delta_lower=None, peak_step=None).sealed()
            assert not replay(forged).ok
