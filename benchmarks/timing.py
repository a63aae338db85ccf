"""Timing for benchmarks: medians over repeats, peers interleaved in one run, ratios."""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PEERS = Path(__file__).parent / "peers"


def median_seconds(*functions: Callable[[], object], repeats: int = 7) -> list[float]:
    """Median wall time of each function; they take turns, so that all see the same machine."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(repeats):
        for i, function in enumerate(functions):
            begin = time.perf_counter()
            function()
            times[i].append(time.perf_counter() - begin)
    return [statistics.median(t) for t in times]


def c_peer(name: str, *flags: str) -> ctypes.CDLL:
    """Compile ``peers/name.c`` with gcc -O3 and the flags, and load it."""
    out = Path(tempfile.mkdtemp(prefix="eoslab-bench-")) / f"{name}.so"
    subprocess.run(
        [
            "gcc",
            "-O3",
            "-ffp-contract=off",
            "-shared",
            "-fPIC",
            *flags,
            str(PEERS / f"{name}.c"),
            "-o",
            str(out),
            "-lm",
        ],
        check=True,
    )
    return ctypes.CDLL(str(out))


def row(label: str, value: str, aim: str = "") -> None:
    """One line of a benchmark's table."""
    print(f"  {label:<58} {value:>16}   {aim}", flush=True)
