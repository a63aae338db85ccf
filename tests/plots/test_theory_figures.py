"""The figures of the theory by their properties: what applies is drawn at its height, what does not is absent."""

from __future__ import annotations

import numpy as np
import pytest

import eoslab
from eoslab.core.errors import InvalidArgument
from eoslab.optimizers import GD
from eoslab.plots import draw
from eoslab.plots.case import case, findings
from eoslab.plots.gfs_phases import account_rows, regions
from eoslab.plots.reading import Run
from eoslab.plots.stable_set import account, amplitude, bound_of_distance
from eoslab.plots.theory import constrained, edge_interval
from eoslab.theory.gfs import conserved_of

MINIMALIST = eoslab.models.Minimalist


@pytest.fixture(scope="module")
def main_set():
    """Set M4 of docs/theory/examples.md: everything up to Theorem 4.6 applies from the start."""
    return eoslab.trajectory(MINIMALIST(1.0, 1e-3), GD(2.0), [0.98, 1e-3, 0.93], steps=6000)


@pytest.fixture(scope="module")
def strong_set():
    """Set S1: no bound of the whole edge of stability applies."""
    return eoslab.trajectory(MINIMALIST(1.0, 1 / 300), GD(3.125), [0.75, 1e-3, 0.8], steps=1500)


@pytest.fixture(scope="module")
def flow_like():
    return eoslab.trajectory(MINIMALIST(1.0, 0.01), GD(0.5), [0.6, 1e-3, 0.5], steps=600)


def gids(ax):
    return {a.get_gid() for a in ax.get_children() if a.get_gid()}


def labels(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


# -- theory -----------------------------------------------------------------------------------------------


def test_bounds_are_drawn_where_they_are(main_set):
    loss, sharp, entry = draw("theory", main_set).axes
    assert "4.7" in gids(loss)
    assert {"4.6S", "interval", "5.1", "threshold"} <= gids(sharp)
    assert {"3.2", "4.2", "T1"} <= gids(entry)
    lines = sorted(a.get_ydata()[0] for a in sharp.lines if a.get_gid() == "interval")
    c = case(Run(main_set))
    name, first, _, low, high = edge_interval(c, findings(Run(main_set), c, "4.6S"))
    assert (name, first) == ("4.6S", 159)
    assert lines == pytest.approx([low, high])
    after = main_set.sharpness.values[159:]
    assert low <= after.min() <= after.max() <= high
    (band,) = [a for a in entry.patches if a.get_gid() == "3.2"]
    assert band.get_x() <= 159 <= band.get_x() + band.get_width()
    (peak,) = [a for a in entry.lines if a.get_gid() == "4.2"]
    assert peak.get_ydata()[0] >= float((main_set.w.sel(param="alpha") ** 2).max())


def test_what_does_not_apply_is_not_drawn(strong_set, flow_like):
    loss, sharp, entry = draw("theory", strong_set).axes
    assert "interval" not in gids(sharp)
    assert {"3.2", "4.2"} <= gids(entry)
    assert not [x for x in labels(sharp) if "proved" in x]
    loss, sharp, entry = draw("theory", flow_like).axes
    assert "4.7" not in gids(loss)
    assert "interval" not in gids(sharp)
    assert gids(entry) >= {"3.3"}
    assert not gids(entry) & {"3.2", "4.2", "T1"}
    assert any("never reaches" in t.get_text() for t in entry.texts)


def test_the_constrained_trajectory_is_at_most_at_the_edge_and_its_loss_falls(main_set):
    S, L = constrained(case(Run(main_set)))
    assert np.all(S <= 1.0 * (1 + 1e-12))
    assert np.all(np.diff(L) <= 0)
    # before the edge, θ† is the run without its oscillation
    assert main_set.sharpness.values[:150] == pytest.approx(S[:150], rel=1e-4)


def test_there_is_no_constrained_trajectory_outside_its_branch():
    run = eoslab.trajectory(MINIMALIST(1.0, 0.5), GD(0.5), [0.3, 0.0, 1.5], steps=50)
    assert constrained(case(Run(run))) is None
    assert not [x for x in labels(draw("theory", run).axes[1]) if "dagger" in x]


@pytest.mark.parametrize("rule", [eoslab.dynamics.Floor(GD(1.98), beta_min=1e-4), eoslab.dynamics.Cap(GD(1.98))])
def test_projected_runs_have_their_own_bounds(rule):
    run = eoslab.trajectory(MINIMALIST(1.0, 1e-3), rule, [1.0, 0.01, 0.1], steps=1000, record_every=10)
    _, sharp, _ = draw("theory", run).axes
    assert ("4.8" in gids(sharp)) == (rule.name == "gd-floor")
    for name in ("theory", "gfs-phases"):
        draw(name, run, x="time", xscale="log").canvas.draw()


@pytest.mark.parametrize("name", ["theory", "gfs-phases"])
def test_the_theory_is_about_one_model(name, inputs):
    with pytest.raises(InvalidArgument, match="two-input model"):
        draw(name, inputs)
    adam = eoslab.trajectory(MINIMALIST(), eoslab.optimizers.Adam(lr=0.01), steps=10)
    with pytest.raises(InvalidArgument, match="gradient descent"):
        draw(name, adam)


@pytest.mark.parametrize("name", ["theory", "gfs-phases"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_short_and_divergent_runs_are_drawn(name, steps, diverged):
    run = eoslab.trajectory(MINIMALIST(), GD(2.4), [0.3, 0.0, 0.1], steps=steps)
    draw(name, run).canvas.draw()
    axes = draw(name, diverged).axes
    assert any("diverged" in t.get_text() for ax in axes for t in ax.texts)
    assert all(np.isfinite(ax.get_ylim()).all() for ax in axes)


# -- stable set -------------------------------------------------------------------------------------------


def test_the_general_theory_follows_the_first_cycle(main_set):
    a = account(Run(main_set))
    assert 155 <= a.start <= 159
    cycle = slice(0, 400)
    assert a.predicted.x[cycle] == pytest.approx(a.x[cycle], abs=0.05 * np.abs(a.x).max())
    assert a.predicted.predicted_sharpness[cycle] == pytest.approx(a.sharpness[cycle], abs=3e-3)
    assert a.x == pytest.approx(main_set.w.sel(param="beta1").values[a.steps] * a.predicted.u[:, 1], abs=1e-4)


def test_amplitude_is_the_two_cycle_and_the_distance_is_below_its_bound(main_set):
    a, c = account(Run(main_set)), case(Run(main_set))
    on = a.predicted.active
    r = a.predicted.dagger[:, 0] * a.predicted.dagger[:, 2] - 1
    assert amplitude(a.predicted)[on] == pytest.approx(np.sqrt(-0.5 * 2e-3 * r * (1 + r))[on], rel=1e-6)
    first, bound = bound_of_distance(c)
    distance = a.distance[first - a.start :]
    assert np.all(distance <= bound[: len(distance)])
    assert "bound (6.2)" in labels(draw("stable-set", main_set).axes[3])


def test_no_bound_of_the_distance_where_theorem_4_6_does_not_hold(strong_set):
    assert bound_of_distance(case(Run(strong_set))) is None
    assert "bound (6.2)" not in labels(draw("stable-set", strong_set).axes[3])


def test_grey_is_the_stable_set(cycles):
    plane = draw("stable-set", cycles).axes[0]
    (fill,) = [a for a in plane.collections if hasattr(a, "levels")]
    assert fill.levels[1] == pytest.approx(2 / 1.98)
    # to the left sharpness is lower, and θ† at the origin is on the border
    (path,) = [p for p in fill.get_paths() if len(p.vertices)]
    assert path.vertices[:, 0].min() == pytest.approx(plane.get_xlim()[0])
    assert abs(np.interp(0.0, *path.vertices[np.argsort(path.vertices[:, 1])][:, ::-1].T)) < plane.get_xlim()[1]


def test_another_model_with_a_third_derivative_is_drawn():
    model = eoslab.models.Berthier(1.0, 0.001)
    run = eoslab.trajectory(model, GD(0.3), [0.05, 6.5], steps=1500)
    a = account(Run(run))
    assert a.predicted.x[:600] == pytest.approx(a.x[:600], abs=0.1 * np.abs(a.x).max() + 1e-9)
    assert len(draw("stable-set", run).axes) == 4


@pytest.mark.parametrize(
    ("rule", "kw", "said"),
    [
        (eoslab.optimizers.HeavyBall(lr=0.5, beta=0.9), {}, "heavy-ball"),
        (GD(0.5), {}, "stays below"),
        (GD(2.4), {"record_every": 100}, "not every step"),
        (GD(3.9), {"w0": [1.5, 0.01, 0.1]}, "starts above"),
    ],
)
def test_runs_without_an_account_are_refused_with_a_reason(rule, kw, said):
    start = kw.pop("w0", [0.3, 1e-3, 0.1])
    run = eoslab.trajectory(MINIMALIST(), rule, start, steps=600, **kw)
    with pytest.raises(InvalidArgument, match=said):
        draw("stable-set", run)


# -- GFS sharpness by phase -------------------------------------------------------------------------------


def test_regions_and_accounts_add_up(cycles):
    c = case(Run(cycles))
    forbidden, rises = regions(c)
    assert not np.any(forbidden & rises)
    rows = account_rows(c)
    assert [row[0] for row in rows] == ["progressive sharpening", "edge of stability", "monotone convergence"]
    assert float(rows[1][1].replace("−", "-")) == pytest.approx(
        float(conserved_of(c)[c.T2] - conserved_of(c)[c.T1]), rel=1e-2
    )
    terms = draw("gfs-phases", cycles).axes[2]
    ends = {line.get_label(): line.get_ydata()[-1] for line in terms.lines if line.get_label()[0] != "_"}
    assert set(ends) == {"residual", "oscillation", "coupling"}
    assert sum(ends.values()) == pytest.approx(float(conserved_of(c)[-1] - conserved_of(c)[0]), rel=1e-9)


def test_where_c_rises_it_is_said():
    run = eoslab.trajectory(MINIMALIST(1.0, 1e-3), GD(1.0), [0.3, 0.01, 1.3], steps=500)
    forbidden, rises = regions(case(Run(run)))
    assert rises.sum() > 400
    assert not forbidden.any()
    conserved = draw("gfs-phases", run).axes[1]
    strips = [len(a.get_paths()) for a in conserved.collections if a.get_gid() == "region"]
    assert strips == [0, 1]
    assert f"$c$ rises (at {rises.sum()} steps)" in labels(conserved)
