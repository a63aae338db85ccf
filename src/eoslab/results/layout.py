"""One run on disk: a Zarr group whose attributes hold a listing's few numbers and a digest of every file.

The digests notice damage that would otherwise be read (Zarr takes a missing file for missing values). This module
imports nothing but the standard library; NumPy, xarray and Zarr come in when arrays are touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from eoslab.core.errors import DamagedRun, RunNotFound, StoreError
from eoslab.results.journal import JOURNAL

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FORMAT",
    "OURS",
    "Attachments",
    "Foreign",
    "StoredRun",
    "attributes_of",
    "brief",
    "damage",
    "files_of",
    "open_run",
    "some",
    "write",
]

#: Version of the layout on disk; a reader refuses what is newer.
FORMAT = 1
#: Key of the group's attributes that belongs to the store and is no attribute of the data set.
OURS = "eoslab"
#: Rows in a chunk: 2 MB of float64, so that an ordinary run is one file a variable.
CHUNK_ROWS = 262144
#: Further files of a run: name → what writes it at a path. They are replaced together with the arrays.
Attachments: TypeAlias = Mapping[str, Callable[[Path], None]]
AGAIN = "Delete the folder by hand and run again; other runs are not affected"


@dataclass(frozen=True)
class StoredRun:
    """Where a run was saved."""

    id: str
    path: Path


def open_run(path: str | os.PathLike[str]) -> xr.Dataset:
    """The stored run, in memory, identical to the data set that was saved.

    Every file is checked against its digest. Raises :class:`~eoslab.core.errors.RunNotFound` where there is
    nothing, and :class:`~eoslab.core.errors.DamagedRun` for a folder that is no run of ours, is damaged, or
    was written by a newer version.
    """
    import xarray as xr

    from eoslab.results import codec

    path = Path(path)
    for _ in range(5):
        attributes = attributes_of(path)
        problems = damage(path, attributes)
        ds: xr.Dataset | None = None
        if not problems:
            try:
                with (
                    _attachments_expected(),
                    xr.open_zarr(path, consolidated=False, chunks=None) as lazy,
                ):
                    ds = codec.decode(lazy.load().drop_encoding())
                # a folder has no order of its own
                ds = ds[ds.attrs[OURS]["variables"]]
            except Exception as error:
                problems = [f"it cannot be read ({type(error).__name__}: {error})"]
        # a continuation may have replaced the run while we were reading; then read that one
        if attributes_of(path)[OURS]["digest"] != attributes[OURS]["digest"]:
            continue
        if ds is None:
            raise _damaged(path, problems)
        del ds.attrs[OURS]
        return ds
    raise StoreError(f"{path} is being rewritten all the time", "Try again when its writer is done")


class Foreign(DamagedRun):
    """A folder that eoslab has not written."""


def write(ds: xr.Dataset, path: Path, attach: Attachments) -> None:
    """The data set as a Zarr 3 group with our attributes, and the attached files."""
    from eoslab.results import codec

    coded = codec.encode(ds.drop_encoding())
    chunks = {
        name: {"chunks": tuple(max(1, min(n, CHUNK_ROWS if i == 0 else n)) for i, n in enumerate(v.shape))}
        for name, v in coded.variables.items()
        if v.ndim > 0
    }
    # an all-zero chunk is written too: left out, −0.0 would come back as 0.0
    coded.to_zarr(path, mode="w-", zarr_format=3, consolidated=False, encoding=chunks, write_empty_chunks=True)
    for name, writer in attach.items():
        writer(path / name)
    group = path / "zarr.json"
    head = json.loads(group.read_text(encoding="utf-8"))
    head["attributes"][OURS] = {
        "summary": brief(ds),
        "variables": [str(name) for name in ds.data_vars],
        "files": {name: sha256(path / name) for name in files_of(path)},
    }
    head["attributes"][OURS]["digest"] = _head_digest(head)
    group.write_text(json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")


@contextmanager
def _attachments_expected() -> Iterator[None]:
    """Zarr wonders about files that are no arrays; the digests have already said that they belong here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Object at .* is not recognized as a component")
        yield


def brief(ds: xr.Dataset) -> dict[str, Any]:
    """What a listing and a comparison show."""
    from eoslab.results.summary import summary, verdict_sentence

    s = summary(ds)
    ups = [e["step"] for e in s["events"] if e["kind"] == "crossing-up"]
    return {k: s[k] for k in ("outcome", "regime", "threshold", "steps", "max_eta_sharpness")} | {
        "lr": float(ds["lr"]),
        **s["phases"],
        "first_crossing": ups[0] if ups else None,
        "excursions": int(ds["excursions"]),
        "events": len(s["events"]),
        "final_loss": s["final"]["loss"],
        "final_sharpness": s["final"]["sharpness"],
        "initial_gfs_sharpness": s["initial"]["gfs_sharpness"],
        "final_gfs_sharpness": s["final"]["gfs_sharpness"],
        "verdict": verdict_sentence(ds),
    }


def files_of(path: Path) -> list[str]:
    """Every file of a group by its relative name, except the group's own head."""
    found = []
    for folder, _, names in os.walk(path):
        found += [(Path(folder) / name).relative_to(path).as_posix() for name in names]
    return sorted(name for name in found if name not in ("zarr.json", JOURNAL))


def sha256(file: Path) -> str:
    """Digest of a file's bytes."""
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _head_digest(head: dict[str, Any]) -> str:
    """Digest of the group's head, the digest itself left out."""
    bare = json.loads(json.dumps(head))
    bare["attributes"][OURS].pop("digest", None)
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def head_of(path: Path) -> dict[str, Any]:
    """The group's head; raises unless the folder is a run of ours."""
    try:
        text = (path / "zarr.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        if not path.exists():
            raise RunNotFound(f"no run at {path}", "See: eoslab runs list") from None
        raise Foreign(f"{path} is no run of eoslab (it has no zarr.json)") from None
    except NotADirectoryError:
        raise Foreign(f"{path} is a file, a run is a folder") from None
    except UnicodeDecodeError as error:
        raise DamagedRun(f"{path / 'zarr.json'} is damaged ({error})", AGAIN) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from error
    try:
        head = json.loads(text)
        attributes = head["attributes"]
    except (ValueError, KeyError, TypeError):
        raise DamagedRun(f"{path / 'zarr.json'} is damaged (it is no JSON of a Zarr group)", AGAIN) from None
    if not isinstance(attributes, dict) or "format" not in attributes or "eoslab_version" not in attributes:
        raise Foreign(f"{path} is a Zarr group, but no run of eoslab")
    assert isinstance(head, dict)
    return head


def attributes_of(path: Path, check_format: bool = True) -> dict[str, Any]:
    """The attributes of a run; raises for what is foreign, damaged or newer than we are."""
    from eoslab import __version__

    head = head_of(path)
    attributes: dict[str, Any] = head["attributes"]
    if not check_format:
        return attributes
    number = attributes["format"]
    if not isinstance(number, int) or number < 1:
        raise DamagedRun(f"{path} has the format {number!r}, which is no format of eoslab", AGAIN)
    if number > FORMAT:
        raise DamagedRun(
            f"Written by eoslab {attributes['eoslab_version']} (format {number}); "
            f"this is {__version__} (format {FORMAT})",
            "Update to open it",
        )
    ours = attributes.get(OURS)
    if not isinstance(ours, dict) or ours.get("digest") != _head_digest(head):
        raise DamagedRun(f"{path / 'zarr.json'} was changed after the run was saved", AGAIN)
    return attributes


def damage(path: Path, attributes: dict[str, Any]) -> list[str]:
    """What is wrong with the files of a run, one sentence each."""
    problems = []
    for name, digest in attributes[OURS]["files"].items():
        try:
            if sha256(path / name) != digest:
                problems.append(f"{name} was changed after the run was saved")
        except FileNotFoundError:
            problems.append(f"{name} is missing")
        except OSError as error:
            problems.append(f"{name} cannot be read ({error.strerror})")
    return problems


def _damaged(path: Path, problems: list[str]) -> DamagedRun:
    return DamagedRun(f"{path} is damaged: {some(problems)}", AGAIN)


def some(words: list[str], most: int = 5) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
