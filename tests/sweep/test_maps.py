"""Refinement, long-run behaviour, the theory on the map, figures, the command."""

from __future__ import annotations

import json
import math

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

import matplotlib.pyplot as plt
import typer
import xarray as xr
from typer.testing import CliRunner

from eoslab.cli.sweep import grid_of
from eoslab.cli.sweep import sweep as command
from eoslab.core.errors import EoslabError, InvalidArgument, UnknownName
from eoslab.core.vocabulary import REGIMES
from eoslab.models import Minimalist
from eoslab.optimizers import GD, Adam, HeavyBall
from eoslab.plots.bifurcation import bifurcation as draw_bifurcation
from eoslab.plots.phase_map import FILLS, phase_map, quantity_map
from eoslab.results.bifurcation import basins, bifurcation, lyapunov
from eoslab.results.overlay import agreement, boundary, contradictions, problem_of
from eoslab.results.sweep import counts, labels, open_sweep, sweep
from eoslab.theory.boundaries import BOUNDARIES

COARSE = {"lr": "1:4:26", "ratio": "1e-3:0.5:26:log"}


@pytest.fixture(scope="module")
def fine():
    return sweep(Minimalist, GD, {"lr": "1:4:101", "ratio": "1e-3:0.5:101:log"}, steps=400)


@pytest.fixture(scope="module")
def refined():
    return sweep(Minimalist, GD, COARSE, steps=400, refine=2)


# -- refinement ---------------------------------------------------------------------------------------------


def test_refinement_computes_what_the_full_grid_computes(fine, refined):
    assert refined.sizes == fine.sizes
    np.testing.assert_array_equal(refined.lr, fine.lr)
    there = refined.measured.values
    for name in ("regime", "outcome", "T1", "steps", "max_eta_sharpness", "loss"):
        np.testing.assert_array_equal(refined[name].values[there], fine[name].values[there])


def test_refinement_measures_every_cell_at_a_boundary_and_few_others(refined):
    regime, there = refined.regime.values, refined.measured.values
    for a, b in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = regime[a] != regime[b]
        assert there[a][differ].all()
        assert there[b][differ].all()
    assert there.mean() < 0.4


def test_what_refinement_infers_is_right_up_to_features_below_the_coarse_grid(fine, refined):
    assert (refined.regime.values == fine.regime.values).mean() > 0.99


def test_only_a_grid_of_ranges_is_refined():
    with pytest.raises(InvalidArgument, match="refine"):
        sweep(Minimalist, GD, {"lr": "1|2|3"}, steps=10, refine=1)
    with pytest.raises(InvalidArgument, match="refine"):
        sweep(Minimalist, GD, {"lr": "1:2:3"}, steps=10, refine=1, design="random", samples=4)


# -- the long run -------------------------------------------------------------------------------------------


def jacobian(model, lr, w, h=1e-6):
    """Of one step of gradient descent, by central differences."""
    out = np.empty((3, 3))
    for i in range(3):
        e = np.zeros(3)
        e[i] = h
        out[:, i] = ((w + e - lr * model.grad(w + e)) - (w - e - lr * model.grad(w - e))) / (2 * h)
    return out


def test_the_exponent_of_a_minimiser_is_the_largest_log_multiplier():
    """Valley direction: multiplier 1, so the exponent is 0 up to (log n)/n."""
    found = lyapunov(Minimalist(lambda2=0.1), GD, {"lr": "0.5|1"}, steps=20_000, w0=(1.0, 1e-3, 0.5))
    np.testing.assert_allclose(found.lyapunov, 0.0, atol=1e-3)


def test_the_exponent_is_the_growth_of_the_product_of_jacobians():
    model, lr, n = Minimalist(lambda2=0.3), 2.2, 400
    w = np.array([1.2, 0.3, 0.7])
    u = np.array([1.0, 1 / 1.61803, 1 / 2.23606])
    total = 0.0
    for _ in range(n):
        u = jacobian(model, lr, w) @ u
        total += math.log(np.linalg.norm(u))
        u /= np.linalg.norm(u)
        w = w - lr * model.grad(w)
    found = lyapunov(model, GD, {"lr": lr}, steps=n, skip=0, w0=(1.2, 0.3, 0.7)).lyapunov.item()
    # the first step also normalises the start, |u|² = 1 + 0.61803² + 0.44721²
    start = math.log(math.sqrt(1 + 0.61803**2 + 0.44721**2))
    assert found * n == pytest.approx(total, abs=0.02 + abs(start))


def test_chebyshev_chaos_at_sigma_four():
    """λ2 → 0 on Σ = ηλ1(α²+β1²) = 4: s⁺ = s(s−3)², exponent log 3 (Theorem 5.4), while round-off stays small."""
    phi = np.linspace(0.05, 1.5, 400)
    grid = {"init": [(2 * math.cos(x), 2 * math.sin(x), 0.0) for x in phi]}
    found = lyapunov(Minimalist(1.0, 1e-200), GD(1.0), grid, steps=12, skip=4)
    assert float(found.lyapunov.mean()) == pytest.approx(math.log(3), abs=0.1)


def test_last_iterates_of_a_two_cycle_alternate_and_have_period_two():
    """For λ2 → 0, s = 2 on Σ = 4 is the two-cycle β1 → −β1 with |α| fixed (Theorem 5.4)."""
    ds = bifurcation(
        Minimalist(1.0, 1e-200), GD, {"lr": 1.0}, steps=2, keep=8, w0=(math.sqrt(2), math.sqrt(2), 0.0)
    )
    beta1 = ds.w.sel(param="beta1").values[0]
    np.testing.assert_allclose(beta1[1:], -beta1[:-1], rtol=1e-6)


def test_a_diagram_says_where_it_diverges_and_keeps_the_rest():
    ds = bifurcation(Minimalist(lambda2=0.3), GD, {"lr": "1|2|4"}, steps=1000, keep=8, w0=(1.2, 0.1, 0.7))
    assert ds.diverged.values.tolist() == [False, False, True]
    assert np.isnan(ds.w.sel(lr=4.0)).all()
    assert np.isnan(ds.lyapunov.sel(lr=4.0))
    assert int(ds.period.sel(lr=1.0)) == 1
    adaptive = bifurcation(Minimalist(lambda2=0.3), Adam, {"lr": "0.1|0.5"}, steps=100, keep=4)
    assert "lyapunov" not in adaptive
    assert np.isfinite(adaptive.eta_sharpness).all()


def test_the_exponent_of_momentum_with_beta_zero_is_that_of_gradient_descent():
    options = {"steps": 500, "skip": 0, "w0": (1.2, 0.3, 0.7)}
    gd = lyapunov(Minimalist(lambda2=0.3), GD, {"lr": "1|2"}, **options).lyapunov.values
    ball = lyapunov(Minimalist(lambda2=0.3), HeavyBall(1.0, 0.0), {"lr": "1|2"}, **options).lyapunov.values
    np.testing.assert_allclose(ball, gd, atol=0.01)
    with pytest.raises(InvalidArgument, match="tangent"):
        lyapunov(Minimalist(), Adam, {"lr": "0.1"}, steps=10)


def test_basins_tell_divergence_from_convergence():
    grid = {"alpha_0": "0.2:2.4:8", "beta1_0": "0.01:2:8"}
    ds = basins(Minimalist(lambda2=0.01), GD(1.0), grid, steps=5000, w0=(1.0, 1e-3, 0.5))
    diverged = labels(ds, "outcome") == "diverged"
    assert (ds.basin.values[diverged.values] == -1).all()
    assert diverged.any()
    assert (ds.basin == 1).any()
    with pytest.raises(InvalidArgument, match="start"):
        basins(Minimalist(), GD, {"lr": "1|2"}, steps=10)


# -- the theory on the map ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grid",
    [
        {"lr": "0.2:5:60", "ratio": "1e-3:1.5:60:log"},
        {"alpha_e": "0.3:2:50", "k": "1.5:1e4:50:log", "c0": "-1|0|1", "s0": "0.1|0.5", "w0": "1e-8|1e-4"},
    ],
)
def test_no_cell_contradicts_a_theorem_whose_hypotheses_hold(grid):
    ds = sweep(Minimalist, GD, grid, steps=2000)
    cells = problem_of(ds)
    found = contradictions(ds, cells)
    assert {name: int(where.sum()) for name, where in found.items()} == {"thm-3.3": 0, "prop-0.3": 0}
    assert agreement(ds, cells) > 0.9  # a leading-order law; the share is what the figure prints


def test_the_theory_has_something_to_say_on_these_maps():
    from eoslab.theory.boundaries import flow_like, no_minimiser

    ds = sweep(Minimalist, GD, {"lr": "0.2:5:60", "ratio": "1e-3:1.5:60:log"}, steps=10)
    cells = problem_of(ds)
    assert flow_like(cells.lr, cells.p, cells.w).mean() > 0.05
    assert (no_minimiser(cells.lr, cells.p, cells.w) > 0).mean() > 0.05


def test_boundaries_are_where_their_equations_say():
    p, w = (2.0, 0.02, 3.0), (1.1, 0.2, 0.9)
    alpha, beta1, beta2 = w
    c0 = (alpha**2 - beta1**2 - beta2**2) / 3.0
    lr_edge = 2 / (2.0 * 3.0 * (c0 + math.sqrt(c0**2 + 4)) / 2)
    assert float(BOUNDARIES["edge"](lr_edge, p, w)) == pytest.approx(0, abs=1e-12)
    # ε = 4(1 − 1/k) with h1 > 2
    lr_none = math.sqrt(4 * (1 - 0.01) / (2.0 * 0.02)) / 3.0
    assert float(BOUNDARIES["no-minimiser"](lr_none, p, w)) == pytest.approx(0, abs=1e-12)
    lr_four = 4 / (2.0 * (alpha**2 + beta1**2))
    assert float(BOUNDARIES["catapult"](lr_four, p, w)) == pytest.approx(0, abs=1e-12)


# -- figures ------------------------------------------------------------------------------------------------


def test_every_regime_has_a_fill_and_a_hatch_of_its_own():
    assert set(FILLS) == set(REGIMES)
    assert len(set(FILLS.values())) == len(FILLS)
    assert FILLS["stable"][0] == "#56B4E9"


def test_the_phase_map_names_regimes_boundaries_and_the_agreement(fine):
    ax = phase_map(fine)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"stable", "edge of stability", "λ1A(c0) = 2/η"} <= set(texts)
    assert "% of the cells" in ax.get_title()
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert ax.get_xlabel() == "learning rate η"
    with pytest.raises(UnknownName):
        phase_map(fine, boundaries=["nowhere"], ax=ax)
    plt.close("all")


def test_a_map_of_a_stored_sweep_is_the_same_map(tmp_path):
    ds = sweep(Minimalist, GD, {"lr": "1:4:8", "ratio": "1e-3:0.5:8:log"}, steps=50, store=tmp_path / "m.zarr")
    stored = open_sweep(tmp_path / "m.zarr")
    name = "edge"
    xr.testing.assert_equal(boundary(name, problem_of(ds)), boundary(name, problem_of(stored)))
    phase_map(stored)
    quantity_map(stored, "max_eta_sharpness")
    with pytest.raises(InvalidArgument, match="two numeric"):
        phase_map(stored.isel(lr=[0]))
    plt.close("all")


def test_the_bifurcation_figure_shades_divergence():
    ds = bifurcation(Minimalist(lambda2=0.3), GD, {"lr": "1:4:13"}, steps=500, keep=8, w0=(1.2, 0.1, 0.7))
    ax = draw_bifurcation(ds)
    assert any("diverges" in text.get_text() for text in ax.texts)
    assert draw_bifurcation(ds, "alpha").get_ylabel() == "alpha"
    with pytest.raises(UnknownName):
        draw_bifurcation(ds, "gamma")
    plt.close("all")


# -- the command --------------------------------------------------------------------------------------------


def run(*arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_command_writes_a_map_and_says_what_is_in_it(tmp_path):
    path = tmp_path / "m.zarr"
    arguments = [
        "--lr",
        "1:4:12",
        "--ratio",
        "2e-3:0.5:8:log",
        "--init",
        "0.3,1e-3,0.1",
        "--steps",
        300,
        "-o",
        path,
    ]
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert {"regimes", "cells", "steps_total", "seconds", "steps_per_second", "outcome"} <= set(said)
    assert said["cells"] == said["cells_computed"] == 96
    assert sum(said["regimes"].values()) == 96
    assert said["outcome"] == "complete"
    assert said["regimes"] == counts(open_sweep(path))["regime"]
    again = json.loads(run(*arguments, "--json").stdout)
    assert again["cells_computed"] == 0
    assert run(*arguments, "--no-resume").exit_code == 1


def test_the_command_understands_the_axes_of_the_theory():
    result = run("--axis", "alpha_e=0.3:2:5", "--axis", "k=10:1e4:4:log", "--state", "c0=0,s0=0.5|4,w0=1e-4",
                 "--steps", 50, "--json")  # fmt: skip
    assert json.loads(result.stdout)["cells"] == 40


def test_a_dry_run_says_cells_steps_time_memory_and_disk():
    said = json.loads(run("--lr", "1:4:1000", "--ratio", "1e-3:0.5:1000:log", "--dry-run", "--json").stdout)
    assert (said["cells"], said["steps_total"]) == (10**6, 2 * 10**9)
    assert said["memory_bytes"] < 1e9
    assert said["disk_bytes"] > 0
    assert said["seconds"] > 0


@pytest.mark.parametrize("axis", ["k", "=1", "lr=1|2"])
def test_an_axis_that_is_none_is_refused(axis):
    with pytest.raises(EoslabError):
        grid_of({"lr": "1"}, [axis], [])


def test_a_refined_map_is_saved_too(tmp_path):
    path = tmp_path / "m.zarr"
    result = run("--lr", "1:4:5", "--ratio", "1e-3:0.5:5:log", "--refine", 1, "--steps", 50, "-o", path, "--json")
    assert json.loads(result.stdout)["cells"] == 81
    assert dict(open_sweep(path).sizes) == {"lr": 9, "ratio": 9}


def test_a_sharpness_that_is_not_a_number_hides_no_maximum(monkeypatch):
    """A number that overflows on the way to η·S, as in the last state of a run that explodes."""
    from dataclasses import replace

    from eoslab.kernels.engine import LowDimensionalEngine, State
    from eoslab.results.trajectory import Recording

    class Overflowing(LowDimensionalEngine):
        def advance(self, state, steps):
            rows, last, diverged = super().advance(state, steps)
            eta = rows.eta.copy()
            eta[[3, -1]] = np.nan
            return replace(rows, eta=eta), last, diverged

    recording = Recording(Overflowing(Minimalist(), GD(2.0)))
    recording.run(State.start((0.5, 1e-2, 0.1)), 50)
    eta = recording.rows[0]["eta"]
    assert np.isnan(eta[3])
    assert recording.max_eta == np.nanmax(eta)
    assert recording.max_eta_at == int(np.nanargmax(eta))


def test_theory_on_a_refined_map_judges_what_was_computed(fine, refined):
    cells = problem_of(refined)
    there = refined.measured.values
    predicted = BOUNDARIES["edge"](cells.lr, cells.p, cells.w) > 0
    crossed = (refined.first_crossing.values >= 0) & there
    assert 0.5 < agreement(refined, cells) <= 1.0
    assert (predicted == crossed)[~there].mean() < 1.0  # what counting them would have said
    assert not any(where.any() for where in contradictions(refined, cells).values())
    ax = phase_map(refined)
    assert "cells computed" in ax.get_title()
    quantity = phase_map(refined, quantity="max_eta_sharpness")
    assert "P$^{-1}$" in quantity.figure.axes[-1].get_ylabel()
    plt.close("all")
