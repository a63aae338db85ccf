"""The explorer's page as a folder of files: the tour and stored runs to look at, through any static web server.

Answers of the server become files: ``data/catalogue.json``, ``data/runs.json``, a frame for each step of the tour
and for each run. What needs the engine (sliders, maps, live views, exports) is not on that page. Browsers load no
modules from ``file:``, so a web server is needed; which one does not matter.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eoslab import __version__
from eoslab.core.errors import InvalidArgument, StoreError
from eoslab.web import frames
from eoslab.web.records import record
from eoslab.web.request import catalogue, parse
from eoslab.web.tour import TOUR

__all__ = ["PARTS", "Site", "export"]

STATIC = Path(__file__).with_name("static")
#: What a site consists of; nothing else in its folder is touched.
PARTS = ("index.html", "static", "data")
POLICY = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'"


#: What stands on the page until its script runs, which it does not from disk.
HINT = "Starting … This page does not start from disk: serve its folder, for example with python -m http.server."


@dataclass(frozen=True)
class Site:
    """What was written."""

    folder: Path
    runs: list[str]
    steps: int
    size: int


def export(folder: str | os.PathLike[str], store: Any, runs: Sequence[Any], force: bool = False) -> Site:
    """Write the site of these runs (as :meth:`eoslab.results.store.Store.list` gives them) to ``folder``.

    The parts are written beside it and then moved, so that an interrupted export leaves no half of a site. Raises
    InvalidArgument where the folder is a file, or has something in it and ``force`` is False; with ``force`` the
    parts of an earlier site are replaced and other files left alone. Raises StoreError where it cannot be written.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise InvalidArgument("DIR", str(target), "a folder", "it is a file")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise InvalidArgument(
            "dir", str(target), "a new or empty folder", "--force replaces the site that is in it"
        )
    part = target.parent / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        part.mkdir(parents=True)
        _write(part, store, runs)
        target.mkdir(exist_ok=True)
        for name in PARTS:
            old = target / name
            if old.is_dir():
                shutil.rmtree(old)
            elif old.exists():
                old.unlink()
            (part / name).rename(old)
    except OSError as error:
        raise StoreError(
            f"the site {target} cannot be written: {error.strerror or error}", "Choose another folder"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    size = sum(file.stat().st_size for name in PARTS for file in _files(target / name))
    return Site(target, [run.id for run in runs], len(TOUR), size)


def _write(folder: Path, store: Any, runs: Sequence[Any]) -> None:
    from eoslab.results.store import open_run

    data = folder / "data"
    (data / "tour").mkdir(parents=True)
    (data / "runs").mkdir()
    shutil.copytree(STATIC, folder / "static")
    (folder / "index.html").write_text(_page(), encoding="utf-8")
    _json(data / "catalogue.json", {**catalogue(), "version": __version__})
    # a site is looked at by others: where the store was is nobody's concern
    listed = [record(run) | {"live": None} for run in reversed(runs)]
    _json(data / "runs.json", {"store": "this site", "runs": listed})
    for number, step in enumerate(TOUR.values(), 1):
        (data / "tour" / f"{number}.bin").write_bytes(frames.frame(parse(step.asked), number))
    for run in runs:
        header = {"id": run.id, "command": run.command}
        (data / "runs" / f"{run.id}.bin").write_bytes(frames.of_dataset(open_run(run.path), header))


def _page() -> str:
    """The page with relative addresses, its own assembly of the modules, and a policy."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    text = text.replace('<html lang="en">', '<html lang="en" data-site>')
    text = text.replace("/static/app.js", "/static/site.js")
    text = re.sub(r'(href|src)="/static/', r'\1="static/', text)
    text = text.replace("Starting …", HINT)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}', 1)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
