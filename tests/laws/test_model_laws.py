"""Laws of every model in the catalog: derivatives, number types, conserved quantities, homogeneity, sharpness."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from subjects import MODELS, as_tuple, fraction, points, subject

DIGITS = 50
#: Step of the central differences at 50 digits.
H = mpmath.mpf("1e-15")
#: The error of a central difference is H²·|third derivative|/6 ≈ 1e-30·(< 1e4 in the box of points); cancellation
#: adds 10^−50/H. Both stay below this, which no wrong formula does.
TOLERANCE = 1e-25


@pytest.fixture(params=MODELS)
def one(request):
    return subject(request.param)


def mp_point(row):
    return tuple(mpmath.mpf(float(x)) for x in row)


def moved(w, i, by):
    return tuple(x + by if i == j else x for j, x in enumerate(w))


def difference(f, w, i):
    return (f(moved(w, i, H)) - f(moved(w, i, -H))) / (2 * H)


def close(a, b):
    return abs(a - b) <= TOLERANCE * (1 + abs(b))


def test_gradient_is_the_derivative_of_the_loss(one):
    with mpmath.workdps(DIGITS):
        p = one.parameters(mpmath.mpf)
        for row in points(one.n):
            w = mp_point(row)
            for i, g in enumerate(one.grad(w, p)):
                assert close(difference(lambda x: one.loss(x, p), w, i), g)


def test_hessian_is_symmetric_and_the_derivative_of_the_gradient(one):
    with mpmath.workdps(DIGITS):
        p = one.parameters(mpmath.mpf)
        for row in points(one.n):
            w = mp_point(row)
            rows = one.hessian(w, p)
            for i in range(one.n):
                for j in range(one.n):
                    assert rows[i][j] == rows[j][i]
                    assert close(difference(lambda x, i=i: one.grad(x, p)[i], w, j), rows[i][j])


def test_third_derivative_is_the_gradient_of_the_curvature_along_a_direction(one):
    if one.third is None:
        # formulas for arrays only: central differences in float64, step ∛ε, error ε^(2/3)·|fifth derivative|
        h, model = np.finfo(float).eps ** (1 / 3), one.model
        for w, u in zip(points(one.n), points(one.n, seed=1), strict=True):
            for i in range(one.n):
                e = np.eye(one.n)[i] * h
                slope = (u @ model.hessian(w + e) @ u - u @ model.hessian(w - e) @ u) / (2 * h)
                assert abs(slope - model.third(w, u)[i]) < 1e3 * h**2
        return
    with mpmath.workdps(DIGITS):
        p = one.parameters(mpmath.mpf)
        for row, direction in zip(points(one.n), points(one.n, seed=1), strict=True):
            w, u = mp_point(row), mp_point(direction)

            def curvature(x, u=u):
                rows = one.hessian(x, p)
                return sum(u[i] * rows[i][j] * u[j] for i in range(one.n) for j in range(one.n))

            for i, t in enumerate(one.third(w, u, p)):
                assert close(difference(curvature, w, i), t)


def test_methods_broadcast_over_leading_axes_and_agree_with_single_points(one):
    model, w = one.model, points(one.n, 6).reshape(2, 3, one.n)
    u = points(one.n, 6, seed=1).reshape(2, 3, one.n)
    whole = [
        model.loss(w),
        model.grad(w),
        model.hessian(w),
        model.hvp(w, u),
        model.third(w, u),
        model.sharpness(w),
    ]
    shapes = [(2, 3), (2, 3, one.n), (2, 3, one.n, one.n), (2, 3, one.n), (2, 3, one.n), (2, 3)]
    assert [np.shape(x) for x in whole] == shapes
    for i, j in np.ndindex(2, 3):
        x, d = w[i, j], u[i, j]
        single = [model.loss(x), model.grad(x), model.hessian(x), model.hvp(x, d), model.third(x, d)]
        for a, b in zip(whole, [*single, model.sharpness(x)], strict=True):
            # a few operations on numbers below 10³: some 10 units in the last place of those
            np.testing.assert_allclose(a[i, j], b, rtol=1e-13, atol=1e-12)


def test_floats_and_exact_rationals_agree(one):
    p, exact_p = one.model.p, one.parameters(fraction)
    for row in points(one.n):
        w, exact_w = tuple(row.tolist()), tuple(map(Fraction, row.tolist()))
        for a, b in zip(one.grad(w, p), one.grad(exact_w, exact_p), strict=True):
            assert abs(a - float(b)) < 1e-12 * (1 + abs(a))


def test_factored_descent_map_is_a_gradient_step(one):
    if one.gd_step is None:
        return
    w, lr, p = symbols(one)
    for new, old, g in zip(one.gd_step(w, lr, p), w, one.grad(w, p), strict=True):
        assert sympy.expand(new - (old - lr * g)) == 0


def symbols(one):
    w = sympy.symbols(f"w0:{one.n}", real=True)
    lr = sympy.Symbol("lr", positive=True)
    p = one.parameters(lambda x: sympy.Rational(Fraction(str(x))))
    return w, lr, p


def test_gradient_flow_conserves_what_is_claimed(one):
    if one.conserved is None:
        return
    w, _, p = symbols(one)
    for c in as_tuple(one.conserved(w, p)):
        assert sympy.expand(sum(sympy.diff(c, x) * g for x, g in zip(w, one.grad(w, p), strict=True))) == 0


def test_homogeneous_components_move_linearly_and_act_by_their_square(one):
    w, _, p = symbols(one)
    g = one.grad(w, p)
    for i in one.model.homogeneous:
        assert sympy.expand(sympy.diff(g[i], w[i], 2)) == 0
        assert sympy.expand(g[i].subs(w[i], 0)) == 0
        for j in range(one.n):
            if j != i:
                assert sympy.expand(g[j].subs(w[i], -w[i]) - g[j]) == 0


def test_balls_contain_the_value_at_every_point_of_theirs(one):
    from flint import arb, ctx

    before, ctx.prec = ctx.prec, 192
    try:
        p = one.parameters(arb)
        for row in points(one.n):
            ball = tuple(arb(float(x), 2.0**-20) for x in row)
            results = [*one.grad(ball, p)] + ([*one.gd_step(ball, arb(0.25), p)] if one.gd_step else [])
            for shift in (-1, 0.5, 1):
                inner = tuple(float(x) + shift * 2.0**-20 for x in row)
                with mpmath.workdps(80):
                    q, w = one.parameters(mpmath.mpf), tuple(map(mpmath.mpf, inner))
                    values = [*one.grad(w, q)] + ([*one.gd_step(w, mpmath.mpf(0.25), q)] if one.gd_step else [])
                    for enclosure, value in zip(results, values, strict=True):
                        assert enclosure.contains(arb(mpmath.nstr(value, 60)))
    finally:
        ctx.prec = before


def test_sharpness_is_the_largest_eigenvalue(one):
    model = one.model
    for w in points(one.n, 40):
        values = np.linalg.eigvalsh(model.hessian(w))
        # both are backward stable: some units in the last place of the norm
        assert abs(model.sharpness(w) - values[-1]) <= 40 * np.finfo(float).eps * np.abs(values).max()


def test_preconditioned_sharpness_is_that_of_the_scaled_hessian(one):
    if one.third is None:
        return
    formulas, p = one.model.formulas, one.model.p
    for w, d in zip(points(one.n, 20), np.abs(points(one.n, 20, seed=2)) + 0.1, strict=True):
        scaled = d[:, None] * one.model.hessian(w) * d
        values = np.linalg.eigvalsh(scaled)
        top, size = values[-1], np.abs(values).max()
        slack = 40 * np.finfo(float).eps * size
        assert abs(formulas.sharpness(tuple(w.tolist()), tuple(d.tolist()), p) - top) <= slack
        if hasattr(formulas, "below"):
            wd = tuple(w.tolist()), tuple(d.tolist())
            assert formulas.below(*wd, top + 1e-9 * size, p)
            assert not formulas.below(*wd, top - 1e-9 * size, p)


def test_gradient_flow_solution_sharpness_is_a_fixed_point_of_itself(one):
    """At the end of the flow the closed form equals the sharpness there."""
    from eoslab.flows.gradient_flow import gradient_flow

    if not hasattr(one.model, "gfs_sharpness"):
        return
    w0 = np.abs(points(one.n, 4, seed=3)) + 0.1
    for w in w0:
        flow = gradient_flow(one.model, w, [0.0, 1e4])
        assert flow.failure == ""
        # the flow has converged (rates ≥ 0.01); what is left is the drift and the tolerance of the integrator
        assert one.model.sharpness(flow.w[-1]) == pytest.approx(one.model.gfs_sharpness(w), rel=1e-6)


def test_default_start_and_scale_are_usable(one):
    model = one.model
    assert len(model.default_w0) == one.n
    assert np.isfinite(model.loss(model.default_w0))
    assert model.loss_scale > 0
    assert model.reference
    assert model.loss_min <= model.loss(model.default_w0)
