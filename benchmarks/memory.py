"""Peak memory of a decimated trajectory of 10^8 steps (prediction: under 300 MB, most of it imports).

python benchmarks/memory.py [steps]
"""

from __future__ import annotations

import resource
import sys
import time

from timing import row

import eoslab
from eoslab.optimizers import GD


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    steps = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**8
    model, start = eoslab.models.Minimalist(1.0, 1e-4), (0.98, 0.001, 0.9)
    eoslab.trajectory(model, GD(2.0), start, steps=1000, record_every=10)
    before, begin = peak_mib(), time.perf_counter()
    ds = eoslab.trajectory(model, GD(2.0), start, steps=steps, record_every=steps // 10_000)
    print(f"{steps:.0e} steps, {ds.sizes['step']} rows kept, {ds.sizes['event']} events")
    row("peak resident memory", f"{peak_mib():.0f} MiB", "under 300 MB")
    row("of that, before the run (imports, kernels)", f"{before:.0f} MiB")
    row("time", f"{(time.perf_counter() - begin) / steps * 1e9:.0f} ns/step")


if __name__ == "__main__":
    main()
