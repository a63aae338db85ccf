"""What the papers say about the neighbour models, as propositions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eoslab
from eoslab.core.symmetric import symmetric2_top, symmetric_top
from eoslab.models import (
    UV,
    Berthier,
    ProductRoot,
    ProductSquare,
    ScalarProduct,
    product_square,
    scalar_product,
    uv,
)
from eoslab.optimizers import GD

EPS = np.finfo(float).eps
rational = st.integers(-40, 40).map(lambda i: Fraction(i, 16))


@given(rational, rational, rational.filter(bool), rational, st.integers(1, 40).map(lambda i: Fraction(i, 16)))
def test_uv_moves_by_the_closed_map_in_function_space(u, v, x, y, eta):
    """Kalra, He, Barkeshli: f⁺ = f − ηλΔf + η²x²fΔf², λ⁺ = λ + ηx²Δf(ηλΔf − 4f), exactly."""
    f, lam = u * v * x, x**2 * (u**2 + v**2)
    gap = f - y
    u1, v1 = uv.gd_step((u, v), eta, (x, y))
    assert u1 * v1 * x == f - eta * lam * gap + eta**2 * x**2 * f * gap**2
    assert x**2 * (u1**2 + v1**2) == lam + eta * x**2 * gap * (eta * lam * gap - 4 * f)


@given(rational, rational, st.integers(1, 40).map(lambda i: Fraction(i, 64)))
def test_paired_start_of_the_scalar_product_is_the_product_square(x, y, eta):
    g = scalar_product.grad((x, y, x, y), ())
    assert product_square.gd_step((x, y), eta, ()) == (x - eta * g[0], y - eta * g[1])
    assert (g[0], g[1]) == (g[2], g[3])


@given(
    st.tuples(rational, rational, rational, rational).filter(all),
    st.integers(1, 40).map(lambda i: Fraction(i, 64)),
)
def test_balances_of_the_scalar_product_shrink_by_a_known_factor(w, eta):
    """Kreisler et al.: b_ij⁺ = b_ij(1 − η²(π−1)²π²/(w_i²w_j²))."""
    pi, g = scalar_product.product(w), scalar_product.grad(w, ())
    new = tuple(x - eta * y for x, y in zip(w, g, strict=True))
    for i in range(4):
        for j in range(i):
            factor = 1 - eta**2 * (pi - 1) ** 2 * pi**2 / (w[i] ** 2 * w[j] ** 2)
            assert new[i] ** 2 - new[j] ** 2 == (w[i] ** 2 - w[j] ** 2) * factor


def test_gfs_sharpness_of_the_scalar_product_does_not_increase_at_the_edge():
    """Kreisler et al. 2023: the sharpness oscillates, the gradient-flow-solution sharpness does not."""
    ds = eoslab.trajectory(ScalarProduct(), GD(lr=0.2), (2.4, 0.3, 2.2, 0.5), steps=4000)
    gfs, sharpness = ds.gfs_sharpness.values, ds.sharpness.values
    assert np.diff(gfs).max() <= 20 * EPS * gfs[0]
    assert np.diff(sharpness).max() > 0.1
    assert gfs[-1] == pytest.approx(sharpness[-1], rel=1e-9)
    assert sharpness[-1] < 2 / 0.2 < gfs[0]


def test_gfs_sharpness_of_paired_weights_has_a_closed_form():
    rng = np.random.default_rng(0)
    w = rng.uniform(-3, 3, (200, 2))
    paired = np.concatenate([w, w], axis=1)
    np.testing.assert_allclose(ScalarProduct().gfs_sharpness(paired), ProductSquare().gfs_sharpness(w), rtol=1e-13)


@pytest.mark.parametrize(
    ("model", "coefficient"),
    [(ProductSquare(), 0.5), (ProductRoot(), 1.0)],
    ids=["product-square", "product-root"],
)
def test_limiting_sharpness_has_the_universal_gap(model, coefficient):
    """ηS∞ = 2 − 3η²·l''⁴/(3l'''² − l''l'''')+ O(η³) for l(xy) from an adiabatic start just above the edge.

    ℓ = ¼(1 − z²)² at z = 1: l'' = 2, l''' = l'''' = 6, so ½; ℓ = √(1 + z²) − 1 at 0: 1, 0, −3, so 1.
    """
    ratios = []
    for eta in (0.05, 0.025):
        # a GFS sharpness of 2.05/η: it crosses slowly
        target = 2.05 / eta
        balance = target if isinstance(model, ProductRoot) else np.sqrt((target / 2) ** 2 - 4)
        y = 1e-3 if isinstance(model, ProductRoot) else 0.9 / np.sqrt(balance)
        w0 = (np.sqrt(balance + y**2), y)
        ds = eoslab.trajectory(model, GD(lr=eta), w0, steps=int(400 / eta**2), record_every=10_000)
        assert ds.outcome.item() == "converged"
        ratios.append((2 - float(ds.eta_sharpness[-1])) / eta**2)
    # the next order is relative O(η): it is below 10 % here and gets smaller with η
    assert ratios == pytest.approx([coefficient] * 2, rel=0.1)


def test_uv_has_no_stable_minimum_beyond_one_over_xy():
    below = eoslab.trajectory(UV(x=1.0, y=1.0), GD(lr=0.98), (1.2, 0.8), steps=20_000)
    above = eoslab.trajectory(UV(x=1.0, y=1.0), GD(lr=1.02), (1.2, 0.8), steps=20_000)
    assert below.outcome.item() == "converged"
    assert above.outcome.item() == "period-2"


def test_catapult_of_the_lewkowycz_model():
    """y = 0: below 2/η lazy, between 2/η and 4/η it catapults to below 2/η, above 4/η it diverges."""
    model, eta = UV(x=1.0, y=0.0), 1.0
    ends = {}
    for lam in (1.5, 3.0, 4.2):
        w0 = (np.sqrt(lam), 1e-3)
        ends[lam] = eoslab.trajectory(model, GD(lr=eta), w0, steps=2000)
    assert [e.regime.item() for e in ends.values()] == ["stable", "catapult", "diverged"]
    assert float(ends[1.5].sharpness[-1]) == pytest.approx(1.5, rel=1e-3)
    assert float(ends[3.0].sharpness[-1]) < 2


def test_berthier_hovers_at_the_edge():
    eta = 0.3
    ds = eoslab.trajectory(Berthier(zeta=1.0, epsilon=1e-3), GD(lr=eta), steps=20_000)
    late = ds.w.sel(param="y").values[10_000:]
    # y is held at 2/η up to the amplitude of the oscillation, √ε times constants
    assert abs(eta * late.mean() - 2) < 0.1
    assert float(ds.loss[-1]) < 0
    assert ds.outcome.item() != "converged"


@given(st.integers(1, 5), st.integers(0, 2**31))
def test_jacobi_finds_the_largest_eigenvalue(n, seed):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
    # spectra with clusters and of many scales
    values = rng.choice([1.0, 1.0 + 1e-9, -1.0, 1e-8, 0.0], n) * 10.0 ** rng.integers(-5, 5)
    h = (basis * values) @ basis.T
    h = (h + h.T) / 2
    top = symmetric_top(tuple(map(tuple, h.tolist())), (1.0,) * n)
    assert abs(top - np.linalg.eigvalsh(h)[-1]) <= 20 * n * EPS * np.abs(values).max()
    if n == 2:
        assert abs(symmetric2_top(h[0, 0], h[0, 1], h[1, 1]) - top) <= 20 * n * EPS * np.abs(values).max()


def test_an_infinite_matrix_has_no_plausible_eigenvalue():
    assert np.isnan(symmetric_top(((1.0, np.inf), (np.inf, 1.0)), (1.0, 1.0)))
