"""Gradient flow beside a run, and the flows from its points to their solutions."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scipy.integrate import solve_ivp
from torch import nn

import eoslab
from eoslab.core.errors import InvalidArgument
from eoslab.nn import NetworkRun, Objective, losses, recipes
from eoslab.nn.run import resumed
from eoslab.probes import GFS, FlowDistance, TopEigenvalues
from eoslab.results.store import Store

DIGITS = {"arch": "mlp", "hidden": [6], "data": "digits", "samples": 40, "loss": "mse", "act": "tanh"}


def linear(samples=30, seed=0):
    """Least squares: flow and solution in closed form."""
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(samples, 3, generator=g), torch.randn(samples, 1, generator=g)
    torch.manual_seed(seed)
    return Objective(nn.Linear(3, 1, bias=False).double(), losses.mse, (x, y))


def test_the_flow_beside_a_run_is_that_of_an_independent_integrator():
    objective = recipes.build(DIGITS)
    rule = eoslab.optimizers.GD(0.2)
    ds = eoslab.trajectory(
        objective, rule, steps=20, probes=[TopEigenvalues(k=1), FlowDistance(every=5, rtol=1e-6)]
    )
    assert np.flatnonzero(np.isfinite(ds.flow_distance.values)).tolist() == [0, 5, 10, 15, 20]
    flow = solve_ivp(lambda t, w: -objective.grad(w), (0, 4.0), objective.w0, "DOP853", [1.0, 4.0], rtol=1e-9)
    w = objective.w0
    for step in range(1, 21):
        w = w - 0.2 * objective.grad(w)
        if step in (5, 20):
            exact = flow.y[:, 0 if step == 5 else 1]
            distance = float(ds.flow_distance[step])
            assert distance == pytest.approx(np.linalg.norm(w - exact), abs=2 * float(ds.flow_error[step]))
            assert float(ds.flow_loss[step]) == pytest.approx(objective.loss(exact), rel=1e-4)
    assert float(ds.flow_error[20]) < 0.01 * float(ds.flow_distance[20])
    assert float(ds.flow_distance[0]) == 0
    assert ds.flow_distance.attrs["units"].startswith("‖w")


def test_resuming_changes_no_bit_of_the_flow(tmp_path):
    def run(folder, *stops):
        made = NetworkRun(
            recipes.build(DIGITS), eoslab.optimizers.GD(0.2), [TopEigenvalues(k=1), FlowDistance(every=4)],
            store=tmp_path / folder, model="mlp", settings=DIGITS, seed=0, loss="mse",
        )  # fmt: skip
        made.begin()
        made.go(stops[0])
        for steps in stops[1:]:
            path = made.stored.path
            made = resumed(Store(tmp_path / folder).open(path), made.stored)
            made.go(steps)
        return made.dataset()

    whole, parts = run("a", 21), run("b", 6, 13, 21)
    for name in whole:
        assert whole[name].equals(parts[name]), name


def test_a_flow_beyond_its_budget_is_not_measured_and_stays_so():
    objective = linear()
    probes = [TopEigenvalues(k=1), FlowDistance(every=1, rtol=1e-12, most=1)]
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(0.5), steps=5, probes=probes)
    assert float(ds.flow_distance[0]) == 0
    assert np.isnan(ds.flow_distance[1:]).all()


def test_gradient_flow_is_the_limit_of_gradient_descent_and_of_nothing_else():
    for rule in (eoslab.optimizers.Adam(1e-3), eoslab.nn.rules.SAM(0.1)):
        with pytest.raises(InvalidArgument, match="optimizer gd"):
            eoslab.trajectory(linear(), rule, steps=1, probes=[FlowDistance()])


def test_the_distance_to_the_flow_is_of_the_order_of_the_step_size():
    """Euler's method is of first order: half the step, half the distance at equal time."""
    last = []
    for lr, steps in ((0.1, 10), (0.05, 20)):
        ds = eoslab.trajectory(linear(), eoslab.optimizers.GD(lr), steps=steps, probes=[FlowDistance(rtol=1e-7)])
        last.append(float(ds.flow_distance[-1]))
    assert last[0] / last[1] == pytest.approx(2.0, rel=0.1)


def test_gfs_sharpness_is_that_of_the_solution():
    """One hidden unit, f = abx: ab → 1 and a² − b² is conserved, so the solution is known."""

    class Product(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.a, self.b = (nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in (a, b))

        def forward(self, x):
            return self.a * self.b * x

    objective = Objective(Product(0.6, 1.5), losses.mse, (torch.ones(2, 1), torch.ones(2, 1)))
    c = 0.6**2 - 1.5**2
    exact = np.sqrt(c**2 + 4)  # a² + b² where ab = 1
    # the loss 1e-8 of its start leaves an error of 1e-4 in ab
    probe = GFS(every=5, loss=1e-8, gradient=1e-3, rtol=1e-6)
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(0.1), steps=5, probes=[TopEigenvalues(k=1), probe])
    assert float(ds.gfs_sharpness[0]) == pytest.approx(exact, rel=1e-3)
    assert ds.gfs_converged.values[[0, 5]].tolist() == [1, 1]
    assert float(ds.gfs_sharpness[0]) != pytest.approx(float(ds.sharpness[0]), rel=1e-2)


def test_a_flow_that_does_not_end_within_its_budget_is_no_gfs_sharpness():
    objective = recipes.build(DIGITS | {"loss": "ce"})
    probe = GFS(every=1, most=30)
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(0.2), steps=1, probes=[probe])
    assert np.isnan(ds.gfs_sharpness).all()
    assert (ds.gfs_converged == 0).all()
    assert np.isfinite(ds.gfs_reached).all()
    assert (ds.gfs_time > 0).all()


def test_the_measurements_are_drawn(tmp_path):
    objective = recipes.build(DIGITS)
    probes = [TopEigenvalues(k=1), FlowDistance(every=5), GFS(every=10, most=40)]
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(0.2), steps=20, probes=probes)
    from eoslab.plots import draw

    loss, _, distance = draw("gd-vs-flow", ds).axes
    assert [line.get_label() for line in loss.get_lines()][:2] == ["gradient descent", "gradient flow"]
    assert distance.get_ylabel() == "distance"
    (ax,) = draw("gfs", ds).axes
    assert "flow not at its end" in [line.get_label() for line in ax.get_lines()]
    with pytest.raises(InvalidArgument, match="flow"):
        draw("gd-vs-flow", ds.drop_vars([n for n in ds if str(n).startswith("flow")]))


def test_the_report_says_how_the_flows_were_obtained_and_what_was_changed(tmp_path):
    from eoslab.report import report

    objective = recipes.build(DIGITS)
    objective.notes.append("chunks of at most 20 samples: out of memory with 40")
    probes = [TopEigenvalues(k=1), FlowDistance(every=5), GFS(every=10, most=40)]
    ds = eoslab.trajectory(objective, eoslab.optimizers.GD(0.2), steps=10, probes=probes)
    report(ds, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "0 of 2 flows came to their solution" in page
    assert "closed form, from the quantity" not in page
    assert "a run and its gradient flow at equal time" in page
    assert "Chunks of at most 20 samples" in page
    assert "gfs (every 10" in page
