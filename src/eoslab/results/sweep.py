"""The verb ``sweep``: a trajectory's verdict and numbers for every cell of a grid, as one labelled data set."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab import __version__
from eoslab.core.errors import whole
from eoslab.core.vocabulary import OUTCOMES, REGIMES
from eoslab.results.cells import COLUMNS, Columns, Problem
from eoslab.results.grid import Layout, lay_out
from eoslab.results.refine import Stopped, finest
from eoslab.results.refine import refine as refined
from eoslab.results.sweep_store import FORMAT, SweepStore

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Plan", "counts", "labels", "open_sweep", "plan", "sweep"]

INTERRUPTED = list(OUTCOMES).index("interrupted")
INFERRED = list(OUTCOMES).index("inferred")
#: Nanoseconds a step costs on one core (of the d-input model: each direction), to say beforehand how long a sweep
#: takes.
LANE_NS, DIAGONAL_NS, SINGLE_NS = 6.0, 15.0, 60.0

#: Seconds between two writes of a refinement: what a kill can lose.
WRITE_EVERY = 2.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What a sweep would do: the problem, the cells, and an estimate of what it costs."""

    problem: Problem
    layout: Layout
    design: str

    @property
    def steps_total(self) -> int:
        """The most updates that are made."""
        return self.layout.cells * self.problem.steps

    def seconds(self, workers: int) -> float:
        """Predicted time after compilation (nothing diverges early)."""
        each = LANE_NS if self.problem.lanes else SINGLE_NS
        if self.problem.diagonal:
            sizes = [max(axis.values) for axis in self.layout.axes if axis.name == "d"]
            each = DIAGONAL_NS * (sizes[0] if sizes else self.problem.directions)
        return float(self.steps_total * each * 1e-9 / max(workers, 1))

    @property
    def row_bytes(self) -> int:
        """Memory of a cell in the result; its size on disk before compression."""
        return sum(np.dtype(kind).itemsize for kind, _, _ in COLUMNS.values()) + 1

    @property
    def identity(self) -> dict[str, Any]:
        """What a store remembers, and refuses to mix."""
        return {
            "format": FORMAT,
            "eoslab_version": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "parameters": json.dumps(self.problem.describe(), sort_keys=True),
            "axes": json.dumps([axis.name for axis in self.layout.axes]),
            "design": self.design,
            "digest": self.problem.digest(),
            "dtype": "float64",
            "platform": platform.platform(),
        }


def plan(
    model: Any,
    rule: Any,
    grid: Mapping[str, Any],
    *,
    steps: int,
    w0: Any = None,
    design: str = "grid",
    samples: int | None = None,
    seed: int = 0,
) -> Plan:
    """Check the arguments of ``sweep`` and say what it would do."""
    layout = lay_out(grid, design, samples, seed)
    problem = Problem(model, rule, w0, whole("steps", steps), tuple(axis.name for axis in layout.axes))
    problem.check((axis.name, dict.fromkeys(axis.values)) for axis in layout.axes)
    if problem.diagonal:
        problem.settings(layout.columns(np.zeros(1, dtype=np.int64)), 1)
    if problem.lanes:
        problem.arrays(layout.columns(np.zeros(1, dtype=np.int64)))
    return Plan(problem, layout, design if design in ("grid", "list") else f"{design}, seed {seed}")


def sweep(
    model: Any,
    rule: Any,
    grid: Mapping[str, Any],
    *,
    steps: int,
    w0: Any = None,
    design: str = "grid",
    samples: int | None = None,
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
    resume: bool = True,
    client: Any = None,
    workers: int | None = None,
    refine: int = 0,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> xr.Dataset:
    """Run every cell of ``grid`` and return verdicts and numbers over the swept dimensions.

    ``model`` and ``rule`` are an instance (its fields are defaults), a class, or a function of some of the swept
    parameters; so is ``w0`` (a point, None for the model's default, or a function). ``grid`` maps names to ranges
    and lists (:mod:`eoslab.results.grid`): fields of the model and the rule, ``init`` (starts), ``alpha_0`` …
    (components of the start), and for the two-input model the axes of the theory (docs/theory §0, §8):
    ``ratio`` = λ2/λ1, ``k`` = λ1/λ2, ``alpha_e`` (η = 2/(λ1|b|α_e²)), and the state ``c0`` = α0²−β1²−β2²,
    ``s0`` = ηλ1α0², ``w0`` = ηλ1β1² (positive roots; where there are none the outcome is ``no-such-start``).

    A family of :mod:`eoslab.results.inputs` as the model makes every field of an input distribution an axis:
    ``exponent`` of a spectrum, ``d``, ``irrelevant``, sample size ``n``, ``noise``.

    Variables: ``outcome`` and ``regime`` as integer codes with ``flag_meanings`` (:func:`labels` gives words), T1,
    T2, excursions, period, losses, largest and last η·S_eff, the least |β1|: those of a single run, bit for bit.
    A diverged cell is the outcome ``diverged`` with NaN for what a diverged run does not have; nothing is missing.

    ``design``: "grid", "list", "random" or "sobol" (with ``samples`` and ``seed``). ``store`` is a Zarr group that
    grows while the sweep runs, survives kill -9, and is continued by the same call; another grid extends it,
    another problem is refused. ``client`` is a Dask client; ``workers`` the number of threads here (default: all
    cores). ``refine`` = K halves every range K times where neighbouring regimes differ; cells in between take the
    regime around them and the outcome ``inferred``. ``stop`` is asked between units of cells; what is not done
    then has the outcome ``interrupted``.

    Raises :class:`~eoslab.core.errors.InvalidArgument` or UnknownName for axes and values without a meaning, and
    :class:`~eoslab.core.errors.StoreError` for a store that cannot be continued or written.

    >>> import eoslab
    >>> ds = eoslab.sweep(eoslab.models.Minimalist, eoslab.optimizers.GD,
    ...                   {"lr": "1:4:4", "ratio": "1e-3|1e-1"}, steps=200)
    >>> dict(ds.sizes), int(ds.outcome.isnull().sum())
    ({'lr': 4, 'ratio': 2}, 0)
    """
    made = plan(model, rule, grid, steps=steps, w0=w0, design=design, samples=samples, seed=seed)
    with _pool(client, workers) as pool:
        if refine:
            return _refined(
                made, whole("refine", refine), None if store is None else Path(store), resume, pool, progress, stop
            )
        if store is None:
            return _dataset(made, made.layout, _in_memory(made, pool, progress, stop))
        return _stored(made, Path(store), resume, pool, progress, stop)


def open_sweep(path: str | os.PathLike[str]) -> xr.Dataset:
    """The data set of a store, finished or not.

    Cells that are not there are ``measured`` = False and have the outcome ``interrupted``, or ``inferred`` where a
    finished refinement took their regime from the cells around.
    """
    import xarray as xr

    from eoslab.core.errors import DamagedRun, RunNotFound

    if not Path(path).exists():
        raise RunNotFound(f"no map at {path}", "make one with eoslab sweep … -o")
    try:
        ds = xr.open_zarr(path, consolidated=False, mask_and_scale=False)
    except Exception as e:
        raise DamagedRun(f"{path} is no map of ours: {e}", "give a store that sweep wrote") from None
    if "regime" not in ds:
        raise DamagedRun(f"{path} is no map of ours: it has no variable 'regime'", "give a store that sweep wrote")
    ds = _flags(ds.load())
    outcome, there = ds["outcome"].values, ds["measured"].values
    outcome[~there & (outcome != INFERRED)] = INTERRUPTED
    return ds


def labels(ds: xr.Dataset, name: str) -> xr.DataArray:
    """``outcome`` or ``regime`` as words; an empty word where there was no run."""
    words = np.array([*(OUTCOMES if name == "outcome" else REGIMES), ""])
    return ds[name].copy(data=words[ds[name].values])


def counts(ds: xr.Dataset) -> dict[str, dict[str, int]]:
    """How many cells have each regime and each outcome."""
    out: dict[str, dict[str, int]] = {}
    for name, table in (("regime", REGIMES), ("outcome", OUTCOMES)):
        found = np.bincount(ds[name].values.ravel() + 1, minlength=len(table) + 1)[1:]
        out[name] = {word: int(n) for word, n in zip(table, found, strict=True) if n}
    return out


# -- where cells are computed ------------------------------------------------------------------------------


def _compute(problem: Problem, columns: Columns) -> Columns:
    """One unit; a plain function so that any process can run it."""
    return problem.compute(columns)


class _Threads:
    """The kernels give up Python's lock, so threads are enough on one machine."""

    def __init__(self, workers: int) -> None:
        self.width = workers
        self._pool = ThreadPoolExecutor(workers)

    def submit(self, problem: Problem, columns: Columns) -> Any:
        return self._pool.submit(_compute, problem, columns)

    def first(self, futures: Sequence[Any]) -> Any:
        return next(iter(wait(futures, return_when=FIRST_COMPLETED).done))

    def cancel(self, futures: Sequence[Any]) -> None:
        for future in futures:
            future.cancel()
        wait(futures)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Dask:
    """Workers of a Dask cluster. They only compute: the store is written by the process that called ``sweep``."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._width, self._asked = 1, -np.inf

    @property
    def width(self) -> int:
        """Threads of the workers that are there now: jobs of a cluster start and end while a sweep runs."""
        if time.monotonic() - self._asked > 1.0:
            self._width, self._asked = max(1, sum(self.client.nthreads().values())), time.monotonic()
        return self._width

    def submit(self, problem: Problem, columns: Columns) -> Any:
        return self.client.submit(_compute, problem, columns, pure=False, retries=2)

    def first(self, futures: Sequence[Any]) -> Any:
        from distributed import wait as wait_for

        return next(iter(wait_for(list(futures), return_when="FIRST_COMPLETED").done))

    def cancel(self, futures: Sequence[Any]) -> None:
        self.client.cancel(list(futures))

    def close(self) -> None:
        pass


@contextlib.contextmanager
def _pool(client: Any, workers: int | None) -> Iterator[Any]:
    if client is not None:
        pool: Any = _Dask(client)
    else:
        pool = _Threads(whole("workers", workers, 1) if workers is not None else cores())
    try:
        yield pool
    finally:
        pool.close()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _each(
    pool: Any, problem: Problem, tasks: Iterator[tuple[Any, Columns] | None], stop: Callable[[], bool] | None
) -> Iterator[tuple[Any, Columns]]:
    """Results as they come, with two tasks a worker under way; on any way out nothing is left running.

    ``tasks`` may yield None: it has no task before the results of those under way have been taken.
    """
    flying: dict[Any, Any] = {}
    more = True
    try:
        while more or flying:
            while more and len(flying) < 2 * pool.width:
                if stop is not None and stop():
                    more = False
                    break
                try:
                    task = next(tasks)
                except StopIteration:
                    more = False
                    break
                if task is None:
                    break
                flying[pool.submit(problem, task[1])] = task[0]
            if flying:
                future = pool.first(list(flying))
                key = flying.pop(future)
                yield key, future.result()
    finally:
        pool.cancel(list(flying))


def _unit_size(steps: int) -> int:
    """Cells at once so that a unit takes about a second."""
    return int(np.clip(2e8 / max(steps, 1), 64, 32768))


def _in_memory(made: Plan, pool: Any, progress: Progress | None, stop: Callable[[], bool] | None) -> Columns:
    n = made.layout.cells
    out = {name: np.full(n, fill, dtype=kind) for name, (kind, fill, _) in COLUMNS.items()}
    out["outcome"][:] = INTERRUPTED
    out["measured"] = np.zeros(n, bool)
    size, done = max(1, min(_unit_size(made.problem.steps), -(-n // pool.width))), 0
    tasks = (
        (slice(i, min(i + size, n)), made.layout.columns(np.arange(i, min(i + size, n))))
        for i in range(0, n, size)
    )
    for where, columns in _each(pool, made.problem, tasks, stop):
        for name, values in columns.items():
            out[name][where] = values
        out["measured"][where] = True
        done += where.stop - where.start
        if progress is not None:
            progress(done, n)
    return out


def _stored(
    made: Plan, path: Path, resume: bool, pool: Any, progress: Progress | None, stop: Callable[[], bool] | None
) -> xr.Dataset:
    store = SweepStore.open(path, made.layout, made.identity, resume)
    try:
        _fill(made.problem, store, pool, progress, stop)
        columns = {name: values.ravel() for name, values in store.columns().items()}
        store.group.attrs["complete"] = bool(columns["measured"].all())
        if store.layout != made.layout:
            at = store.layout.find(made.layout)
            columns = {name: values[at] for name, values in columns.items()}
    finally:
        store.close()
    columns["outcome"][~columns["measured"]] = INTERRUPTED
    return _dataset(made, made.layout, columns)


def _fill(
    problem: Problem,
    store: SweepStore,
    pool: Any,
    progress: Progress | None,
    stop: Callable[[], bool] | None,
) -> None:
    """Compute and write the cells of a store that are missing, unless asked to stop."""
    total, done = store.layout.cells, 0
    held: dict[Any, Any] = {}

    def tasks() -> Iterator[tuple[Any, Columns] | None]:
        # first what nobody else has in hand, then what others had: by now it is there, or they were killed
        nonlocal done
        later: list[int] = []
        for wait_for in (False, True):
            for number in later if wait_for else range(len(store.units)):
                while wait_for and held:
                    yield None  # whoever waits holds nothing, so two processes cannot wait for each other
                lock = store.lock(number, wait_for)
                if lock is None:
                    later.append(number)
                    continue
                unit = store.units[number]
                flat = store.pending(unit)
                done += int(np.prod([s.stop - s.start for s in unit])) - len(flat)
                if len(flat) == 0:
                    lock.close()
                    continue
                parts = np.array_split(flat, -(-len(flat) // _unit_size(problem.steps)))
                held[number] = [lock, len(parts), [], []]
                for part in parts:
                    yield (number, part), store.layout.columns(part)

    try:
        if progress is not None:
            progress(done, total)
        for (number, flat), columns in _each(pool, problem, tasks(), stop):
            unit = held[number]
            unit[2].append(flat)
            unit[3].append(columns)
            if len(unit[2]) < unit[1]:
                continue
            cells = np.concatenate(unit[2])
            store.write(store.units[number], cells, {k: np.concatenate([c[k] for c in unit[3]]) for k in COLUMNS})
            held.pop(number)[0].close()
            done += len(cells)
            if progress is not None:
                progress(done, total)
    finally:
        for lock, *_ in held.values():
            lock.close()


def _refined(
    made: Plan,
    levels: int,
    path: Path | None,
    resume: bool,
    pool: Any,
    progress: Progress | None,
    stop: Callable[[], bool] | None,
) -> xr.Dataset:
    """The refinement of a grid. With a store, cells are written every few seconds, and taken from there."""
    fine = replace(made, layout=finest(made.layout, levels), design=f"grid, refined {levels} times")
    n = fine.layout.cells
    store = None
    have: Columns = {name: np.full(n, fill, dtype=kind) for name, (kind, fill, _) in COLUMNS.items()}
    have["measured"] = np.zeros(n, bool)
    if path is not None:
        store = SweepStore.open(path, fine.layout, fine.identity, resume, extend=False)
        have = {name: values.ravel() for name, values in store.columns().items()}
    fresh, written, done = np.zeros(n, bool), time.monotonic(), 0

    def compute(layout: Layout, flat: np.ndarray) -> Columns:
        nonlocal written, done
        missing = flat[~have["measured"][flat]]
        done += len(flat) - len(missing)
        size = max(1, min(_unit_size(made.problem.steps), -(-len(missing) // pool.width)))
        parts = (missing[i : i + size] for i in range(0, len(missing), size))
        for part, columns in _each(pool, made.problem, ((part, layout.columns(part)) for part in parts), stop):
            for name, values in columns.items():
                have[name][part] = values
            have["measured"][part] = fresh[part] = True
            done += len(part)
            if progress is not None:
                progress(done, n)
            if store is not None and time.monotonic() - written > WRITE_EVERY:
                store.add(have, fresh)
                fresh[:], written = False, time.monotonic()
        if not have["measured"][flat].all():
            raise Stopped
        return {name: have[name][flat] for name in COLUMNS}

    try:
        columns, finished = refined(made.layout, levels, compute)
        if not finished:
            # cells of the round that was stopped are there as well
            columns = {**have, "outcome": np.where(have["measured"], have["outcome"], INTERRUPTED)}
        if store is not None:
            store.add(have, fresh, columns if finished else None)
            if finished:
                store.group.attrs["complete"] = True
    finally:
        if store is not None:
            store.close()
    return _dataset(fine, fine.layout, columns, finished)


# -- the result --------------------------------------------------------------------------------------------


def _dataset(made: Plan, layout: Layout, columns: Columns, complete: bool | None = None) -> xr.Dataset:
    import xarray as xr

    ds = xr.Dataset(
        {
            name: (layout.dims, columns[name].reshape(layout.shape), {"long_name": COLUMNS[name][2]})
            for name in COLUMNS
        },
        coords=layout.coords(),
        attrs={
            **made.identity,
            "complete": bool(columns["measured"].all()) if complete is None else complete,
        },
    )
    ds["measured"] = (layout.dims, columns["measured"].reshape(layout.shape))
    return _flags(ds)


def _flags(ds: xr.Dataset) -> xr.Dataset:
    for name, words in (("outcome", OUTCOMES), ("regime", REGIMES)):
        ds[name].attrs.update(flag_values=list(range(len(words))), flag_meanings=" ".join(words))
    return ds
