"""Spectral density of a symmetric operator by stochastic Lanczos quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import whole
from eoslab.curvature.operator import Counted, as_operator

__all__ = ["Density", "density"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Density:
    """φ(t) on a grid, mean over probes, with its standard error; it integrates to 1 (multiply by n for counts)."""

    grid: Float
    values: Float
    stderr: Float
    nodes: Float  # (probes, steps) Ritz values, NaN where a run ended early
    weights: Float  # (probes, steps), each row sums to 1
    matvecs: int

    def moment(self, k: int) -> tuple[float, float]:
        """(1/n) tr Hᵏ and its standard error by the quadrature, exact per probe up to k = 2·steps − 1."""
        each = np.nansum(self.weights * self.nodes**k, axis=1)
        spread = float(each.std(ddof=1)) / np.sqrt(len(each)) if len(each) > 1 else float("nan")
        return float(each.mean()), float(spread)


def density(
    op: Any, steps: int = 60, probes: int = 8, *, points: int = 1000, width: float | None = None, seed: int = 0
) -> Density:
    """φ(t) = (1/n) Σ_i δ(t − λ_i), smoothed by Gaussians (Ubaru, Chen & Saad 2017; Ghorbani et al. 2019).

    Each of ``probes`` random unit vectors z gives, by ``steps`` Lanczos steps, the Gauss quadrature of its own
    measure Σ_i (u_iᵀz)² δ(t − λ_i); their mean estimates φ.

    Args:
        width: standard deviation of the Gaussians; default 1 % of the spectrum's extent.
    """
    counted = Counted(as_operator(op))
    n, dtype = counted.n, counted.dtype
    steps, probes = min(n, whole("steps", steps, 2)), whole("probes", probes, 1)
    points = whole("points", points, 2)
    rng = np.random.default_rng(seed)
    nodes, weights = np.full((probes, steps), np.nan), np.zeros((probes, steps))
    for i in range(probes):
        Q = np.zeros((steps, n))
        alpha, beta = np.zeros(steps), np.zeros(steps)
        q = rng.standard_normal(n)
        Q[0] = q / np.linalg.norm(q)
        used = steps
        for j in range(steps):
            y = counted.matvec(Q[j].astype(dtype)).astype(np.float64)
            alpha[j] = Q[j] @ y
            for _ in range(2):  # full reorthogonalisation: lost orthogonality would duplicate eigenvalues
                y -= (Q[: j + 1] @ y) @ Q[: j + 1]
            beta[j] = np.linalg.norm(y)
            if j + 1 == steps:
                break
            if beta[j] <= 1e-12 * max(np.abs(alpha[: j + 1]).max(), 1e-300):
                used = j + 1
                break
            Q[j + 1] = y / beta[j]
        T = np.diag(alpha[:used]) + np.diag(beta[: used - 1], 1) + np.diag(beta[: used - 1], -1)
        nodes[i, :used], Z = np.linalg.eigh(T)
        weights[i, :used] = Z[0] ** 2
    low, high = float(np.nanmin(nodes)), float(np.nanmax(nodes))
    extent = high - low or max(abs(high), 1.0)
    sigma = width if width is not None else 0.01 * extent
    grid = np.linspace(low - 5 * sigma, high + 5 * sigma, points)
    each = np.empty((probes, points))
    for i in range(probes):
        used = int(np.isfinite(nodes[i]).sum())
        bumps = np.exp(-0.5 * ((grid[:, None] - nodes[i, :used]) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        each[i] = bumps @ weights[i, :used]
    spread = each.std(0, ddof=1) / np.sqrt(probes) if probes > 1 else np.full(points, np.nan)
    return Density(grid, each.mean(0), spread, nodes, weights, counted.count)
