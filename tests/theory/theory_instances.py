"""Many trajectories at once: gradient descent on NumPy lanes, and contexts of single lanes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eoslab.theory.context import Context, Trajectory


@dataclass(frozen=True)
class Lanes:
    """Trajectories of n normalised problems (b = 1, η = 1, λ1 = h1, λ2 = h): w (T+1, 3, n), log10|β1| (T+1, n)."""

    h: np.ndarray
    h1: np.ndarray
    w: np.ndarray
    logs: np.ndarray
    floor: np.ndarray | None = None
    cap: bool = False

    def __len__(self) -> int:
        return len(self.h)

    def context(self, i: int) -> Context:
        floor = None if self.floor is None else float(self.floor[i])
        run = Trajectory.of(self.w[:, :, i], self.logs[:, i])
        start = tuple(self.w[0, :, i].tolist())
        return Context(float(self.h1[i]), float(self.h[i]), 1.0, start, 1.0, run, floor, self.cap)


def simulate(h, h1, alpha, beta1, beta2, steps, *, floor=None, cap=False):
    """Gradient descent on lanes; |β1| is carried as its logarithm, so it never dies of underflow."""
    h, h1, alpha, beta1, beta2 = (
        np.array(x, dtype=float) for x in np.broadcast_arrays(h, h1, alpha, beta1, beta2)
    )
    n = len(h)
    w, logs = np.empty((steps + 1, 3, n)), np.empty((steps + 1, n))
    edge = np.sqrt(2 / h1)
    released = np.zeros(n, bool)
    with np.errstate(all="ignore"):
        log_b = np.log10(np.abs(beta1))
        for t in range(steps + 1):
            w[t, 0], w[t, 1], w[t, 2], logs[t] = alpha, beta1, beta2, log_b
            s, v = h1 * alpha**2, h1 * beta1**2
            alpha, beta2 = (
                alpha * (1 - v - h * beta2**2) + h * beta2,
                beta2 * (1 - h * alpha**2) + h * alpha,
            )
            log_b = log_b + np.log10(np.abs(1 - s))
            beta1 = 10.0**log_b
            if floor is not None:
                r = alpha * beta2 - 1
                released |= -h * h1 * r * (1 + r) <= 2 * h1 * floor**2
                low = ~released & (beta1 < floor)
                beta1, log_b = np.where(low, floor, beta1), np.where(low, np.log10(floor), log_b)
            if cap:
                alpha = np.minimum(alpha, edge)
    return Lanes(h, h1, w, logs, floor, cap)


def edge_starts(rng, n, *, k=(20, 500), alpha_e=(0.7, 2.0), log_w=(-12, -2)):
    """States just below the edge, r in (−1, 0): (h, h1, α, β1, β2)."""
    k = np.exp(rng.uniform(np.log(k[0]), np.log(k[1]), n))
    a_e = rng.uniform(*alpha_e, n)
    h1 = 2 / a_e**2
    # Half of the residuals are near the ends 0 and −1 and near the −1/8 law's threshold.
    r = -rng.uniform(0, 1, n)
    near = rng.random(n)
    r = np.where(near < 0.15, -(10.0 ** rng.uniform(-4, -1, n)), r)
    r = np.where((near > 0.15) & (near < 0.3), -0.125 + rng.normal(0, 0.02, n), r)
    s = 2 - 10.0 ** rng.uniform(-4, -0.7, n)
    alpha = np.sqrt(s / h1)
    return h1 / k, h1, alpha, np.sqrt(10.0 ** rng.uniform(*log_w, n) / h1), (1 + r) / alpha


def contradictions(lanes, ids, statements):
    """(findings that contradict, how often each statement applied)."""
    bad, counts = [], dict.fromkeys(ids, 0)
    for i in range(len(lanes)):
        case = lanes.context(i)
        for name in ids:
            found = statements[name].evaluate(case)
            counts[name] += found.applies and found.consistent is not None
            if found.consistent is False:
                bad.append((i, name, found))
    return bad, counts
