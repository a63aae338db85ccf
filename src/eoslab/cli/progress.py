"""Progress of a run, and Ctrl-C as a question that the run asks between chunks."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from eoslab.cli import output

__all__ = ["Progress", "Stop"]

#: A run shorter than this shows no progress: importing the bar would take longer.
PATIENCE = 0.7
#: Without a terminal, one line per so many seconds.
INTERVAL = 10.0


class Progress:
    """A bar on a terminal, a line every ten seconds elsewhere, nothing when quiet. Called with (done, total)."""

    def __init__(self, label: str, quiet: bool = False) -> None:
        self.label, self.quiet = label, quiet
        #: What the run is at, said beneath the bar.
        self.detail = ""
        self.began = self.said = time.monotonic()
        self.bars = output.wants_colour(sys.stderr)
        self.bar: Any = None
        self.row: Any = None
        self.task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.quiet or now - self.began < PATIENCE:
            return
        if self.bars:
            self._draw(done, total)
        elif now - self.said >= INTERVAL:
            self.said = now
            left = (now - self.began) * (total - done) / max(done, 1)
            output.note(
                f"{self.label}: step {output.number(done)} of {output.number(total)}, {100 * done // total} %, "
                f"{output.seconds(left)} left{self.detail and '   ' + self.detail}"
            )

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say what is being waited for, if it takes long."""
        timer = threading.Timer(3.0, output.note, [f"{what} …"])
        timer.daemon = True
        if not self.quiet:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.began = self.said = time.monotonic()

    def _draw(self, done: int, total: int) -> None:
        from rich.text import Text

        if self.bar is None:
            from rich.console import Console
            from rich.live import Live
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            self.row = Progress(
                TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
                TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
            )  # fmt: skip
            self.task = self.row.add_task(self.label, total=total, rate="")
            self.bar = Live(self.row, console=Console(stderr=True), transient=True)
            self.bar.start()
        rate = done / max(time.monotonic() - self.began, 1e-9)
        count = f"  step {output.number(done)}/{output.number(total)}" if self.detail else ""
        self.row.update(
            self.task,
            completed=done,
            description=f"{self.label}{count}",
            rate=f"{rate / 1e6:.1f} M steps/s" if rate > 1e5 else f"{rate:.0f}/s",
        )
        if self.detail:
            from rich.console import Group

            # cut, not wrapped, where the terminal is narrow
            self.bar.update(Group(self.row, Text(f"  {self.detail}", no_wrap=True, overflow="ellipsis")))


class Stop:
    """Whether the user asked to stop. The first Ctrl-C (or SIGTERM) sets the answer, a second one aborts."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, patient: bool = False) -> None:
        self.signum = 0
        self.saving = False
        #: Not to take a second signal for impatience: torchrun hands on what the terminal has sent already.
        self.patient = patient
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self.before = {s: signal.signal(s, self._handle) for s in self.SIGNALS}
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for signum, handler in self.before.items():
            signal.signal(signum, handler)

    def __call__(self) -> bool:
        return self.signum != 0

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM, as shells expect."""
        return 128 + self.signum

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.saving:
            # the run is being written; that takes moments and losing it helps nobody
            self.signum = self.signum or signum
            return
        if self.signum:
            if self.patient:
                return
            raise KeyboardInterrupt
        self.signum = signum
        output.note("\nstopping after the steps at hand, then saving (Ctrl-C again: at once, nothing is saved)")
