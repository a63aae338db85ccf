"""Speed, accuracy and memory of eigenvalues, on one thread, against named peers at the same points.

    OMP_NUM_THREADS=1 python benchmarks/curvature.py [points] [memory] [tracking] [--quick] [--write FILE]

Times are CPU seconds of this process; the unit "GD steps" is a plain full-batch forward + backward of the same net
in the same process. True error: relative distance to ARPACK ("LA", tol 1e-10, float64) at the same weights. Peers
are used where they are installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from curvature_memory import memory
from curvature_points import points
from curvature_tasks import tasks
from curvature_tracking import tracking

DEFAULT = {
    "points": ["digits", "digits-ce", "3072-power"],
    "memory": ["digits", "3072-power", "cnn"],
    "tracking": ["digits", "digits-300", "digits-ce", "3072-power", "3072-white", "cnn", "gpt", "chebyshev"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="|".join(DEFAULT), help="which tables (all)")
    parser.add_argument("--seeds", default="0,1", help="of the networks")
    parser.add_argument("--tasks", default="", help=f"of {', '.join(tasks(0))}")
    parser.add_argument("--k", type=int, default=1, help="eigenvalues to track")
    parser.add_argument("--runs", type=int, default=3, help="tracking runs, whose median cost is taken")
    parser.add_argument("--starts", type=int, default=5, help="random starts of each solver at a point")
    parser.add_argument("--methods", default="", help="at a point: those whose label contains one of these words")
    parser.add_argument("--checks", type=int, default=60, help="reference solves along a tracking run")
    parser.add_argument("--quick", action="store_true", help="digits alone, one run, no peers: below two minutes")
    parser.add_argument("--write", default="", help="append the tables to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds, runs, starts, checks = [int(s) for s in args.seeds.split(",")], args.runs, args.starts, args.checks
    chosen = args.tasks.split(",") if args.tasks else None
    if unknown := set(args.what) - set(DEFAULT):
        parser.error(f"{', '.join(sorted(unknown))} not among {', '.join(DEFAULT)}")
    if unknown := set(chosen or ()) - set(tasks(0)):
        parser.error(f"--tasks: {', '.join(sorted(unknown))} not among {', '.join(tasks(0))}")
    methods = args.methods.split(",")
    if args.quick:
        seeds, runs, starts, checks, methods = seeds[:1], 1, 1, 10, ["eoslab"]
    out: list[str] = []
    for what in args.what or list(DEFAULT):
        names = chosen or (["digits"] if args.quick else DEFAULT[what])
        if what == "memory":
            memory(names, out)
        for seed in seeds if what != "memory" else ():
            if what == "points":
                points(seed, names, starts, methods, out)
            else:
                tracking(seed, names, out, args.k, runs, checks)
    if args.write:
        with Path(args.write).open("a") as file:
            file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
