"""The exact identities, proved with SymPy from the same formulas that the evaluators run."""

from __future__ import annotations

import pytest
import sympy as sp

from eoslab.models import minimalist
from eoslab.theory import identities as ids
from eoslab.theory.critical import least_eta_sharpness, minimiser_eta_sharpness, saddle_spectrum
from eoslab.theory.endings import catapult_step, minimiser_multipliers
from eoslab.theory.generalizations import (
    conserved_defect,
    gradient_d,
    loss_d,
    loss_identity_d,
    multipliers_d,
    total_w,
)
from eoslab.theory.gfs import c_change
from eoslab.theory.hessian_bounds import characteristic, taylor_defect
from eoslab.theory.oscillation import frozen_determinant, frozen_step, frozen_trace, two_cycle_w
from eoslab.theory.reduced import coordinates, normalise, reduced_step
from eoslab.theory.stable_set import distance_squared, fixed_amplitude, progressive_sharpening, self_stabilization

A, B1, B2 = sp.symbols("alpha beta1 beta2", real=True)
H, H1, L1, L2, LR, T = sp.symbols("h h1 lambda1 lambda2 eta b", positive=True)
W = (A, B1, B2)


def zero(x):
    return sp.simplify(sp.expand(sp.together(x))) == 0


@pytest.mark.parametrize("name", ids.IDENTITIES)
def test_one_step_identity(name):
    for identity in ids.IDENTITIES[name]:
        defect, _ = identity(W, H, H1)
        assert zero(defect)


def test_loss_identity_in_gradient_form():
    p = (L1, L2, 1)
    g = minimalist.grad(W, p)
    r = A * B2 - 1
    assert zero(minimalist.loss(W, p) - (-L2 * r / 2 + A * g[0] / 2))


def test_balance_is_kept_up_to_a_factor_where_beta1_is_zero():
    assert zero(ids.balance_at_zero(A, B2, H))


def test_reduced_map_is_gradient_descent_for_any_teacher():
    c = coordinates(W, (L1, L2, T), LR)
    after = coordinates(minimalist.gd_step(W, LR, (L1, L2, T)), (L1, L2, T), LR)
    for ours, theirs in zip(
        reduced_step(c.s, c.w, c.r, c.steps.k, c.steps.eps), (after.s, after.w, after.r), strict=True
    ):
        assert zero(ours - theirs)


def test_scaling_with_the_teacher():
    one = (L1, L2, 1)
    moved = normalise(minimalist.gd_step(W, LR, (L1, L2, T)), (L1, L2, T))
    for ours, theirs in zip(moved, minimalist.gd_step(normalise(W, (L1, L2, T)), LR * T, one), strict=True):
        assert zero(ours - theirs)
    assert zero(minimalist.loss(W, (L1, L2, T)) - T**2 * minimalist.loss(normalise(W, (L1, L2, T)), one))


def test_loss_is_its_taylor_polynomial_of_degree_four():
    v = sp.symbols("x y z", real=True)
    assert zero(taylor_defect(W, v, (L1, L2, T)))


def test_characteristic_polynomial_is_the_determinant():
    mu = sp.Symbol("mu")
    M = sp.Matrix(minimalist.hessian(W, (L1, L2, T)))
    assert zero(characteristic(mu, W, (L1, L2, T)) - (mu * sp.eye(3) - M).det())


def test_critical_points_and_their_spectra():
    p = (L1, L2, 1)
    a = sp.Symbol("a", positive=True)
    at_min = {A: a, B1: 0, B2: 1 / a}
    assert all(zero(g.subs(at_min)) for g in minimalist.grad(W, p))
    M = sp.Matrix(minimalist.hessian(W, p)).subs(at_min)
    expected = {L1 * a**2, sp.simplify(L2 * (a**2 + a**-2)), sp.Integer(0)}
    for value in expected:
        assert zero(M.charpoly().eval(value))
    at_saddle = {A: 0, B2: 0}
    assert all(zero(g.subs(at_saddle)) for g in minimalist.grad(W, p))
    S = sp.Matrix(minimalist.hessian(W, p)).subs(at_saddle)
    for value in saddle_spectrum(B1, L1, L2):
        assert zero(S.charpoly().eval(value))


def test_least_sharpness_of_a_minimiser_is_the_numerical_minimum():
    import numpy as np

    for h, h1 in ((0.3, 0.5), (0.9, 1.5), (0.01, 4.0), (1.3, 1.7), (0.2, 7.0)):
        s = np.geomspace(1e-4, 100, 400_001)
        best = float(np.min(minimiser_eta_sharpness(s, h1 / h, h * h1)))
        assert float(least_eta_sharpness(h, h1)) == pytest.approx(best, rel=1e-4)


def test_multipliers_at_a_minimiser():
    a = sp.Symbol("a", positive=True)
    s, k, eps = H1 * a**2, H1 / H, H * H1
    step = sp.Matrix(minimalist.gd_step(W, 1, (H1, H, 1)))
    J = step.jacobian(sp.Matrix(W)).subs({A: a, B1: 0, B2: 1 / a})
    for value in minimiser_multipliers(s, k, eps):
        assert zero(J.charpoly().eval(value))


def test_frozen_two_cycle_and_its_jacobian():
    s, w = sp.symbols("s w", positive=True)
    r = sp.Symbol("r", real=True)
    beta2 = (1 + r) / sp.sqrt(2 / H1)
    F = sp.Matrix(frozen_step(s, w, beta2, H, H1))
    at = {s: 2, w: two_cycle_w(r, H * H1)}
    assert zero(F[0].subs(at) - 2)
    assert zero(F[1].subs(at) - at[w])
    J = F.jacobian(sp.Matrix([s, w])).subs(at)
    assert zero(J.trace() - frozen_trace(r, H * H1))
    assert zero(J.det() - sp.nsimplify(frozen_determinant(r, H * H1)))
    # Stability (Jury): det < 1 iff r > −1/8, the other two conditions for ε < 4.
    assert zero((1 - J.trace() + J.det()) + 4 * H * H1 * r * (1 + r))
    assert zero((1 + J.trace() + J.det()) - (4 - H * H1 * (1 + r) * (1 + 4 * r)))


def test_coefficients_of_the_stable_set():
    r = A * B2 - 1
    p = (L1, L2, 1)
    g, grad_s = sp.Matrix(minimalist.grad((A, 0, B2), p)), sp.Matrix(minimalist.third((A, 0, B2), (0, 1, 0), p))
    a, b = progressive_sharpening(r, L1, L2), self_stabilization(A, L1)
    assert zero(-g.dot(grad_s) - a)
    assert zero(grad_s.dot(grad_s) - b)
    edge = {A: sp.sqrt(2 / (LR * L1))}
    rs = sp.Symbol("r", real=True)
    fixed = fixed_amplitude(progressive_sharpening(rs, L1, L2), b).subs(edge)
    assert zero(fixed + LR * L2 * rs * (1 + rs) / 2)


def test_distance_to_the_constrained_trajectory():
    edge = sp.sqrt(2 / H1)
    rd = sp.Symbol("r_dagger", real=True)
    direct = (A - edge) ** 2 + B1**2 + (B2 - (1 + rd) / edge) ** 2
    assert zero(direct - distance_squared(A / edge, H1 * B1**2, edge * B2 - 1, rd, edge))


def test_change_of_the_conserved_quantity_has_three_terms():
    after = ids.step(W, H, H1)
    change = after[0] ** 2 - after[1] ** 2 - after[2] ** 2 - A**2 + B1**2 + B2**2
    assert zero(change - sum(c_change(A, B1, B2, H, H1)))


def test_catapult_law_without_a_relevant_direction():
    s, w = sp.symbols("s w", positive=True)
    s1, w1 = catapult_step(s, w)
    assert zero(s1 + w1 - 4 - (s + w - 4) * (1 + s * w))
    # On Σ = 4 the map is the cubic Chebyshev map 4cos²φ → 4cos²3φ.
    phi = sp.Symbol("phi", real=True)
    image = catapult_step(4 * sp.cos(phi) ** 2, 4 - 4 * sp.cos(phi) ** 2)[0]
    assert zero(sp.expand(image - 4 * sp.expand_trig(sp.cos(3 * phi)) ** 2))


def test_d_input_identities():
    beta, lam = sp.symbols("b0:4", real=True), sp.symbols("l0:4", positive=True)
    v = sp.symbols("v0:4", real=True)
    assert zero(loss_identity_d(A, beta, lam, v))
    assert zero(conserved_defect(A, beta, lam, v, LR))
    g, gb = gradient_d(A, beta, lam, v)
    assert zero(sp.diff(loss_d(A, beta, lam, v), A) - g)
    assert all(zero(sp.diff(loss_d(A, beta, lam, v), x) - y) for x, y in zip(beta, gb, strict=True))
    relevant = (0, 0, 0, 1)
    g, gb = gradient_d(A, beta, lam, relevant)
    s, w, r = LR * lam[0] * A**2, total_w(beta[:3], lam[:3], LR), A * beta[3] - 1
    assert zero(A - LR * g - (A * (1 - w) - LR * lam[3] * r * beta[3]))
    for x, y, m in zip(beta[:3], gb[:3], multipliers_d(s, lam[:3]), strict=True):
        assert zero(x - LR * y - m * x)
