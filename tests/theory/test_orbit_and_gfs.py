"""The reference trajectory against 50-digit data, GFS accounting, context and errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from eoslab.core.errors import InvalidArgument, UnknownName
from eoslab.models.minimalist import Minimalist
from eoslab.theory.certificate import search_trapping
from eoslab.theory.check import STATEMENTS, check, context, statement
from eoslab.theory.context import Context, Trajectory, runs_of
from eoslab.theory.gfs import accounting, eta_gfs_sharpness
from eoslab.theory.orbit import orbit
from eoslab.theory.pages import example_of, pages
from eoslab.theory.regimes import regime_of_start

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden_minimalist.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["trajectories"], ids=lambda c: c["name"])
def test_reference_orbit_reproduces_the_golden_trajectories(case):
    last = max(row["step"] for row in case["rows"])
    args = (case["lambda1"], case["lambda2"], case["eta"], tuple(case["theta0"]))
    run = orbit(*args, last, b=case["b"], settle=False)
    c = Context(*args, b=case["b"], trajectory=run)
    conserved = c.alpha**2 - c.beta1**2 - c.beta2**2
    compared = 0
    for row in case["rows"]:
        t = row["step"]
        if t > c.T:
            continue
        ours = {
            "alpha": run.w[t, 0],
            "beta2": run.w[t, 2],
            "loss": c.loss[t] * c.b**2,
            "sharpness": c.eta_sharpness[t] / c.lr,
            "gfs_sharpness": eta_gfs_sharpness(conserved[t], c.h, c.h1) / c.lr,
        }
        for name, value in ours.items():
            tolerance = float(row["rtol_float64"][name]) if isinstance(row["rtol_float64"], dict) else 0.0
            if 0 < tolerance <= 1e-3:
                assert value == pytest.approx(float(row[name]), rel=4 * tolerance), (t, name)
                compared += 1
    assert compared > 0


def test_beta1_survives_underflow():
    """|β1| falls to 1e−479 before the edge, far below float64, and comes back to 0.1 thousands of steps later."""
    start = (0.6, 1e-3, 0.1)
    run = orbit(1.0, 1e-3, 2.0, start, 8000, settle=False)
    low = int(np.argmin(run.log10_beta1))
    assert run.log10_beta1[low] < -450
    assert run.w[low, 1] == 0
    assert run.log10_beta1[low:].max() > -1
    c = Context(1.0, 1e-3, 2.0, start, trajectory=run)
    steps = np.diff(c.log_w) - 2 * np.log(np.abs(1 - c.s[:-1]))
    # A logarithm of size 1000 is rounded to 1e-13, and 1 − s loses digits where s is close to 1.
    assert np.max(np.abs(steps) * np.abs(1 - c.s[:-1])) < 1e-11


def test_account_of_gfs_sharpness_by_phase():
    run = orbit(1.0, 0.001, 2.0, (0.98, 1e-3, 0.93), 8000, settle=False)
    c = Context(1.0, 0.001, 2.0, (0.98, 1e-3, 0.93), trajectory=run)
    phases = accounting(c)
    assert list(phases) == ["ps", "eos", "final"]
    for x in phases.values():
        assert x.change == pytest.approx(x.by_residual + x.by_oscillation + x.by_coupling, rel=1e-9, abs=1e-14)
    # The drop happens at the edge, by oscillation, and is about (1 − (1+r_E)²)/α_e².
    r = c.r_tilde[c.T1]
    assert phases["eos"].change == pytest.approx(-(1 - (1 + r) ** 2), rel=0.02)
    assert abs(phases["eos"].by_oscillation) > 50 * abs(phases["eos"].by_residual)
    assert phases["eos"].eta_gfs[1] < phases["eos"].eta_gfs[0]


def test_regimes_of_starts():
    assert regime_of_start(1.95, 1e-3, 0.2, 0.005, 0.5) == "tame edge"
    assert regime_of_start(0.5, 1e-3, 0.5, 0.005, 0.5) == "flow"
    assert regime_of_start(0.65, 1e-3, 0.9, 0.2 / 49, 200 / 49) == "growing cycles"
    assert regime_of_start(1.2, 2.0, 0.5, 0.002, 2.0) == "divergence"
    assert regime_of_start(1.0, 0.1, 0.5, 1.2, 1.9) == "no stable minimiser"
    assert regime_of_start(1.6, 0.1, 0.5, 0.001, 1.0) == "catapult"


def test_check_without_a_trajectory_speaks_about_the_start_only():
    found = {f.statement.id: f for f in check(Minimalist(1.0, 0.01), 0.5, (1.95, 1e-3, 0.2), steps=0)}
    assert found["3.2"].applies
    assert found["3.2"].consistent is None
    assert found["4.6'"].predicted["T1"][1] < 185
    assert not found["4.6"].applies
    assert not any(f.consistent is False for f in found.values())


def test_diverging_runs_are_cut_and_certified():
    found = {f.statement.id: f for f in check(Minimalist(1.0, 0.01), 2.0, (1.2, 1.6, 0.5))}
    assert found["5.3"].applies
    assert found["5.3"].consistent
    assert not any(f.contradiction for f in found.values())


def test_misuse_is_refused_with_a_reason():
    with pytest.raises(InvalidArgument, match="lambda1"):
        Context(0.1, 1.0, 0.1, (1.0, 0.0, 1.0))
    with pytest.raises(InvalidArgument, match="b: got 0"):
        Context(1.0, 0.1, 0.1, (1.0, 0.0, 1.0), b=0)
    with pytest.raises(InvalidArgument, match="one projection"):
        Context(1.0, 0.1, 0.1, (1.0, 0.0, 1.0), floor=1e-3, cap=True)
    with pytest.raises(InvalidArgument, match="shape"):
        Trajectory.of(np.zeros((3, 2)))
    with pytest.raises(InvalidArgument, match="log10_beta1"):
        Trajectory.of(np.zeros((3, 3)), np.zeros(2))
    with pytest.raises(InvalidArgument, match="minimalist"):
        context(object(), 0.1, (1.0, 0.0, 1.0))
    with pytest.raises(UnknownName):
        statement("4.66")


def test_runs_of_a_mask():
    runs = runs_of(np.array([False, True, True, False, True]))
    assert runs.start.tolist() == [1, 4]
    assert runs.end.tolist() == [3, 5]
    assert len(runs_of(np.zeros(4, bool))) == 0


def test_no_trapping_region_above_the_edge():
    assert search_trapping(2.01, 0.0, 0.0, 100.0, 0.04) is None
    tight, roomy = (search_trapping(1.9, 1e-9, -1e-6, 1e3, 4e-3, tightest=x) for x in (True, False))
    assert tight.D < roomy.D
    assert tight.needed <= tight.D


def test_no_parameters_and_no_start_bring_out_a_contradiction_or_an_error():
    """Any λ1 ≥ λ2, any sign of b, zeros, denormal and huge starts, plain and projected."""
    rng = np.random.default_rng(6)
    for i in range(220):
        lambda1, b = 10.0 ** rng.uniform(-2, 2), rng.choice([-1, 1]) * 10.0 ** rng.uniform(-1, 1)
        k = 1.0 if i % 20 == 0 else 10.0 ** rng.uniform(0, 5)
        lr = 10.0 ** rng.uniform(-3, 0.7) / (lambda1 * abs(b))
        sizes = rng.choice(
            [1, 0.01, 1e-200, 0, 2 / np.sqrt(lr * lambda1 * abs(b))], 3, p=[0.5, 0.16, 0.02, 0.06, 0.26]
        )
        w0 = rng.normal(0, 1, 3) * np.sqrt(abs(b)) * sizes
        kind = {7: {"floor": 1e-3}, 13: {"cap": True}}.get(i % 20, {})
        for f in check(Minimalist(lambda1, lambda1 / k, b), lr, w0, steps=700, **kind):
            assert not f.contradiction, (f.statement.id, lambda1, k, b, lr, w0, kind, f.predicted, f.measured)
            f.as_dict()


DOCS = Path(__file__).parents[2] / "docs" / "theory"
NUMBER = re.compile(r"< 1e-12|-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def test_the_pages_of_the_statements_are_those_of_the_values():
    """Words to the letter; numbers of the live examples to what another platform's rounding may change."""
    wanted = dict(pages())
    assert {f"statements/{p.name}" for p in (DOCS / "statements").glob("*.md")} == set(wanted) - {"statements.md"}
    for name, text in wanted.items():
        committed = (DOCS / name).read_text()
        assert NUMBER.sub("#", committed) == NUMBER.sub("#", text), name
        for old, new in zip(NUMBER.findall(committed), NUMBER.findall(text), strict=True):
            small = [float(x.removeprefix("< ")) for x in (old, new)]
            assert small[0] == pytest.approx(small[1], rel=2e-2, abs=1e-8), (name, old, new)


def test_every_statement_has_a_proof_to_go_to_and_an_example():
    for s in STATEMENTS.values():
        path, _, anchor = s.reference.partition("#")
        target = (DOCS.parents[1] / path).read_text()
        assert not anchor or f'<a id="{anchor}"></a>' in target, s.reference
        example = example_of(s)
        # λ2 = 0 has no model; its page has orbits of the map instead
        assert (example is None) == (s.id == "5.4")
        assert example is None or example.found[s.id].consistent is not False
