"""How much a run will take, and how much there is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available", "needed", "rows_of"]

#: Peak over final size while rows of chunks become one data set (measured 2.8 for 10^6 steps).
PEAK = 3.0
#: Memory of the interpreter with its libraries, and of the chunk at hand.
BASE = 150e6


def rows_of(steps: int, record_every: int) -> int:
    """Rows that a run stores at most: every k-th step and three extremes within every k."""
    if record_every == 1:
        return steps + 1
    return min(steps + 1, 4 * (steps // record_every + 1) + 2)


def needed(rows: int, parameters: int) -> float:
    """Bytes at the peak: per row w, nine columns of eight bytes and three of one; mantissas where they occur."""
    return BASE + PEAK * rows * (8 * (parameters + 9) + 3)


def available() -> float | None:
    """Bytes of memory that can be had now, also under a container's limit; None where nobody says."""
    found = []
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found += [1024.0 * int(row.split()[1]) for row in text.splitlines() if row.startswith("MemAvailable")]
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            found.append(float(limit) - float((group / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):
        pass
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found = [float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")]
    return max(min(found), 0.0) if found else None
