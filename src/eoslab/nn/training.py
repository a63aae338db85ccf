"""The training loop: a generator over steps that measures at the edge and resumes bit for bit.

:func:`train` yields one :class:`Record` per step and knows nothing of files, screens or data sets. The order
within a step is: gradient at w (the same graph then serves the products), the rule's ``update``, the
measurement of the effective Hessian P⁻¹H with the preconditioner that is about to move w, then the move. The
run is a function of :class:`TrainingState` alone; :func:`save_checkpoint` writes it atomically.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import BadData, InvalidArgument, StoreError, whole
from eoslab.curvature import EigenResult, Tracker, hessian, preconditioned
from eoslab.nn.objective import Objective

__all__ = ["Batches", "Record", "TrainingState", "load_checkpoint", "save_checkpoint", "start", "summary", "train"]

Vector = NDArray[Any]

#: A loss that grew by this factor over its first value is called diverged, long before the floats overflow.
BLOW_UP = 1e8


@dataclass(frozen=True)
class Batches:
    """Mini-batches without replacement: a fresh permutation each epoch, drawn from (seed, epoch).

    A function of the step alone, so that resuming needs no generator state.
    """

    size: int
    seed: int = 0

    def __post_init__(self) -> None:
        whole("batch", self.size, 1)

    def indices(self, step: int, samples: int) -> NDArray[np.int64]:
        """The samples of update number ``step``; the last batch of an epoch may be smaller."""
        per_epoch = -(-samples // self.size)
        epoch, i = divmod(step, per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(samples)
        return order[i * self.size : (i + 1) * self.size]


@dataclass(frozen=True)
class TrainingState:
    """All that the rest of a run depends on."""

    step: int
    w: Vector
    rule: tuple[Vector, ...]
    tracker: dict[str, Vector] = field(default_factory=dict)
    first_loss: float = math.nan


@dataclass(frozen=True)
class Record:
    """One step: quantities at w before the update number ``step``.

    ``ratio`` is η·S_eff over the rule's threshold (NaN where it has none). ``sharpness`` is S_eff: the largest
    entry of ``eigenvalues``, or for SAM a function of it and of the gradient's norm. ``curvature`` has the
    evidence, None where nothing was measured.
    """

    step: int
    loss: float
    grad_norm: float
    sharpness: float
    ratio: float
    curvature: EigenResult | None
    seconds: float
    gradient_seconds: float
    extras: dict[str, float] = field(default_factory=dict)
    state: TrainingState | None = None  # after the update: continue from here
    outcome: str = "running"

    @property
    def eigenvalues(self) -> NDArray[np.float64]:
        return self.curvature.values if self.curvature is not None else np.zeros(0)

    @property
    def matvecs(self) -> int:
        return self.curvature.matvecs if self.curvature is not None else 0


def start(objective: Objective, rule: Any, w0: Vector | None = None) -> TrainingState:
    """The state before the first step."""
    w = objective.w0 if w0 is None else np.array(w0, dtype=objective.numpy_dtype)
    if w.shape != (objective.n,):
        raise InvalidArgument("w0", f"shape {w.shape}", f"({objective.n},)")
    return TrainingState(0, w, rule.init(w))


def train(
    objective: Objective,
    rule: Any,
    *,
    steps: int,
    tracker: Tracker | None = None,
    state: TrainingState | None = None,
    batches: Batches | None = None,
    observe: Callable[[Objective, Vector, EigenResult | None], dict[str, float]] | None = None,
    stop: Callable[[Record], bool] | None = None,
) -> Iterator[Record]:
    """Yield a record for each step up to ``steps`` (the total, also when resuming), the last one included.

    Args:
        objective: full-batch loss; with ``batches`` the steps use its samples, the measurements all of them.
        rule: one of :mod:`eoslab.nn.rules`.
        tracker: measures the effective Hessian when it is due; None measures nothing.
        state: where to continue; the tracker is restored from it.
        observe: further numbers at (objective, w, curvature), into ``Record.extras``.
        stop: end early when true of a record.

    The record of step ``steps`` is the state after all updates, measured and not moved. A loss that is not
    finite, or beyond 1e8 times the first, ends the run with outcome "diverged"; the record is yielded.
    """
    steps = whole("steps", steps)
    s = start(objective, rule) if state is None else state
    if tracker is not None and s.tracker:
        tracker.restore(s.tracker)
    eta, limit = rule.lr, rule.threshold.value
    w, memory, first = s.w.copy(), s.rule, s.first_loss
    for step in range(s.step, steps + 1):
        clock = time.thread_time()
        last = step == steps
        measure = tracker is not None and (last or step == 0 or tracker.due(step))
        # A point with graph costs no more than a gradient, but memory: only where it is used.
        if batches is None:
            if measure:
                point = objective.at(w)
                loss, g = point.loss, point.grad
            else:
                loss, g = objective.loss_and_grad(w)
            source = objective
        else:
            source = objective.batch(batches.indices(step, objective.samples))
            loss, g = source.loss_and_grad(w)
        if hasattr(rule, "ascent"):
            g_step = source.loss_and_grad(w + rule.ascent(g).astype(w.dtype))[1]
        else:
            g_step = g
        first = loss if math.isnan(first) else first
        finite = math.isfinite(loss) and bool(np.isfinite(g).all())
        dw, memory_after = rule.update(g_step, memory, step)
        gradient_seconds = time.thread_time() - clock
        result: EigenResult | None = None
        sharpness = ratio = math.nan
        if finite and measure and tracker is not None:
            p = rule.preconditioner(memory_after, step)
            op = hessian(objective, w)
            if np.ndim(p) or rule.shift:
                op = preconditioned(op, np.asarray(p, dtype=np.float64), rule.shift)
            result = tracker.measure(op)
            sharpness = rule.effective(float(result.values[0]), float(np.linalg.norm(g)))
            ratio = eta * sharpness / limit if limit is not None else math.nan
            tracker.note(step, ratio)
        extras = observe(objective, w, result) if observe is not None and finite else {}
        outcome = "running" if finite and not loss > BLOW_UP * max(first, 1e-12) else "diverged"
        before = w
        if not last and outcome == "running":
            w = (before + dw + rule.decay(before)).astype(before.dtype, copy=False)
            memory = memory_after
        done = step + (0 if last or outcome == "diverged" else 1)
        record = Record(
            step=step,
            loss=loss,
            grad_norm=float(np.linalg.norm(g)),
            sharpness=sharpness,
            ratio=ratio,
            curvature=result,
            seconds=time.thread_time() - clock,
            gradient_seconds=gradient_seconds,
            extras=extras,
            state=TrainingState(done, w, memory, tracker.state() if tracker is not None else {}, first),
            outcome=outcome,
        )
        if stop is not None and not last and outcome == "running" and stop(record):
            yield replace(record, outcome="interrupted")
            return
        yield record
        if outcome == "diverged":
            return


def summary(records: list[Record]) -> dict[str, Any]:
    """What a finished run says in one line: crossing, mean ratio of the second half, cost of measuring.

    ``cost_in_gradient_steps`` is the mean CPU time of measuring per step over that of the step itself, both of the
    thread that trains: others that wait for their next share of work would be counted as working.
    """
    measured = [r for r in records if r.curvature is not None]
    crossing = next((r.step for r in measured if r.ratio >= 1), None)
    middle = records[-1].step / 2 if records else 0
    late = [r.ratio for r in measured if r.step >= middle and math.isfinite(r.ratio)]
    plain = sum(r.gradient_seconds for r in records)
    products = sum(r.matvecs for r in records)
    return {
        "outcome": records[-1].outcome if records else "running",
        "steps": records[-1].step if records else 0,
        "first_crossing": crossing,
        "mean_ratio_second_half": float(np.mean(late)) if late else None,
        "final": {"loss": records[-1].loss, "sharpness": measured[-1].sharpness} if measured else {},
        "hvp_total": products,
        "hvp_per_step": products / len(records) if records else 0.0,
        "cost_in_gradient_steps": (sum(r.seconds for r in records) - plain) / plain if plain > 0 else 0.0,
        "converged": all(bool(r.curvature.converged.all()) for r in measured if r.curvature is not None),
    }


def save_checkpoint(
    path: str | os.PathLike[str],
    state: TrainingState,
    about: dict[str, Any] | None = None,
    extra: Mapping[str, Vector] | None = None,
) -> None:
    """Write ``state`` to ``path`` (one .npz file) so that a kill at any moment leaves the old or the new one.

    ``about`` is JSON for the reader, ``extra`` further arrays, stored as ``extra.NAME``.
    """
    path = Path(path)
    arrays: dict[str, Any] = {"w": state.w, "step": np.array(state.step), "first_loss": np.array(state.first_loss)}
    arrays |= {f"rule.{i}": a for i, a in enumerate(state.rule)}
    arrays |= {f"tracker.{k}": a for k, a in state.tracker.items()}
    arrays |= {f"extra.{k}": np.asarray(a) for k, a in (extra or {}).items()}
    arrays["about"] = np.array(json.dumps(about or {}))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"checkpoint {path} could not be written: {error.strerror}", "free space or change the path"
        ) from error


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[TrainingState, dict[str, Any]]:
    """The state and the ``about`` of :func:`save_checkpoint`."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {k: file[k] for k in file.files}
        rules = sorted((k for k in data if k.startswith("rule.")), key=lambda k: int(k[5:]))
        state = TrainingState(
            step=int(data["step"]),
            w=data["w"],
            rule=tuple(data[k] for k in rules),
            tracker={k[8:]: v for k, v in data.items() if k.startswith("tracker.")},
            first_loss=float(data["first_loss"]),
        )
        return state, dict(json.loads(str(data["about"])))
    except FileNotFoundError:
        raise BadData(
            f"checkpoint: no file {path}", "give the path of an .npz written by save_checkpoint"
        ) from None
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise BadData(
            f"checkpoint: {path} is none of ours, or damaged ({error})", "take an earlier checkpoint"
        ) from None
