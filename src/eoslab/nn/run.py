"""A network's run from start to stored result: what :func:`eoslab.trajectory` does with an objective of ours.

The loop is :func:`eoslab.nn.training.train`; here its records become rows of the one schema, and a stored run
with a checkpoint in its folder. A checkpoint is the state **before** the newest row: resuming makes that row
again. So a run that was interrupted, killed or simply ended goes on exactly as if it had not stopped, also where
its last step was measured only for being the last.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eoslab.core.errors import BadData, InvalidArgument, UnknownName, whole
from eoslab.core.vocabulary import EVENTS
from eoslab.curvature import EigenResult
from eoslab.nn.objective import Objective
from eoslab.nn.ranks import ALONE, Ranks
from eoslab.nn.rules import RULES
from eoslab.nn.training import Batches, TrainingState, load_checkpoint, save_checkpoint, start, train
from eoslab.probes.snapshot import Snapshot
from eoslab.probes.top_eigenvalues import TopEigenvalues
from eoslab.results.journal import JOURNAL, Journal
from eoslab.results.network import KIND, Description, EventFold, Rows, dataset
from eoslab.results.store import Store, StoredRun
from eoslab.results.summary import verdict_sentence

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CHECKPOINT", "CONVENTIONS", "NetworkRun", "network_rule", "read_checkpoint", "resumed", "trajectory"]

Vector = NDArray[Any]

CHECKPOINT = "checkpoint.npz"
#: Updates between two checkpoints.
CHECKPOINT_EVERY = 500
#: What a loss of ours means, for figures and reports.
CONVENTIONS = {"mse": "mse: mean over samples of ½‖f − y‖²", "ce": "ce: mean cross-entropy over samples"}


def trajectory(
    objective: Objective,
    rule: Any,
    w0: Any = None,
    *,
    steps: int,
    probes: Sequence[Any] | None = None,
    store: Any = None,
    state: TrainingState | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
    record_every: int = 1,
    keep: Sequence[int] = (),
) -> xr.Dataset:
    """Train ``objective`` by ``rule`` for ``steps`` updates and return the labelled run.

    Variables over ``step``: ``loss``, ``grad_norm``, ``sharpness`` (λmax ∇²L; NaN where the rule has a
    preconditioner, which then is what is measured), ``eta_sharpness`` (η·λmax(P⁻¹H), compared with
    ``threshold``), ``eigenvalues``, ``eig_residual``, ``eig_bound``, ``eig_converged`` over (``step``, ``eig``),
    ``matvecs``, ``phase``, ``measured``, and what the other probes measure. Without ``probes`` the two largest
    eigenvalues are followed at every step. ``rule`` is one of :mod:`eoslab.optimizers`, of
    :mod:`eoslab.nn.rules`, or :class:`eoslab.dynamics.MiniBatch` of one. Every step is a row: ``record_every``
    and ``keep`` are meant for models and have nothing to choose here.

    >>> import eoslab
    >>> from eoslab.nn import losses
    >>> module = torch.nn.Linear(2, 1, bias=False).double()
    >>> obj = Objective(module, losses.mse, (torch.eye(2), torch.zeros(2, 1)))
    >>> ds = eoslab.trajectory(obj, eoslab.optimizers.GD(lr=1.0), steps=50)
    >>> str(ds.regime.values), float(ds.sharpness[-1])
    ('stable', 0.5)
    """
    if record_every != 1:
        raise InvalidArgument(
            "record_every", record_every, "1 for a network", "`every` of a probe says how often to measure"
        )
    run = NetworkRun(objective, rule, probes, store=store)
    run.begin(w0, state)
    run.go(steps, stop=stop, progress=progress)
    return run.dataset()


def network_rule(rule: Any) -> tuple[Any, Batches | None]:
    """The rule on flat vectors of any dtype that ``rule`` means, and the mini-batches that go with it."""
    if hasattr(rule, "decay"):
        return rule, None
    if rule.name == "mini-batch":
        return network_rule(rule.base)[0], Batches(rule.batch, rule.seed)
    if rule.name not in RULES:
        raise UnknownName("optimizer of networks", rule.name, RULES, "optimizer")
    return RULES[rule.name](**rule.settings), None


@dataclass
class NetworkRun:
    """A run while it is made. ``store`` (a folder or a Store) keeps it, with a checkpoint every so many steps.

    ``model`` and ``settings`` describe the network for the provenance (:mod:`eoslab.nn.recipes` rebuilds it from
    them); ``label`` adds to each data set what only the caller knows. ``live`` keeps a journal in the run
    (:mod:`eoslab.results.journal`): each measured step, each event, the end. ``until_loss`` ends the run where
    the loss is so small; that is no interruption, and the run can go on. Of several ``ranks`` each makes the run
    and the first one keeps it.
    """

    objective: Objective
    rule: Any
    probes: Sequence[Any] | None = None
    batches: Batches | None = None
    store: Any = None
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    loss: str = ""
    label: Callable[[xr.Dataset], xr.Dataset] | None = None
    checkpoint_every: int = CHECKPOINT_EVERY
    live: bool = False
    until_loss: float | None = None
    stored: StoredRun | None = None
    ranks: Ranks = ALONE
    observer: Callable[[Mapping[str, Any]], None] | None = None

    def __post_init__(self) -> None:
        self.rule, drawn = network_rule(self.rule)
        self.batches = self.batches or drawn
        self.probes = [TopEigenvalues()] if self.probes is None else list(self.probes)
        tops = [p for p in self.probes if isinstance(p, TopEigenvalues)]
        if len(tops) > 1:
            raise InvalidArgument("probes", f"{len(tops)} TopEigenvalues", "at most one")
        self.top = tops[0] if tops else None
        if self.top is not None and self.top.k > self.objective.n:
            raise InvalidArgument("eigs", self.top.k, f"at most {self.objective.n}, the number of parameters")
        if self.batches is not None and self.batches.size > self.objective.samples:
            raise InvalidArgument("batch", self.batches.size, f"at most {self.objective.samples}, the samples")
        for probe in self.probes:
            rules = getattr(probe, "rules", (self.rule.name,))
            if self.rule.name not in rules:
                raise InvalidArgument(
                    "probes", probe.name, f"the optimizer {' or '.join(rules)} for it, not {self.rule.name!r}",
                    "the gradient flow is the limit of gradient descent with small steps",
                )  # fmt: skip
        if not self.ranks.first:
            self.store = None
        if self.store is not None and not isinstance(self.store, Store):
            self.store = Store(self.store)
        self.checkpoint_every = whole("checkpoint_every", self.checkpoint_every, 1)
        self.rows = Rows(self.top.k if self.top is not None else 1)
        self.outcome, self.created = "running", ""
        self.recent: deque[Vector] = deque(maxlen=3)
        # what probes keep from one measurement to the next, now and before the newest row
        self.memory: dict[str, dict[str, Vector]] = {p.name: {} for p in self.probes}
        self.memory_before = {name: dict(kept) for name, kept in self.memory.items()}
        self.timing = {"seconds": 0.0, "cpu_seconds": 0.0, "gradient_seconds": 0.0}
        self.asked = 0

    # -- the beginning ------------------------------------------------------------------------------------

    def begin(self, w0: Any = None, state: TrainingState | None = None) -> None:
        """Start at w0 (the module's own weights if None), or at a state of the training loop."""
        self.state = start(self.objective, self.rule, w0) if state is None else state
        if not np.isfinite(self.state.w).all():
            raise InvalidArgument("w0", "a number that is not finite", "finite numbers")
        self.start = self.state.w.copy()

    def restore(self, ds: xr.Dataset, checkpoint: Path) -> None:
        """Go on with a stored run: its rows but the newest, and the state that made it."""
        self.state, extra = read_checkpoint(checkpoint)
        if self.state.w.shape != (self.objective.n,):
            raise BadData(
                f"checkpoint: {checkpoint} has {len(self.state.w)} parameters, not {self.objective.n}",
                "resume with the network that was trained",
            )
        self.rows = Rows.of(ds)
        if self.rows.columns["step"][-1] != self.state.step:
            raise BadData(f"checkpoint: {checkpoint} does not belong to the run", "take an intact copy of the run")
        self.rows.drop_last()
        self.start = extra["start"]
        self.recent.extend(extra["recent"])
        for name, array in extra.items():
            _, probe, key = (*name.split(".", 2), "", "")[:3]
            if key and probe in self.memory:
                self.memory[probe][key] = array
        self.memory_before = {name: dict(kept) for name, kept in self.memory.items()}
        self.timing |= json.loads(ds.attrs["timing"])

    # -- the middle ---------------------------------------------------------------------------------------

    def go(
        self,
        steps: int,
        stop: Callable[[], bool] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Make updates until there are ``steps`` in all."""
        self.asked = whole("steps", steps)
        began, self._earlier = time.perf_counter(), self.timing["seconds"]
        self._began = began
        observe = _Observer(self)
        records = train(
            self.objective,
            self.rule,
            steps=self.asked,
            tracker=self.top.tracker() if self.top is not None else None,
            state=self.state,
            batches=self.batches,
            observe=observe,
            stop=lambda record: self._enough(record.loss) or self.ranks.any(stop is not None and stop()),
        )
        reporter: _Reporter | None = None
        begun = False
        # NumPy's threads, waiting between the tracker's small eigenproblems, take the cores from PyTorch's: on two
        # cores a step took three times as long.
        threads = threadpool_limits(1, user_api="blas")
        try:
            for record in records:
                self._take(record)
                if not begun and self.store is not None:
                    # from here on there is a run to go on with, and a place for the journal
                    begun, self.outcome = True, "interrupted"
                    self.save()
                    reporter = self._reporter()
                if reporter is not None:
                    reporter.take(self._line(), record.outcome)
                enough = record.outcome == "interrupted" and self._enough(record.loss)
                self.outcome = "running" if enough else record.outcome
                if self.observer is not None:
                    self.observer(self._line())
                if progress is not None:
                    progress(record.step, self.asked)
                over = record.outcome != "running" or record.step == self.asked
                if self.store is not None and not over and (record.step + 1) % self.checkpoint_every == 0:
                    self.outcome = "interrupted"
                    self.save(reporter)
                    self.outcome = record.outcome
                if not over:
                    assert record.state is not None
                    self.state = record.state
            self._clock()
            if self.store is not None:
                ds = self.save(reporter)
                if reporter is not None:
                    reporter.end(ds)
        except BaseException as error:
            if reporter is not None:
                reporter.journal.failed(error, self.rows.columns["step"][-1])
            raise
        finally:
            threads.restore_original_limits()
            if reporter is not None:
                reporter.journal.close()

    def _reporter(self) -> _Reporter | None:
        """Who keeps the journal; one that was begun is gone on with."""
        assert self.stored is not None
        wanted = self.live or (self.stored.path / JOURNAL).exists()
        return _Reporter(self, self.stored.path) if wanted else None

    def _enough(self, loss: float) -> bool:
        return self.until_loss is not None and loss <= self.until_loss

    def _take(self, record: Any) -> None:
        """Add a record as a row."""
        lr, s = self.rule.lr, record.sharpness
        plain = not _preconditioned(self.rule)
        row: dict[str, Any] = {
            "step": record.step,
            "loss": record.loss,
            "grad_norm": record.grad_norm,
            "sharpness": float(record.eigenvalues[0]) if plain and record.curvature is not None else math.nan,
            "eta_sharpness": lr * s,
            "matvecs": record.matvecs,
        }
        if hasattr(self.rule, "edge"):
            row["edge"] = self.rule.edge(record.grad_norm)
        if self.top is not None:
            k = self.top.k
            row |= {name: np.full(k, np.nan) for name in ("eigenvalues", "eig_residual", "eig_bound")}
            row["eig_converged"] = np.zeros(k)
        row |= record.extras
        if record.outcome == "diverged":
            row = {name: value if name in ("step", "matvecs") else value * np.nan for name, value in row.items()}
        self.rows.append(row)
        self.recent.append(self.state.w)
        self.timing["cpu_seconds"] += record.seconds
        self.timing["gradient_seconds"] += record.gradient_seconds

    def _line(self) -> dict[str, Any]:
        """The newest row."""
        return {name: values[-1] for name, values in self.rows.columns.items()} | {
            "threshold": self.threshold.value,
            "lr": self.rule.lr,
        }

    @property
    def threshold(self) -> Any:
        """What η·S_eff is compared with; mini-batches have none."""
        from eoslab.dynamics import MiniBatch

        if self.batches is not None:
            return MiniBatch(self.rule, self.batches.size, self.batches.seed).threshold
        return self.rule.threshold

    def _clock(self) -> None:
        self.timing["seconds"] = self._earlier + time.perf_counter() - self._began

    # -- the end ------------------------------------------------------------------------------------------

    def dataset(self) -> xr.Dataset:
        """The run so far."""
        ds = dataset(
            self.rows,
            self.about(),
            outcome=self.outcome,
            recent=list(self.recent),
            notes=self.objective.notes,
            timing=self.timing,
        )
        self.created = self.created or str(ds.attrs["created"])  # once, however often the run is written
        ds.attrs["created"] = self.created
        return self.label(ds) if self.label is not None else ds

    def about(self) -> Description:
        """The provenance of the run."""
        assert self.probes is not None
        o, rule = self.objective, self.rule
        settings: dict[str, Any] = {"lr": rule.lr, **rule.settings}
        if self.batches is not None:
            settings = {"base": rule.name, **settings, "batch": self.batches.size, "seed": self.batches.seed}
        return Description(
            model=self.model or type(o.module).__name__,
            model_settings={"parameters": o.n, "samples": o.samples, **self.settings} | self._chunking(),
            rule=rule.name if self.batches is None else "mini-batch",
            rule_settings=settings,
            lr=rule.lr,
            threshold=self.threshold.value,
            reason=self.threshold.reason,
            dtype=str(o.numpy_dtype),
            device=str(o.device),
            seed=self.seed,
            loss_convention=CONVENTIONS.get(self.loss or getattr(o.loss_fn, "__name__", ""), "mean over samples"),
            versions={"torch": torch.__version__},
            run={"steps": self.asked, "probes": {p.name: asdict(p) for p in self.probes}} | self._shared(),
            units=_units(self.probes),
        )

    def _shared(self) -> dict[str, int]:
        return {"processes": self.ranks.world} if self.ranks.world > 1 else {}

    def _chunking(self) -> dict[str, int]:
        """The chunks that were really used: a run that goes on takes them from the start."""
        return {} if self.objective.chunk is None else {"chunk": self.objective.chunk}

    def save(self, reporter: _Reporter | None = None) -> xr.Dataset:
        """Write the run with its checkpoint; whatever kills us, the old or the new one is there."""
        self._clock()
        ds, attach = self.dataset(), {CHECKPOINT: self._checkpoint}
        if reporter is not None:
            reporter.journal.flush()
        if self.stored is None:
            self.stored = self.store.save(ds, attach=attach)
        else:
            self.store.update(self.stored.path, ds, attach=attach)
        if reporter is not None:
            reporter.journal.moved()
        return ds

    def _checkpoint(self, path: Path) -> None:
        # the newest point is that of the state itself; it is made again by whoever goes on
        before = list(self.recent)[:-1]
        recent = np.stack(before) if before else np.zeros((0, self.objective.n), self.objective.numpy_dtype)
        about = {
            "model": self.model,
            "settings": {"samples": self.objective.samples, **self.settings} | self._chunking(),
            "rule": self.rule.name,
            "rule_settings": {"lr": self.rule.lr, **self.rule.settings},
        }
        kept = {f"probe.{name}.{key}": a for name, part in self.memory_before.items() for key, a in part.items()}
        save_checkpoint(path, self.state, about, {"recent": recent, "start": self.start} | kept)


def read_checkpoint(path: Path) -> tuple[TrainingState, dict[str, Vector]]:
    """The state of a checkpoint, the start of its run, the points before it, and what the probes have kept."""
    state, _ = load_checkpoint(path)
    with np.load(path, allow_pickle=False) as file:
        return state, {name[6:]: file[name] for name in file.files if name.startswith("extra.")}


def _preconditioned(rule: Any) -> bool:
    """Whether the rule compares something else than H with its threshold."""
    return bool(rule.shift) or type(rule).preconditioner is not RULES["gd"].preconditioner


def _units(probes: Sequence[Any]) -> dict[str, str]:
    """Units of the columns that start with a probe's name."""
    found: dict[str, str] = {}
    for probe in probes:
        if hasattr(probe, "unit"):
            stem = probe.name.replace("-", "_")
            found |= {stem: probe.unit, f"{stem}_stderr": "standard error"}
        found |= getattr(probe, "units", {})
    return found


class _Observer:
    """Asks the probes that are due; called by the loop at each finite step, in order."""

    def __init__(self, run: NetworkRun) -> None:
        self.run, self.step = run, run.state.step

    def __call__(self, objective: Objective, w: Vector, eigen: EigenResult | None) -> dict[str, Any]:
        out: dict[str, Any] = {}
        run, time = self.run, self.step * self.run.rule.lr
        run.memory_before = {name: dict(kept) for name, kept in run.memory.items()}
        for probe in run.probes or ():
            last = self.step == run.asked
            if isinstance(probe, TopEigenvalues) or self.step % probe.every == 0 or last:
                snapshot = Snapshot(self.step, objective, w, eigen, run.start, time, run.memory[probe.name])
                out |= probe.measure(snapshot)
        self.step += 1
        return out


class _Reporter:
    """What goes into the journal: each step at which measuring was tried, and the events among them."""

    def __init__(self, run: NetworkRun, folder: Path) -> None:
        top = run.top
        self.steps, self.fold = run.asked, EventFold(run.threshold.value)
        # what was measured before, by a process that we go on from
        earlier = run.rows.columns
        self._feed(earlier["step"][:-1], earlier["eta_sharpness"][:-1])
        self.journal = Journal(folder, {
            "step": earlier["step"][-1], "steps": run.asked, "model": run.model, "optimizer": run.rule.name,
            "lr": run.rule.lr, "threshold": run.threshold.value, "reason": run.threshold.reason,
            "preconditioned": _preconditioned(run.rule),
            "eigs": top.k if top else 0, "every": top.every if top else 0,
        })  # fmt: skip

    def take(self, line: Mapping[str, Any], outcome: str) -> None:
        """Write the newest row if there is something to say about it."""
        if line["matvecs"] or outcome == "diverged":
            self.journal.point(line | {"steps": self.steps})
        else:
            self.journal.alive(line["step"], line["loss"])
        for code, step, value in self._feed([line["step"]], [line["eta_sharpness"]]):
            self.journal.event(list(EVENTS)[code], step, value)
        if outcome == "diverged":
            self.journal.event("divergence", line["step"], math.nan)

    def end(self, ds: xr.Dataset) -> None:
        """Write how the run ended."""
        words = {name: str(ds[name].values) for name in ("outcome", "regime")}
        self.journal.end(step=int(ds["steps"]), verdict=verdict_sentence(ds), **words)

    def _feed(self, steps: Sequence[int], eta: Sequence[float]) -> list[tuple[int, int, float]]:
        return self.fold.feed(np.array(steps, dtype=np.int64), np.array(eta, dtype=float))


def resumed(
    ds: xr.Dataset, stored: StoredRun, objective: Objective | None = None, ranks: Ranks = ALONE
) -> NetworkRun:
    """A stored run, ready to :meth:`NetworkRun.go` on to more steps in all.

    ``objective`` is needed where the run's own settings do not say what was trained.
    """
    from eoslab.core import catalog
    from eoslab.nn.recipes import build
    from eoslab.results import provenance

    if ds.attrs.get("kind") != KIND:
        raise InvalidArgument(
            "resume", stored.id, "the run of a network", f"eoslab run --resume {stored.id} goes on with a model"
        )
    groups = provenance.parameters(ds)
    settings = {name: value for name, value in groups["model"].items() if name != "parameters"}
    if objective is None:
        if not (settings.get("arch") or settings.get("module")):
            raise InvalidArgument(
                "objective", None, "the objective that was trained", "the run does not say how to build it"
            )
        objective = build(settings, ranks)
    rule_settings = dict(groups["optimizer"])
    name, batches = str(ds.attrs["optimizer"]), None
    if name == "mini-batch":
        name = rule_settings.pop("base")
        batches = Batches(rule_settings.pop("batch"), rule_settings.pop("seed"))
    probes = [
        catalog.find("eoslab.probes", probe, "probe")(**options)
        for probe, options in groups["run"]["probes"].items()
    ]
    kept = {key: ds.attrs[key] for key in ("created", "command", "sources") if key in ds.attrs}
    typed = groups.get("typed")

    def label(new: xr.Dataset) -> xr.Dataset:
        new = new.assign_attrs(kept)
        if typed is None:
            return new
        # as the longer run would have been asked for
        return provenance.stamp(new, typed=typed | ({"steps": str(run.asked)} if "steps" in typed else {}))

    run = NetworkRun(
        objective, RULES[name](**rule_settings), probes, batches, Store(stored.path.parent),
        model=str(ds.attrs["model"]), settings=settings, seed=ds.attrs.get("seed"), label=label, stored=stored,
        ranks=ranks,
    )  # fmt: skip
    run.restore(ds, stored.path / CHECKPOINT)
    return run
