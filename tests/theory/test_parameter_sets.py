"""The worked examples of docs/theory/examples.md: predicted intervals contain what is measured."""

from __future__ import annotations

import math

import pytest

from eoslab.models.minimalist import Minimalist
from eoslab.theory.check import check, context
from eoslab.theory.endings import first_trap
from eoslab.theory.orbit import orbit

A_PRIORI = {
    # set: λ2, η, θ0, T1, T2, s∞ and the table's bounds (ζ, U, δ, Σ|r|)
    "M1": (1 / 100, 1 / 2, (1.95, 1e-3, 0.2), 157, 1590, 1.994639, (0.0058, 0.020, 0.0062, 1.43)),
    "M2": (1 / 1000, 1 / 2, (1.99, 1e-3, 0.1), 186, 2864, 1.989241, (0.100, 0.127, 0.114, 303)),
    "M4": (1 / 1000, 2, (0.98, 1e-3, 0.93), 159, 4841, 1.998925, (0.193, 0.330, 0.269, 79)),
    "M6": (1e-4, 2 / 1.44, (1.18, 1e-3, 0.75), 2178, 23393, 1.995976, (0.118, 0.146, 0.135, 526)),
}
CERTIFIED = {
    # set: λ1, λ2, η, θ0, T1, first overshoot proved / measured, certificate at t, interval
    "S1": (1, 1 / 300, 3.125, (0.75, 1e-3, 0.8), 17, 0.493, 0.377, 1440, (1.99455, 1.99818)),
    "S2": (1, 0.001, 200 / 49, (0.65, 1e-3, 0.9), 36, 0.416, 0.351, 5700, (1.99858, 1.99942)),
    "S5": (1, 0.001, 2, (0.95, 1e-3, 0.9), 306, 0.256, 0.082, 7400, (1.99714, 1.99905)),
    "S7": (10, 0.05, 0.2, (0.95, 1e-3, 0.9), 61, 0.320, 0.085, 280, (1.92906, 1.99374)),
    "S8": (1, 1e-4, 2, (0.98, 1e-3, 0.9), 1134, 0.095, 0.062, 38000, (1.99842, 1.99987)),
}


@pytest.mark.parametrize("name", A_PRIORI)
def test_a_priori_set(name):
    lambda2, lr, w0, T1, T2, s_limit, (zeta, U, delta, total) = A_PRIORI[name]
    run = orbit(1.0, lambda2, lr, w0, T2 + 4000 + round(4 / lambda2), settle=False)
    found = {f.statement.id: f for f in check(Minimalist(1.0, lambda2), lr, w0, trajectory=run)}
    assert not [id for id, f in found.items() if f.contradiction]
    whole, edge, sharp = found["4.6'"], found["4.6"], found["4.6S"]
    assert whole.applies
    assert whole.consistent
    assert whole.measured["T1"] == T1
    assert whole.predicted["T1"][0] <= T1 <= whole.predicted["T1"][1]
    assert found["3.1"].measured["T2"] == T2
    # The printed bounds are rounded outward.
    assert edge.predicted["overshoot"][1] <= zeta
    assert edge.predicted["undershoot"][1] <= U
    assert sharp.predicted["delta"][1] <= delta
    assert edge.predicted["sum_abs_r"][1] <= total
    assert edge.measured["s_limit"] == pytest.approx(s_limit, abs=2e-5)
    for f in (edge, whole, sharp):
        for key, bound in f.predicted.items():
            value = f.measured[key]
            if isinstance(bound, tuple) and isinstance(value, float):
                assert bound[0] <= value <= bound[1], (f.statement.id, key)


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_set(name):
    lambda1, lambda2, lr, w0, T1, proved, overshoot, step, interval = CERTIFIED[name]
    model = Minimalist(lambda1, lambda2)
    run = orbit(lambda1, lambda2, lr, w0, step, settle=False)
    found = {f.statement.id: f for f in check(model, lr, w0, trajectory=run)}
    assert not [id for id, f in found.items() if f.contradiction]
    entry, first, trap = found["3.2"], found["4.2"], found["5.1"]
    assert entry.measured["T1"] == T1
    assert entry.predicted["T1"][0] <= T1 <= entry.predicted["T1"][1]
    assert first.predicted["first_overshoot_from_start"][1] <= proved
    assert first.measured["first_overshoot"] == pytest.approx(overshoot, abs=6e-4)
    assert first.predicted["first_overshoot"][0] <= overshoot <= first.predicted["first_overshoot"][1]
    lo, hi = trap.measured["s_limit"]
    assert interval[0] - 1e-5 <= lo <= hi <= interval[1] + 1e-5
    t, region = first_trap(context(model, lr, w0, trajectory=run))
    assert t <= step
    assert region.holds


def test_finding_as_json_has_the_agreed_keys():
    found = check(Minimalist(1.0, 0.01), 0.5, (1.95, 1e-3, 0.2), steps=3000)
    keys = {"statement", "title", "status", "hypotheses", "applies", "predicted", "measured", "consistent", "note"}
    for f in found:
        d = f.as_dict()
        assert set(d) == keys
        for h in d["hypotheses"]:
            assert set(h) == {"name", "holds", "margin"}
        for group in (d["predicted"], d["measured"]):
            for x in group.values():
                flat = x if isinstance(x, list) else [x]
                assert all(y is None or (isinstance(y, float) and math.isfinite(y)) for y in flat)
    ids = [f.statement.id for f in found]
    assert ids == [
        "0.1", "0.2", "0.3", "1.1", "1.2", "1.3", *[f"I{i}" for i in range(1, 9)], "3.0", "3.1", "3.2", "3.3",
        "4.2", "4.3", "4.4", "4.5", "4.6", "4.6'", "4.6S", "4.7", "4.8", "4.9", *[f"4.{i}" for i in range(10, 16)],
        "5.1", "5.2", "5.3", "5.4", "5.5", "6.1", "6.2", "7.1", "7.2", "7.3", "8", "9",
    ]  # fmt: skip


def test_a_corrupted_trajectory_is_a_contradiction():
    """Two per cent added to α from some step on is seen by the theorems about the whole run."""
    run = orbit(1.0, 0.01, 0.5, (1.95, 1e-3, 0.2), 3000, settle=False)
    run.w[2000:, 0] *= 1.02
    found = check(Minimalist(1.0, 0.01), 0.5, (1.95, 1e-3, 0.2), trajectory=run)
    assert {"4.6", "4.6'"} <= {f.statement.id for f in found if f.contradiction}


@pytest.mark.parametrize("b", [2.5, -0.7])
def test_teacher_scales_away(b):
    """Prop 0.1: findings for teacher b at θ0√|b|, η/|b| are those of teacher 1."""
    one = check(Minimalist(1.0, 0.01), 0.5, (1.95, 1e-3, 0.2), steps=1500)
    root = math.sqrt(abs(b))
    w0 = (1.95 * root, 1e-3 * root, math.copysign(0.2 * root, b))
    other = check(Minimalist(1.0, 0.01, b), 0.5 / abs(b), w0, steps=1500)
    for f, g in zip(one, other, strict=True):
        assert (f.applies, f.consistent) == (g.applies, g.consistent), f.statement.id
        if f.statement.id in ("3.2", "4.6", "4.6'"):
            for key, x in f.predicted.items():
                if key not in ("sum_loss",):
                    assert g.predicted[key] == pytest.approx(x, rel=1e-6, abs=1e-9), key
