"""A cell of a map is a single run: same regime, outcome and numbers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from eoslab import trajectory
from eoslab.core.arrowhead import arrowhead3_at_pole, arrowhead3_top
from eoslab.dynamics import Floor
from eoslab.models import Minimalist
from eoslab.optimizers import GD, Adam, HeavyBall, RMSProp
from eoslab.optimizers.floor import Floor as FloorRule
from eoslab.results.cells import COLUMNS, Problem
from eoslab.results.grid import lay_out
from eoslab.results.single import single
from eoslab.results.sweep import labels, sweep

STARTS = "0.3,1e-3,0.1|0.9,1e-6,0.9|1.5,0.5,0.2|0.05,1e-2,0.01|1.2,0,0.7|-0.4,1e-150,-0.2"


def same(a: float, b: float) -> bool:
    return bool(a == b or (np.isnan(a) and np.isnan(b)))


def compare(rule: type, steps: int, cells: int, grid: dict[str, str], seed: int) -> np.ndarray:
    layout = lay_out(grid, "random", cells, seed)
    problem = Problem(Minimalist, rule, None, steps, tuple(grid))
    columns = layout.columns(np.arange(cells))
    table = problem.compute(columns)
    for i in range(cells):
        row = single(*problem.build({name: column[i] for name, column in columns.items()}), steps)
        wrong = {name: (table[name][i], value) for name, value in row.items() if not same(table[name][i], value)}
        assert not wrong, (wrong, {name: column[i] for name, column in columns.items()})
    return table["outcome"]


def test_ten_thousand_random_cells_of_gradient_descent_are_single_runs():
    grid = {"lr": "0.05:4.5:2:log", "ratio": "1e-4:1.5:2:log", "init": STARTS}
    outcomes = compare(GD, 600, 10_000, grid, 1)
    assert len(np.unique(outcomes)) >= 6  # the comparison has seen every kind of ending


@pytest.mark.parametrize("steps", [0, 1, 2, 9, 10, 11, 17, 5000])
def test_short_and_long_cells_are_single_runs(steps):
    grid = {
        "lr": "0.05:4.5:2:log",
        "ratio": "1e-4:1.5:2:log",
        "lambda1": "0.1:10:2:log",
        "b": "-2|1|3",
        "init": STARTS,
    }
    compare(GD, steps, 60, grid, steps)


@pytest.mark.parametrize("rule", [HeavyBall, FloorRule, Adam, RMSProp])
def test_cells_of_other_rules_are_single_runs(rule):
    compare(rule, 400, 60, {"lr": "0.01:4:2:log", "ratio": "1e-4:0.9:2:log", "init": STARTS}, 3)


def test_a_cell_has_the_numbers_of_the_trajectory_that_users_call():
    ds = sweep(Minimalist, GD, {"lr": "2|2.4|3.9", "ratio": "1e-3|1e-2"}, steps=3000, w0=(0.5, 1e-2, 0.1))
    for lr in ds.lr.values:
        for ratio in ds.ratio.values:
            cell = ds.sel(lr=lr, ratio=ratio)
            run = trajectory(Minimalist(1.0, ratio), GD(lr), (0.5, 1e-2, 0.1), steps=3000)
            assert str(labels(cell, "regime").values) == str(run.regime.values)
            assert str(labels(cell, "outcome").values) == str(run.outcome.values)
            for name in ("T1", "T2", "excursions", "max_eta_sharpness"):
                assert float(cell[name]) == float(run[name]), name
            assert same(float(cell.loss), float(run.loss[-1]))
            assert same(float(cell.eta_sharpness), float(run.eta_sharpness[-1]))


def test_blocks_and_single_lanes_agree_on_the_first_and_the_last_of_many():
    """More cells than a block holds, a number that leaves slots idle, and divergence among them."""
    grid = {"lr": "1:6:37", "ratio": "1e-4:0.9:11:log"}
    whole = sweep(Minimalist, GD, grid, steps=300)
    one = sweep(Minimalist, GD, {"lr": "6", "ratio": "0.9"}, steps=300)
    for name in COLUMNS:
        assert same(float(whole[name][-1, -1]), float(one[name][0, 0]))


def test_the_pole_is_the_sharpness_wherever_it_is_said_to_be():
    rng = np.random.default_rng(0)
    said = 0
    for _ in range(20_000):
        m1, m2, q, c2 = 10.0 ** rng.uniform(-6, 3, 4)
        c1 = 10.0 ** rng.uniform(-30, 1)
        if arrowhead3_at_pole(q, c1, m1, c2, m2):
            said += 1
            assert arrowhead3_top(q, c1, m1, c2, m2) == m1
    assert said > 1000


def test_the_dead_beta1_of_a_long_run_is_not_lost():
    ds = sweep(Minimalist(lambda2=1e-4), GD, {"lr": "1.5|1.9"}, steps=20_000, w0=(0.5, 1e-2, 0.1))
    assert float(ds.log2_beta1_min.max()) < -1100  # below the float64 range, and finite
    assert np.isfinite(ds.log2_beta1_min).all()


def test_a_projected_rule_is_swept_like_any_other():
    rule = Floor(GD(1.0), beta_min=1e-4)
    ds = sweep(Minimalist(lambda2=1e-3), rule, {"lr": "3.549|1"}, steps=5000, w0=(0.5, 0.01, 0.1))
    assert labels(ds, "regime").values.tolist() == ["edge", "stable"]
