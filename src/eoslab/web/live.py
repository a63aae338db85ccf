"""A run in the making as server-sent events: what its journal gains, in batches, from where a reader left off.

The id of an event is the place in the journal behind it, so a reader that comes back with the last id misses
nothing and gets nothing twice. Events:

    begin   the 'start' line of a process: points of this step and later ones are void, better ones follow
    points  columns of measured steps: ``step, loss, sharpness, bound, ok``, ``eigenvalues`` as rows, ``at``
    events  what happened: ``event, title, step``
    alive   steps are made, though nothing is measured
    end     how the process ended
    beat    once a second of silence: seconds since the last line, and whether the process is gone
    gone    there is no journal any more; the last event
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread

from eoslab.core.vocabulary import EVENTS
from eoslab.results.journal import JOURNAL, process_gone

__all__ = ["Follower", "stream"]

#: Seconds between two looks into the journal, between two signs of life, and until a lost file is believed.
POLL, BEAT, PATIENCE = 0.05, 1.0, 5.0
#: Bytes read at once: some thousand points, parsed in a few milliseconds.
CHUNK = 1 << 20
#: A drawing has no use for more digits.
DIGITS = 7

#: Name, data and place behind it.
Event = tuple[str, dict[str, Any], int]


class Follower:
    """Reads what a journal has gained. ``after`` is the place where the last reader was, ``least`` the first step
    that is asked for."""

    def __init__(self, folder: Path, after: int = 0, least: int = 0) -> None:
        self.path, self.place, self.least = folder / JOURNAL, max(0, after), least
        self.start: dict[str, Any] = {}
        self._missing: float | None = None
        if self.place:
            self._look_back()

    def read(self) -> tuple[list[Event], bool]:
        """New events, and whether there is more to read at once."""
        try:
            size = os.stat(self.path).st_size
            if size < self.place:
                # another file than the one that was begun: all anew
                self.place, self.start = 0, {}
            if size == self.place:
                self._missing = None
                return [], False
            with self.path.open("rb") as file:
                file.seek(self.place)
                text = file.read(CHUNK)
        except FileNotFoundError:
            # while a checkpoint replaces the run, its folder is away for a moment
            self._missing = self._missing or time.monotonic()
            return (
                ([("gone", {}, self.place)], False) if time.monotonic() - self._missing > PATIENCE else ([], False)
            )
        self._missing = None
        whole = text.rfind(b"\n") + 1
        if whole == 0 and len(text) == CHUNK:
            # no line of ours is so long
            self.place += CHUNK
            return [], True
        events = self._events(text[:whole])
        return events, whole > 0 and size > self.place

    def beat(self) -> dict[str, Any]:
        """Seconds since the last line, and whether the process that wrote it is gone."""
        try:
            age = max(0.0, time.time() - os.stat(self.path).st_mtime)
        except OSError:
            age = 0.0
        return {"age": round(age, 1), "process_gone": process_gone(self.start)}

    def _events(self, text: bytes) -> list[Event]:
        """The events of whole lines, neighbouring points in one."""
        events: list[Event] = []
        rows: list[dict[str, Any]] = []

        def finish() -> None:
            if rows:
                events.append(("points", _columns(rows), self.place))
                rows.clear()

        for raw in text.splitlines(keepends=True):
            line = _parsed(raw)
            kind = line.get("kind", "point" if isinstance(line.get("step"), int) else "")
            if kind == "point":
                self.place += len(raw)
                if line["step"] >= self.least:
                    rows.append(line)
                continue
            finish()
            self.place += len(raw)
            if kind == "start":
                self.start = line
                shown = {k: v for k, v in line.items() if k not in ("kind", "pid", "host")}
                events.append(("begin", shown, self.place))
            elif kind == "event":
                word = str(line.get("event"))
                item = {"event": word, "title": EVENTS.get(word, word), "step": line.get("step")}
                if events and events[-1][0] == "events":
                    events[-1] = ("events", {"events": [*events[-1][1]["events"], item]}, self.place)
                else:
                    events.append(("events", {"events": [item]}, self.place))
            elif kind in ("alive", "end"):
                events.append((kind, {k: v for k, v in line.items() if k != "kind"}, self.place))
        finish()
        return events

    def _look_back(self) -> None:
        """The last 'start' before the place: it says which process is writing."""
        try:
            with self.path.open("rb") as file:
                text = file.read(self.place)
        except OSError:
            return
        if len(text) < self.place or not text.endswith(b"\n"):
            # not a place between two lines of this file
            self.place = 0
            return
        at = text.rfind(b'{"kind": "start"')
        if at >= 0:
            self.start = _parsed(text[at : text.index(b"\n", at)])


async def stream(follower: Follower, closing: Callable[[], bool] = lambda: False) -> AsyncIterator[str]:
    """The text of the event stream, until the journal is gone or the server closes."""
    # a browser that lost us asks again after so many milliseconds
    yield "retry: 1000\n\n"
    beaten = -BEAT
    while not closing():
        events, more = await anyio.to_thread.run_sync(follower.read)
        for name, data, place in events:
            yield f"id: {place}\n{_message(name, data)}"
            if name == "gone":
                return
        now = time.monotonic()
        if events or more:
            beaten = now
        elif now - beaten >= BEAT:
            beaten = now
            yield _message("beat", follower.beat())
        if not more:
            await asyncio.sleep(POLL)


def _message(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'), allow_nan=False)}\n\n"


def _parsed(raw: bytes) -> dict[str, Any]:
    """A line as a mapping; empty for what is none, such as the remains of a killed writer."""
    try:
        line = json.loads(raw, parse_constant=lambda _: None)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Points as columns of short numbers; null where a number is not finite."""
    found: dict[str, Any] = {name: [] for name in ("step", "loss", "sharpness", "bound", "ok", "eigenvalues")}
    for row in rows:
        lr, eta = row.get("lr"), row.get("eta_sharpness")
        values, bounds, fine = (_listed(row.get(k)) for k in ("eigenvalues", "eig_bound", "eig_converged"))
        found["step"].append(row["step"])
        found["loss"].append(_short(row.get("loss")))
        found["sharpness"].append(_short(eta / lr) if _number(eta) and _number(lr) and lr else None)
        found["bound"].append(_short(bounds[0]) if bounds else None)
        found["ok"].append(1 if not fine or fine[0] else 0)
        found["eigenvalues"].append([_short(v) for v in values])
    return found | {"at": rows[-1].get("at")}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: Any) -> float | None:
    return float(f"{value:.{DIGITS}g}") if _number(value) else None
