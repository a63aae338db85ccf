"""The parameter sets of docs/theory §10: what was proved there is proved here, at least as tightly."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest

from eoslab.certify import certify, replay

# name: (lambda1, lambda2, lr, start), (step, lo, hi) of the table, largest measured overshoot of η·λ1·α²
SETS = {
    "S1": (("1", "1/300", "3.125", ".75,.001,.8"), (1440, "1.99455", "1.99818"), 0.390),
    "S2": (("1", ".001", "200/49", ".65,.001,.9"), (5700, "1.99858", "1.99942"), 0.481),
    "S5": (("1", ".001", "2", ".95,.001,.9"), (7400, "1.99714", "1.99905"), 0.082),
    "S7": (("10", ".05", ".2", ".95,.001,.9"), (280, "1.92906", "1.99374"), 0.085),
    "S8": (("1", "1e-4", "2", ".98,.001,.9"), (38000, "1.99842", "1.99987"), 0.062),
}
each_set = pytest.mark.parametrize("name", SETS)


def ask(name, **options):
    (lambda1, lambda2, lr, w0), table, overshoot = SETS[name]
    return certify(lambda1, lambda2, 1, lr, w0, **options), table, overshoot


@each_set
def test_default_proof_is_at_least_as_tight_as_the_table(name):
    cert, (_, lo, hi), overshoot = ask(name)
    assert (cert.verdict, cert.statement, cert.bits) == ("PROVED", "sharpness-bound", 256)
    assert Fraction(lo) <= Fraction(cert.enclosure[0]) < Fraction(cert.enclosure[1]) <= Fraction(hi)
    assert Fraction(cert.enclosure[1]) - Fraction(cert.enclosure[0]) <= Fraction(1, 2000) + Fraction(1, 10**9)
    # S ≥ λ1α², and δ is the largest η·S − 2 to ten digits.
    assert overshoot - 0.001 <= float(cert.delta) <= overshoot + 0.02
    assert 0 < Fraction(cert.delta) - Fraction(cert.delta_lower) < Fraction(1, 10**9)


@each_set
def test_the_steps_of_the_table_suffice_for_its_interval(name):
    _, (step, lo, hi), _ = ask(name, max_steps=0)
    cert, _, _ = ask(name, prove="converges", max_steps=step)
    assert cert.verdict == "PROVED"
    assert cert.step <= step
    # The table rounds outward to five decimals.
    assert Fraction(lo) - Fraction(1, 10**5) <= Fraction(cert.enclosure[0])
    assert Fraction(cert.enclosure[1]) <= Fraction(hi) + Fraction(1, 10**5)


@each_set
def test_longer_runs_give_nested_intervals(name):
    wide, _, _ = ask(name, prove="converges", width=1)
    narrow, _, _ = ask(name, prove="converges", width="1e-9")
    assert narrow.step > wide.step
    assert Fraction(wide.enclosure[0]) <= Fraction(narrow.enclosure[0])
    assert Fraction(narrow.enclosure[1]) <= Fraction(wide.enclosure[1])


@pytest.mark.parametrize("name", ["S1", "S2", "S5", "S7"])
def test_both_implementations_agree_on_the_whole_trajectory(name):
    cert, _, _ = ask(name)
    result = replay(cert)
    assert result.ok, result.failures


def test_replay_of_the_longest_set():
    cert, _, _ = ask("S8", prove="converges")
    result = replay(cert)
    assert result.ok, result.failures


def test_s2_takes_far_less_than_half_a_minute():
    started = time.perf_counter()
    cert, _, _ = ask("S2")
    assert cert.verdict == "PROVED"
    assert time.perf_counter() - started < 3  # measured 0.04 s; the factor is for a loaded machine
