"""Which verdict which question gets: converging, diverging, undecided, hard and degenerate starts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from eoslab.certify import STATEMENTS, certify, exit_code, replay
from eoslab.core.errors import InvalidArgument, UnknownName

CONVERGES = {"lambda1": 1, "lambda2": "1/300", "b": 1, "lr": "3.125", "w0": ".75,.001,.8"}
DIVERGES = {"lambda1": 1, "lambda2": "1/10", "b": 1, "lr": 4, "w0": "1,0.2,0.9"}
D2 = {"lambda1": 1, "lambda2": ".9", "b": 1, "lr": 10, "w0": "20,0,20"}
SADDLE = {"lambda1": 1, "lambda2": "1/10", "b": 1, "lr": 1, "w0": "0,0.3,0"}
NO_MINIMISER = {"lambda1": 1, "lambda2": "1/2", "b": 1, "lr": "2.9", "w0": "1,.001,.9"}

VERDICTS = [
    (CONVERGES, None, "sharpness-bound", "PROVED", "trapping-region"),
    (CONVERGES, "converges", "converges", "PROVED", "trapping-region"),
    (CONVERGES, "diverges", "diverges", "REFUTED", "trapping-region"),
    (CONVERGES, "no-stable-minimiser", "no-stable-minimiser", "REFUTED", "critical-points"),
    (CONVERGES, "sharpness-bound", "sharpness-bound", "PROVED", "trapping-region"),
    (DIVERGES, None, "diverges", "PROVED", "divergence-D1"),
    (DIVERGES, "converges", "converges", "REFUTED", "divergence-D1"),
    (DIVERGES, "diverges", "diverges", "PROVED", "divergence-D1"),
    (DIVERGES, "sharpness-bound", "sharpness-bound", "REFUTED", "divergence-D1"),
    (D2, None, "diverges", "PROVED", "divergence-D2"),
    (D2, "converges", "converges", "REFUTED", "divergence-D2"),
    # |p| ≈ 3, where the factor 1 − 1/|p| of D2 matters, with either sign of p
    ({**D2, "w0": "0.7,0,4.3"}, None, "diverges", "PROVED", "divergence-D2"),
    ({**D2, "w0": "0.7,0,-4.3"}, None, "diverges", "PROVED", "divergence-D2"),
    (SADDLE, None, "converges", "REFUTED", "saddle"),
    (SADDLE, "diverges", "diverges", "REFUTED", "saddle"),
    (NO_MINIMISER, "no-stable-minimiser", "no-stable-minimiser", "PROVED", "critical-points"),
]


@pytest.mark.parametrize(("question", "prove", "statement", "verdict", "method"), VERDICTS)
def test_question_and_verdict(question, prove, statement, verdict, method):
    cert = certify(**question, prove=prove)
    assert (cert.statement, cert.verdict, cert.method) == (statement, verdict, method)
    assert (cert.reason == "") == (verdict == "PROVED")
    result = replay(cert)
    assert result.ok, result.failures
    assert exit_code(cert, result) == 0


def test_a_given_delta_is_proved_or_refuted_with_the_step():
    best = certify(**CONVERGES)
    proved = certify(**CONVERGES, delta=best.delta)
    assert (proved.verdict, proved.delta) == ("PROVED", str(Fraction(best.delta)))
    refuted = certify(**CONVERGES, delta=best.delta_lower)
    assert (refuted.verdict, refuted.method) == ("REFUTED", "sharpness-exceeded")
    assert refuted.step == best.peak_step
    assert certify(**CONVERGES, delta="0.3").step < best.peak_step
    for cert in (proved, refuted):
        assert replay(cert).ok


def test_a_delta_200_digits_from_the_largest_sharpness_needs_more_bits():
    peak = largest_sharpness(CONVERGES, certify(**CONVERGES).peak_step)
    hair = Fraction(1, 10**200)
    above, below = (certify(**CONVERGES, delta=peak - 2 + sign * hair) for sign in (1, -1))
    assert (above.verdict, below.verdict) == ("PROVED", "REFUTED")
    assert above.bits >= 1024
    assert below.bits >= 1024
    assert replay(above).ok
    assert replay(below).ok


def largest_sharpness(question, step):
    """η·S at a step, to 250 digits: bisection for the largest root of the characteristic polynomial (Prop 1.2)."""
    import mpmath

    with mpmath.workdps(300):
        lr, l2 = mpmath.mpf(question["lr"]), mpmath.mpf(1) / 300
        a, x, y = mpmath.mpf("0.75"), mpmath.mpf("0.001"), mpmath.mpf("0.8")
        for _ in range(step):
            a, x, y = (
                a - lr * (a * x * x + l2 * (a * y - 1) * y),
                x - lr * a * a * x,
                y - lr * l2 * (a * y - 1) * a,
            )
        q, m, d = x * x + l2 * y * y, a * a, l2 * a * a
        c1, c2 = (2 * a * x) ** 2, (l2 * (2 * a * y - 1)) ** 2
        left, right = max(q, m, d), m + q + 1
        for _ in range(900):
            t = (left + right) / 2
            inside = (t - q) * (t - m) * (t - d) - c1 * (t - d) - c2 * (t - m) < 0
            left, right = (t, right) if inside else (left, t)
        return Fraction(*mpmath.libmp.to_rational((left * lr)._mpf_))


def test_a_first_step_that_all_but_kills_beta1_needs_2048_bits():
    # 1 − s ≈ −2·10⁻⁴⁰⁰: with fewer bits the ball of β1 contains 0 and grows at the edge.
    alpha = 1 + Fraction(1, 10**400)
    cert = certify(1, "1/100", 1, 1, (alpha, "1", "2.4"), prove="converges", width="1/100")
    assert cert.verdict == "PROVED"
    assert cert.bits >= 2048
    assert replay(cert).ok


def test_long_cycles_need_more_than_the_first_precision():
    question = {
        "lambda1": 1,
        "lambda2": "1/1000",
        "b": 1,
        "lr": 8,
        "w0": "0.6246,0.01,1.2508",
        "prove": "converges",
    }
    cert = certify(**question)
    assert (cert.verdict, cert.bits) == ("PROVED", 512)
    low = certify(**question, max_bits=256)
    assert low.verdict == "UNDECIDED"
    assert "max_bits" in low.reason
    assert exit_code(low) == 5


def test_too_few_steps_leave_it_undecided():
    cert = certify(**CONVERGES, max_steps=1000)
    assert (cert.verdict, cert.step, cert.enclosure) == ("UNDECIDED", 1000, None)
    assert "1000" in cert.reason
    result = replay(cert)
    assert result.ok
    assert exit_code(cert, result) == 5


def test_without_a_stable_minimiser_a_bounded_run_proves_proposition_0_3():
    cert = certify(**NO_MINIMISER, max_steps=500)
    assert (cert.verdict, cert.statement) in {("PROVED", "no-stable-minimiser"), ("PROVED", "diverges")}
    undecided = certify(**NO_MINIMISER, prove="converges", max_steps=10)
    assert undecided.verdict == "UNDECIDED"
    assert "no stable minimiser" in undecided.reason


def test_the_sharpness_on_the_saddle_line_is_left_undecided_at_once():
    cert = certify(**SADDLE, prove="sharpness-bound")
    assert (cert.verdict, cert.step) == ("UNDECIDED", 0)
    assert "critical point" in cert.reason


@pytest.mark.parametrize("b", ["4", "-4", "9/4", "-1/9"])
def test_the_teacher_only_scales(b):
    # Proposition 0.1 with √|b| rational: θ = √|b|·θ̃, η = η̃/|b|.
    root = {4: Fraction(2), Fraction(9, 4): Fraction(3, 2), Fraction(1, 9): Fraction(1, 3)}[abs(Fraction(b))]
    sign = 1 if Fraction(b) > 0 else -1
    w0 = (root * Fraction(3, 4), root / 1000, sign * root * Fraction(4, 5))
    scaled = certify(1, "1/300", b, Fraction(25, 8) / abs(Fraction(b)), w0)
    plain = certify(**CONVERGES)
    same = ("verdict", "step", "enclosure", "delta", "peak_step")
    assert [getattr(scaled, name) for name in same] == [getattr(plain, name) for name in same]
    assert replay(scaled).ok
    no = certify(1, "1/2", b, Fraction(29, 10) / abs(Fraction(b)), w0, prove="no-stable-minimiser")
    assert no.verdict == "PROVED"


def test_signs_of_the_start_do_not_matter():
    plain = certify(**CONVERGES)
    mirrored = certify(**{**CONVERGES, "w0": "-.75,-.001,-.8"})
    assert replace(mirrored, w0=plain.w0, seconds=plain.seconds).sealed() == plain


def test_with_beta1_exactly_zero_a_minimiser_above_the_threshold_is_reached():
    # The null set on which β1 cannot grow: S∞ = 3.24·2/η/… > 2/η, which Theorem 5.1 with w = 0 still proves.
    cert = certify(1, "1/1000", 1, 1, "1.8,0,0.5")
    assert (cert.verdict, cert.method) == ("PROVED", "trapping-region")
    assert Fraction(cert.enclosure[0]) > 2
    assert "s₊ < 2" not in {one.name for one in cert.hypotheses}
    assert replay(cert).ok


def test_a_start_at_a_minimiser_is_decided_at_step_0():
    cert = certify(1, "1/2", 1, 1, "1,0,1")
    assert (cert.verdict, cert.step) == ("PROVED", 0)
    assert abs(Fraction(cert.enclosure[0]) - 1) < Fraction(1, 10**9)
    assert replay(cert).ok


def test_extreme_sizes_are_no_trap():
    for w0 in ("1e4000,0,0", "1e300,1,1", "1e-300,1e-300,1e-300", "1e-200,0,1", "1,1e400,1"):
        cert = certify(1, "1/300", 1, 1, w0, max_steps=300)
        assert cert.verdict in {"PROVED", "UNDECIDED"}
        assert replay(cert).ok


def test_extreme_units_are_no_trap():
    for lambda1, lambda2, b, lr, w0 in (
        ("1e400", "1e300", "1e-400", "1e-100", "1e-200,1e-210,1e-201"),
        ("1", "1e-900", "1", "1", "1,1e-3,1"),
        ("1e-500", "1e-600", "1e50", "1e450", "1,1,1"),
    ):
        cert = certify(lambda1, lambda2, b, lr, w0, max_steps=100, max_bits=512)
        assert replay(cert).ok


def test_beta1_that_vanishes_exactly_after_one_step_is_confirmed_by_both_arithmetics():
    # ηλ1α² = 1. The product of balls around 1/3 and 3 is not exactly 1, that of 1/4 and 4 is.
    for lambda1, lr in ((3, "1/3"), (4, "1/4")):
        cert = certify(lambda1, "1/10", 1, lr, "1,1/10,1")
        assert cert.verdict == "PROVED"
        assert replay(cert).ok


def test_an_interrupt_is_a_verdict_and_keeps_what_was_proved():
    def stop(step, radius):
        assert radius < 1e-10
        raise KeyboardInterrupt

    early = certify(**{**CONVERGES, "lambda2": "1e-4"}, progress=stop)
    assert (early.verdict, early.reason) == ("UNDECIDED", "interrupted")
    assert exit_code(early) == 5

    def stop_late(step, radius):
        if step > 1500:
            raise KeyboardInterrupt

    late = certify(**CONVERGES, width="1e-9", progress=stop_late)
    assert late.verdict == "PROVED"
    assert replay(late).ok


def test_misuse_is_explained():
    for wrong in (
        {"lambda2": "2"},
        {"lambda2": "0"},
        {"lr": "-1"},
        {"b": 0},
        {"w0": "1,2"},
        {"w0": ("1", "x", "2")},
        {"lr": "1/0"},
        {"lr": float("nan")},
        {"lr": "1e999999999"},
        {"max_bits": 127},
        {"delta": "-2"},
        {"delta": "0.1", "prove": "converges"},
    ):
        with pytest.raises(InvalidArgument):
            certify(**{**CONVERGES, **wrong})
    with pytest.raises(UnknownName, match="converges"):
        certify(**CONVERGES, prove="convergs")
    assert set(STATEMENTS) == {"converges", "diverges", "no-stable-minimiser", "sharpness-bound"}
