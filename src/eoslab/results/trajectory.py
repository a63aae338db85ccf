"""The verb ``trajectory``: advance an engine in chunks, fold the classifier, keep rows, label the result.

Full and decimated storage share everything: a chunk is always computed and classified at every step, and
decimation only chooses which of its rows are kept. So peaks and events do not depend on ``record_every``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.errors import InvalidArgument, whole
from eoslab.core.vocabulary import EVENTS
from eoslab.kernels.compiler import shared_kernel
from eoslab.kernels.engine import Engine, Floats, LowDimensionalEngine, Rows, State
from eoslab.kernels.engine_d import DiagonalEngine
from eoslab.theory import classifier

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Recording", "engine_for", "trajectory"]

#: Steps computed at once: large enough that Python costs nothing, small enough for cache, progress and Ctrl-C.
CHUNK = 32768
LOG10_TINY = np.log10(np.finfo(float).tiny)


def trajectory(
    objective: Any,
    rule: Any,
    w0: Any = None,
    *,
    steps: int,
    record_every: int = 1,
    state: State | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Run ``rule`` on ``objective`` from ``w0`` for ``steps`` updates and return the labelled trajectory.

    The result has dims ``step``, ``param``, ``event``; variables ``w(step, param)``, ``loss``, ``loss_osc``,
    ``loss_conv``, ``sharpness`` (λmax ∇²L), ``eta_sharpness`` (λmax(P⁻¹H), compared with ``threshold``),
    ``gfs_sharpness``, ``phase``, ``measured``; scalars ``outcome``, ``regime``, ``threshold``, ``lr``, ``T1``,
    ``T2`` (−1 where absent), ``max_eta_sharpness``. Where β1 left the float64 range, ``w`` holds what float64
    can (0 or subnormal) and β1 = ``beta1_mantissa`` · 2^``beta1_exponent``. Divergence is the event
    ``divergence`` at the first step with a number that is not finite, and one row of NaN there.

    ``record_every`` = k keeps every k-th step, the first, the last, and within every k the steps of the
    largest and smallest η·S_eff and of the largest loss; events are those of all steps in any case.
    ``stop`` is asked between chunks; when it says True the run ends as ``interrupted``, resumable.
    ``state`` continues a run from the state that :class:`Recording` left.

    Raises :class:`~eoslab.core.errors.InvalidArgument` for a w0 of the wrong size or not finite.

    >>> import eoslab
    >>> model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3)
    >>> ds = eoslab.trajectory(model, eoslab.optimizers.GD(lr=2.0), [0.95, 1e-3, 0.9], steps=8000)
    >>> str(ds.regime.values), int(ds.T1)
    ('edge', 306)
    """
    from eoslab.results.schema import dataset

    engine = engine_for(objective, rule)
    recording = Recording(engine, whole("record_every", record_every, 1))
    begin = state or State.start(_start_point(objective, w0))
    recording.run(begin, whole("steps", steps), stop, progress)
    return dataset(recording)


def engine_for(objective: Any, rule: Any) -> Engine:
    """The engine for a model and a rule."""
    make = getattr(rule, "engine", None) or getattr(objective, "engine", None)
    if make is not None:
        engine: Engine = make(objective, rule)
        return engine
    if getattr(objective, "structure", "") == "diagonal":
        return DiagonalEngine(objective, rule)
    return LowDimensionalEngine(objective, rule)


def _start_point(objective: Any, w0: Any) -> Floats:
    if w0 is None:
        w0 = objective.default_w0
    try:
        w = np.asarray(w0, dtype=float)
    except (TypeError, ValueError):
        raise InvalidArgument("w0", repr(w0), f"{len(objective.params)} numbers") from None
    if w.shape != (len(objective.params),):
        raise InvalidArgument(
            "w0", f"shape {w.shape}", f"{len(objective.params)} numbers: {', '.join(objective.params[:4])}"
        )
    if not np.isfinite(w).all():
        raise InvalidArgument("w0", w0, "finite numbers")
    return w


@dataclass
class Recording:
    """A run while it is made: rows kept so far, events, the classifier's state, the state to go on from."""

    engine: Engine
    record_every: int = 1
    rows: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[int, int, float]] = field(default_factory=list)
    crossings: tuple[int, ...] = classifier.NO_CROSSINGS
    extreme: float = 0.0
    extreme_at: int = -1
    max_eta: float = -np.inf
    max_eta_at: int = -1
    under: bool = False
    least: float = 0.0
    recent: Floats | None = None
    state: State | None = None
    outcome: str = "running"
    diverged: bool = False

    def run(
        self,
        begin: State,
        steps: int,
        stop: Callable[[], bool] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Advance from ``begin`` by ``steps`` updates; may be called again to go on."""
        self.state = begin
        end = begin.step + steps
        first = True
        while first or self.state.step < end:
            if not first and stop is not None and stop():
                self.outcome = "interrupted"
                return
            size = min(self._chunk(), end - self.state.step)
            resumed = first and bool(self.rows)
            rows, self.state, self.diverged = self.engine.advance(self.state, size)
            # the first row of a chunk is the last of the one before
            self._take(rows, skip=0 if first and not resumed else 1, end=end)
            first = False
            if progress is not None:
                progress(self.state.step - begin.step, steps)
            if self.diverged:
                self.events.append((classifier.DIVERGENCE, self.state.step + 1, np.nan))
                return

    def _chunk(self) -> int:
        """A multiple of ``record_every`` near CHUNK, so that bins of extremes do not straddle chunks."""
        return max(1, CHUNK // self.record_every) * self.record_every if self.record_every < CHUNK else CHUNK

    def _take(self, rows: Rows, skip: int, end: int) -> None:
        n = len(rows)
        if n > skip:
            kinds, steps, values = np.empty(3 * n, np.int8), np.empty(3 * n, np.int64), np.empty(3 * n)
            self.crossings, self.extreme, self.extreme_at, used = shared_kernel().fold(
                self.crossings, self.extreme, self.extreme_at, rows.above[skip:], rows.eta[skip:], n - skip,
                rows.start + skip, kinds, steps, values,
            )  # fmt: skip
            self.events += zip(kinds[:used].tolist(), steps[:used].tolist(), values[:used].tolist(), strict=True)
            top = skip + int(np.argmax(rows.eta[skip:]))
            if rows.eta[top] > self.max_eta:
                self.max_eta, self.max_eta_at = float(rows.eta[top]), rows.start + top
            self._underflow(rows, skip)
            if rows.flag is not None:
                released = np.flatnonzero(np.diff(rows.flag) == 1) if n > 1 else np.array([], int)
                for i in released[rows.flag[released + 1] == 2].tolist():
                    self.events.append((classifier.RELEASE, rows.start + i, np.nan))
        recent = rows.w if self.recent is None else np.concatenate([self.recent, rows.w[skip:]])
        self.recent = recent[-3:].copy()
        keep = self._keep(rows, skip, end)
        steps_kept = rows.start + keep
        kept: dict[str, Any] = {"step": steps_kept, "w": rows.w[keep]}
        for name in ("loss_osc", "loss_conv", "sharpness", "eta", "gfs", "above", "phase", "mantissa", "exponent"):
            values_of = getattr(rows, name)
            kept[name] = None if values_of is None else values_of[keep]
        self.rows.append(kept)

    def _keep(self, rows: Rows, skip: int, end: int) -> np.ndarray:
        n, k = len(rows), self.record_every
        if k == 1:
            return np.arange(skip, n)
        wanted = np.zeros(n, bool)
        steps = np.arange(rows.start, rows.start + n)
        wanted[steps % k == 0] = True
        if skip == 0:
            wanted[0] = True
        if steps[-1] == end or self.diverged:
            wanted[-1] = True
        loss = rows.loss_osc + rows.loss_conv
        for lo in range(skip, n, k):
            hi = min(lo + k, n)
            wanted[lo + int(np.argmax(rows.eta[lo:hi]))] = True
            wanted[lo + int(np.argmin(rows.eta[lo:hi]))] = True
            wanted[lo + int(np.argmax(loss[lo:hi]))] = True
        wanted[:skip] = False
        return np.flatnonzero(wanted)

    def _underflow(self, rows: Rows, skip: int) -> None:
        """Events for a homogeneous component (the leading one) that leaves and re-enters the float64 range."""
        which = self.engine.homogeneous or getattr(self.engine.model, "homogeneous", ())
        if not which:
            return
        i = which[0]
        size = np.abs(rows.w[skip:, i])
        low = size < np.finfo(float).tiny
        if not low.any() and not self.under:
            return
        if rows.mantissa is not None and rows.exponent is not None:
            with np.errstate(divide="ignore"):
                log10 = np.log10(np.abs(rows.mantissa[skip:, i])) + rows.exponent[skip:, i] * np.log10(2.0)
        else:
            with np.errstate(divide="ignore"):
                log10 = np.log10(size)
        edges = np.flatnonzero(np.diff(np.concatenate([[self.under], low]).astype(np.int8)))
        spans = np.split(np.arange(len(low)), edges)
        for span in spans:
            if len(span) == 0:
                continue
            if low[span[0]]:
                if not self.under:
                    # a start at β1 = 0 was never in range: nothing has left it
                    self.events.append(
                        (classifier.UNDERFLOW, rows.start + skip + int(span[0]), float(log10[span[0]]))
                    )
                    self.least = 0.0
                self.under = True
                self.least = min(self.least, float(log10[span].min()))
            elif self.under:
                self.events.append((classifier.RETURN, rows.start + skip + int(span[0]), self.least))
                self.under = False

    # -- verdict ----------------------------------------------------------------------------------------

    def verdict(self) -> tuple[str, str]:
        """Outcome and regime as words, by the classifier."""
        from eoslab.core.vocabulary import OUTCOMES, REGIMES

        outcomes, regimes = list(OUTCOMES), list(REGIMES)
        assert self.recent is not None
        assert self.state is not None
        c = self.crossings
        if self.diverged:
            code = classifier.DIVERGED
        else:
            last = self.rows[-1]
            excess = float(last["loss_osc"][-1] + last["loss_conv"][-1]) / self.engine.model.loss_scale
            w = self.recent
            size = float(np.abs(w[-1]).max())
            moved = [float(np.abs(w[-1] - w[-1 - i]).max()) if len(w) > i else np.inf for i in (1, 2)]
            code = classifier.outcome_of(excess, size, *moved, bool(c[0] == 1), self.state.step, c)
        settled = code == classifier.CONVERGED
        if self.engine.t2 >= 0 and self.engine.model.name == "minimalist":
            w = self.recent[-1]
            settled = settled or classifier.absorbing(tuple(w.tolist()), self.engine.rule.lr, self.engine.model.p)
        regime = regimes[classifier.regime_of(code, settled, c)]
        if self.engine.rule.threshold.value is None and code != classifier.DIVERGED:
            regime = "no-threshold"
        outcome = "interrupted" if self.outcome == "interrupted" and not self.diverged else outcomes[code]
        return outcome, regime

    def event_rows(self) -> list[tuple[str, int, float]]:
        """Events by name, in order of step."""
        names = list(EVENTS)
        return [
            (names[kind], step, value) for kind, step, value in sorted(self.events, key=lambda e: (e[1], e[0]))
        ]
