"""The run store: a folder of Zarr groups, one a run, and nothing else.

A run is written under a hidden temporary name and renamed when it is complete, so a reader never meets half of
one, whatever kills the writer; ids are random, so writers need not know of each other; there is no index file
that could disagree with the folder; ``runs list`` reads one small JSON file a run. What is in such a group is the
matter of :mod:`eoslab.results.layout`.

This module imports nothing but the standard library; NumPy, xarray and Zarr come in when arrays are touched.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from eoslab.core.errors import DamagedRun, EoslabError, RunNotFound, StoreError, UnknownName, suggest
from eoslab.results import journal
from eoslab.results.journal import JOURNAL
from eoslab.results.layout import (
    FORMAT,
    OURS,
    Attachments,
    Foreign,
    StoredRun,
    attributes_of,
    brief,
    damage,
    files_of,
    open_run,
    some,
    write,
)  # fmt: skip

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FORMAT", "Attachments", "Difference", "RunInfo", "Store", "StoredRun", "open_run"]

SUFFIX = ".zarr"
#: Age in seconds from which a temporary folder is taken for the remains of a killed writer.
STALE = 24 * 3600
TEMPORARY, ASIDE, TRASH = ".writing-", ".old-", ".trash-"


@dataclass(frozen=True)
class RunInfo:
    """What a listing shows of a run, read from its attributes alone.

    ``problem`` says why a run cannot be read; the other fields are then empty. ``parameters`` holds the
    settings by group (model, optimizer, run), ``summary`` what was measured.
    """

    id: str
    path: Path
    created: str = ""
    model: str = ""
    optimizer: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def outcome(self) -> str:
        """How the run ended."""
        return str(self.summary.get("outcome", ""))

    @property
    def regime(self) -> str:
        """The run's regime."""
        return str(self.summary.get("regime", ""))

    @property
    def lr(self) -> float | None:
        """The learning rate η."""
        return self.summary.get("lr")

    @property
    def steps(self) -> int | None:
        """Updates made."""
        return self.summary.get("steps")

    @property
    def final_loss(self) -> float | None:
        """The loss at the last stored step; None where it is not finite."""
        return self.summary.get("final_loss")

    @property
    def threshold(self) -> float | None:
        """The optimizer's dimensionless threshold; None where it has none."""
        return self.summary.get("threshold")

    @property
    def max_eta_sharpness(self) -> float | None:
        """The largest η·S_eff."""
        return self.summary.get("max_eta_sharpness")

    @property
    def verdict(self) -> str:
        """What happened, in one sentence."""
        return str(self.summary.get("verdict", ""))

    @property
    def live(self) -> journal.Status | None:
        """How far the run is by its journal, read now; None where it keeps none."""
        return journal.status(self.path)

    @property
    def command(self) -> str:
        """The command that reproduces the run, if it is known."""
        return str(self.attributes.get("command") or "")


@dataclass(frozen=True)
class Difference:
    """One line of a comparison: ``kind`` is 'setting' or 'result'; None where a run has no such value."""

    kind: str
    name: str
    a: Any
    b: Any


#: Types under names of their own: inside :class:`Store`, ``list`` is a method.
Differences: TypeAlias = list[Difference]
Infos: TypeAlias = list[RunInfo]
Names: TypeAlias = list[str]
Paths: TypeAlias = list[Path]


class Store:
    """The runs in a folder: ``root``, else ``$EOSLAB_RUNS``, else ``./runs``.

    The folder is created when the first run is saved. Any number of processes may use it at once.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(root or os.environ.get("EOSLAB_RUNS") or "runs")

    # -- writing --------------------------------------------------------------------------------------

    def save(
        self,
        ds: xr.Dataset,
        *,
        command: str | None = None,
        sources: dict[str, str] | None = None,
        attach: Attachments | None = None,
    ) -> StoredRun:
        """Keep a run; returns its new id and path.

        ``command`` is the command line that reproduces it, ``sources`` says where each setting came from,
        ``attach`` names further files of the run (the checkpoint of a network) and what writes each.
        Either the whole run is there afterwards or nothing is. Raises
        :class:`~eoslab.core.errors.StoreError` where the folder cannot be written (disk full, no permission).
        """
        if command is not None:
            ds = ds.assign_attrs(command=command)
        if sources is not None:
            ds = ds.assign_attrs(sources=json.dumps(sources))
        with self._written(ds, attach) as temporary:
            # four digits are enough for thousands of runs; when one is taken, try others, then longer ones
            for digits in (4, 4, 4, 6, 6, 8, 16):
                id = secrets.token_hex(digits // 2)
                path = self.root / f"{id}{SUFFIX}"
                if not path.exists() and _renamed(temporary, path):
                    return StoredRun(id, path)
        raise StoreError(f"no free id found in {self.root}", "Try again")

    def update(self, path: Path, ds: xr.Dataset, attach: Attachments | None = None) -> StoredRun:
        """Replace a stored run by its continuation; until the new one is complete the old one stays."""
        path = Path(path)
        asides: Paths = []
        with Store(path.parent)._written(ds, attach) as temporary:
            _take_over(path / JOURNAL, temporary / JOURNAL)
            while not _renamed(temporary, path):
                if len(asides) == 100:
                    raise StoreError(
                        f"{path} could not be replaced", "Another process keeps writing it; try again"
                    )
                # A folder cannot be renamed over another, so the old one steps aside. If we are killed
                # between the two renames, the next look into the store puts it back.
                asides.append(path.parent / f"{ASIDE}{path.name}-{secrets.token_hex(4)}")
                _renamed(path, asides[-1])
            for aside in asides:
                shutil.rmtree(aside, ignore_errors=True)
        return StoredRun(_id(path), path)

    @contextmanager
    def _written(self, ds: xr.Dataset, attach: Attachments | None) -> Iterator[Path]:
        """The run as a complete folder under a temporary name, which is gone afterwards in any case."""
        temporary = self.root / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._sweep_up()
            write(ds, temporary, attach or {})
            yield temporary
        except OSError as error:
            raise _store_error(self.root, error) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _sweep_up(self) -> None:
        """Put back or remove what killed writers have left."""
        for name in os.listdir(self.root):
            left = self.root / name
            if name.startswith(ASIDE):
                if not self._put_back(name) and (self.root / _replaced(name)).exists():
                    shutil.rmtree(left, ignore_errors=True)
            elif name.startswith((TEMPORARY, TRASH)):
                try:
                    if time.time() - left.stat().st_mtime > STALE:
                        shutil.rmtree(left, ignore_errors=True)
                except FileNotFoundError:
                    continue

    def _put_back(self, aside: str) -> str:
        """The name of a run whose replacement was never completed, after undoing it; empty if it was."""
        name = _replaced(aside)
        path = self.root / name
        try:
            return name if not path.exists() and _renamed(self.root / aside, path) else ""
        except OSError:
            # a folder that we may only read: the run stays where its writer left it
            return ""

    def remove(self, ref: str | os.PathLike[str]) -> StoredRun:
        """Delete a run; a folder that is no run of ours is refused (:class:`~eoslab.core.errors.DamagedRun`)."""
        path = self.find(ref)
        attributes_of(path, check_format=False)
        if path.is_symlink():
            raise DamagedRun(f"{path} is a link, not a run", f"Remove the run it points to: {path.resolve()}")
        trash = path.parent / f"{TRASH}{path.name}-{secrets.token_hex(4)}"
        try:
            # out of sight at once, so that nobody meets half a run
            path.rename(trash)
            shutil.rmtree(trash)
        except OSError as error:
            raise _store_error(path.parent, error) from error
        return StoredRun(_id(path), path)

    # -- finding --------------------------------------------------------------------------------------

    def find(self, ref: str | os.PathLike[str]) -> Path:
        """The folder of a run: ``ref`` is its id, the beginning of an id that no other run shares, or a path.

        Raises :class:`~eoslab.core.errors.RunNotFound`, with the candidates where several ids begin so.
        """
        text = os.fspath(ref)
        paths = {_id(path): path for path in self._folders()}
        if text in paths:
            return paths[text]
        near = sorted(id for id in paths if text and id.startswith(text))
        if len(near) == 1:
            return paths[near[0]]
        if len(near) > 1:
            raise RunNotFound(
                f"{text!r} is the beginning of {len(near)} run ids in {self.root}: {some(near)}",
                "Give one more character",
            )
        if text and Path(text).is_dir():
            return Path(text)
        if os.sep in text or text.endswith(SUFFIX):
            raise RunNotFound(f"no run at {text}", "")
        if not paths:
            raise RunNotFound(f"no run {text!r}: no runs in {self.root} yet", "Start one: eoslab run")
        guess = suggest(text, paths)
        raise RunNotFound(
            f"no run {text!r} in {self.root}", f"did you mean {guess!r}?" if guess else "See: eoslab runs list"
        )

    def list(self) -> Infos:
        """All runs, oldest first. A damaged one is listed with its ``problem``, a foreign folder is not."""
        found = []
        for path in self._folders():
            try:
                found.append(_info(path))
            except (Foreign, RunNotFound):
                # not ours, or removed since we looked
                continue
            except EoslabError as error:
                found.append(RunInfo(_id(path), path, problem=str(error)))
        return sorted(found, key=lambda run: (run.created, _mtime(run.path), run.id))

    def info(self, ref: str | os.PathLike[str]) -> RunInfo:
        """What a listing shows of one run; raises where it cannot be read."""
        return _info(self.find(ref))

    def open(self, ref: str | os.PathLike[str]) -> xr.Dataset:
        """The data set of a run (:func:`open_run` after :meth:`find`)."""
        return open_run(self.find(ref))

    # -- checking, comparing, giving away ---------------------------------------------------------------

    def verify(self, ref: str | os.PathLike[str]) -> Names:
        """What is wrong with a run, one sentence each; empty where it is sound.

        Checked are every file against its digest, that there are no others, that the schema is complete, and
        that the numbers agree with each other: first row, last row and events with what the attributes say.
        Raises :class:`~eoslab.core.errors.RunNotFound` only.
        """
        path = self.find(ref)
        try:
            attributes = attributes_of(path)
        except RunNotFound:
            raise
        except EoslabError as error:
            return [str(error)]
        problems = damage(path, attributes)
        known = attributes[OURS]["files"]
        problems += [f"{name} does not belong here" for name in files_of(path) if name not in known]
        if problems:
            return problems
        try:
            ds = open_run(path)
        except EoslabError as error:
            return [str(error)]
        from eoslab.results.schema import missing

        problems = [f"the variable or attribute {name!r} is missing" for name in missing(ds)]
        if not problems and json.loads(json.dumps(brief(ds))) != attributes[OURS]["summary"]:
            problems.append("the summary in the attributes does not agree with the stored numbers")
        return problems

    def diff(self, a: str | os.PathLike[str], b: str | os.PathLike[str]) -> Differences:
        """Where two runs differ, settings first, then results; read from the attributes alone."""
        runs = self.info(a), self.info(b)
        settings = [_settings(run) for run in runs]
        # the verdict repeats the other results, lr is a setting
        results = [{k: v for k, v in run.summary.items() if k not in ("verdict", "lr")} for run in runs]
        return [*_differing("setting", *settings), *_differing("result", *results)]

    def export(self, ref: str | os.PathLike[str], format: str, out: str | os.PathLike[str]) -> Path:
        """Write a run as ``csv`` (one row a step), ``npz`` or ``netcdf`` (everything); returns the path.

        Raises :class:`~eoslab.core.errors.UnknownName` for another format. A file of that name is replaced, by
        a complete one or not at all.
        """
        from eoslab.results.export import WRITERS

        if format not in WRITERS:
            raise UnknownName("format", format, WRITERS)
        path, target = self.find(ref), Path(out)
        ds = open_run(path)
        temporary = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
        try:
            WRITERS[format](ds, temporary, _id(path))
            temporary.replace(target)
        except OSError as error:
            raise StoreError(
                f"{target} cannot be written: {error.strerror or error}", "Choose another place"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def _folders(self) -> Paths:
        """Folders that may be runs, after undoing what a writer killed in :meth:`update` has left."""
        try:
            names = os.listdir(self.root)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _store_error(self.root, error) from error
        names += [self._put_back(name) for name in names if name.startswith(ASIDE)]
        return [
            self.root / name for name in sorted(set(names)) if name.endswith(SUFFIX) and not name.startswith(".")
        ]


# -- on disk ----------------------------------------------------------------------------------------------


def _take_over(old: Path, new: Path) -> None:
    """The journal of a run in its replacement: the same file where possible, so that its writer and its readers
    go on with what they have open."""
    if not old.exists():
        return
    try:
        os.link(old, new)
    except OSError:
        # a file system without hard links
        shutil.copyfile(old, new)


def _info(path: Path) -> RunInfo:
    attributes = attributes_of(path)
    summary = attributes.pop(OURS)["summary"]
    created, model, optimizer = (str(attributes.get(name, "")) for name in ("created", "model", "optimizer"))
    return RunInfo(_id(path), path, created, model, optimizer, _parameters(attributes), summary, attributes)


def _settings(run: RunInfo) -> dict[str, Any]:
    """All settings of a run by name; those of the optimizer that share a name with the model's get a prefix."""
    found: dict[str, Any] = {"model": run.model, "optimizer": run.optimizer}
    for group in ("model", "optimizer", "run"):
        for name, value in run.parameters.get(group, {}).items():
            found[f"{group}.{name}" if name in found else name] = value
    names = ("seed", "data", "dtype", "eoslab_version", "versions", "platform")
    return found | {name: run.attributes.get(name) for name in names}


def _differing(kind: str, a: dict[str, Any], b: dict[str, Any]) -> Differences:
    names = dict.fromkeys([*a, *b])
    return [Difference(kind, name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)]


def _parameters(attributes: dict[str, Any]) -> dict[str, Any]:
    try:
        parsed = json.loads(attributes.get("parameters", "{}"))
    except (TypeError, ValueError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _renamed(old: Path, new: Path) -> bool:
    """Rename a folder unless something is there already."""
    try:
        old.rename(new)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT):
            return False
        raise
    return True


def _store_error(root: Path, error: OSError) -> StoreError:
    help = {
        errno.ENOSPC: "Free some space or choose another folder with --out; nothing was left half-written",
        errno.EDQUOT: "Your quota is used up: free some space or choose another folder with --out",
        errno.EACCES: "Choose a folder that you may write with --out or $EOSLAB_RUNS",
        errno.EPERM: "Choose a folder that you may write with --out or $EOSLAB_RUNS",
        errno.EROFS: "Choose a folder that you may write with --out or $EOSLAB_RUNS",
    }.get(error.errno or 0, "Choose another folder with --out or $EOSLAB_RUNS")
    what = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
    return StoreError(f"the run store {root} cannot be written: {what}", help)


def _replaced(aside: str) -> str:
    """The name of the run that stepped aside under this name."""
    return aside.removeprefix(ASIDE).rpartition("-")[0]


def _id(path: Path) -> str:
    return path.name.removesuffix(SUFFIX)


def _mtime(path: Path) -> int:
    try:
        return (path / "zarr.json").stat().st_mtime_ns
    except OSError:
        return 0
