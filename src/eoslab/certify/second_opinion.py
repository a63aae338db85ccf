"""The second opinion: a certificate recomputed from its file with mpmath's interval arithmetic.

Nothing is shared with the first implementation but the file and the theorems: endpoints in place of balls, the
map and every inequality written again, integers in place of screening. What is recomputed is the claim with all
its numbers; that the file is unchanged is checked on top of it by the digest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

from mpmath.ctx_iv import MPIntervalContext
from mpmath.libmp import from_rational, mpi_add, mpi_mul, mpi_sub, round_ceiling, round_floor
from mpmath.libmp.libmpi import mpi_square

from eoslab.certify.certificate import METHODS, STATEMENTS, VERDICTS, WIDEST_MARGIN, Certificate
from eoslab.certify.exact import exact
from eoslab.core.errors import InvalidArgument

__all__ = ["Replay", "replay", "replay_seconds"]

Interval: TypeAlias = Any  # an mpmath interval, or its raw pair of endpoints in the loop

#: More bits than the certificate's own: interval endpoints may spread a little faster than balls.
GUARD_BITS = 64
#: No certificate of ours has more; a forged file must not keep the machine busy.
MOST_BITS = 1 << 20
REPORT_EVERY = 1024
#: A bound of the file may be this much (relatively) weaker than the recomputed one: its digits are rounded.
NEAR = Fraction(1, 10**10)


@dataclass(frozen=True)
class Replay:
    """Result of a replay: ``ok``, every claim that was not confirmed, the interval precision and the time."""

    ok: bool
    failures: tuple[str, ...]
    bits: int
    seconds: float


class _Unconfirmed(Exception):
    """A claim of the file that the second computation does not confirm."""


@dataclass(frozen=True)
class _Data:
    """The exact inputs of a certificate, parsed from its text."""

    lambda1: Fraction
    lambda2: Fraction
    b: Fraction
    lr: Fraction
    alpha: Fraction
    beta1: Fraction
    beta2: Fraction


def replay(
    cert: Certificate,
    *,
    progress: Callable[[int, float], None] | None = None,
    announce: Callable[[float], None] | None = None,
) -> Replay:
    """Recompute a certificate by the second implementation; ``ok`` iff every claim in it is confirmed.

    ``announce`` is called first with the expected seconds, ``progress`` now and then with the step and the width
    of α's interval. An UNDECIDED certificate claims nothing; of it only integrity is checked.
    """
    started = time.perf_counter()
    bits = cert.bits + GUARD_BITS
    if cert.computed_digest() != cert.digest:
        # Nothing is left to be confirmed, and a damaged number of steps could take for ever.
        changed = ("digest: the file was changed after it was written",)
        return Replay(False, changed, bits, time.perf_counter() - started)
    failures: list[str] = []
    try:
        data = _parse(cert)
        _check_form(cert)
        if announce is not None:
            announce(replay_seconds(cert))
        if cert.method == "critical-points":
            _check_critical_points(cert, data)
        elif cert.method == "saddle":
            _require(data.alpha == 0 and data.beta2 == 0, "the start is not on the saddle line")
        elif cert.method:
            _Trajectory(cert, data, bits, progress).check()
    except _Unconfirmed as failure:
        failures.append(str(failure))
    except (ArithmeticError, ValueError) as error:  # an interval through zero, a number out of range
        failures.append(f"the recomputation failed: {error}")
    return Replay(not failures, tuple(failures), bits, time.perf_counter() - started)


def replay_seconds(cert: Certificate) -> float:
    """Expected time of a replay: the first steps are timed (a few milliseconds) and extrapolated."""
    if not cert.method or cert.method in ("critical-points", "saddle") or cert.bits > MOST_BITS:
        return 0.0
    sample = min(cert.step, 40)
    started = time.perf_counter()
    try:
        _Trajectory(cert, _parse(cert), cert.bits + GUARD_BITS, None).advance(sample)
    except _Unconfirmed:  # then the replay ends there, too
        return 0.0
    return (time.perf_counter() - started) * cert.step / sample if sample else 0.0


def _require(condition: bool, failure: str) -> None:
    if not condition:
        raise _Unconfirmed(failure)


def _parse(cert: Certificate) -> _Data:
    try:
        values = [exact(name, getattr(cert, name)) for name in ("lambda1", "lambda2", "b", "lr")]
        start = [exact("w0", text) for text in cert.w0]
    except InvalidArgument as error:
        raise _Unconfirmed(f"inputs: {error.message}") from None
    texts = [cert.lambda1, cert.lambda2, cert.b, cert.lr, *cert.w0]
    _require([str(x) for x in values + start] == texts, "inputs: not written as exact rationals in lowest terms")
    data = _Data(*values, *start)
    _require(data.lambda1 >= data.lambda2 > 0 and data.lr > 0 and data.b != 0, "inputs: out of range")
    return data


def _check_form(cert: Certificate) -> None:
    """Whether the fields go together: what a verdict needs is there, and nothing else."""
    _require(cert.statement in STATEMENTS and cert.verdict in VERDICTS, "statement or verdict: unknown")
    _require(cert.prove in (None, cert.statement), "prove: another statement was asked for")
    _require(cert.step <= cert.max_steps, "step: beyond max_steps")
    _require(cert.bits <= min(cert.max_bits, MOST_BITS), "bits: beyond max_bits")
    if cert.delta_asked is not None:
        _require(cert.statement == "sharpness-bound", "delta_asked: only sharpness-bound has a δ")
    claims = (cert.region, cert.enclosure, cert.delta, cert.delta_lower, cert.peak_step)
    if cert.verdict == "UNDECIDED":
        empty = cert.method == "" and not cert.hypotheses and all(x is None for x in claims)
        _require(empty and cert.reason != "", "verdict: UNDECIDED with claims, or without a reason")
        return
    _require(cert.method in METHODS.get((cert.statement, cert.verdict), ()), "method: does not give this verdict")
    _require((cert.reason != "") == (cert.verdict == "REFUTED"), "reason: present iff REFUTED")
    trapped = cert.method == "trapping-region"
    _require((cert.region is not None) == trapped and (cert.enclosure is not None) == trapped, "region, enclosure")
    bounded = cert.statement == "sharpness-bound" and cert.method in ("trapping-region", "sharpness-exceeded")
    _require((cert.delta is not None) == bounded, "delta: present iff the sharpness was bounded or exceeded")
    _require((cert.delta_lower is None) == (cert.peak_step is None), "delta_lower and peak_step belong together")
    _require(cert.delta_lower is None or bounded, "delta_lower: without a bound")
    if cert.delta_asked is not None and bounded:
        _require(cert.delta == cert.delta_asked, "delta: not the one that was asked for")
    if cert.method in ("critical-points", "saddle"):
        _require(cert.step == 0 and cert.bits == 0 and not cert.hypotheses, "step, bits: none were needed")


def _check_critical_points(cert: Certificate, x: _Data) -> None:
    """Proposition 0.3 with denominators cleared: η|b|λ1 ≤ 2 and η|b|λ2 ≤ 1, or > 2 and (ηb)²λ1²λ2 ≤ 4(λ1 − λ2)."""
    step = x.lr * abs(x.b)
    if step * x.lambda1 <= 2:
        stable = step * x.lambda2 <= 1
    else:
        stable = (step * x.lambda1) ** 2 * x.lambda2 <= 4 * (x.lambda1 - x.lambda2)
    _require(stable == (cert.verdict == "REFUTED"), "verdict: Proposition 0.3 says the opposite")


def _number(text: str | None, field: str) -> Fraction:
    try:
        return exact(field, text)
    except InvalidArgument as error:
        raise _Unconfirmed(f"{field}: {error.message}") from None


def _unit(text: str) -> Fraction:
    """One unit in the last place of a decimal."""
    exponent = Decimal(text).as_tuple().exponent
    assert isinstance(exponent, int)
    return Fraction(10) ** exponent


class _Trajectory:
    """Gradient descent in intervals, with the checks of the certificate that need it."""

    def __init__(
        self, cert: Certificate, data: _Data, bits: int, progress: Callable[[int, float], None] | None
    ) -> None:
        self.cert, self.data, self.bits, self.progress = cert, data, bits, progress
        self.iv = MPIntervalContext()
        self.iv.prec = bits
        self.one = self.raw(Fraction(1))
        self.h1, self.h = self.raw(data.lr * data.lambda1), self.raw(data.lr * data.lambda2)
        self.hb = self.raw(data.lr * data.lambda2 * data.b)
        self.theta = (self.raw(data.alpha), self.raw(data.beta1), self.raw(data.beta2))
        self.step = 0
        self.tau: Interval = None
        if cert.method == "trapping-region" and cert.delta is not None:
            self.tau = self.raw(2 + _number(cert.delta, "delta"))

    def raw(self, x: Fraction) -> Interval:
        """Endpoints of the tightest interval around a rational number."""
        top, bottom = x.numerator, x.denominator
        return (
            from_rational(top, bottom, self.bits, round_floor),
            from_rational(top, bottom, self.bits, round_ceiling),
        )

    def interval(self, x: Fraction) -> Interval:
        return self.iv.make_mpf(self.raw(x))

    def advance(self, steps: int) -> None:
        """Gradient descent, η-scaled and factored: α(1−h1β1²−hβ2²)+hbβ2, β1(1−h1α²), β2(1−hα²)+hbα."""
        n, one, h1, h, hb = self.bits, self.one, self.h1, self.h, self.hb
        alpha, beta1, beta2 = self.theta
        for _ in range(steps):
            if self.tau is not None:
                self.theta = (alpha, beta1, beta2)
                _require(self.sharpness_below(self.tau), f"delta: S ≤ (2+δ)/η not confirmed at step {self.step}")
            squared = mpi_square(alpha, n)
            keep = mpi_sub(
                mpi_sub(one, mpi_mul(h1, mpi_square(beta1, n), n), n), mpi_mul(h, mpi_square(beta2, n), n), n
            )
            alpha, beta1, beta2 = (
                mpi_add(mpi_mul(alpha, keep, n), mpi_mul(hb, beta2, n), n),
                mpi_mul(beta1, mpi_sub(one, mpi_mul(h1, squared, n), n), n),
                mpi_add(mpi_mul(beta2, mpi_sub(one, mpi_mul(h, squared, n), n), n), mpi_mul(hb, alpha, n), n),
            )
            self.step += 1
            if self.progress is not None and self.step % REPORT_EVERY == 0:
                self.progress(self.step, float(self.iv.make_mpf(alpha).delta))
        self.theta = (alpha, beta1, beta2)

    def scaled_hessian(self) -> tuple[Interval, Interval, Interval, Interval, Interval]:
        """(Q, c1, m1, c2, m2) of ηH as an arrowhead: corner Q, border (c1, c2), diagonal (m1, m2), all raw."""
        n, h1, h = self.bits, self.h1, self.h
        alpha, beta1, beta2 = self.theta
        squared = mpi_square(alpha, n)
        cross = mpi_mul(h1, mpi_mul(alpha, beta1, n), n)
        product = mpi_mul(h, mpi_mul(alpha, beta2, n), n)
        return (
            mpi_add(mpi_mul(h1, mpi_square(beta1, n), n), mpi_mul(h, mpi_square(beta2, n), n), n),
            mpi_add(cross, cross, n),
            mpi_mul(h1, squared, n),
            mpi_sub(mpi_add(product, product, n), self.hb, n),
            mpi_mul(h, squared, n),
        )

    def sharpness_below(self, tau: Interval) -> bool:
        """τI − ηH positive definite: d1 > 0, d2 > 0 and (τ−Q)d1d2 − c1²d2 − c2²d1 > 0."""
        n = self.bits
        q, c1, m1, c2, m2 = self.scaled_hessian()
        d0, d1, d2 = mpi_sub(tau, q, n), mpi_sub(tau, m1, n), mpi_sub(tau, m2, n)
        arms = mpi_add(mpi_mul(mpi_square(c1, n), d2, n), mpi_mul(mpi_square(c2, n), d1, n), n)
        determinant = mpi_sub(mpi_mul(d0, mpi_mul(d1, d2, n), n), arms, n)
        return all(self.iv.make_mpf(x).a > 0 for x in (d1, d2, determinant))

    def sharpness_above(self, delta: Fraction) -> bool:
        """Some principal minor of (2+δ)I − ηH is negative."""
        tau = self.interval(2 + delta)
        q, c1, m1, c2, m2 = (self.iv.make_mpf(x) for x in self.scaled_hessian())
        d0, d1, d2 = tau - q, tau - m1, tau - m2
        minors = (d0, d1, d2, d0 * d1 - c1**2, d0 * d2 - c2**2, d0 * d1 * d2 - c1**2 * d2 - c2**2 * d1)
        return any(x.b < 0 for x in minors)

    # -- what is claimed ------------------------------------------------------------------------------------

    def check(self) -> None:
        cert = self.cert
        if cert.peak_step is not None:
            _require(cert.peak_step <= cert.step, "peak_step: after the end")
            lower = _number(cert.delta_lower, "delta_lower")
            self.advance(cert.peak_step)
            _require(self.sharpness_above(lower), "delta_lower: not exceeded at peak_step")
            delta = _number(cert.delta, "delta")
            if cert.method == "trapping-region":
                _require(lower < delta, "delta: below delta_lower")
        self.advance(cert.step - self.step)
        alpha, beta1, beta2 = (self.iv.make_mpf(x) for x in self.theta)
        h1, b = self.interval(self.data.lr * self.data.lambda1), self.interval(self.data.b)
        reduced = (h1 * alpha**2, h1 * beta1**2, alpha * beta2 / b - 1)
        if cert.method == "trapping-region":
            self.check_trap(*reduced)
        elif cert.method == "sharpness-exceeded":
            _require(self.sharpness_above(_number(cert.delta, "delta")), "delta: not exceeded at this step")
            _require(not cert.hypotheses, "hypotheses: none are needed")
        else:
            self.check_divergence(*reduced)

    @property
    def k(self) -> Interval:
        return self.interval(self.data.lambda1 / self.data.lambda2)

    @property
    def eps(self) -> Interval:
        return self.interval((self.data.lr * self.data.b) ** 2 * self.data.lambda1 * self.data.lambda2)

    def check_trap(self, s: Interval, w: Interval, r: Interval) -> None:
        """Theorem 5.1 on the intervals, with the upper bounds of the file in place of ρ, m and g."""
        cert, k, eps = self.cert, self.k, self.eps
        assert cert.region is not None
        assert cert.enclosure is not None
        box = cert.region
        D, R = (self.interval(_number(text, name)) for text, name in ((box.D, "D"), (box.R, "R")))
        growth = self.iv.exp(D)
        lo, hi = s / growth, s * growth
        _require(lo.a > 0, "s₋ is not positive")
        # With β1 = 0 the conditions on s₊ < 2 and m are dropped. The file says whether it makes use of that: balls
        # may miss that β1 vanishes where intervals see it.
        dead = "m < 1" not in {one.name for one in cert.hypotheses}
        _require(not dead or (w.a == 0 and w.b == 0), "hypotheses: β1 = 0 is not confirmed")
        self.agrees("enclosure[0]", lo, text=cert.enclosure[0], low=True)
        self.agrees("enclosure[1]", hi, text=cert.enclosure[1])
        # |F| ≤ ρ of the proof: −F at either end (it is convex in s), F at most at s₋ with the least ε/s.
        bends = [x / k + eps / x * (1 + R) ** 2 - 1 for x in (lo, hi)]
        bends.append(1 - lo / k - eps / hi * (1 - R) ** 2)
        self.agrees("rho", *bends, text=box.rho)
        self.agrees("m", *([self.iv.mpf(0)] if dead else [(1 - x) ** 2 for x in (lo, hi)]), text=box.m)
        self.agrees("g", w + eps / lo * (1 + R) * R, text=box.g)
        rho, m, g = (self.interval(_number(x, "region")) for x in (box.rho, box.m, box.g))
        _require(rho.b < 1 and m.b < 1 and g.b < 1 and R.b < 1, "one of ρ, m, g, R is not < 1")
        # The proved inequalities use the rounded-up ρ, m, g: that is stronger than using the exact ones.
        sum_w = w / (1 - m)
        sum_r = (abs(r) + (1 + R) * sum_w) / (1 - rho)
        drift = 2 * (sum_w + eps / lo * (1 + R) * sum_r) / (1 - g)
        margins = {
            "0 < s₋": lo,
            "s₊ < k": k - hi,
            "ρ < 1": 1 - rho,
            "R < 1": 1 - R,
            "|r| < R": R - abs(r),
            "(1+R)w/(1−ρ) < R": R - (1 + R) * w / (1 - rho),
            "g < 1": 1 - g,
            "drift of log s < D": D - drift,
        }
        if not dead:
            margins |= {"s₊ < 2": 2 - hi, "m < 1": 1 - m}
        self.confirm(margins)
        if self.tau is not None:
            self.check_tail(lo, hi, w, R)

    def check_tail(self, lo: Interval, hi: Interval, w: Interval, R: Interval) -> None:
        """η·S < τ in the whole region: Schur complement of τI − ηH with s ≤ s₊, w ≤ w_N, |r| ≤ R."""
        tau, k, eps = self.iv.make_mpf(self.tau), self.k, self.eps
        wide, narrow = tau - hi, tau - hi / k
        _require(wide.a > 0 and narrow.a > 0, "delta: the region reaches beyond (2+δ)/η")
        corner = w + eps * (1 + R) ** 2 / lo
        border = 4 * hi * w / wide + (eps / k) * (1 + 2 * R) ** 2 / narrow
        _require((tau - corner - border).a > 0, "delta: not confirmed inside the trapping region")

    def check_divergence(self, s: Interval, w: Interval, r: Interval) -> None:
        """(D1) or (D2) of Theorem 5.3."""
        k, eps = self.k, self.eps
        if self.cert.method == "divergence-D1":
            self.confirm({"s ≥ 2": s - 2, "w > 2 + ε/(4s)": w - 2 - eps / s / 4}, may_vanish="s ≥ 2")
            return
        p = abs(r + 1)
        _require(p.a > 1, "|p| > 1 is not confirmed")
        lost = (p - 1) / p
        margins = {
            "|p| > 1": p - 1,
            "s(1−1/|p|) ≥ 2k": s * lost - 2 * k,
            "w + n(1−1/|p|) > 2": w + eps * p * (p - 1) / s - 2,
        }
        self.confirm(margins, may_vanish="s(1−1/|p|) ≥ 2k")

    def confirm(self, margins: dict[str, Interval], may_vanish: str = "") -> None:
        """Every inequality holds, and the file names exactly these with these margins."""
        for name, margin in margins.items():
            holds = margin.a >= 0 if name == may_vanish else margin.a > 0
            _require(bool(holds), f"hypothesis not confirmed: {name}")
        claimed = {one.name: one.margin for one in self.cert.hypotheses}
        _require(set(claimed) == set(margins) and len(claimed) == len(self.cert.hypotheses), "hypotheses: others")
        for name, text in claimed.items():
            # Three digits rounded down; ρ, m, g are rounded up here, so a hair below counts as well.
            margin, slack = margins[name], self.interval(2 * _unit(text))
            margin = self.iv.mpf(WIDEST_MARGIN) if margin.a > WIDEST_MARGIN else margin
            stated = self.interval(_number(text, "margin"))
            _require(bool(abs(stated - margin).b <= slack.b), f"hypotheses: margin of {name} is not {text}")

    def agrees(self, name: str, *values: Interval, text: str, low: bool = False) -> None:
        """The file's decimal bounds all values from outside, and is not more than 10⁻¹⁰ (relatively) away."""
        claimed = self.interval(_number(text, name))
        room = abs(claimed) * self.interval(NEAR)
        if low:
            outside = all(claimed.b <= x.a for x in values)
            near = any(claimed.a >= x.a - room.b for x in values)
        else:
            outside = all(claimed.a >= x.b for x in values)
            near = any(claimed.b <= x.b + room.b for x in values)
        _require(bool(outside and near), f"{name}: the recomputed value is another")
