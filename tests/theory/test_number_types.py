"""The same formulas on fractions, balls, mpmath numbers and arrays; a ball's True is a proof."""

from __future__ import annotations

from fractions import Fraction

import flint
import mpmath
import numpy as np
import pytest

from eoslab.theory.certificate import diverges_d1, diverges_d2, no_stable_minimiser, search_trapping, trapping
from eoslab.theory.excursions import dip_bound, overshoot_bound, peak_bound, phi, phi_inverse, psi, reentry_bound
from eoslab.theory.hessian_bounds import eta_sharpness_bound, top_eigenvalue
from eoslab.theory.main_theorem import edge_constants, zeta_lyapunov
from eoslab.theory.reduced import coordinates, reduced_step, reduced_steps
from eoslab.theory.sharpening import stability_number
from eoslab.theory.stable_set import constrained_step, constrained_trajectory

arb = flint.arb


def test_reduced_map_is_exact_on_fractions():
    s, w, r = reduced_step(Fraction(3, 2), Fraction(1, 10), Fraction(-1, 3), Fraction(100), Fraction(1, 25))
    assert isinstance(s, Fraction)
    floats = reduced_step(1.5, 0.1, -1 / 3, 100, 0.04)
    assert [float(x) for x in (s, w, r)] == pytest.approx(floats, rel=1e-15)


def test_coordinates_on_fractions_and_balls():
    w, p = (Fraction(19, 20), Fraction(1, 1000), Fraction(9, 10)), (Fraction(10), Fraction(1, 20), Fraction(1))
    c = coordinates(w, p, Fraction(1, 5))
    assert c.s == Fraction(2) * Fraction(19, 20) ** 2
    balls = coordinates(tuple(arb(float(x)) for x in w), tuple(arb(float(x)) for x in p), arb(0.2))
    assert float(balls.G) == pytest.approx(float(c.G))
    assert float(balls.r_tilde) == pytest.approx(float(balls.steps.alpha_e * arb(0.9) - 1))


def test_trapping_on_balls_agrees_with_floats_away_from_the_boundary():
    s, w, r, k, eps = 1.9, 1e-9, -1e-6, 1000.0, 0.004
    found = search_trapping(s, w, r, k, eps)
    ball = trapping(arb(s), arb(w), arb(r), arb(k), arb(eps), arb(float(found.D)) * arb("1.000001"))
    assert ball.holds is True
    assert float(ball.s_lo) == pytest.approx(found.s_lo)
    # A state known too badly proves nothing.
    wide = trapping(arb(s, 0.2), arb(w), arb(r), arb(k), arb(eps), arb(float(found.D)))
    assert wide.holds is False


def test_trapping_on_mpmath():
    mp = mpmath.mp
    assert trapping(
        mp.mpf("1.9"), mp.mpf("1e-9"), mp.mpf("-1e-6"), mp.mpf(1000), mp.mpf("0.004"), mp.mpf("0.04")
    ).holds


def test_predicates_of_divergence_and_existence_on_exact_numbers():
    assert diverges_d1(Fraction(2), Fraction(3), Fraction(1, 10))
    assert not diverges_d1(Fraction(199, 100), Fraction(3), Fraction(1, 10))
    assert not diverges_d1(arb(2, 1e-9), arb(3), arb("0.1"))
    assert diverges_d2(Fraction(40), Fraction(3), Fraction(0), Fraction(1), Fraction(10))
    assert no_stable_minimiser(Fraction(3, 2), Fraction(3, 2))
    assert not no_stable_minimiser(Fraction(1, 100), Fraction(2))


@pytest.mark.parametrize("y", [1e-18, 1e-9, 1e-3, 0.1, 1.0, 30.0])
def test_phi_inverse_is_an_upper_bound_of_the_root(y):
    x = phi_inverse(y)
    assert phi(x) == pytest.approx(y, rel=1e-9)
    root = mpmath.findroot(lambda t: (1 + t) * mpmath.log(1 + t) - t - mpmath.mpf(y), x)
    assert x == pytest.approx(float(root), rel=1e-8)
    ball = phi_inverse(arb(y))
    assert ball >= arb(x) * (1 - 1e-12)
    assert float(ball) == pytest.approx(x, rel=1e-4)


def test_phi_and_psi_have_no_cancellation():
    for x in (1e-12, 1e-6, 9.99e-4, 1.01e-3, 0.3):
        with mpmath.workdps(40):
            t = mpmath.mpf(x)
            assert phi(x) == pytest.approx(float((1 + t) * mpmath.log(1 + t) - t), rel=1e-11)
            assert psi(x) == pytest.approx(float(t + (1 - t) * mpmath.log(1 - t)), rel=1e-11)


def test_bounds_broadcast_and_enclose():
    Z, w, q = np.array([0.05, 0.3]), np.array([1e-9, 1e-3]), np.array([1e-3, 1e-2])
    for f, args in (
        (peak_bound, (Z, w, q)),
        (overshoot_bound, (q, np.log(w))),
        (dip_bound, (w,)),
        (reentry_bound, (w, q, Z)),
        (stability_number, (Z, 100.0, q)),
        (eta_sharpness_bound, (2 - Z, w, -Z, 100.0, q)),
    ):
        many = np.asarray(f(*args))
        for i in range(2):
            one = [x[i].item() if isinstance(x, np.ndarray) else x for x in args]
            assert f(*one) == pytest.approx(many[i], rel=1e-12)
            assert float(f(*map(arb, one))) == pytest.approx(many[i], rel=1e-4)
    zeta = zeta_lyapunov(arb(2), arb(1e-6), arb("-0.05"), arb("1.5"), arb(1000), arb("0.004"))
    ball = edge_constants(arb("0.5"), zeta, arb(1e-6), arb("0.004"))
    floats = edge_constants(0.5, float(zeta), 1e-6, 0.004)
    assert [float(x) for x in ball] == pytest.approx(floats)


def test_top_eigenvalue_of_many_arrowheads():
    rng = np.random.default_rng(0)
    n = 3000
    m = 10.0 ** rng.uniform(-6, 3, n)
    d = m * rng.random(n)
    Q, c1, c2 = (
        10.0 ** rng.uniform(-6, 3, n),
        rng.normal(0, 1, n) * 10.0 ** rng.uniform(-9, 2, n),
        rng.normal(0, 1, n),
    )
    c1[:200], c2[200:400] = 0, 0
    H = np.zeros((n, 3, 3))
    H[:, 0, 0], H[:, 1, 1], H[:, 2, 2] = Q, m, d
    H[:, 0, 1] = H[:, 1, 0] = c1
    H[:, 0, 2] = H[:, 2, 0] = c2
    ours, dense = top_eigenvalue(Q, c1, m, c2, d), np.linalg.eigvalsh(H)[:, -1]
    assert np.allclose(ours, dense, rtol=1e-13, atol=0)


def test_constrained_trajectory_is_its_own_recursion():
    h, h1 = 0.002, 2.0
    closed = constrained_trajectory(0.9, 0.7, h, h1, 800)
    a, b2 = 0.9, 0.7
    for row in closed:
        assert row == pytest.approx((a, b2), abs=1e-12)
        a, b2 = constrained_step(a, b2, h, 1.0)
    assert closed[-1, 0] == 1.0


def test_reduced_steps_keep_every_state():
    states = reduced_steps(1.9, 1e-6, -0.1, 100.0, 0.04, 50)
    assert len(states) == 51
    assert states[1] == reduced_step(*states[0], 100.0, 0.04)
