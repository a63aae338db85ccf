"""The exact identities, symmetries and bounds of docs/theory §0–§2 and §7, over random parameters.

Polynomial statements are checked in rational arithmetic, where they hold exactly or not at all. What needs roots
is checked in float64 with a stated rounding error.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import eoslab
from eoslab.flows.gradient_flow import gradient_flow
from eoslab.models import Minimalist, minimalist
from eoslab.optimizers import GD

EPS = np.finfo(float).eps

small = st.integers(-40, 40).map(lambda i: Fraction(i, 16))
nonzero = small.filter(bool)
positive = st.integers(1, 40).map(lambda i: Fraction(i, 16))


class Step:
    """One exact step of gradient descent at b = 1, in the letters of docs/theory §0."""

    def __init__(self, theta, lambda1, lambda2, eta):
        self.l1, self.l2, self.eta, self.p = lambda1, lambda2, eta, (lambda1, lambda2, Fraction(1))
        self.theta, self.new = theta, minimalist.gd_step(theta, eta, self.p)
        self.h, self.h1, self.k = eta * lambda2, eta * lambda1, lambda1 / lambda2
        self.eps = self.h * self.h1

    def letters(self, theta):
        alpha, beta1, beta2 = theta
        s, w, nu, r = (
            self.h1 * alpha**2,
            self.h1 * beta1**2,
            self.h1 * beta2**2,
            alpha * beta2 - 1,
        )
        return s, w, nu, r, -self.eps * r * (1 + r)


steps = st.builds(Step, st.tuples(nonzero, small, small), positive, positive, positive)


@given(steps)
def test_reduced_map(x):
    """Prop 0.2: (s, w, r) moves by itself."""
    s, w, _, r, q = x.letters(x.theta)
    g = 1 - w + q / s
    s1, w1, _, r1, _ = x.letters(x.new)
    assert (s1, w1, 1 + r1) == (s * g**2, w * (1 - s) ** 2, g * (1 + r - r * s / x.k))


@given(steps)
def test_i1_loss(x):
    (alpha, _, _), (alpha1, _, _) = x.theta, x.new
    _, _, _, r, _ = x.letters(x.theta)
    loss = minimalist.loss(x.theta, x.p)
    assert loss == -x.l2 * r / 2 + (alpha**2 - alpha1**2 + (alpha1 - alpha) ** 2) / (4 * x.eta)
    assert loss == -x.l2 * r / 2 + alpha * minimalist.grad(x.theta, x.p)[0] / 2


@given(steps)
def test_i2_pinning(x):
    s, w, *_ = x.letters(x.theta)
    assert x.letters(x.new)[1] == w * (1 - s) ** 2


@given(steps)
def test_i3_energy(x):
    s, w, _, _, q = x.letters(x.theta)
    s1, w1, *_ = x.letters(x.new)
    z, g = s - 2, 1 - w + q / s
    gain = (w1 + (s1 - 2) ** 2 / 4) - (w + z**2 / 4)
    assert gain == z * q + (1 - g) ** 2 * (s * z / 2 + s**2 * (1 + g) ** 2 / 4)


@given(steps)
def test_i4_balance(x):
    s, w, _, _, q = x.letters(x.theta)
    g, s1 = 1 - w + q / s, x.letters(x.new)[0]
    assert s * w - q == s * (1 - g) == (s - s1) / 2 + s * (1 - g) ** 2 / 2


@given(steps)
def test_i5_catapult(x):
    s, w, _, _, q = x.letters(x.theta)
    s1, w1, *_ = x.letters(x.new)
    assert (s1 + w1) - (s + w) == s * w * (s + w - 4) + 2 * (1 - w) * q + q**2 / s


@given(steps)
def test_i6_lyapunov(x):
    s, w, nu, r, q = x.letters(x.theta)
    s1, w1, nu1, *_ = x.letters(x.new)
    change = (s1 + w1 - nu1) - (s + w - nu)
    assert change == -s * w * (4 - s - w) - 2 * w * q - x.h**2 * r**2 * (s - nu)


@given(steps)
def test_i7_surrogate(x):
    """The one identity with a root, α_e = √(2/h1): in float64."""
    (alpha, _, beta2), (_, _, new) = x.theta, x.new
    root = math.sqrt(2 / x.h1)
    chi, surrogate = float(alpha) / root, root * float(beta2) - 1
    expected = surrogate * (1 - 2 * chi**2 / float(x.k)) - 2 / float(x.k) * chi * (chi - 1)
    # a dozen roundings of terms of this size
    size = 1 + abs(surrogate) * (1 + 2 * chi**2 / float(x.k)) + 2 / float(x.k) * chi**2 + abs(root * float(new))
    assert abs(root * float(new) - 1 - expected) <= 16 * EPS * size


@given(steps)
def test_i8_gradient_flow_solution(x):
    (alpha, beta1, beta2) = x.theta
    _, _, _, r, _ = x.letters(x.theta)
    change = minimalist.conserved(x.new, x.p) - minimalist.conserved(x.theta, x.p)
    g = minimalist.grad(x.theta, x.p)
    assert change == x.eta**2 * (g[0] ** 2 - g[1] ** 2 - g[2] ** 2)
    assert change == (
        -(x.h**2) * r**2 * (alpha**2 - beta2**2)
        - x.h1**2 * alpha**2 * beta1**2 * (alpha**2 - beta1**2)
        + 2 * x.eps * r * (1 + r) * beta1**2
    )
    if beta1 == 0:
        y, y1 = alpha**2 - beta2**2, x.new[0] ** 2 - x.new[2] ** 2
        assert y1 == y * (1 - x.h**2 * r**2)


@given(steps, nonzero)
def test_scaling_by_the_teacher(x, c):
    """Prop 0.1 with b = c²: θ = cθ̃ moves with η as θ̃ with ηc², and the loss is c⁴ times as large."""
    b, p1 = c**2, (x.l1, x.l2, Fraction(1))
    p, scaled = (x.l1, x.l2, b), tuple(c * y for y in x.theta)
    assert minimalist.loss(scaled, p) == b**2 * minimalist.loss(x.theta, p1)
    new = minimalist.gd_step(x.theta, x.eta * b, p1)
    assert minimalist.gd_step(scaled, x.eta, p) == tuple(c * y for y in new)


@given(steps)
def test_only_the_products_of_learning_rate_and_variance_matter(x):
    doubled = (2 * x.l1, 2 * x.l2, Fraction(1))
    assert minimalist.gd_step(x.theta, x.eta / 2, doubled) == x.new


@given(steps)
def test_sign_symmetries(x):
    (a, b1, b2), (na, nb1, nb2), p = x.theta, x.new, x.p
    flipped = (x.l1, x.l2, Fraction(-1))
    assert minimalist.gd_step((-a, -b1, -b2), x.eta, p) == (-na, -nb1, -nb2)
    assert minimalist.gd_step((a, -b1, b2), x.eta, p) == (na, -nb1, nb2)
    assert minimalist.gd_step((a, b1, -b2), x.eta, flipped) == (na, nb1, -nb2)


# -- sharpness -----------------------------------------------------------------------------------------------

sized = st.floats(-3.0, 3.0).map(lambda e: 10.0**e)
signed = st.builds(lambda m, s: m * s, sized, st.sampled_from([-1.0, 1.0]))
dead = st.one_of(signed, st.just(0.0), st.floats(-300, -10).map(lambda e: 10.0**e))
models = st.builds(Minimalist, sized, sized, signed)


@given(models, signed, dead, signed)
def test_sharpness_is_the_largest_eigenvalue_at_every_scale(model, alpha, beta1, beta2):
    w = [alpha, beta1, beta2]
    values = np.linalg.eigvalsh(model.hessian(w))
    # LAPACK is backward stable (a few ε‖H‖); so is the secular iteration
    assert abs(model.sharpness(w) - values[-1]) <= 20 * EPS * np.abs(values).max()


@given(sized, sized, signed, signed, dead, signed)
def test_sharpness_scales_with_the_teacher(lambda1, lambda2, b, alpha, beta1, beta2):
    """S(√|b|θ̃; b) = |b|·S(θ̃; sign b)."""
    root = math.sqrt(abs(b))
    one = Minimalist(lambda1, lambda2, math.copysign(1.0, b))
    a = Minimalist(lambda1, lambda2, b).sharpness([root * alpha, root * beta1, root * beta2])
    h = one.hessian([alpha, beta1, beta2])
    assert abs(a - abs(b) * one.sharpness([alpha, beta1, beta2])) <= 40 * EPS * abs(b) * np.abs(h).sum()


@given(models, signed, dead, signed)
def test_two_sided_bounds(model, alpha, beta1, beta2):
    """Prop 1.3, with b: (1, 3) entry λ2(2αβ2 − b)."""
    l1, l2, b = model.p
    w = [alpha, beta1, beta2]
    q, m, d = l1 * beta1**2 + l2 * beta2**2, l1 * alpha**2, l2 * alpha**2
    border, corner = l2 * abs(2 * alpha * beta2 - b), 2 * l1 * abs(alpha * beta1)
    s12 = (m + q) / 2 + math.hypot((m - q) / 2, corner)
    top = model.sharpness(w)
    slack = 20 * EPS * np.abs(model.hessian(w)).sum()
    assert m <= s12 + slack
    assert s12 <= top + slack
    assert top <= (s12 + d) / 2 + math.hypot((s12 - d) / 2, border) + slack
    assert top <= minimalist.sharpness_bound(tuple(w), model.p) + slack
    if l1 > l2:
        # division by a gap that is itself known to ε·s12 only
        gap = s12 - d
        assume(gap > 1e-6 * s12)
        assert gap >= (l1 - l2) * alpha**2 - slack
        assert top <= s12 + border**2 / gap * (1 + 1e-8) + slack
        if m > q * (1 + 1e-6):
            assert top <= m + (corner**2 / (m - q) + border**2 / ((l1 - l2) * alpha**2)) * (1 + 1e-8) + slack


@given(models, signed, dead, signed)
def test_crossing_test_by_minors_agrees_with_the_eigenvalue(model, alpha, beta1, beta2):
    w, one = (alpha, beta1, beta2), (1.0, 1.0, 1.0)
    top = model.sharpness(w)
    size = np.abs(model.hessian(w)).sum()
    # minors are products of three differences: decided where the distance is far above rounding
    assume(top > 1e-3 * size)
    assert minimalist.below(w, one, top * (1 + 1e-6), model.p)
    assert not minimalist.below(w, one, top * (1 - 1e-6), model.p)


# -- gradient flow -------------------------------------------------------------------------------------------

unit = st.floats(0.1, 1.5)


@settings(max_examples=25, deadline=None)  # the first integration imports SciPy
@given(st.floats(0.5, 3.0), st.floats(0.01, 0.4), st.floats(0.3, 2.0), unit, st.floats(-0.5, 0.5), unit)
def test_gradient_flow_conserves_c_and_ends_at_the_closed_form(lambda1, lambda2, b, alpha, beta1, beta2):
    """Prop 7.1. From α, β2 > 0 the flow stays away from the saddle."""
    model, w0, rtol = Minimalist(lambda1, lambda2, b), [alpha, beta1, beta2], 1e-10
    # the slowest rate at a minimiser is λ2(α² + b²/α²) ≥ 2λ2b; on the way it is about λ2·b or λ2·α²
    flow = gradient_flow(
        model, w0, np.linspace(0.0, 100.0 / (lambda2 * min(b, 1.0) * min(1.0, alpha)), 50), rtol=rtol
    )
    assert flow.failure == ""
    # at most ~10³ internal steps, each wrong by rtol·|w|, seen through |∇c| = 2|w|
    size = float(np.max(np.sum(flow.w**2, axis=1)))
    assert flow.drift.max() <= 1e3 * rtol * 2 * size
    # dA/dc ≤ 1 and S = λ1A or λ2(A + b²/A): the drift in c bounds the error of the sharpness
    reached, said = model.sharpness(flow.w[-1]), model.gfs_sharpness(w0)
    a = minimalist.gfs_alpha2(tuple(w0), model.p)
    assert abs(reached - said) <= (lambda1 + lambda2 * (1 + b**2 / a**2)) * 1e3 * rtol * 2 * size + 1e-7 * said


@given(signed, dead, signed, signed)
def test_closed_form_of_the_flow_has_no_cancellation(alpha, beta1, beta2, b):
    """α∞² solves A − b²/A = c to relative accuracy, also for c ≪ 0."""
    p = (1.0, 0.1, b)
    exact = (Fraction(1), Fraction(1, 10), Fraction(b))
    c = minimalist.conserved(tuple(map(Fraction, (alpha, beta1, beta2))), exact)
    a = Fraction(minimalist.gfs_alpha2((alpha, beta1, beta2), p))
    # c is a difference of squares: its rounding error is ε·(α² + β1² + β2²), and dA/A = dc/√(c² + 4b²)
    squares = alpha**2 + beta1**2 + beta2**2
    conditioning = squares / math.sqrt(float(c) ** 2 + 4 * b**2)
    residual = float((a - Fraction(b) ** 2 / a - c) / (a + Fraction(b) ** 2 / a))
    assert abs(residual) <= 20 * EPS * (1 + conditioning)


# -- on compiled trajectories ----------------------------------------------------------------------------------


def test_mean_loss_is_half_lambda2_r_up_to_boundary_terms():
    """I1 summed over a window (docs/theory §2)."""
    model, eta = Minimalist(1.0, 1e-3), 2.0
    ds = eoslab.trajectory(model, GD(lr=eta), [0.95, 1e-3, 0.9], steps=4000)
    alpha, r = ds.w.sel(param="alpha").values, model.residual(ds.w.values)
    n = len(alpha) - 1
    expected = (
        -model.lambda2 * r[:-1].mean() / 2
        + (alpha[0] ** 2 - alpha[-1] ** 2) / (4 * eta * n)
        + (np.diff(alpha) ** 2).mean() / (4 * eta)
    )
    # every step rounds α by ε/2, which enters the telescoped boundary term: n·ε·α²/(4ηn)
    assert abs(ds.loss.values[:-1].mean() - expected) <= 4 * EPS


def test_geometric_mean_of_the_multiplier_is_pinned():
    """I2 summed: mean log|1 − s| = (log w_N − log w_0)/(2N), and it is near 0 at the edge."""
    model, eta = Minimalist(1.0, 1e-3), 2.0
    ds = eoslab.trajectory(model, GD(lr=eta), [0.95, 1e-3, 0.9], steps=6000)
    alpha, beta1 = ds.w.sel(param="alpha").values, np.abs(ds.w.sel(param="beta1").values)
    t1 = int(ds.T1)
    logs = np.log(np.abs(1 - eta * alpha[t1:-1] ** 2))
    measured = (np.log(beta1[-1]) - np.log(beta1[t1])) / (6000 - t1)
    # each step rounds β1 and the factor by ε: the mean is right to a few ε/|1 − s| with |1 − s| > 0.8
    assert logs.mean() == pytest.approx(measured, abs=10 * EPS)
    # β1 gains a factor 1.5·10¹¹ in 5700 steps, which is 0.5 % a step
    assert abs(logs.mean()) < 0.01


def test_gradient_descent_from_data_sets_of_any_scale_is_the_same_run():
    """Only ηλ1, ηλ2 enter: scaling variances by 2¹⁰ and η by 2⁻¹⁰ changes no bit."""
    w0, scale = [0.95, 1e-3, 0.9], 2.0**10
    a = eoslab.trajectory(Minimalist(1.0, 1e-3), GD(lr=2.0), w0, steps=3000)
    b = eoslab.trajectory(Minimalist(scale, 1e-3 * scale), GD(lr=2.0 / scale), w0, steps=3000)
    assert np.array_equal(a.w, b.w)
    np.testing.assert_array_equal(a.eta_sharpness, b.eta_sharpness)
    assert a.event_step.values.tolist() == b.event_step.values.tolist()
