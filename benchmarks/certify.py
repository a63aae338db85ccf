"""Speed of the certifier against the same loop written directly with python-flint.

    balls at 256 bits      certify (with its screening) and certify + sharpness bound, per step, over the bare loop
    certificate of S2      docs/theory §10, default proof
    replay                 mpmath intervals, per step

Run: ``python benchmarks/certify.py [--json]``
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from flint import arb, ctx, fmpq

from eoslab.certify import Certificate, certify, replay

S2: dict[str, Any] = {"lambda1": 1, "lambda2": "1/1000", "b": 1, "lr": "200/49", "w0": "0.65,0.001,0.9"}


def timed(run: Callable[[], Any], repeats: int = 7) -> tuple[float, Any]:
    """Median seconds of a few runs, and the last result."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), result


def bare_loop(steps: int) -> Any:
    """Gradient descent on S2 as a python-flint user would write it: no model, no checks, constants outside."""
    ctx.prec = 256
    h1, h = arb(fmpq(200, 49)), arb(fmpq(200, 49)) / 1000
    a, x, y = arb(fmpq(65, 100)), arb(fmpq(1, 1000)), arb(fmpq(9, 10))
    for _ in range(steps):
        a2 = a**2
        a, x, y = a * (1 - h1 * x**2 - h * y**2) + h * y, x * (1 - h1 * a2), y * (1 - h * a2) + h * a
    return a


def main() -> None:
    converge, cert = timed(lambda: certify(**S2, prove="converges"))
    default, full = timed(lambda: certify(**S2))
    direct, _ = timed(lambda: bare_loop(cert.step))

    def replayed(one: Certificate) -> float:
        seconds, result = timed(lambda: replay(one), 3)
        if not result.ok:
            raise SystemExit(f"replay failed: {result.failures}")
        return seconds

    rows = {
        "steps": cert.step,
        "direct_us_per_step": direct / cert.step * 1e6,
        "converges_us_per_step": converge / cert.step * 1e6,
        "converges_over_direct": converge / direct,
        "sharpness_bound_us_per_step": default / full.step * 1e6,
        "sharpness_bound_over_direct": default / direct,
        "certificate_S2_seconds": default,
        "replay_converges_us_per_step": replayed(cert) / cert.step * 1e6,
        "replay_sharpness_bound_us_per_step": replayed(full) / full.step * 1e6,
    }
    if "--json" in sys.argv[1:]:
        print(json.dumps(rows))
        return
    for name, value in rows.items():
        print(f"{name:38s} {value:10.3f}")


if __name__ == "__main__":
    main()
