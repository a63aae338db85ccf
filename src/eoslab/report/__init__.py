"""The report: one self-contained HTML file that opens from disk and asks nothing of the network.

>>> from eoslab.report import report
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eoslab.core.errors import InvalidArgument, StoreError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["report"]


def report(
    datasets: Sequence[xr.Dataset],
    path: str | os.PathLike[str],
    *,
    commands: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    interactive: bool = False,
) -> Path:
    """Write the report of one run, or the comparison of several, to ``path``; returns it.

    ``commands`` are the command lines that reproduce the runs (else what the runs recorded about themselves),
    ``names`` what they are called. ``interactive`` adds charts to zoom in place of the drawings of loss and
    sharpness, below 150 kB more. The same runs give the same bytes; the file stays below 1 MB and is replaced at
    once, never half-written. Raises InvalidArgument without runs or with lists of different lengths, StoreError
    if the file cannot be written.
    """
    from eoslab.plots.reading import Run
    from eoslab.report.page import page

    target = Path(path)
    if not target.parent.is_dir():
        raise StoreError(f"cannot write {target}: there is no folder {target.parent}")
    listed = [datasets] if hasattr(datasets, "data_vars") else list(datasets)
    if not listed:
        raise InvalidArgument("datasets", "no run", "at least one run")
    for label, given in (("names", names), ("commands", commands)):
        if given is not None and len(given) != len(listed):
            raise InvalidArgument(label, f"{len(given)} for {len(listed)} runs", "one for each run")
    fallback = ["run"] if len(listed) == 1 else [f"run {i + 1}" for i in range(len(listed))]
    runs = [Run(ds, name) for ds, name in zip(listed, names or fallback, strict=True)]
    recorded = [str(run.ds.attrs.get("command", "")) for run in runs]
    text = page(runs, list(commands) if commands is not None else recorded, title, interactive)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"cannot write {target}: {error.strerror}") from error
    return target
