"""The threshold law of each rule, and agreement with torch.optim."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eoslab.core.errors import InvalidArgument
from eoslab.nn.rules import EMA, GD, RULES, SAM, Adam, AdamW, HeavyBall, Nesterov, RMSProp, SignGD


def amplification(rule, h, steps=400):
    """Growth of |w| on ½hw² over ``steps`` steps with the preconditioner frozen at 1."""
    w, size = np.array([1.0]), []
    # Rules with a second moment are frozen by taking their momentum alone, which is what P⁻¹ multiplies.
    frozen = (
        EMA(rule.lr, beta=rule.beta1)
        if isinstance(rule, Adam)
        else GD(rule.lr)
        if isinstance(rule, RMSProp)
        else rule
    )
    state = frozen.init(w)
    for step in range(steps):
        dw, state = frozen.update(h * w, state, step)
        w = w + dw + rule.decay(w)
        size.append(abs(w[0]))
    return max(size[-20:]) / max(size[steps // 2 : steps // 2 + 20])


WITH_THRESHOLD = [
    GD(0.1),
    *[kind(0.1, beta=b) for kind in (HeavyBall, Nesterov, EMA) for b in (0.0, 0.5, 0.9)],
    RMSProp(0.1),
    Adam(0.1),
    AdamW(0.1, weight_decay=0.3),
]


@pytest.mark.parametrize("rule", WITH_THRESHOLD, ids=lambda r: f"{r.name}-{dict(r.settings)}")
def test_the_threshold_is_the_stability_boundary_on_a_quadratic(rule):
    edge = rule.threshold.value / rule.lr - rule.shift
    assert amplification(rule, 0.98 * edge) < 1
    assert amplification(rule, 1.02 * edge) > 1


def test_known_values():
    assert Adam(1e-3).threshold.value == pytest.approx(38)
    assert HeavyBall(1.0).threshold.value == pytest.approx(3.8)
    assert Nesterov(1.0).threshold.value == pytest.approx(3.8 / 2.8)


def test_rules_without_a_threshold_say_why():
    for rule in RULES.values():
        t = rule(0.1).threshold
        assert (t.value is None) == bool(t.reason)
    assert SignGD(0.1).threshold.value is None


@pytest.mark.parametrize("rho", [0.0, 0.05, 2.0])
def test_the_edge_of_sam_is_the_stability_boundary_on_a_quadratic_at_a_frozen_gradient_norm(rho):
    """With r = ρ/‖g‖ held, one step multiplies by the polynomial 1 − ηλ(1 + rλ), which is −1 at the edge."""
    rule, norm = SAM(0.1, rho=rho), 0.7
    edge = rule.edge(norm)
    assert rule.lr * rule.effective(edge, norm) == pytest.approx(rule.threshold.value, rel=1e-14)
    for factor, grows in ((0.98, False), (1.02, True)):
        H = np.diag([factor * edge, 0.3 * edge])
        w = np.array([1.0, 1.0])
        for step in range(400):
            g = H @ w
            climbed = w + rule.radius(norm) * g
            w = w + rule.update(H @ climbed, (), step)[0]
        assert (np.linalg.norm(w) > 1) == grows


def test_the_edge_of_sam_is_the_published_formula_and_lies_below_that_of_descent():
    for norm in (1e-3, 1.0, 1e3):
        rule = SAM(0.1, rho=0.05)
        published = norm / (2 * 0.05) * (np.sqrt(1 + 8 * 0.05 / (0.1 * norm)) - 1)
        # the published form subtracts numbers that agree to ρ/(η‖g‖)
        assert rule.edge(norm) == pytest.approx(published, rel=1e-9)
        assert rule.edge(norm) < 2 / rule.lr
    assert SAM(0.1, rho=0.0).edge(1.0) == pytest.approx(20)
    assert SAM(0.1, rho=0.05, normalize=False).edge(5.0) == SAM(0.1, rho=0.05, normalize=False).edge(1.0)


def test_sam_climbs_by_its_radius_and_nowhere_without_a_gradient():
    assert np.linalg.norm(SAM(0.1, rho=0.05).ascent(np.array([3.0, 4.0]))) == pytest.approx(0.05)
    assert SAM(0.1).ascent(np.zeros(2)).tolist() == [0, 0]
    assert SAM(0.1).edge(0.0) == 20


TORCH = {
    "gd": (GD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "heavy-ball": (HeavyBall(0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "nesterov": (Nesterov(0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    "rmsprop": (RMSProp(0.1), lambda p: torch.optim.RMSprop(p, lr=0.1)),
    "adam": (Adam(0.1), lambda p: torch.optim.Adam(p, lr=0.1)),
    "adamw": (AdamW(0.1, weight_decay=0.2), lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.2)),
}


@pytest.mark.parametrize("name", TORCH)
def test_a_rule_takes_the_steps_of_its_namesake_in_torch(name):
    rule, build = TORCH[name]
    h = np.array([1.0, 3.0, 0.2])
    w, p = np.array([1.0, -2.0, 0.5]), torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    optimizer, state = build([p]), rule.init(w)
    for step in range(30):
        optimizer.zero_grad()
        p.grad = torch.from_numpy(h) * p.detach()
        optimizer.step()
        dw, state = rule.update(h * w, state, step)
        w = w + dw + rule.decay(w)
        assert w == pytest.approx(p.detach().numpy(), rel=1e-9)


def test_the_preconditioner_describes_the_step_about_to_be_taken_also_at_step_zero():
    g = np.array([2.0, -0.5])
    for rule in (Adam(0.1), RMSProp(0.1)):
        dw, state = rule.update(g, rule.init(g), 0)
        m = (1 - rule.beta1) * g if isinstance(rule, Adam) else g
        assert dw == pytest.approx(-rule.lr * m / rule.preconditioner(state, 0), rel=1e-12)


@pytest.mark.parametrize(
    "build",
    [lambda: GD(0.0), lambda: GD(float("nan")), lambda: HeavyBall(0.1, beta=1.0), lambda: SAM(0.1, rho=-1.0)],
)
def test_meaningless_settings_are_named(build):
    with pytest.raises(InvalidArgument):
        build()
