"""The verb ``sweep``: a trajectory's verdict and numbers for every cell of a grid, as one labelled data set."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab import __version__
from eoslab.core.errors import whole
from eoslab.core.vocabulary import OUTCOMES, REGIMES
from eoslab.results.cells import MAP, Problem
from eoslab.results.grid import Layout, lay_out
from eoslab.results.pools import each, pool_of
from eoslab.results.refine import finest
from eoslab.results.refine import refine as refined
from eoslab.results.sweep_store import FORMAT, SweepStore
from eoslab.results.table import Cells, Columns, Stop, Stopped, Table

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Plan", "carry_out", "counts", "design_name", "labels", "open_sweep", "plan", "sweep"]

INTERRUPTED = list(OUTCOMES).index("interrupted")
INFERRED = list(OUTCOMES).index("inferred")
#: Seconds between two writes of a refinement: what a kill can lose.
WRITE_EVERY = 2.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What a sweep would do: the problem, the cells, and an estimate of what it costs."""

    problem: Any
    layout: Layout
    design: str

    @property
    def steps_total(self) -> int:
        """The most updates that are made."""
        return self.layout.cells * self.problem.steps

    def seconds(self, workers: int) -> float:
        """Predicted time on that many cores."""
        return self.problem.seconds(self.layout) / max(workers, 1)

    @property
    def row_bytes(self) -> int:
        """Memory of a cell in the result; its size on disk before compression."""
        return self.problem.table.row_bytes

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
    return Plan(problem, layout, design_name(design, seed))


def design_name(design: str, seed: int) -> str:
    """A design as a store remembers it: drawn cells belong to their seed."""
    return design if design in ("grid", "list") else f"{design}, seed {seed}"


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
    stop: Stop | None = None,
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
    return carry_out(
        made, store=store, resume=resume, client=client, workers=workers, refine=refine, progress=progress,
        stop=stop,
    )  # fmt: skip


def carry_out(
    made: Plan,
    *,
    store: str | os.PathLike[str] | None = None,
    resume: bool = True,
    client: Any = None,
    workers: int | None = None,
    refine: int = 0,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> xr.Dataset:
    """Compute what a plan says; the arguments are those of :func:`sweep`."""
    with pool_of(client, workers, stop) as pool:
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


# -- filling ----------------------------------------------------------------------------------------------


def _in_memory(made: Plan, pool: Any, progress: Progress | None, stop: Stop | None) -> Columns:
    n = made.layout.cells
    out = made.problem.table.blank(n)
    out["outcome"][:] = INTERRUPTED
    out["measured"] = np.zeros(n, bool)
    size, done = max(1, min(made.problem.at_once, -(-n // pool.width))), 0
    tasks = (
        (slice(i, min(i + size, n)), made.layout.columns(np.arange(i, min(i + size, n))))
        for i in range(0, n, size)
    )
    for where, columns in each(pool, made.problem, tasks, stop):
        for name, values in columns.items():
            out[name][where] = values
        out["measured"][where] = True
        done += where.stop - where.start
        if progress is not None:
            progress(done, n)
    return out


def _stored(
    made: Plan, path: Path, resume: bool, pool: Any, progress: Progress | None, stop: Stop | None
) -> xr.Dataset:
    store = SweepStore.open(path, made.layout, made.identity, made.problem, resume)
    try:
        _fill(made.problem, store, pool, progress, stop)
        columns = store.columns()
        store.group.attrs["complete"] = bool(columns["measured"].all())
        if store.layout != made.layout:
            at = store.layout.find(made.layout)
            columns = {name: values[at] for name, values in columns.items()}
    finally:
        store.close()
    columns["outcome"][~columns["measured"]] = INTERRUPTED
    return _dataset(made, made.layout, columns)


def _fill(
    problem: Cells,
    store: SweepStore,
    pool: Any,
    progress: Progress | None,
    stop: Stop | None,
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
                parts = np.array_split(flat, -(-len(flat) // problem.at_once))
                held[number] = [lock, len(parts), [], []]
                for part in parts:
                    yield (number, part), store.layout.columns(part)

    try:
        if progress is not None:
            progress(done, total)
        for (number, flat), columns in each(pool, problem, tasks(), stop):
            unit = held[number]
            unit[2].append(flat)
            unit[3].append(columns)
            if len(unit[2]) < unit[1]:
                continue
            cells = np.concatenate(unit[2])
            columns = {name: np.concatenate([part[name] for part in unit[3]]) for name in columns}
            store.write(store.units[number], cells, columns)
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
    stop: Stop | None,
) -> xr.Dataset:
    """The refinement of a grid. With a store, cells are written every few seconds, and taken from there."""
    fine = replace(made, layout=finest(made.layout, levels), design=f"grid, refined {levels} times")
    n = fine.layout.cells
    store = None
    have = MAP.blank(n)
    have["measured"] = np.zeros(n, bool)
    if path is not None:
        store = SweepStore.open(path, fine.layout, fine.identity, fine.problem, resume, extend=False)
        have = store.columns()
    fresh, written, done = np.zeros(n, bool), time.monotonic(), 0

    def compute(layout: Layout, flat: np.ndarray) -> Columns:
        nonlocal written, done
        missing = flat[~have["measured"][flat]]
        done += len(flat) - len(missing)
        size = max(1, min(made.problem.at_once, -(-len(missing) // pool.width)))
        parts = (missing[i : i + size] for i in range(0, len(missing), size))
        for part, columns in each(pool, made.problem, ((part, layout.columns(part)) for part in parts), stop):
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
        return {name: have[name][flat] for name in MAP.columns}

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

    table: Table = made.problem.table
    ds = xr.Dataset(
        {
            name: (
                layout.dims + column.dims,
                columns[name].reshape(layout.shape + table.shape(name)),
                {"long_name": column.meaning},
            )
            for name, column in table.columns.items()
        },
        coords={**layout.coords(), **table.coords},
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
