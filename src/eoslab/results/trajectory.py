"""The verb ``trajectory``: advance an engine in chunks, fold the classifier, keep rows, label the result.

Full and decimated storage share everything: a chunk is always computed and classified at every step, and
decimation only chooses which of its rows are kept. So peaks and events do not depend on ``record_every``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.errors import InvalidArgument, whole
from eoslab.core.vocabulary import EVENTS
from eoslab.kernels.compiler import shared_kernel
from eoslab.kernels.engine import EXTRA, Engine, Floats, LowDimensionalEngine, Rows, State
from eoslab.kernels.engine_d import DiagonalEngine
from eoslab.theory import classifier

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Recording", "engine_for", "trajectory"]

#: Steps computed at once: large enough that Python costs nothing, small enough for cache, progress and Ctrl-C.
CHUNK = 32768
LOG10_TINY = np.log10(np.finfo(float).tiny)
#: What is kept of a step, by name of the field of :class:`~eoslab.kernels.engine.Rows`.
KEPT = ("w", "loss_osc", "loss_conv", "sharpness", "eta", "gfs", "phase", "mantissa", "exponent")
#: Kept steps: arrays by name, ``step`` among them. ``phase`` is absent where it is not defined by the step
#: alone, ``mantissa`` and ``exponent`` where every component was in the float64 range.
Columns = dict[str, np.ndarray]


def trajectory(
    objective: Any,
    rule: Any,
    w0: Any = None,
    *,
    steps: int,
    record_every: int = 1,
    keep: Sequence[int] = (),
    probes: Sequence[Any] | None = None,
    store: Any = None,
    state: Any = None,
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
    The steps in ``keep`` are kept as well.
    ``stop`` is asked between chunks; when it says True the run ends as ``interrupted``, resumable.
    ``state`` continues a run from the state that :class:`Recording` left.
    ``store`` (a :class:`~eoslab.results.store.Store` or a folder) keeps the run.

    A network (:class:`eoslab.nn.Objective`) is measured by ``probes`` (:mod:`eoslab.probes`), at the steps that
    they name; its weights are in the run's checkpoint instead of ``w``, and T1, T2, the split of the loss and the
    GFS sharpness do not exist. See :func:`eoslab.nn.run.trajectory`. A model is measured exactly at every step
    and takes no probes.

    Raises :class:`~eoslab.core.errors.InvalidArgument` for a w0 of the wrong size or not finite.

    >>> import eoslab
    >>> model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3)
    >>> ds = eoslab.trajectory(model, eoslab.optimizers.GD(lr=2.0), [0.95, 1e-3, 0.9], steps=8000)
    >>> str(ds.regime.values), int(ds.T1)
    ('edge', 306)
    """
    from eoslab.results.schema import dataset

    # an objective that is no minimalist model brings its own loop: so torch stays out of this package
    drive = getattr(objective, "drive", None)
    if drive is not None:
        run: xr.Dataset = drive(
            rule, w0, steps=steps, record_every=record_every, keep=keep, probes=probes, store=store, state=state,
            stop=stop, progress=progress,
        )  # fmt: skip
        return run
    if probes is not None:
        raise InvalidArgument(
            "probes", f"{len(probes)} probes", "none for a model", "a model is measured exactly at every step"
        )
    # a rule in continuous time learns here how many points its span is divided into
    rule = rule.for_steps(steps) if hasattr(rule, "for_steps") else rule
    engine = engine_for(objective, rule)
    recording = Recording(engine, whole("record_every", record_every, 1))
    recording.keep = np.array(sorted(whole("keep", step) for step in keep), dtype=np.int64)
    begin = state or State.start(_start_point(objective, w0))
    recording.run(begin, whole("steps", steps), stop, progress)
    ds = dataset(recording)
    if store is not None:
        from eoslab.results.store import Store

        (store if isinstance(store, Store) else Store(store)).save(ds)
    return ds


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
    """A run while it is made: rows kept so far, events, the classifier's state, the state to go on from.

    With ``record_every`` = k the steps of a bin [jk, (j+1)k) compete for being kept. ``pending`` are those of
    the unfinished bin that still may be, ``last`` is the newest step; both belong to the result if the run
    ends here. So a recording does not depend on where it was cut into chunks, or interrupted.
    """

    engine: Engine
    record_every: int = 1
    rows: list[Columns] = field(default_factory=list)
    pending: Columns | None = None
    last: Columns | None = None
    carried: bool = False
    first_step: int = 0
    asked: int = 0
    keep: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    events: list[tuple[int, int, float]] = field(default_factory=list)
    crossings: classifier.Crossings = classifier.NO_CROSSINGS
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
    failure: str = ""

    def run(
        self,
        begin: State,
        steps: int,
        stop: Callable[[], bool] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Advance from ``begin`` by ``steps`` updates; may be called again to go on."""
        self.state = begin
        end = self.asked = begin.step + steps
        self.outcome = "running"
        first = True
        while first or self.state.step < end:
            if not first and stop is not None and stop():
                self.outcome = "interrupted"
                return
            size = min(CHUNK, end - self.state.step)
            if self.last is None:
                self.first_step = begin.step
            rows, self.state, self.diverged = self.engine.advance(self.state, size)
            # the first row of a chunk is the last of the one before
            self._take(rows, skip=0 if self.last is None else 1)
            first = False
            if progress is not None:
                progress(self.state.step - begin.step, steps)
            if self.diverged:
                self.events.append((classifier.DIVERGENCE, self.state.step + 1, np.nan))
                return
            self.failure = getattr(self.engine, "failure", "")
            if self.failure:
                self.outcome = "failed"
                return

    def _take(self, rows: Rows, skip: int) -> None:
        n = len(rows)
        if n > skip:
            kinds, steps, values = np.empty(3 * n, np.int8), np.empty(3 * n, np.int64), np.empty(3 * n)
            self.crossings, self.extreme, self.extreme_at, used = shared_kernel().fold(
                self.crossings, self.extreme, self.extreme_at, rows.above[skip:], rows.eta[skip:],
                rows.eta[max(skip - 1, 0)], n - skip,
                rows.start + skip, kinds, steps, values,
            )  # fmt: skip
            self.events += zip(kinds[:used].tolist(), steps[:used].tolist(), values[:used].tolist(), strict=True)
            # NaN (a flow has no η·S; a number overflowed on the way to it) is no maximum and hides none
            top = skip + int(np.argmax(np.where(np.isnan(rows.eta[skip:]), -np.inf, rows.eta[skip:])))
            if rows.eta[top] > self.max_eta:
                self.max_eta, self.max_eta_at = float(rows.eta[top]), rows.start + top
            self._underflow(rows, skip)
            if rows.flag is not None:
                # from 0 (before T1) it may come in one step
                for i in np.flatnonzero((rows.flag[1:] == 2) & (rows.flag[:-1] != 2)).tolist():
                    self.events.append((classifier.RELEASE, rows.start + i, np.nan))
            self._keep(rows, skip)
        recent = rows.w if self.recent is None else np.concatenate([self.recent, rows.w[skip:]])
        self.recent = recent[-3:].copy()

    def _keep(self, rows: Rows, skip: int) -> None:
        """Add the rows from ``skip`` on to what is kept."""
        n, k = len(rows), self.record_every
        self.carried = self.carried or rows.exponent is not None
        self.last = _gather(rows, np.array([n - 1]))
        if k == 1:
            self.rows.append(_gather(rows, np.arange(skip, n)))
            return
        steps = np.arange(rows.start + skip, rows.start + n)
        loss = rows.loss_osc[skip:] + rows.loss_conv[skip:]
        new = _gather(rows, skip + self._candidates(steps, rows.eta[skip:], loss))
        self._compete(new if self.pending is None else _joined([self.pending, new]))

    def _compete(self, kept: Columns) -> None:
        """Close every bin but the newest, whose candidates stay pending."""
        winners = self._candidates(kept["step"], kept["eta"], kept["loss_osc"] + kept["loss_conv"])
        kept = {name: values[winners] for name, values in kept.items()}
        assert self.last is not None
        newest = int(self.last["step"][0]) // self.record_every
        closed = kept["step"] // self.record_every < newest
        self.rows.append({name: values[closed] for name, values in kept.items()})
        self.pending = {name: values[~closed] for name, values in kept.items()}

    def restore(self, kept: Columns) -> None:
        """Take over the kept steps of a recording that ended, to go on with it."""
        self.last = {name: values[-1:] for name, values in kept.items()}
        if self.record_every == 1:
            self.rows = [kept]
        else:
            # the newest step was kept as such; from here on it has to win its place like the others
            self._compete(kept)

    def _candidates(self, steps: np.ndarray, eta: Floats, loss: Floats) -> np.ndarray:
        """Positions of the first step, of multiples of k, and in each bin of the largest and smallest η·S_eff
        and of the largest loss (the earliest of equals)."""
        k = self.record_every
        wanted = (steps % k == 0) | (steps == self.first_step) | np.isin(steps, self.keep)
        # bins are runs of equal steps // k
        bins = steps // k
        begins = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
        lengths = np.diff(begins, append=len(bins))
        for key in (eta, -eta, loss):
            best = np.repeat(np.maximum.reduceat(key, begins), lengths)
            at = np.flatnonzero((key == best) | np.isnan(key))
            wanted[at[np.diff(bins[at], prepend=bins[0] - 1) > 0]] = True
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
                if not self.under and rows.start + skip + int(span[0]) > self.first_step:
                    # a start at β1 = 0 was never in range: nothing has left it
                    self.events.append(
                        (classifier.UNDERFLOW, rows.start + skip + int(span[0]), float(log10[span[0]]))
                    )
                if not self.under:
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
            assert self.last is not None
            excess = float(self.last["loss_osc"][0] + self.last["loss_conv"][0]) / self.engine.model.loss_scale
            if np.isinf(self.engine.model.loss_min):
                excess = np.inf  # a loss without a minimum: nothing to converge to
            w = self.recent
            size = float(np.abs(w[-1]).max())
            once, twice = (float(np.abs(w[-1] - w[-1 - i]).max()) if len(w) > i else np.inf for i in (1, 2))
            code = classifier.outcome_of(excess, size, once, twice, c[0] == 1, self.state.step, c)
        settled = code == classifier.CONVERGED
        if self.engine.t2 >= 0 and self.engine.model.name == "minimalist":
            w = self.recent[-1]
            settled = settled or classifier.absorbing(tuple(w.tolist()), self.engine.rule.lr, self.engine.model.p)
        regime = regimes[classifier.regime_of(code, settled, c)]
        if self.engine.rule.threshold.value is None and code != classifier.DIVERGED:
            regime = "no-threshold"
        ended_early = self.outcome in ("interrupted", "failed") and not self.diverged
        outcome = self.outcome if ended_early else outcomes[code]
        return outcome, regime

    def event_rows(self) -> list[tuple[str, int, float]]:
        """Events by name, in order of step."""
        names = list(EVENTS)
        return [
            (names[kind], step, value) for kind, step, value in sorted(self.events, key=lambda e: (e[1], e[0]))
        ]

    # -- what is kept -----------------------------------------------------------------------------------

    def columns(self) -> Columns:
        """All kept steps in order, as if the run ended here."""
        assert self.last is not None
        parts = list(self.rows)
        if self.pending is not None:
            parts.append(self.pending)
            if len(self.pending["step"]) == 0 or self.pending["step"][-1] != self.last["step"][0]:
                parts.append(self.last)
        out = _joined([part for part in parts if len(part["step"])])
        if self.carried and "exponent" not in out:
            # the steps that needed it were not kept
            out |= {"mantissa": out["w"], "exponent": np.zeros(out["w"].shape, np.int64)}
        return out

    def classifier_state(self) -> dict[str, Any]:
        """What the classifier must know to go on, as plain numbers."""
        return {
            "crossings": [int(c) for c in self.crossings],
            "extreme": float(self.extreme),
            "extreme_at": int(self.extreme_at),
            "max_eta_at": int(self.max_eta_at),
            "under": bool(self.under),
            "least": float(self.least),
        }


def _gather(rows: Rows, at: np.ndarray) -> Columns:
    out: Columns = {"step": rows.start + at}
    for name in KEPT:
        values = getattr(rows, name)
        if values is not None:
            out[name] = values[at]
    return out | {EXTRA + name: values[at] for name, values in rows.extra.items()}


def _joined(parts: list[Columns]) -> Columns:
    """Columns end to end; where only some parts carry exponents, the others get zeros."""
    if any("exponent" in part for part in parts):
        parts = [
            part if "exponent" in part
            else part | {"mantissa": part["w"], "exponent": np.zeros(part["w"].shape, np.int64)}
            for part in parts
        ]  # fmt: skip
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
