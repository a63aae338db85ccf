"""How axes are typed, and what designs make of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eoslab.core.errors import EoslabError, InvalidArgument
from eoslab.models import Minimalist
from eoslab.optimizers import GD
from eoslab.results.grid import Axis, lay_out, parse_axis
from eoslab.results.sweep import counts, plan, sweep


def test_a_range_includes_its_ends():
    assert parse_axis("lr", "1:4:4").values == (1.0, 2.0, 3.0, 4.0)
    assert parse_axis("k", "1:100:3:log").values == (1.0, 10.0, 100.0)


def test_a_list_keeps_the_commas_of_its_values():
    assert parse_axis("lr", "2/40|2/60").values == (2 / 40, 2 / 60)
    assert parse_axis("init", "0.3,1e-3,0.1|0.5,1,2").values == ((0.3, 1e-3, 0.1), (0.5, 1.0, 2.0))
    assert parse_axis("hidden", "64,64|128,128").coordinate.tolist() == ["64,64", "128,128"]


@pytest.mark.parametrize(
    "text",
    ["1:4", "1:4:0", "1:4:2.5", "0:1:3:log", "1:a:3", "1:4:3:cubic", "", "1||2", "1|1", "inf", "2/0", "1:4:-1"],
)
def test_a_text_that_is_no_axis_is_refused_by_name(text):
    with pytest.raises(InvalidArgument):
        parse_axis("lr", text)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 50), st.sampled_from(["", ":log"]))
def test_coarse_points_are_points_of_the_refined_axis(lo, hi, n, scale):
    if lo == hi:
        return
    axis = parse_axis("x", f"{lo!r}:{hi!r}:{n}{scale}")
    fine = axis.refined(2)
    assert len(fine.values) == (n - 1) * 4 + 1
    np.testing.assert_allclose(fine.values[::4], axis.values, rtol=1e-12)
    assert (fine.values[0], fine.values[-1]) == (axis.values[0], axis.values[-1])


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_more_samples_begin_with_the_same_cells(design):
    few, many = (lay_out({"lr": "1:4:2", "k": "1:100:2:log"}, design, n, 5) for n in (8, 32))
    for a, b in zip(few.axes, many.axes, strict=True):
        assert a.values == b.values[:8]
        assert all(1 <= value <= 100 for value in b.values)


def test_a_union_holds_the_cells_of_both():
    a, b = lay_out({"x": "1|2", "y": "1|2"}), lay_out({"x": "2|3", "y": "1"})
    both = a.union(b)
    assert both.shape == (3, 2)
    assert [axis.values for axis in both.axes] == [(1.0, 2.0, 3.0), (1.0, 2.0)]
    np.testing.assert_array_equal(both.find(a), [0, 1, 2, 3])
    rows = rows_of(lay_out({"x": "1|2"}, "list").union(lay_out({"x": "2|3"}, "list")))
    assert rows == [(1.0,), (2.0,), (3.0,)]


def rows_of(layout):
    return list(zip(*(axis.values for axis in layout.axes), strict=True))


def test_derived_axes_mean_what_the_theory_says():
    """λ1 = b = 1: η = 2/α_e², λ2 = 1/k; s0 = ηλ1α², w0 = ηλ1β1², c0 = α² − β1² − β2²."""
    made = plan(Minimalist, GD, {"alpha_e": 0.8, "k": 100.0, "c0": 0.1, "s0": 0.5, "w0": 1e-4}, steps=10)
    w, h, p, exists, threshold = made.problem.arrays(made.layout.columns(np.arange(1)))
    lr = h[0, 0]
    assert exists.all()
    assert threshold[0] == 2.0
    assert lr == pytest.approx(2 / 0.8**2)
    assert p[0].tolist() == [1.0, 0.01, 1.0]
    alpha, beta1, beta2 = w[0]
    assert [lr * alpha**2, lr * beta1**2, alpha**2 - beta1**2 - beta2**2] == pytest.approx([0.5, 1e-4, 0.1])
    assert min(alpha, beta1, beta2) > 0


def test_a_start_that_does_not_exist_is_an_outcome_and_its_neighbours_are_not_disturbed():
    grid = {"alpha_e": "0.5:2:8", "k": 100.0, "c0": "0|0.5|5", "s0": 0.5, "w0": 1e-4}
    ds = sweep(Minimalist, GD, grid, steps=100)
    none = ds.outcome == list(ds.outcome.attrs["flag_meanings"].split()).index("no-such-start")
    assert none.sel(c0=5.0).all()
    assert not none.sel(c0=0.0).any()
    assert (ds.regime.values[none.values] == -1).all()
    assert ds.measured.all()
    alone = sweep(Minimalist, GD, {**grid, "c0": 0.0}, steps=100)
    np.testing.assert_array_equal(alone.loss.values[:, :, 0], ds.loss.sel(c0=[0.0]).values[:, :, 0])
    assert counts(ds)["outcome"]["no-such-start"] == int(none.sum())


@pytest.mark.parametrize(
    ("grid", "word"),
    [
        ({"learning": "1:2:3"}, "learning"),
        ({"lr": "-1:2:4"}, "lr"),
        ({"lr": "1", "ratio": "0|1"}, "ratio"),
        ({"lr": "1", "init": "1,2"}, "init"),
        ({"lr": "1", "s0": "1"}, "state"),
        ({"lr": "1", "alpha_e": "1"}, "lr and alpha_e"),
        ({"ratio": "0.1"}, "lr"),
        ({}, "grid"),
    ],
)
def test_an_axis_without_a_meaning_is_refused(grid, word):
    with pytest.raises(EoslabError, match=word):
        plan(Minimalist, GD, grid, steps=10)


def gradient_descent(lr):
    return GD(lr)


def test_functions_make_models_rules_and_starts_of_the_parameters_they_name():
    by_name = sweep(Minimalist(lambda2=0.01), GD, {"lr": "1|2"}, steps=50, w0=(0.4, 1e-3, 0.1))
    made = sweep(
        lambda spread: Minimalist(1.0, spread), gradient_descent, {"lr": "1|2", "spread": 0.01}, steps=50,
        w0=lambda: (0.4, 1e-3, 0.1),
    )  # fmt: skip
    for name in by_name.data_vars:
        np.testing.assert_array_equal(made[name].values[:, 0], by_name[name].values)


def test_axes_are_values():
    assert Axis("x", (1.0,)) == parse_axis("x", 1.0)
