"""The classifier: settings of docs/theory §10 and §12, one example of every word, and independence of storage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import eoslab
from eoslab.core import vocabulary
from eoslab.dynamics import Floor, GradientFlow
from eoslab.models import UV, Berthier, Minimalist, MinimalistD
from eoslab.optimizers import GD
from eoslab.results import trajectory as module
from eoslab.theory import classifier

# -- the settings of the theory --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """λ1, λ2, η, start; steps; T1; excursions by η·S; largest z = ηλ1α² − 2 and −z after T1; last ηλ1α²; T2.

    None where docs/theory states no value. Stated values are rounded, so half a unit of the last digit is allowed.
    """

    name: str
    problem: tuple[float, float, float]
    start: tuple[float, float, float]
    steps: int
    t1: int
    excursions: int | None = None
    overshoot: tuple[float, float] | None = None
    undershoot: tuple[float, float] | None = None
    last: tuple[float, float] | None = None
    t2: int | None = None


A_PRIORI = [
    Setting("M1", (1, 1e-2, 1 / 2), (1.95, 1e-3, 0.2), 100_000, 157, None, (0.0055, 1e-4), (0.0054, 1e-4),
            (1.994639, 1e-6), 1590),
    Setting("M2", (1, 1e-3, 1 / 2), (1.99, 1e-3, 0.1), 100_000, 186, None, (0.0291, 1e-4), (0.0303, 1e-4),
            (1.989241, 1e-6), 2864),
    Setting("M4", (1, 1e-3, 2.0), (0.98, 1e-3, 0.93), 100_000, 159, None, (0.0563, 1e-4), (0.0554, 1e-4),
            (1.998925, 1e-6), 4841),
    Setting("M6", (1, 1e-4, 2 / 1.44), (1.18, 1e-3, 0.75), 300_000, 2178, None, (0.0438, 1e-4), (0.0449, 1e-4),
            (1.995976, 1e-6), 23393),
]  # fmt: skip
#: Excursions, and the interval in which the limit has been proved to lie (its middle and its width).
CERTIFIED = [
    Setting("S1", (1, 1 / 300, 3.125), (0.75, 1e-3, 0.8), 10_000, 17, 5, (0.390, 1e-3), None, (1.996865, 0.00363)),
    Setting("S2", (1, 1e-3, 200 / 49), (0.65, 1e-3, 0.9), 20_000, 36, 9, (0.481, 1e-3), None, (1.999, 0.00084)),
    Setting("S5", (1, 1e-3, 2.0), (0.95, 1e-3, 0.9), 40_000, 306, 2, (0.082, 1e-3), None, (1.998095, 0.00191)),
    Setting("S7", (10, 0.05, 0.2), (0.95, 1e-3, 0.9), 4000, 61, 1, (0.085, 1e-3), None, (1.9614, 0.06468)),
    Setting("S8", (1, 1e-4, 2.0), (0.98, 1e-3, 0.9), 300_000, 1134, 5, (0.062, 1e-3), None, (1.999145, 0.00145)),
]


@pytest.mark.parametrize("case", A_PRIORI + CERTIFIED, ids=lambda c: c.name)
def test_settings_of_the_theorems(case):
    lambda1, lambda2, eta = case.problem
    ds = eoslab.trajectory(Minimalist(lambda1, lambda2), GD(lr=eta), case.start, steps=case.steps)
    z = eta * lambda1 * ds.w.sel(param="alpha").values ** 2 - 2
    assert int(ds.T1) == case.t1
    assert case.t2 is None or int(ds.T2) == case.t2
    assert case.excursions is None or int(ds.excursions) == case.excursions
    value, unit = case.overshoot
    assert z.max() == pytest.approx(value, abs=unit)
    if case.undershoot:
        value, unit = case.undershoot
        assert -z[ds.step.values >= case.t1].min() == pytest.approx(value, abs=unit)
    value, unit = case.last
    assert 2 + z[-1] == pytest.approx(value, abs=unit / 2)
    assert ds.regime.item() == "edge"
    assert ds.outcome.item() == "converged"
    phase = ds.phase.values
    names = list(vocabulary.PHASES)
    step = ds.step.values
    assert {names[c] for c in phase[step < case.t1]} == {"ps"}
    assert {names[c] for c in phase[(step >= case.t1) & (step < int(ds.T2))]} == {"eos"}
    assert {names[c] for c in phase[step >= int(ds.T2)]} == {"final"}


DEMONSTRATIONS = [
    # λ2, start, η, floor, T1, excursions by η·S, last crossing, max η·S/2, late η·S/2
    (1e-3, (1.0, 0.01, 0.1), 1.98, False, 41, 12, 3050, 1.031, 0.99949),
    (1e-3, (0.5, 0.01, 0.1), 3.549, True, 284, 15, 2950, 1.136, 0.99940),
    (1e-4, (0.5, 0.01, 0.1), 3.549, True, 2828, 52, None, 1.035, 0.99944),
    (1e-3, (0.5, 0.01, 0.1), 2.662, False, 521, 1, None, 1.61, 0.895),
]


@pytest.mark.parametrize("case", DEMONSTRATIONS, ids=["several cycles", "three phases", "long", "one catapult"])
def test_settings_for_demonstrations(case):
    lambda2, start, eta, floor, t1, excursions, last, top, late = case
    rule = Floor(GD(lr=eta)) if floor else GD(lr=eta)
    ds = eoslab.trajectory(Minimalist(1.0, lambda2), rule, start, steps=int(8 / lambda2), record_every=100)
    kinds, steps = ds.event_kind.values, ds.event_step.values
    assert (int(ds.T1), int(ds.excursions)) == (t1, excursions)
    assert int(np.sum(kinds == "crossing-up")) == excursions == int(np.sum(kinds == "peak"))
    assert steps[kinds == "crossing-up"][0] == t1
    if last is not None:
        assert steps[kinds == "crossing-down"][-1] == pytest.approx(last, abs=5)
    assert float(ds.max_eta_sharpness) / 2 == pytest.approx(top, abs=1e-3)
    # 'late' values still drift in the fourth decimal
    assert float(ds.eta_sharpness[-1]) / 2 == pytest.approx(late, abs=1e-3)
    assert ds.regime.item() == "edge"
    assert ("floor-released" in kinds) == floor


def test_entry_of_the_weakly_correlated_setting():
    """The number of its excursions is decided by rounding: β1 follows its moving target to 1e-19 before the edge,
    and the alternation grows out of that. Entry and height are not."""
    model = MinimalistD(lambdas=(1.0, 1e-3), v=(1e-3, 1.0))
    ds = eoslab.trajectory(model, GD(lr=3.549), (0.5, 0.01, 0.1), steps=8000)
    assert ds.event_step.values[0] == 284
    assert float(ds.max_eta_sharpness) / 2 == pytest.approx(1.425, abs=0.02)
    assert float(ds.eta_sharpness[-1]) / 2 == pytest.approx(0.99951, abs=6e-4)


# -- the words ---------------------------------------------------------------------------------------------------

EXAMPLES = {
    "converged below the edge": (Minimalist(1, 0.05), GD(lr=1.25), (0.5, 0.01, 0.75), 400, "converged", "stable"),
    "stopped on the way up": (Minimalist(1, 1e-3), GD(lr=2.0), (0.95, 1e-3, 0.9), 100, "running", "stable"),
    "excursions go on": (Minimalist(1, 1e-3), GD(lr=2.0), (0.95, 1e-3, 0.9), 2000, "cycling", "edge-unsettled"),
    "edge": (Minimalist(1, 1e-3), GD(lr=2.0), (0.95, 1e-3, 0.9), 40_000, "converged", "edge"),
    "started above": (Minimalist(1, 1e-3), GD(lr=1.5), (1.3, 0.3, 0.3), 40_000, "converged", "catapult"),
    "started above, later the edge": (
        Minimalist(1, 1e-3), GD(lr=1.5), (1.3, 1e-3, 0.3), 40_000, "converged", "edge",
    ),
    "diverged": (Minimalist(1, 1e-2), GD(lr=1.0), (1.5, 1.5, 0.5), 100, "diverged", "diverged"),
    "at a saddle": (Minimalist(1, 1e-2), GD(lr=0.5), (0.0, 0.5, 0.0), 100, "saddle", "stable"),
    "dead β1": (Minimalist(1, 1e-3), GD(lr=2.662), (0.5, 0.0, 0.1), 40_000, "metastable", "edge-unsettled"),
    "two-cycle": (UV(), GD(lr=1.05), (0.9, 0.8), 5000, "period-2", "edge-unsettled"),
    "cycle of four": (UV(), GD(lr=1.25), (0.9, 0.8), 5000, "cycling", "edge-unsettled"),
    "drifting two-cycle": (Berthier(), GD(lr=0.3), None, 20_000, "period-2", "edge-unsettled"),
    "flow": (UV(), GradientFlow(time=100.0), None, 100, "converged", "no-threshold"),
    "flow that leaves": (Berthier(), GradientFlow(time=1.0), (-5.0, 5.0), 100, "failed", "no-threshold"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_has_its_outcome_and_regime(name):
    model, rule, w0, steps, outcome, regime = EXAMPLES[name]
    ds = eoslab.trajectory(model, rule, w0, steps=steps)
    assert (ds.outcome.item(), ds.regime.item()) == (outcome, regime)
    catapulted = "catapult" in ds.event_kind.values
    assert catapulted == name.startswith("started above")


def test_every_outcome_and_regime_has_an_example():
    assert {e[4] for e in EXAMPLES.values()} | {"interrupted", "no-such-start", "inferred"} == set(
        vocabulary.OUTCOMES
    )
    assert {e[5] for e in EXAMPLES.values()} == set(vocabulary.REGIMES)


def test_a_stopped_run_is_interrupted():
    ds = eoslab.trajectory(
        Minimalist(1, 1e-3), GD(lr=2.0), (0.95, 1e-3, 0.9), steps=10**6, stop=lambda: True, record_every=1000
    )
    assert ds.outcome.item() == "interrupted"
    assert int(ds.steps) < 10**6


def test_divergence_is_a_row_of_nan_and_an_event():
    model, rule, w0, steps, *_ = EXAMPLES["diverged"]
    ds = eoslab.trajectory(model, rule, w0, steps=steps)
    assert np.isnan(ds.loss.values[-1])
    assert np.isfinite(ds.loss.values[:-1]).all()
    assert ds.event_kind.values[-1] == "divergence"
    assert ds.event_step.values[-1] == ds.step.values[-1] == int(ds.steps)


def test_codes_are_positions_in_the_vocabulary():
    outcomes, regimes = list(vocabulary.OUTCOMES), list(vocabulary.REGIMES)
    phases, events = list(vocabulary.PHASES), list(vocabulary.EVENTS)
    c = classifier
    assert outcomes[c.RUNNING : c.DIVERGED + 1] == [
        "running", "converged", "period-2", "cycling", "saddle", "metastable", "diverged",
    ]  # fmt: skip
    assert [regimes[i] for i in (c.STABLE, c.EDGE, c.EDGE_UNSETTLED, c.CATAPULT_REGIME, c.DIVERGES)] == [
        "stable", "edge", "edge-unsettled", "catapult", "diverged",
    ]  # fmt: skip
    assert [phases[i] for i in (c.TRANSIENT, c.PS, c.EOS, c.FINAL)] == ["transient", "ps", "eos", "final"]
    assert [events[i] for i in (c.UP, c.DOWN, c.PEAK, c.DIP, c.PERIOD2, c.UNDERFLOW, c.RETURN, c.RELEASE)] == [
        "crossing-up", "crossing-down", "peak", "dip", "period-2", "beta1-underflow", "beta1-return",
        "floor-released",
    ]  # fmt: skip
    assert (events[c.CATAPULT], events[c.DIVERGENCE]) == ("catapult", "divergence")
    for word in [*outcomes, *regimes, *phases, *events]:
        assert vocabulary.title(word)


# -- events are facts of the run, not of how it was stored ---------------------------------------------------

RUNS = {
    "cycles": (Minimalist(1, 1e-3), GD(lr=1.98), (1.0, 0.01, 0.1), 6000),
    "underflow": (Minimalist(1, 1e-3), GD(lr=2.662), (0.5, 0.01, 0.1), 4000),
    "floor": (Minimalist(1, 1e-3), Floor(GD(lr=3.549)), (0.5, 0.01, 0.1), 7000),
    "two-cycle": (UV(), GD(lr=1.05), (0.9, 0.8), 2000),
    "diverged": (Minimalist(1, 0.5), GD(lr=2.9), (0.9, 0.1, 1.0), 3000),
    "started above": (Minimalist(1, 1e-3), GD(lr=1.5), (1.3, 1e-3, 0.3), 8000),
}
SCALARS = ("outcome", "regime", "T1", "T2", "steps", "max_eta_sharpness", "excursions")


def facts(ds):
    """What must not depend on storage: events, scalars, the state to go on from."""
    events = list(zip(ds.event_kind.values.tolist(), ds.event_step.values.tolist(), strict=True))
    values = [x for x in ds.event_value.values.tolist() if x == x]
    return events, values, [ds[n].item() for n in SCALARS], ds.state_w.values.tolist()


@pytest.mark.parametrize("record_every", [7, 100, 100_000])
@pytest.mark.parametrize("name", RUNS)
def test_decimated_storage_has_the_events_and_peaks_of_full_storage(name, record_every):
    model, rule, w0, steps = RUNS[name]
    full = eoslab.trajectory(model, rule, w0, steps=steps)
    thin = eoslab.trajectory(model, rule, w0, steps=steps, record_every=record_every)
    assert facts(thin) == facts(full)
    assert len(thin.step) < len(full.step) or len(full.step) < 3 * record_every
    assert (thin.step.values[0], thin.step.values[-1]) == (full.step.values[0], full.step.values[-1])
    assert float(thin.eta_sharpness.max()) == float(full.eta_sharpness.max())
    assert float(thin.loss.max()) == float(full.loss.max())
    # the rows that are kept are rows of the full run
    same = full.sel(step=thin.step)
    for variable in ("w", "loss", "sharpness", "eta_sharpness", "gfs_sharpness", "phase"):
        np.testing.assert_array_equal(thin[variable].values, same[variable].values)


@pytest.mark.parametrize("chunk", [1, 64, 1000])
@pytest.mark.parametrize("name", ["cycles", "underflow", "floor", "diverged"])
def test_chunks_do_not_matter(name, chunk, monkeypatch):
    model, rule, w0, steps = RUNS[name]
    steps = min(steps, 600 if chunk == 1 else 3000)
    whole = eoslab.trajectory(model, rule, w0, steps=steps)
    monkeypatch.setattr(module, "CHUNK", chunk)
    pieces = eoslab.trajectory(model, rule, w0, steps=steps)
    assert facts(pieces) == facts(whole)
    for variable in ("w", "loss", "eta_sharpness", "phase"):
        np.testing.assert_array_equal(pieces[variable].values, whole[variable].values)


def test_crossings_alternate_and_peaks_lie_between_them():
    model, rule, w0, steps = RUNS["cycles"]
    ds = eoslab.trajectory(model, rule, w0, steps=steps)
    eta, kinds, steps_ = ds.eta_sharpness.values, ds.event_kind.values, ds.event_step.values
    ups, downs = steps_[kinds == "crossing-up"], steps_[kinds == "crossing-down"]
    peaks, dips = steps_[kinds == "peak"], steps_[kinds == "dip"]
    # the definitions, read off the stored series
    above = eta >= 2
    assert ups.tolist() == (np.flatnonzero(above[1:] & ~above[:-1]) + 1).tolist()
    assert downs.tolist() == (np.flatnonzero(~above[1:] & above[:-1]) + 1).tolist()
    assert peaks.tolist() == [u + int(np.argmax(eta[u:d])) for u, d in zip(ups, downs, strict=True)]
    assert dips.tolist() == [d + int(np.argmin(eta[d:u])) for d, u in zip(downs, ups[1:], strict=False)]
    assert ds.event_value.values[kinds == "peak"].tolist() == eta[peaks].tolist()


def test_phases_are_the_one_line_predicates():
    """Definition 3.1 evaluated by NumPy on the stored run."""
    model, rule, w0, steps = RUNS["cycles"]
    ds = eoslab.trajectory(model, rule, w0, steps=steps)
    alpha, beta2 = ds.w.sel(param="alpha").values, ds.w.sel(param="beta2").values
    edge = np.sqrt(2 / (rule.lr * model.lambda1))
    t1, t2 = int(np.argmax(alpha >= edge)), int(np.argmax(beta2 >= 1 / edge))
    assert (int(ds.T1), int(ds.T2)) == (t1, t2)
    table = eoslab.phases(ds)
    assert table.phase.values.tolist() == ["ps", "eos", "final"]
    assert table.start.values.tolist() == [0, t1, t2]


def folded(above):
    """Events of the crossing pattern alone, η·S being 3 above and 1 below the threshold 2."""
    from eoslab.kernels.compiler import shared_kernel

    n = len(above)
    kinds, steps, values = np.empty(3 * n, np.int8), np.empty(3 * n, np.int64), np.empty(3 * n)
    pattern = np.array(above, bool)
    eta = np.where(pattern, 3.0, 1.0)
    _, _, _, used = shared_kernel().fold(
        classifier.NO_CROSSINGS, 0.0, -1, pattern, eta, eta[0], n, 0, kinds, steps, values
    )
    names = list(vocabulary.EVENTS)
    return [(names[k], int(s)) for k, s in zip(kinds[:used], steps[:used], strict=True)]


def test_a_two_cycle_is_one_event_and_the_crossing_that_ends_it_is_written():
    jumps = [t % 2 == 1 for t in range(40)]  # above at step 39
    calm = folded([*jumps, *[False] * 10])
    assert [kind for kind, _ in calm].count("period-2") == 1
    assert calm[-1] == ("crossing-down", 40)
    stays_up = folded([*jumps, *[True] * 10, False])
    assert [kind for kind, _ in stays_up].count("period-2") == 1
    assert stays_up[-3] == ("crossing-up", 39)
    assert stays_up[-2][0] == "peak"
    assert stays_up[-1] == ("crossing-down", 50)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_run_too_short_to_return_is_no_two_cycle(steps):
    ds = eoslab.trajectory(Minimalist(1.0, 0.01), GD(0.5), (0.5, 0.1, 0.3), steps=steps)
    assert ds.outcome.item() == "running"
