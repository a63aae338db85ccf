"""Maps: steps per second against the same loop in C with AVX2, NumPy and jax.vmap, and how cost grows.

    python benchmarks/sweep.py [--cells 1000000] [--steps 2000] [--quick]

The peer is compiled with ``cc -O3 -mavx2``. Times are of this process and noisy on a shared machine: peers run in
turn in one process, and the least of several runs counts. jax is measured where it is installed. The growth over
cells goes to 10^7, with --quick to 10^5.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eoslab.kernels.compiler import lanes_kernel
from eoslab.models import Minimalist
from eoslab.optimizers import GD
from eoslab.results.cells import Problem
from eoslab.results.inputs import PowerSpectrum
from eoslab.results.pools import cores
from eoslab.results.sweep import counts, sweep

START = (0.3, 1e-3, 0.1)


def cells(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Learning rates and ratios of a square grid of about n cells."""
    side = round(n**0.5)
    lr, ratio = np.meshgrid(np.linspace(1, 4, side), np.geomspace(1e-4, 0.5, side), indexing="ij")
    return lr.ravel(), ratio.ravel()


def peer() -> ctypes.CDLL:
    """The C loop, compiled."""
    source = Path(__file__).with_name("sweep_peer.c")
    out = Path(tempfile.mkdtemp()) / "sweep_peer.so"
    flags = ["-O3", "-mavx2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(source), "-o", str(out), "-lm"], check=True)
    library = ctypes.CDLL(str(out))
    library.map.restype = ctypes.c_int64
    return library


def in_c(library: ctypes.CDLL, lr: np.ndarray, ratio: np.ndarray, steps: int) -> tuple[int, dict[str, np.ndarray]]:
    """Steps made, and T1, T2, ups and the largest η·S."""
    n = len(lr)
    out: dict[str, np.ndarray] = {name: np.zeros(n, np.int32) for name in ("T1", "T2", "ups")}
    out |= {name: np.zeros(n) for name in ("top", "least")}
    start = np.array(START)

    def at(a: np.ndarray) -> ctypes.c_void_p:
        return a.ctypes.data_as(ctypes.c_void_p)

    made = library.map(
        at(lr), at(ratio), ctypes.c_int64(n), at(start), ctypes.c_int64(steps), *[at(a) for a in out.values()]
    )
    return made, out


def in_numpy(lr: np.ndarray, ratio: np.ndarray, steps: int) -> int:
    """The same predicates on whole arrays, without the exact eigenvalue: an advantage for NumPy."""
    x, y, z = (np.full(len(lr), v) for v in START)
    tau, least, top = 2 / lr, np.full(len(lr), np.inf), np.zeros(len(lr))
    was, ups = np.zeros(len(lr), bool), np.zeros(len(lr), int)
    t1, t2 = np.full(len(lr), -1), np.full(len(lr), -1)
    with np.errstate(all="ignore"):
        for t in range(steps):
            a2 = x * x
            q, c1, c2 = y * y + ratio * z * z, 2 * x * y, ratio * (2 * x * z - 1)
            d1, d2 = tau - a2, tau - ratio * a2
            above = ~((d1 > 0) & (d2 > 0) & ((tau - q) * d1 * d2 > c1 * c1 * d2 + c2 * c2 * d1))
            ups += above & ~was
            was = above
            np.maximum(top, lr * a2, out=top)
            r = x * z - 1
            on = (r > -1) & (r <= 1e-9)
            t1[(t1 < 0) & on & (lr * a2 >= 2)] = t
            t2[(t2 < 0) & on & (2 * z * z >= lr)] = t
            np.minimum(least, np.abs(y), out=least)
            h = lr * ratio
            x, y, z = x * (1 - lr * y * y - h * z * z) + h * z, y * (1 - lr * a2), z * (1 - h * a2) + h * x
    return steps * len(lr)


def in_jax(lr: np.ndarray, ratio: np.ndarray, steps: int) -> Callable[[], int] | None:
    """The predicates of ``in_numpy`` as one compiled vmap of a loop over steps; None without jax."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)

    def lane(eta: Any, k: Any) -> Any:
        def body(t: Any, state: Any) -> Any:
            x, y, z, was, ups, t1, t2, top, least = state
            a2 = x * x
            q, c1, c2 = y * y + k * z * z, 2 * x * y, k * (2 * x * z - 1)
            d1, d2 = 2 / eta - a2, 2 / eta - k * a2
            minor = (2 / eta - q) * d1 * d2 > c1 * c1 * d2 + c2 * c2 * d1
            above = ~((d1 > 0) & (d2 > 0) & minor)
            r = x * z - 1
            on = (r > -1) & (r <= 1e-9)
            t1 = jnp.where((t1 < 0) & on & (eta * a2 >= 2), t, t1)
            t2 = jnp.where((t2 < 0) & on & (2 * z * z >= eta), t, t2)
            h = eta * k
            new = (x * (1 - eta * y * y - h * z * z) + h * z, y * (1 - eta * a2), z * (1 - h * a2) + h * x)
            kept = (jnp.maximum(top, eta * a2), jnp.minimum(least, jnp.abs(y)))
            return (*new, above, ups + (above & ~was), t1, t2, *kept)

        begin = (*(jnp.float64(v) for v in START), False, 0, -1, -1, 0.0, jnp.inf)
        return jax.lax.fori_loop(0, steps, body, begin)

    lanes = jax.jit(jax.vmap(lane))
    jax.block_until_ready(lanes(lr, ratio))

    def run() -> int:
        jax.block_until_ready(lanes(lr, ratio))
        return steps * len(lr)

    return run


MEMORY = """
from eoslab.models import Minimalist
from eoslab.optimizers import GD
from eoslab.results.sweep import sweep
sweep(Minimalist, GD, {grid!r}, steps={steps}, w0={start!r})
# not ru_maxrss, which begins with that of the parent
line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(float(line.split()[1]) / 1024)
"""


def memory(grid: dict[str, str], steps: int) -> float:
    """Peak memory in MB of a process that computes one map and nothing else."""
    code = MEMORY.format(grid=grid, steps=steps, start=START)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def of_inputs(workers: int) -> float:
    """Seconds of a map of 100 × 100 cells × 2000 steps with 20 directions."""
    grid = {"exponent": "0:2:100", "lr": "0.5:6:100"}
    sweep(PowerSpectrum(d=20), GD, {"exponent": "1", "lr": "1"}, steps=10)
    began = time.perf_counter()
    sweep(PowerSpectrum(d=20), GD, grid, steps=2000, workers=workers)
    return time.perf_counter() - began


def least_of(runs: int, f: Callable[[], int]) -> float:
    """Nanoseconds a step, the least of some runs."""
    best = np.inf
    for _ in range(runs):
        began = time.perf_counter()
        made = f()
        best = min(best, (time.perf_counter() - began) / made * 1e9)
    return best


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cells", type=int, default=1_000_000)
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--quick", action="store_true", help="a hundredth of the cells")
    chosen = options.parse_args()
    n = chosen.cells // (100 if chosen.quick else 1)
    report: dict[str, Any] = {"cores": cores()}

    lr, ratio = cells(10_000)
    problem = Problem(Minimalist, GD, START, chosen.steps, ("lr", "ratio"))
    columns = {"lr": lr, "ratio": ratio}
    lanes_kernel(Minimalist, GD)
    began = time.perf_counter()
    problem.compute({name: column[:1] for name, column in columns.items()})
    report["compile or load, s"] = time.perf_counter() - began

    table: dict[str, np.ndarray] = {}

    def ours() -> int:
        table.update(problem.compute(columns))
        return int(table["steps"].sum())

    library, found = peer(), {}

    def theirs() -> int:
        made, out = in_c(library, lr, ratio, chosen.steps)
        found.update(out)
        return made

    # in turn, so that a busy moment of the machine meets both
    pairs = [(least_of(1, ours), least_of(1, theirs)) for _ in range(5)]
    report["ns a step, eoslab, one core"] = min(a for a, _ in pairs)
    report["ns a step, C with AVX2"] = min(b for _, b in pairs)
    report["eoslab / C"] = min(a for a, _ in pairs) / min(b for _, b in pairs)
    # the peer looks at the states of steps 0 … steps − 1 in whole visits
    seen = Problem(Minimalist, GD, START, chosen.steps - 1, ("lr", "ratio")).compute(columns)
    ended = np.isfinite(found["top"])
    report["same T1, T2, excursions and max η·S as C"] = all(
        bool((found[a] == seen[b])[ended].all())
        for a, b in (("T1", "T1"), ("T2", "T2"), ("ups", "excursions"), ("top", "max_eta_sharpness"))
    )
    report["ns a step, NumPy"] = least_of(1, lambda: in_numpy(lr, ratio, 200))

    vmapped = in_jax(lr, ratio, 200)
    if vmapped is not None:
        report["ns a step, jax.vmap (its own threads)"] = least_of(3, vmapped)

    growth = {}
    for size in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        if chosen.quick and size > 100_000:
            break
        side = round(size**0.5)
        grid = {"lr": f"1:4:{side}", "ratio": f"1e-4:0.5:{side}:log"}

        def run(grid: dict[str, str] = grid) -> int:
            return int(sweep(Minimalist, GD, grid, steps=20, w0=START, workers=1)["regime"].size)

        growth[side * side] = least_of(2 if size <= 100_000 else 1, run) / 1e3
    # a cell has a cost of its own: the search for a period takes up to 64 steps
    report["µs a cell of 20 steps over cells, one core"] = growth
    for steps in (100, 1000, 10_000):
        part = Problem(Minimalist, GD, START, steps, ("lr", "ratio"))
        few = {name: column[:: max(1, steps // 1000)] for name, column in columns.items()}
        report[f"ns a step, {steps} steps"] = least_of(
            2, lambda part=part, few=few: int(part.compute(few)["steps"].sum())
        )

    side = round(n**0.5)
    grid = {"lr": f"1:4:{side}", "ratio": f"1e-4:0.5:{side}:log"}
    took = {}
    for workers in (1, cores()):
        began = time.perf_counter()
        ds = sweep(Minimalist, GD, grid, steps=chosen.steps, w0=START, workers=workers)
        took[workers] = time.perf_counter() - began
        report[f"{side * side} cells x {chosen.steps} steps, {workers} threads, s"] = took[workers]
    report[f"speed-up of {cores()} threads"] = took[1] / took[cores()]
    report["100 x 100 cells x 2000 steps, 20 directions, s"] = of_inputs(cores())
    report["regimes"] = counts(ds)["regime"]
    report[f"peak memory of a process with {side * side} cells, MB"] = memory(grid, chosen.steps)
    print(json.dumps(report, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
