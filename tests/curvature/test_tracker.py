"""Propositions about following eigenpairs along a slowly changing operator."""

from __future__ import annotations

import numpy as np
import pytest

from eoslab.core.errors import InvalidArgument
from eoslab.curvature import FunctionOperator, Tracker

N = 120


def rotating(t: float, spectrum: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """A symmetric matrix whose eigenvectors turn smoothly with t and whose top two cross at t = 1."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((N, N)))[0]
    K = rng.standard_normal((N, N)) / np.sqrt(N)
    turn = np.linalg.qr(np.eye(N) + 0.15 * t * (K - K.T))[0]
    lam = (
        np.r_[2.0, 2.2 - 0.2 * t, 1.9, 1.5, 1.2, 0.8 / np.arange(1, N - 5), -0.3] if spectrum is None else spectrum
    )
    lam = lam.copy()
    lam[0] += 0.2 * t - 0.2
    A = (turn @ U) * lam @ (turn @ U).T
    return (A + A.T) / 2


PATH = np.linspace(0.0, 2.0, 80)


@pytest.mark.parametrize("k", [1, 3])
def test_every_value_of_a_path_is_within_tolerance_and_bounds_at_a_fraction_of_the_products(k):
    tracker, worst, first = Tracker(k=k, tol=1e-3), 0.0, 0
    for t in PATH:
        A = rotating(t)
        exact = np.linalg.eigvalsh(A)[::-1][:k]
        r = tracker.measure(A)
        assert r.converged.all()
        assert (r.bounds[:, 0] <= exact).all()
        assert (exact <= r.bounds[:, 1]).all()
        worst = max(worst, float(np.abs(r.values / exact - 1).max()))
        first = first or r.matvecs
    assert worst <= 1e-3
    assert (tracker.total_matvecs - first) / (len(PATH) - 1) <= 2.0 + 1.5 * k
    assert first > 8


def test_the_lower_end_of_the_bounds_is_the_ritz_value_and_the_residual_is_that_of_the_vector():
    tracker = Tracker(k=2, tol=1e-6)
    for t in PATH[:5]:
        A = rotating(t)
        r = tracker.measure(A)
        ritz = (r.vectors * (A @ r.vectors)).sum(0)
        assert ritz[0] <= np.linalg.eigvalsh(A)[-1] * (1 + 1e-14)
        assert r.bounds[:, 0] == pytest.approx(ritz, rel=1e-13)
        measured = np.linalg.norm(A @ r.vectors - r.vectors * ritz, axis=0)
        assert measured == pytest.approx(r.residuals, abs=1e-9)


def test_the_corrected_value_lies_within_the_bounds_and_nearer_to_the_truth_than_the_ritz_value():
    tracker, plain, corrected = Tracker(tol=1e-3), 0.0, 0.0
    for t in PATH:
        A = rotating(t)
        exact = np.linalg.eigvalsh(A)[-1]
        r = tracker.measure(A)
        assert r.bounds[0, 0] <= r.values[0] <= r.bounds[0, 1]
        plain, corrected = plain + abs(r.bounds[0, 0] - exact), corrected + abs(r.values[0] - exact)
    assert corrected < 0.8 * plain


def swinging(t: int) -> np.ndarray:
    """A fixed matrix plus one that changes its sign at each step: the motion along the edge of stability."""
    rng = np.random.default_rng(1)
    D = rng.standard_normal((N, N))
    lam = np.r_[2.0, 1.9, 1.8, np.linspace(0.0, 1.0, N - 3)]
    return np.diag(lam) + (-1) ** t * 0.02 * (D + D.T)


def test_a_motion_of_period_two_is_predicted():
    """Once both states have been seen, few products are needed; from the last vector it would be six."""
    tracker, products = Tracker(tol=1e-3, refresh=0), []
    for t in range(24):
        r = tracker.measure(swinging(t))
        products.append(r.matvecs)
        assert r.values[0] == pytest.approx(np.linalg.eigvalsh(swinging(t))[-1], rel=1e-3)
    assert np.mean(products[12:]) <= 3.0


def test_an_unchanged_operator_costs_one_product_per_pair():
    tracker = Tracker(k=1, tol=1e-6)
    A = rotating(0.3)
    tracker.measure(A)
    assert tracker.measure(A).matvecs == 1


def test_a_hidden_direction_is_found_by_reseeding():
    """A direction orthogonal to everything tracked overtakes: only a random start can see it."""
    lam = np.linspace(0.1, 0.5, N)
    lam[-1] = 1.0
    A = np.diag(lam)
    tracker = Tracker(tol=1e-6, reseed=5)
    for _ in range(3):
        tracker.measure(A)
    A[0, 0] = 2.0
    values = [float(tracker.measure(A).values[0]) for _ in range(5)]
    assert values[-1] == pytest.approx(2.0, rel=1e-6)


def test_the_state_continues_bit_for_bit():
    whole, first = Tracker(k=2, tol=1e-4, reseed=7), Tracker(k=2, tol=1e-4, reseed=7)
    expected = [whole.measure(rotating(t)) for t in PATH[:20]]
    for t in PATH[:9]:
        first.measure(rotating(t))
    second = Tracker(k=2, tol=1e-4, reseed=7)
    second.restore(first.state())
    for t, r in zip(PATH[9:20], expected[9:], strict=True):
        again = second.measure(rotating(t))
        assert np.array_equal(again.values, r.values)
        assert np.array_equal(again.vectors, r.vectors)
        assert again.matvecs == r.matvecs
    assert second.total_matvecs == whole.total_matvecs


def test_a_budget_is_kept_and_its_exhaustion_reported():
    tracker = Tracker(tol=1e-8, max_products=3)
    r = tracker.measure(rotating(0.0))
    assert r.matvecs == 3
    assert not r.converged[0]
    costly = Tracker(tol=1e-8, max_cost=4.0, product_cost=2.0)
    assert costly.measure(rotating(0.0)).matvecs == 2


def test_a_product_that_is_not_finite_is_recorded_and_the_next_point_starts_afresh():
    tracker = Tracker(tol=1e-6)
    tracker.measure(rotating(0.0))
    bad = tracker.measure(FunctionOperator(lambda v: v * np.inf, N))
    assert np.isnan(bad.values[0])
    assert not bad.converged[0]
    A = rotating(0.1)
    assert tracker.measure(A).values[0] == pytest.approx(np.linalg.eigvalsh(A)[-1], rel=1e-6)


def test_single_precision_products_reach_the_tolerance():
    tracker = Tracker(tol=1e-3)
    for t in PATH[:30]:
        A = rotating(t).astype(np.float32)
        r = tracker.measure(FunctionOperator(lambda v, A=A: A @ v, N, np.float32))
        assert r.dtype == "float32"
        assert r.values[0] == pytest.approx(np.linalg.eigvalsh(A.astype(float))[-1], rel=1e-3)


def test_the_cadence_is_dense_around_the_threshold_and_sparse_away_from_it():
    tracker = Tracker(every=10, dense=0.1)
    assert tracker.due(0)
    tracker.note(0, 0.5)
    assert not tracker.due(5)
    assert tracker.due(10)
    tracker.note(10, 0.95)
    assert tracker.due(11)


def test_far_below_the_threshold_the_tolerance_may_be_loosened_and_the_result_says_so():
    tracker = Tracker(tol=1e-3, loosen=10.0)
    tracker.note(0, 0.3)
    assert tracker.measure(rotating(0.0)).tol == pytest.approx(1e-2)
    tracker.note(1, 0.98)
    assert tracker.measure(rotating(0.01)).tol == pytest.approx(1e-3)


def test_operators_smaller_than_the_memory_work():
    assert Tracker(tol=1e-9).measure(np.array([[2.0]])).values[0] == pytest.approx(2.0)
    assert Tracker(k=3, tol=1e-9).measure(np.diag([1.0, 2.0, 3.0])).values == pytest.approx([3, 2, 1])
    assert Tracker(k=2, tol=1e-9).measure(np.zeros((3, 3))).values == pytest.approx([0, 0])


@pytest.mark.parametrize("wrong", [{"k": 0}, {"tol": 0.0}, {"max_cost": 0.0}, {"loosen": 0.5}, {"every": 0}])
def test_settings_without_a_meaning_are_refused(wrong):
    with pytest.raises(InvalidArgument):
        Tracker(**wrong)


def test_more_pairs_than_dimensions_are_refused():
    with pytest.raises(InvalidArgument, match="at most"):
        Tracker(k=4).measure(np.eye(3))
