"""Peak memory of tracking five eigenvalues at every step, against plain gradient descent, each in its own process.

What a user pays is compared with what cannot be avoided: the peak of tracking over (peak of plain descent +
the tracker's basis), each above a process that has all libraries loaded and nothing to train.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import torch
from curvature_tasks import tasks

from eoslab.curvature import Tracker, hessian
from eoslab.nn import architectures as arch
from eoslab.nn.data import digits, one_hot
from eoslab.nn.losses import mse
from eoslab.nn.objective import Objective

__all__ = ["memory"]

MIB = 2.0**20
GOAL, STEPS, K = 3.0, 12, 5


def resident(key: str) -> float:
    """Bytes resident now ("VmRSS") or at the peak ("VmHWM").

    Linux tells both of the program itself; ru_maxrss, the fallback, is a peak only and begins with the parent's.
    """
    try:
        line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key))
        return float(line.split()[1]) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def warm() -> None:
    """Everything once on four samples and 120 units, so that no library has still to be loaded."""
    x, y = digits()
    net = arch.mlp(x.shape[1], 10, (120,), seed=0)
    o = Objective(net, mse, (x[:4], one_hot(y)[:4]), dtype=torch.float32)
    Tracker(k=K).measure(hessian(o, o.w0))
    o.release()


def child(name: str, mode: str) -> None:
    """Some steps of the task, plain or tracked; prints what they added at the peak, the data included."""
    torch.set_num_threads(1)
    warm()
    before = resident("VmRSS")
    task = tasks(0)[name]()
    o, w = task.objective, task.objective.w0
    with suppress(OSError):  # Linux: forget the peak that making the data had
        Path("/proc/self/clear_refs").write_text("5")
    tracker = Tracker(k=K)
    for _ in range(STEPS):
        if mode == "track":
            tracker.measure(hessian(o, w))
            gradient = o.at(w).grad
        else:
            gradient = o.loss_and_grad(w)[1]
        w = (w - task.lr * gradient).astype(w.dtype)
    basis = 0 if tracker._basis is None else tracker._basis.nbytes
    print(json.dumps({"bytes": resident("VmHWM") - before, "basis": basis, "n": o.n}))


def memory(names: list[str], out: list[str]) -> None:
    out.append(f"\n## Peak memory, λ1…λ{K} at every step\n")
    out.append(
        f"MiB above a process with all libraries loaded, {STEPS} steps; goal: tracking ≤ {GOAL:g} × (plain step + "
        "basis of the tracker).\n"
    )
    out.append("| task | parameters | plain step | basis | tracking | ratio | |\n|---|---|---|---|---|---|---|")
    print("\n".join(out[-3:]), flush=True)
    for name in names:
        got = {}
        for mode in ("plain", "track"):
            command = [sys.executable, __file__, name, mode]
            got[mode] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        plain, basis, track = got["plain"]["bytes"], got["track"]["basis"], got["track"]["bytes"]
        ratio = track / (plain + basis)
        verdict = "met" if ratio <= GOAL else "not met"
        out.append(
            f"| {name} | {got['plain']['n']} | {plain / MIB:.1f} | {basis / MIB:.1f} | {track / MIB:.1f} | "
            f"{ratio:.2f} | {verdict} |"
        )
        print(out[-1], flush=True)


if __name__ == "__main__":
    child(*sys.argv[1:])
