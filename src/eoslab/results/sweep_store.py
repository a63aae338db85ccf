"""Maps on disk: a Zarr group that several processes may fill, interrupt, continue and extend.

The cells are divided into units, each one Zarr chunk of every variable. A unit's variables are written first, the
chunk of ``measured`` last, every chunk by rename; so what ``measured`` says is there is there, whenever the writer
is killed. A unit belongs to whoever holds the lock on its file (``flock``: a killed process holds none), so
two processes share a store without computing a unit twice. What made the numbers (model, rule, fixed parameters,
steps, code) is recorded; a different one is refused, and another grid extends the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from eoslab.core.errors import DamagedRun, StoreError
from eoslab.results.grid import Axis, Layout
from eoslab.results.table import Cells, Column, Columns, Table

__all__ = ["SweepStore", "chunk_shape", "units_of"]

#: Version of the layout on disk; a reader refuses what is newer.
FORMAT = 1
#: Written last, chunk by chunk: what it says is there is there.
MEASURED = Column("bool", False, "whether the cell was computed")


def chunk_shape(shape: tuple[int, ...], target: int) -> tuple[int, ...]:
    """The largest block of at most ``target`` cells that is full in the trailing dimensions.

    >>> chunk_shape((1000, 1000), 32768), chunk_shape((5, 7), 32768), chunk_shape((3, 100000), 32768)
    ((32, 1000), (5, 7), (1, 32768))
    """
    out, room = [], target
    for size in reversed(shape):
        out.append(max(1, min(size, room)))
        room //= max(size, 1)
    return tuple(reversed(out))


def units_of(shape: tuple[int, ...], chunk: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """The blocks that tile an array."""
    counts = [-(-n // c) for n, c in zip(shape, chunk, strict=True)]
    blocks = []
    for number in range(prod(counts)):
        at = np.unravel_index(number, counts)
        blocks.append(
            tuple(slice(int(i) * c, min((int(i) + 1) * c, n)) for i, c, n in zip(at, chunk, shape, strict=True))
        )
    return blocks


class SweepStore:
    """A store opened for writing; use :meth:`open`, and ``close`` it."""

    def __init__(self, path: Path, layout: Layout, table: Table, chunk: int, lock: TextIO | None) -> None:
        import zarr

        self.path, self.layout, self.table, self._lock = path, layout, table, lock
        self.group = zarr.open_group(str(path), mode="r+")
        self.arrays = {name: self.group[name] for name in (*table.columns, "measured")}
        self.units = units_of(layout.shape, chunk_shape(layout.shape, chunk))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        layout: Layout,
        identity: dict[str, Any],
        cells: Cells,
        resume: bool,
        extend: bool = True,
    ) -> SweepStore:
        """The store at ``path`` for these cells, made or continued, and extended where ``extend`` allows it.

        Raises :class:`~eoslab.core.errors.StoreError` where what is there was made by something else, is in use
        by a process that a change of the grid would disturb, or may not be continued (``resume=False``).
        """
        path, table, chunk = Path(path), cells.table, cells.chunk
        with _says_why(path):
            lock, alone = _enter(path)
            if alone:
                _recover(path)
            if not path.exists():
                _create(path, layout, table, chunk, identity)
            elif not resume:
                raise StoreError(f"{path} exists already", "continue it with resume, or choose another name")
            stored, whole = _check(path, identity), layout
            if stored != layout:
                whole = stored.union(layout)
            if whole != stored:
                if not extend:
                    raise StoreError(
                        f"{path} holds the refinement of another grid: {_sizes(stored)}, now {_sizes(layout)}",
                        "a refinement depends on its coarse grid; write the new one to another store",
                    )
                if not alone:
                    raise StoreError(
                        f"{path} is in use by another process and the grid differs from the stored one",
                        "extend it when that process has ended",
                    )
                _extend(path, stored, whole, table, chunk, identity)
            _flock(lock, exclusive=False, wait=True)
            return cls(path, whole, table, chunk, lock)

    def pending(self, unit: tuple[slice, ...]) -> np.ndarray:
        """Flat indices of the cells of a unit that are not there yet."""
        missing = ~np.asarray(self.arrays["measured"][unit])
        index: np.ndarray = np.arange(prod(self.layout.shape)).reshape(self.layout.shape)[unit][missing]
        return index

    def write(self, unit: tuple[slice, ...], flat: np.ndarray, columns: Columns) -> None:
        """Add cells of a unit whose lock is held."""
        shape = tuple(s.stop - s.start for s in unit)
        where = np.unravel_index(flat, self.layout.shape)
        local = tuple(i - s.start for i, s in zip(where, unit, strict=True))
        whole = len(flat) == prod(shape)
        with _says_why(self.path):
            for name, values in {**columns, "measured": np.ones(len(flat), bool)}.items():
                array = self.arrays[name]
                block = np.empty(shape + values.shape[1:], values.dtype) if whole else np.asarray(array[unit])
                block[local] = values
                array[unit] = block

    def add(self, columns: Columns, fresh: np.ndarray, inferred: Columns | None = None) -> None:
        """Write the cells of a mask, and regime and outcome that were inferred for those that are not measured."""
        numbers = np.arange(fresh.size).reshape(self.layout.shape)
        for number, unit in enumerate(self.units):
            mine = numbers[unit].ravel()
            flat = mine[fresh[mine]]
            if len(flat) == 0 and inferred is None:
                continue
            lock = self.lock(number, True)
            assert lock is not None
            with lock, _says_why(self.path):
                if len(flat):
                    self.write(unit, flat, {name: columns[name][flat] for name in self.table.columns})
                if inferred is None:
                    continue
                there = np.asarray(self.arrays["measured"][unit])
                for name in ("regime", "outcome"):
                    array = self.arrays[name]
                    array[unit] = np.where(there, np.asarray(array[unit]), inferred[name][numbers[unit]])

    def lock(self, number: int, wait: bool) -> TextIO | None:
        """The lock of a unit, held until it is closed; None if another process holds it."""
        with _says_why(self.path):
            file = (_locks(self.path) / f"unit-{number}").open("w")
        if _flock(file, exclusive=True, wait=wait):
            return file
        file.close()
        return None

    def columns(self) -> Columns:
        """Everything that is there, and ``measured``, cell by cell."""
        return {name: _by_cell(array, self.layout) for name, array in self.arrays.items()}

    def close(self) -> None:
        """Give the store back; the last one to leave removes the locks."""
        if self._lock is None:
            return
        if _flock(self._lock, exclusive=True, wait=False):
            shutil.rmtree(_locks(self.path), ignore_errors=True)
        self._lock.close()
        self._lock = None


def _locks(path: Path) -> Path:
    return path.parent / f".{path.name}.locks"


def _enter(path: Path) -> tuple[TextIO, bool]:
    """The lock of a store, shared, or held alone if nobody else has it; alone in any case while there is none."""
    while True:
        _locks(path).mkdir(parents=True, exist_ok=True)
        try:
            lock = (_locks(path) / "store").open("w")
        except FileNotFoundError:
            continue  # the last user is just removing the locks
        alone = _flock(lock, exclusive=True, wait=False)
        if not alone:
            # while there is no store, another process is just making it
            _flock(lock, exclusive=False, wait=True)
        with contextlib.suppress(FileNotFoundError):
            current = (_locks(path) / "store").stat().st_ino == os.fstat(lock.fileno()).st_ino
            if current and (alone or path.exists()):
                return lock, alone
        lock.close()


def _flock(file: TextIO, exclusive: bool, wait: bool) -> bool:
    try:
        import fcntl
    except ImportError:  # no advisory locks here: one process at a time is the user's task
        return True
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _says_why(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise StoreError(
            f"cannot write {path}: {e.strerror or e}",
            "what is there stays; the same command continues once there is room and permission",
        ) from e


def _by_cell(array: Any, layout: Layout) -> np.ndarray:
    """A stored array with the cells as its first dimension."""
    values = np.asarray(array[...])
    return values.reshape(layout.cells, *values.shape[len(layout.shape) :])


def _create(
    path: Path, layout: Layout, table: Table, chunk: int, identity: dict[str, Any], columns: Columns | None = None
) -> None:
    """A store, empty or with what is known, under a private name and then renamed."""
    import xarray as xr
    import zarr

    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    attributes = {**identity, "layout": json.dumps(_to_json(layout)), "complete": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's remark that strings have no final specification
        xr.Dataset(coords={**layout.coords(), **table.coords}, attrs=attributes).to_zarr(
            temporary, zarr_format=3, consolidated=False, mode="w"
        )
        group = zarr.open_group(str(temporary), mode="r+")
        for name, column in {**table.columns, "measured": MEASURED}.items():
            inner = () if name == "measured" else table.shape(name)
            array = group.create_array(
                name, shape=layout.shape + inner, chunks=chunk_shape(layout.shape, chunk) + inner,
                dtype=column.kind, fill_value=np.dtype(column.kind).type(column.fill).item(),
                dimension_names=layout.dims + column.dims, attributes={"long_name": column.meaning},
            )  # fmt: skip
            if columns is not None:
                array[...] = columns[name].reshape(layout.shape + inner)
    os.replace(temporary, path)


def _extend(path: Path, stored: Layout, whole: Layout, table: Table, chunk: int, identity: dict[str, Any]) -> None:
    """Replace the store by one with more cells that holds what is known; nobody else is using it."""
    import zarr

    group = zarr.open_group(str(path), mode="r")
    at = whole.find(stored)
    columns = {**table.blank(whole.cells), "measured": np.zeros(whole.cells, bool)}
    for name, values in columns.items():
        values[at] = _by_cell(group[name], stored)
    new, old = path.parent / f".{path.name}.new", path.parent / f".{path.name}.old"
    shutil.rmtree(new, ignore_errors=True)
    _create(new, whole, table, chunk, identity, columns)
    os.replace(path, old)
    os.replace(new, path)
    shutil.rmtree(old, ignore_errors=True)


def _recover(path: Path) -> None:
    """Finish an extension that was killed between its two renames; remove what it left."""
    old = path.parent / f".{path.name}.old"
    if old.exists() and not path.exists():
        os.replace(old, path)
    shutil.rmtree(old, ignore_errors=True)


def _check(path: Path, identity: dict[str, Any]) -> Layout:
    """The layout of a store that was made by the same thing; raises with what differs."""
    import zarr

    try:
        attributes = dict(zarr.open_group(str(path), mode="r").attrs)
        layout = _from_json(json.loads(str(attributes["layout"])))
    except Exception as e:
        raise DamagedRun(f"{path} is no map of ours: {e}", "choose another name for the result") from None
    if int(attributes.get("format", 0)) > FORMAT:
        raise StoreError(
            f"{path} was written by eoslab {attributes.get('eoslab_version')} in format "
            f"{attributes.get('format')}, this is format {FORMAT}",
            "update to continue it",
        )
    for key, what in (
        ("axes", "swept parameters"),
        ("design", "design"),
        ("parameters", "model, optimizer, start or number of steps"),
        ("digest", "code that computes a cell"),
    ):
        then, now = attributes.get(key), identity[key]
        if then != now:
            raise StoreError(
                f"{path} was made with another {what}: {_shorten(then)}, now {_shorten(now)}",
                "its cells and the new ones would not belong to one map; write to another store",
            )
    return layout


def _sizes(layout: Layout) -> str:
    return ", ".join(
        f"{axis.name} {axis.values[0]}…{axis.values[-1]} ({len(axis.values)})" for axis in layout.axes
    )


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _to_json(layout: Layout) -> dict[str, Any]:
    return {
        "product": layout.product,
        "axes": [{"name": a.name, "values": a.values, "scale": a.scale} for a in layout.axes],
    }


def _from_json(data: dict[str, Any]) -> Layout:
    def value(item: Any) -> Any:
        return tuple(item) if isinstance(item, list) else item

    axes = (Axis(a["name"], tuple(value(v) for v in a["values"]), a["scale"]) for a in data["axes"])
    return Layout(tuple(axes), data["product"])
