"""From a question to a certificate: which statement, at which precision, with which evidence.

    converges             trapping region (5.1): proved;  D1 or D2 (5.3) or a start on the saddle line: refuted
    diverges              the same the other way round
    no-stable-minimiser   Prop 0.3 in exact rationals: always decided
    sharpness-bound       every step in balls up to a trapping region that bounds the rest

The precision starts at :data:`FIRST_BITS` and is doubled until the question is decided.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import flint
import mpmath

from eoslab import __version__
from eoslab.certify.certificate import STATEMENTS, WIDEST_MARGIN, Certificate, Hypothesis, Region
from eoslab.certify.exact import above, below, exact
from eoslab.certify.problem import Problem
from eoslab.certify.regions import ball, bounds, propose_tail, tail_below
from eoslab.certify.sharpness import SharpnessWatch, certainly_above
from eoslab.certify.trajectory import Attempt, Progress, attempt
from eoslab.core.errors import InvalidArgument, UnknownName, whole

__all__ = ["DEFAULT_MAX_BITS", "DEFAULT_MAX_STEPS", "certify"]

FIRST_BITS = 256
DEFAULT_MAX_STEPS = 1_000_000
DEFAULT_MAX_BITS = 16_384
#: A run is continued until η·λ1·α∞² is known this well; the price is a few per cent more steps.
DEFAULT_WIDTH = Fraction(1, 2000)
#: Decimals after the point of δ.
DELTA_UNIT = 10**12


def certify(
    lambda1: Any = 1,
    lambda2: Any = "1/250",
    b: Any = 1,
    lr: Any = 1,
    w0: Any = ("3/10", "1/1000", "1/10"),
    prove: str | None = None,
    delta: Any = None,
    *,
    max_steps: int = DEFAULT_MAX_STEPS,
    max_bits: int = DEFAULT_MAX_BITS,
    width: Any = DEFAULT_WIDTH,
    progress: Progress | None = None,
) -> Certificate:
    """Decide by ball arithmetic what gradient descent on the minimalist model does from one start.

    ``lambda1``, ``lambda2``, ``b``, ``lr`` and the three of ``w0`` = (α, β1, β2) are exact rationals: numbers or
    text such as "0.001" and "1/300"; floats count as the binary rationals they are. ``prove`` is one of
    ``converges``, ``diverges``, ``no-stable-minimiser``, ``sharpness-bound``, or None for the strongest that can
    be decided: ``sharpness-bound`` (which contains ``converges``) or ``diverges``, else ``no-stable-minimiser``.
    ``delta`` asks ``sharpness-bound`` for S ≤ (2+δ)/η; without it the smallest δ is found. ``width`` is the
    width of the enclosure of η·λ1·α∞² at which a run stops.

    Undecided within ``max_steps`` steps or ``max_bits`` bits, or interrupted from the keyboard, is a verdict
    (UNDECIDED with its reason), not an error. Raises InvalidArgument and UnknownName for misuse.

    >>> cert = certify(1, "1/300", 1, "3.125", ("0.75", "0.001", "0.8"))
    >>> cert.verdict, cert.statement, cert.enclosure[0][:5], cert.enclosure[1][:5]
    ('PROVED', 'sharpness-bound', '1.996', '1.996')
    """
    started = time.perf_counter()
    problem = Problem.parse(lambda1, lambda2, b, lr, w0)
    if prove is not None and prove not in STATEMENTS:
        raise UnknownName("statement", prove, STATEMENTS, "prove")
    asked = None if delta is None else exact("delta", delta)
    if asked is not None:
        if prove not in (None, "sharpness-bound"):
            raise InvalidArgument("delta", delta, "no value here", "Only 'sharpness-bound' has a δ")
        if asked <= -2:
            raise InvalidArgument("delta", delta, "a number > −2", "The bound is S ≤ (2+δ)/η, and S > 0")
        prove = "sharpness-bound"
    limits = whole("max_steps", max_steps), whole("max_bits", max_bits, 128)
    target = exact("width", width)
    blank = _blank(problem, prove, asked, *limits)
    # Without a stable minimiser only β1 = 0 can be trapped, so otherwise there is no sharpness worth following.
    trappable = problem.has_stable_minimiser or problem.w0[1] == 0

    if prove == "no-stable-minimiser":
        cert = _critical_points(blank, problem)
    elif problem.on_saddle:
        cert = _saddle(blank, prove)
    else:
        follow = (prove in (None, "sharpness-bound") and trappable) or asked is not None
        cert = _search(blank, problem, asked, follow, *limits, target, progress)
        if prove is None and cert.verdict == "UNDECIDED" and cert.reason != "interrupted":
            alternative = _critical_points(blank, problem)
            cert = alternative if alternative.verdict == "PROVED" else cert
    return replace(cert, seconds=f"{time.perf_counter() - started:.3f}").sealed()


def _blank(
    problem: Problem, prove: str | None, asked: Fraction | None, max_steps: int, max_bits: int
) -> Certificate:
    """The question with nothing shown yet."""
    versions = {
        "eoslab": __version__,
        "python": platform.python_version(),
        "python-flint": flint.__version__,
        "flint": flint.__FLINT_VERSION__,
        "mpmath": mpmath.__version__,
    }
    alpha, beta1, beta2 = map(str, problem.w0)
    return Certificate(
        statement=prove or "converges",
        verdict="UNDECIDED",
        reason="",
        method="",
        prove=prove,
        lambda1=str(problem.lambda1),
        lambda2=str(problem.lambda2),
        b=str(problem.b),
        lr=str(problem.lr),
        w0=(alpha, beta1, beta2),
        step=0,
        bits=0,
        max_steps=max_steps,
        max_bits=max_bits,
        region=None,
        enclosure=None,
        delta_asked=None if asked is None else str(asked),
        delta=None,
        delta_lower=None,
        peak_step=None,
        hypotheses=(),
        versions=tuple(versions.items()),
        seconds="",
    )


def _critical_points(blank: Certificate, problem: Problem) -> Certificate:
    """Proposition 0.3, in exact rational arithmetic."""
    stable = problem.has_stable_minimiser
    return replace(
        blank,
        statement="no-stable-minimiser",
        verdict="REFUTED" if stable else "PROVED",
        reason="a minimiser with sharpness ≤ 2/η exists" if stable else "",
        method="critical-points",
    )


def _saddle(blank: Certificate, prove: str | None) -> Certificate:
    """A start with α = β2 = 0 is a critical point: gradient descent stays there."""
    reason = "the start is a critical point that is no minimiser (α = β2 = 0): gradient descent stays there"
    if prove == "sharpness-bound":  # S is constant there, but no trapping region covers it
        return replace(blank, reason=reason)
    return replace(blank, statement=prove or "converges", verdict="REFUTED", reason=reason, method="saddle")


def _search(
    blank: Certificate,
    problem: Problem,
    asked: Fraction | None,
    follow: bool,
    max_steps: int,
    max_bits: int,
    width: Fraction,
    progress: Progress | None,
) -> Certificate:
    """Run at doubling precision until something is decided."""
    bits = min(FIRST_BITS, max_bits)
    tau = None if asked is None else 2 + asked
    while True:
        with flint.ctx.workprec(bits):
            result, watch = attempt(
                problem,
                bits,
                max_steps=max_steps,
                width=width,
                tau=tau,
                watch_sharpness=follow,
                progress=progress,
            )
            if result.kind == "trapped":
                return _trapped(blank, result, watch, asked)
            if result.kind.startswith("divergence"):
                return _diverges(blank, result)
            if result.kind == "exceeded":
                return _exceeded(blank, problem, result, watch)
        undecided = replace(blank, step=result.step, bits=bits)
        if result.kind == "interrupted":
            return replace(undecided, reason="interrupted")
        if result.kind == "steps":
            found = "neither a trapping region nor divergence"
            if not problem.has_stable_minimiser:
                found = "no divergence (and no stable minimiser to converge to)"
            return replace(undecided, reason=f"{found} within {max_steps} steps")
        if bits == max_bits:
            return replace(
                undecided,
                reason=f"balls of {bits} bits are too wide at step {result.step}; max_bits is {max_bits}",
            )
        bits = min(2 * bits, max_bits)


def _upper(x: Any, digits: int = 12) -> str:
    return above(bounds(x)[1], digits, spare=1)


def _margins(result: Attempt) -> tuple[Hypothesis, ...]:
    """Margins with three digits; in a divergence they may be astronomical and are cut."""
    return tuple(
        Hypothesis(name, below(bounds(margin.min(flint.arb(WIDEST_MARGIN)))[0], 3))
        for name, margin in result.margins
    )


def _trapped(
    blank: Certificate, result: Attempt, watch: SharpnessWatch | None, asked: Fraction | None
) -> Certificate:
    """The certificate of a trapping region, with the sharpness bound if it was followed."""
    region, state = result.trap, result.state
    assert region is not None
    assert state is not None
    statement = blank.prove or "sharpness-bound"
    cert = replace(
        blank,
        statement=statement,
        verdict="REFUTED" if statement == "diverges" else "PROVED",
        reason="gradient descent converges (Theorem 5.1)" if statement == "diverges" else "",
        method="trapping-region",
        step=result.step,
        bits=result.bits,
        # Exact decimals of 7 digits, then bounds; 1 − ρ ~ 1/k and 1 − m may be small, hence the digits.
        region=Region(
            below(region.D), below(region.R), *(_upper(x, 16) for x in (region.rho, region.m, region.g))
        ),
        enclosure=(below(bounds(region.lo)[0], spare=1), _upper(region.hi)),
        hypotheses=_margins(result),
    )
    if watch is None:
        return cert
    delta = asked
    if delta is None:
        along = bounds(watch.tau)[1]
        later = Fraction(propose_tail(state, region))
        # A larger τ is safer still: three tries are more than the bisection's rounding can need.
        for _ in range(3):
            delta = Fraction(ceil((max(along, later) - 2) * DELTA_UNIT), DELTA_UNIT)
            if tail_below(state, region, ball(2 + delta)):
                break
            later += Fraction(1, 10**6)
        else:
            return replace(cert, statement="converges") if blank.prove is None else _no_tail(blank, result)
    lower = _witness(watch)
    return replace(
        cert,
        delta=_decimal(delta) if asked is None else str(delta),
        delta_lower=None if lower is None else _decimal(lower),
        peak_step=None if lower is None else watch.peak_step,
    )


def _no_tail(blank: Certificate, result: Attempt) -> Certificate:
    return replace(
        blank,
        step=result.step,
        bits=result.bits,
        reason="the trapping region is too large to bound the sharpness inside it",
    )


def _witness(watch: SharpnessWatch, round_down: Callable[[Fraction], int] = floor) -> Fraction | None:
    """A δ with η·S > 2 + δ certainly at the step where the largest sharpness was seen."""
    if watch.peak_state is None:
        return None
    for margin in (2.0**-36, 2.0**-30, 2.0**-24):
        delta = Fraction(round_down((Fraction(watch.peak * (1 - margin)) - 2) * DELTA_UNIT), DELTA_UNIT)
        if certainly_above(watch.peak_state, watch.p, ball(2 + delta) / watch.lr):
            return delta
    return None


def _decimal(x: Fraction) -> str:
    """A multiple of 10⁻¹² in decimal notation, exactly."""
    units = int(x * DELTA_UNIT)
    return f"{'-' if units < 0 else ''}{abs(units) // DELTA_UNIT}.{abs(units) % DELTA_UNIT:012d}"


def _diverges(blank: Certificate, result: Attempt) -> Certificate:
    """The certificate of Theorem 5.3."""
    statement = blank.prove or "diverges"
    return replace(
        blank,
        statement=statement,
        verdict="PROVED" if statement == "diverges" else "REFUTED",
        reason="" if statement == "diverges" else "gradient descent diverges (Theorem 5.3), and S with it",
        method=result.kind,
        step=result.step,
        bits=result.bits,
        hypotheses=_margins(result),
    )


def _exceeded(blank: Certificate, problem: Problem, result: Attempt, watch: SharpnessWatch | None) -> Certificate:
    """The given δ is too small: the sharpness is above (2+δ)/η at one step."""
    assert watch is not None
    lower = _witness(watch)
    return replace(
        blank,
        verdict="REFUTED",
        reason=f"S > (2+δ)/η at step {result.step}",
        method="sharpness-exceeded",
        step=result.step,
        bits=result.bits,
        delta=blank.delta_asked,
        delta_lower=None if lower is None else _decimal(lower),
        peak_step=None if lower is None else watch.peak_step,
    )
