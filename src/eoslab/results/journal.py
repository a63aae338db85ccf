"""The journal of a run in the making: ``live.jsonl`` in its folder, one JSON object a line, only appended to.

A line without ``kind`` is a measured step: its loss, eigenvalues with bounds, threshold, and what the probes
found. The others are

    start   a process begins, or goes on, at ``step``: what was written of that step and later ones is void
    event   something happened at ``step``: the words and values are those of the finished run
    alive   nothing was measured for a second, but steps are made
    end     the process is done: its ``outcome``, the verdict, or the last lines of the error

``at`` is the time of writing in seconds since 1970. A writer may be killed within a line, so a reader takes only
lines that end, and skips one that is no JSON. Without an ``end`` the run is going on, or its process was killed.

Only the standard library is imported here: a listing reads the ends of journals.
"""

from __future__ import annotations

import io
import json
import math
import os
import socket
import time
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["JOURNAL", "STALLED", "Journal", "Status", "process_gone", "status"]

#: A run in the making may write its measurements here as they come. The file grows while the rest of the run is
#: replaced, so it has no digest, and a replacement takes it over.
JOURNAL = "live.jsonl"
#: Seconds without a line after which a run that has not ended counts as stalled.
STALLED = 30.0
#: Seconds between two writes to the disk, and between two signs of life.
FLUSH, SIGN = 0.1, 1.0
#: Lines kept of an error.
LOG_LINES = 20
#: Bytes at the end of a journal in which its last whole line is looked for.
TAIL = 65536


class Journal:
    """The writer. ``start`` says what is the same at every step of this process."""

    def __init__(self, folder: Path, start: Mapping[str, Any]) -> None:
        self.folder = folder
        self.file = self._opened()
        self.flushed = self.written = 0.0
        here = {"at": time.time(), "pid": os.getpid(), "host": socket.gethostname()}
        self._write({"kind": "start", **start, **here}, at_once=True)

    def point(self, row: Mapping[str, Any]) -> None:
        """Append a measured step."""
        self._write({**row, "at": time.time()})

    def event(self, kind: str, step: int, value: float) -> None:
        """Append an event."""
        self._write({"kind": "event", "event": kind, "step": step, "value": value})

    def alive(self, step: int, loss: float) -> None:
        """Append a sign of life, if nothing else was written for a second."""
        if time.monotonic() - self.written >= SIGN:
            self._write({"kind": "alive", "step": step, "loss": loss, "at": time.time()}, at_once=True)

    def end(self, outcome: str, step: int, **more: Any) -> None:
        """Append the last line."""
        self._write({"kind": "end", "outcome": outcome, "step": step, "at": time.time(), **more}, at_once=True)

    def failed(self, error: BaseException, step: int) -> None:
        """Append the last line of a run that an exception ended."""
        text = "".join(traceback.format_exception(error)).rstrip().splitlines()
        stopped = isinstance(error, KeyboardInterrupt)
        with suppress(OSError):
            # the disk may be full, which is the error that we report
            self.end("interrupted" if stopped else "failed", step, error=[] if stopped else text[-LOG_LINES:])

    def flush(self) -> None:
        """Put everything on the disk."""
        self.file.flush()

    def moved(self) -> None:
        """Go on in the folder that has replaced the run's; the file there may be a copy."""
        try:
            there = os.stat(self.folder / JOURNAL)
        except OSError:
            return
        if not os.path.samestat(there, os.fstat(self.file.fileno())):
            self.file.close()
            self.file = self._opened()

    def close(self) -> None:
        """Write what is left."""
        self.file.close()

    def _opened(self) -> io.TextIOWrapper:
        path = self.folder / JOURNAL
        cut = path.exists() and not _ends_with_newline(path)
        file = path.open("a", encoding="utf-8")
        if cut:
            # a killed writer's last line is closed, so that ours is a line of its own
            file.write("\n")
        return file

    def _write(self, line: Mapping[str, Any], at_once: bool = False) -> None:
        self.file.write(json.dumps({name: _plain(value) for name, value in line.items()}) + "\n")
        self.written = now = time.monotonic()
        if at_once or now - self.flushed >= FLUSH:
            self.file.flush()
            self.flushed = now


@dataclass(frozen=True)
class Status:
    """What the end of a journal says: ``state`` is 'waiting' (no step yet), 'running', 'stalled', 'finished' or
    'failed'; ``step`` the last step written and ``age`` the seconds since."""

    state: str
    step: int | None
    age: float
    outcome: str = ""


def status(folder: Path, now: float | None = None) -> Status | None:
    """The state of the run in ``folder`` by its journal; None where it keeps none."""
    path = folder / JOURNAL
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL)
            age = max(0.0, (time.time() if now is None else now) - os.fstat(file.fileno()).st_mtime)
    except OSError:
        return None
    last = next((line for line in _backwards(text) if line.get("kind") != "event"), None)
    if last is None:
        return Status("waiting", None, age)
    step = last.get("step")
    if last.get("kind") == "end":
        outcome = str(last.get("outcome", ""))
        return Status("failed" if outcome == "failed" else "finished", step, age, outcome)
    if age > STALLED:
        return Status("stalled", step, age)
    return Status("waiting" if last.get("kind") == "start" else "running", step, age)


def process_gone(start: Mapping[str, Any]) -> bool | None:
    """Whether the process of a 'start' line is gone; None where that cannot be known from here."""
    pid = start.get("pid")
    # on Windows a signal of 0 is no question
    if start.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0 or os.name != "posix":
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _backwards(text: bytes) -> Iterable[dict[str, Any]]:
    """The whole lines of the end of a file, last first."""
    for line in reversed(text[: text.rfind(b"\n") + 1].splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _plain(value: Any) -> Any:
    """A value as strict JSON knows it."""
    if value is None or isinstance(value, (int, str)):
        return value
    if hasattr(value, "__len__") and getattr(value, "ndim", 1):
        return [_plain(v) for v in value]
    return float(value) if math.isfinite(float(value)) else None
