"""Adapters agree with our rules; probes agree with their definitions."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from eoslab.core.errors import InvalidArgument
from eoslab.curvature import hessian, top_eigenpairs
from eoslab.nn import adapters, probes, rules
from eoslab.nn.adapters import UnknownOptimizer, effective_hessian, read
from eoslab.nn.losses import mse
from eoslab.nn.objective import Objective


def problem():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    return module, Objective(module, mse, (torch.randn(24, 3), torch.randn(24, 2)))


CASES = [
    (torch.optim.SGD, {}, rules.GD(0.1)),
    (torch.optim.SGD, {"momentum": 0.9}, rules.HeavyBall(0.1)),
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, rules.Nesterov(0.1)),
    (torch.optim.RMSprop, {}, rules.RMSProp(0.1)),
    (torch.optim.Adam, {}, rules.Adam(0.1)),
    (torch.optim.AdamW, {"weight_decay": 0.2}, rules.AdamW(0.1, weight_decay=0.2)),
]


@pytest.mark.parametrize(("kind", "settings", "rule"), CASES, ids=lambda c: getattr(c, "name", ""))
def test_a_live_optimizer_reads_as_the_rule_of_the_same_name(kind, settings, rule):
    module, obj = problem()
    optimizer = kind(module.parameters(), lr=0.1, **settings)
    w, state = obj.w0, rule.init(obj.w0)
    for step in range(4):
        g = obj.grad(w)
        r = read(optimizer, obj, g)
        dw, state = rule.update(g, state, step)
        assert r.threshold.value == pytest.approx(rule.threshold.value)
        assert r.preconditioner == pytest.approx(np.broadcast_to(rule.preconditioner(state, step), obj.n))
        assert r.shift == pytest.approx(rule.shift)
        start = 0
        for p in module.parameters():
            p.grad = torch.from_numpy(g[start : start + p.numel()]).view_as(p)
            start += p.numel()
        optimizer.step()
        w = w + dw + rule.decay(w)
        after = torch.nn.utils.parameters_to_vector(module.parameters())
        assert after.detach().numpy() == pytest.approx(w, rel=1e-8)
        if step:
            assert read(optimizer, obj).preconditioner == pytest.approx(r.preconditioner)


def test_the_effective_hessian_of_a_coupled_decay_is_that_of_the_regularised_loss():
    module, obj = problem()
    r = read(torch.optim.SGD(module.parameters(), lr=0.1, weight_decay=0.3), obj)
    plain = top_eigenpairs(hessian(obj, obj.w0), 1, 1e-10).values[0]
    assert top_eigenpairs(effective_hessian(obj, obj.w0, r), 1, 1e-10).values[0] == pytest.approx(plain + 0.3)
    assert r.ratio(20.0) == pytest.approx(1.0)


def test_learning_rates_of_groups_are_folded_into_the_preconditioner():
    module, obj = problem()
    first, second = list(module[0].parameters()), list(module[2].parameters())
    r = read(torch.optim.SGD([{"params": first, "lr": 0.1}, {"params": second, "lr": 0.05}]), obj)
    assert r.lr == 0.1
    assert r.preconditioner[: 3 * 4 + 4] == pytest.approx(1.0)
    assert r.preconditioner[3 * 4 + 4 :] == pytest.approx(2.0)


def test_sam_is_read_through_its_base_optimizer():
    module, obj = problem()
    g, rule = obj.grad(obj.w0), rules.SAM(0.1, rho=0.2)
    norm = float(np.linalg.norm(g))
    reading = read(torch.optim.SGD(module.parameters(), lr=0.1), obj, g, sam=0.2)
    assert reading.ratio(rule.edge(norm)) == pytest.approx(1)
    assert reading.ratio(3.0) == pytest.approx(0.1 * rule.effective(3.0, norm) / 2)
    with pytest.raises(InvalidArgument, match="norm"):
        read(torch.optim.SGD(module.parameters(), lr=0.1), obj, sam=0.2)
    with pytest.raises(UnknownOptimizer, match="momentum"):
        read(torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9), obj, g, sam=0.2)


def test_unknown_optimizers_and_settings_are_said_plainly():
    module, obj = problem()
    for unknown in (torch.optim.Adagrad, torch.optim.LBFGS, type("Mine", (torch.optim.SGD,), {})):
        with pytest.raises(UnknownOptimizer, match="not assumed"):
            read(unknown(module.parameters(), lr=0.1), obj)
    with pytest.raises(UnknownOptimizer, match="amsgrad"):
        read(torch.optim.Adam(module.parameters(), amsgrad=True), obj, obj.grad(obj.w0))
    with pytest.raises(InvalidArgument, match="coming step"):
        read(torch.optim.Adam(module.parameters()), obj)
    with pytest.raises(InvalidArgument, match="all of them"):
        read(torch.optim.SGD(module[0].parameters(), lr=0.1), obj)
    assert torch.optim.SGD in adapters.KNOWN


def test_alignment_and_displacement_are_projections():
    _, obj = problem()
    w = obj.w0
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((obj.n, obj.n)))[0]
    g = obj.grad(w)
    assert probes.alignment(g, U).sum() == pytest.approx(1)
    assert probes.displacement(w + 2 * U[:, 1], w, U[:, :3]) == pytest.approx([0, 2, 0], abs=1e-12)


def test_self_stabilization_coefficients_are_directional_derivatives_of_the_top_eigenvalue():
    _, obj = problem()
    w = obj.w0
    top = top_eigenpairs(hessian(obj, w), 1, 1e-12)
    c = probes.self_stabilization(obj, w, top.vectors[:, 0])
    g, h = obj.grad(w), 1e-5

    def sharpness(w):
        return top_eigenpairs(hessian(obj, w), 1, 1e-13).values[0]

    assert c["alpha"] == pytest.approx(-(sharpness(w + h * g) - sharpness(w - h * g)) / (2 * h), rel=1e-4)
    u = top.vectors[:, 0]
    assert c["along"] == pytest.approx((sharpness(w + h * u) - sharpness(w - h * u)) / (2 * h), rel=1e-4, abs=1e-7)


def test_with_the_whole_batch_all_three_sharpnesses_are_the_curvature_along_the_gradient():
    _, obj = problem()
    w = obj.w0
    g = obj.grad(w)
    exact = g @ obj.hvp(w, g) / (g @ g)
    for probe in (probes.batch_sharpness, probes.interaction_aware_sharpness, probes.gni):
        e = probe(obj, w, obj.samples, samples=3)
        assert e.value == pytest.approx(exact, rel=1e-10)
        assert e.stderr == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("probe", ["batch_sharpness", "interaction_aware_sharpness", "gni"])
def test_monte_carlo_means_lie_within_their_standard_errors_of_the_exact_expectation(probe):
    """Batches of one sample can be enumerated, so the expectation is known."""
    _, obj = problem()
    w = obj.w0
    H = obj.at(w).hvp_block(np.eye(obj.n))
    parts = [obj.batch([i]) for i in range(obj.samples)]
    gs = np.stack([p.grad(w) for p in parts])
    own = np.array([g @ p.hvp(w, g) for g, p in zip(gs, parts, strict=True)])
    full, sizes = np.einsum("ij,jk,ik->i", gs, H, gs), (gs**2).sum(1)
    exact = {
        "batch_sharpness": (own / sizes).mean(),
        "interaction_aware_sharpness": full.mean() / sizes.mean(),
        "gni": full.mean() / (obj.grad(w) ** 2).sum(),
    }[probe]
    e = getattr(probes, probe)(obj, w, 1, samples=200)
    assert abs(e.value - exact) < 4 * e.stderr
    assert e.stderr > 0


def test_impossible_batches_are_named():
    _, obj = problem()
    with pytest.raises(InvalidArgument, match="batch"):
        probes.batch_sharpness(obj, obj.w0, 25)
