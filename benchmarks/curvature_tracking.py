"""The largest eigenvalues at every step of gradient descent: products, price and true errors of the whole run.

The reference is ARPACK (float64, "LA", tol 1e-10), started from its own vectors of the check before plus noise
(ARPACK keeps one vector, and the noise keeps an eigenvector that has newly come up from being missed), on every
n-th step from initialisation to the end and on each step around the first crossing of 2/η.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from curvature_points import paper_recipe
from curvature_tasks import Task, cpu, double, gd_step, reference, tasks

from eoslab.curvature import Tracker, hessian

__all__ = ["tracking"]

TOL, GOAL, GOAL_PRODUCTS = 1e-3, 5.0, 3.5
#: At most so many checks around the crossing, begun when the ratio to 2/η has come this close to 1.
CROSSING, CLOSE = 20, 0.97


@dataclass
class Checks:
    """Truth against what the tracker said."""

    task: Task
    k: int
    every: int
    errors: list[float] = field(default_factory=list)
    outside: int = 0
    top: float = 0.0

    def __post_init__(self) -> None:
        self._o64, self._v0, self._crossing = double(self.task.objective), None, 0
        self._rng = np.random.default_rng(0)

    def see(self, step: int, w: Any, r: Any) -> None:
        near = self._crossing < CROSSING and self.task.lr * r.values[0] / 2 >= CLOSE
        self._crossing += near
        if not near and step % self.every:
            return
        exact, V = reference(self._o64, w, self.k, self._v0)
        noise = self._rng.standard_normal(len(w))
        self._v0 = V.sum(1) + 0.1 * noise / np.linalg.norm(noise)
        self.errors.append(float(np.max(np.abs(r.values - exact) / exact)))
        self.outside += int((exact > r.bounds[:, 1]).any() or (exact < r.bounds[:, 0]).any())
        self.top = max(self.top, self.task.lr * exact[0] / 2)


def track(task: Task, k: int, checks: Checks | None) -> tuple[float, float, Any]:
    """Products a step, extra cost in GD steps, and the last weights.

    The extra cost is the tracker's time and what the retained graph makes the gradient dearer; the plain step is
    timed at every tenth point of the same run.
    """
    o, tracker, w = task.objective, Tracker(k=k, tol=TOL), task.objective.w0
    total, plain = 0.0, []
    for step in range(task.steps):
        if step % 10 == 0:
            plain.append(cpu(lambda w=w: o.loss_and_grad(w))[0])
        start = time.process_time()
        r = tracker.measure(hessian(o, w))
        total += time.process_time() - start
        if checks is not None:
            checks.see(step, w, r)
        w = (w - task.lr * o.grad(w)).astype(w.dtype)
    return tracker.total_matvecs / task.steps, total / task.steps / float(np.median(plain)) - 1.0, w


def tracking(seed: int, names: list[str], out: list[str], k: int, runs: int, checks: int) -> None:
    out.append(
        f"\n## {'λ1' if k == 1 else f'λ1…λ{k}'} at every step of gradient descent, tol {TOL:g}, seed {seed}\n"
    )
    out.append(
        f"Means over the whole run; cost: median of {runs} (and range). Goal: ≤ {GOAL:g} extra GD steps, "
        f"≤ {GOAL_PRODUCTS:g} products a step, worst error ≤ {TOL:g}.\n"
    )
    out.append(
        "| task | steps | η·λ1/2 up to | products/step | extra GD steps | median error | worst error | out of "
        "bounds | EoS-paper recipe, extra GD steps |\n|---|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(out[-3:]), flush=True)
    for name in names:
        task = tasks(seed)[name]()
        seen = Checks(task, k, max(1, task.steps // checks))
        costs = []
        for i in range(runs):
            products, cost, w = track(task, k, seen if i == 0 else None)  # the weights repeat bit for bit
            costs.append(cost)
        unit = gd_step(task.objective, w)
        clock, (_, count) = cpu(lambda task=task, w=w: paper_recipe(task.objective, w, k))
        spread = f" ({min(costs):.1f}–{max(costs):.1f})" if runs > 1 else ""
        out.append(
            f"| {name} | {task.steps} | {seen.top:.2f} | {products:.2f} | {np.median(costs):.2f}{spread} | "
            f"{np.median(seen.errors):.0e} | {max(seen.errors):.1e} | {seen.outside}/{len(seen.errors)} | "
            f"{clock / unit:.0f} ({count} HVP) |"
        )
        print(out[-1], flush=True)
