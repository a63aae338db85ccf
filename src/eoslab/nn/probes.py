"""Observables of a network at one point: alignment, self-stabilisation, and three mini-batch sharpnesses.

Mini-batches of size b are drawn without replacement within a batch. g_B, H_B are gradient and Hessian of the
batch, g, H those of all samples. Expectations are Monte-Carlo means with standard errors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument, whole
from eoslab.curvature import Estimate
from eoslab.nn.objective import Objective

__all__ = [
    "alignment",
    "batch_sharpness",
    "displacement",
    "gni",
    "interaction_aware_sharpness",
    "self_stabilization",
]

Vector = NDArray[Any]


def alignment(g: Vector, vectors: Vector) -> NDArray[np.float64]:
    """(u_iᵀg)²/‖g‖² for orthonormal columns u_i: the share of the gradient along each eigenvector.

    >>> alignment(np.array([3.0, 4.0]), np.eye(2)).tolist()
    [0.36, 0.64]
    """
    g = np.asarray(g, dtype=np.float64)
    size = float(g @ g)
    return (np.asarray(vectors, dtype=np.float64).T @ g) ** 2 / size if size > 0 else np.zeros(vectors.shape[1])


def displacement(w: Vector, reference: Vector, vectors: Vector) -> NDArray[np.float64]:
    """u_iᵀ(w − reference): where the iterate stands along each eigenvector. The sign is that of u_i."""
    return np.asarray(vectors, dtype=np.float64).T @ (np.asarray(w, dtype=np.float64) - reference)


def self_stabilization(objective: Objective, w: Vector, u: Vector) -> dict[str, float]:
    """Coefficients of the top eigenvalue S with eigenvector u (Damian, Nichani & Lee 2023).

    ∇S = ∇(uᵀHu); ``alpha`` = −∇L·∇S, the rate of progressive sharpening under gradient flow; ``beta`` =
    ‖∇S⊥‖² with the part along u removed, the strength of self-stabilisation; ``along`` = u·∇S, the third
    derivative along u, which makes the oscillation lopsided. ``delta`` = √(2α/β), the amplitude at which both
    balance (NaN where α ≤ 0).
    """
    u = np.asarray(u, dtype=np.float64)
    norm = float(np.linalg.norm(u))
    if not norm > 0:
        raise InvalidArgument("u", "a zero vector", "an eigenvector")
    u = u / norm
    slope = objective.third(w, u).astype(np.float64)
    g = objective.grad(w).astype(np.float64)
    along = float(u @ slope)
    across = slope - along * u
    beta, alpha = float(across @ across), -float(g @ slope)
    delta = math.sqrt(2 * alpha / beta) if alpha > 0 and beta > 0 else math.nan
    return {"alpha": alpha, "beta": beta, "along": along, "delta": delta}


def _draws(objective: Objective, batch: int, samples: int, seed: int) -> Any:
    whole("samples", samples, 2)
    if not 1 <= batch <= objective.samples:
        raise InvalidArgument("batch", batch, f"from 1 to {objective.samples}, the number of samples")
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield objective.batch(rng.choice(objective.samples, batch, replace=False))


def _mean(values: list[float], matvecs: int) -> Estimate:
    x = np.array(values)
    return Estimate(float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x)), len(x), matvecs)


def _ratio(top: list[float], bottom: list[float], matvecs: int) -> Estimate:
    """E[a]/E[b] with the standard error of the linearisation (a − rb)/E[b]."""
    a, b = np.array(top), np.array(bottom)
    r = float(a.mean() / b.mean())
    stderr = float((a - r * b).std(ddof=1)) / (abs(float(b.mean())) * math.sqrt(len(a)))
    return Estimate(r, stderr, len(a), matvecs)


def batch_sharpness(objective: Objective, w: Vector, batch: int, samples: int = 50, seed: int = 0) -> Estimate:
    """E_B[g_BᵀH_B g_B / ‖g_B‖²] (Andreyev & Beneventano, arXiv:2412.20553): hovers at 2/η under SGD."""
    values = []
    for part in _draws(objective, batch, samples, seed):
        g = part.at(w).grad
        size = float(np.dot(g.astype(np.float64), g))
        if size > 0:
            values.append(float(np.dot(g.astype(np.float64), part.hvp(w, g))) / size)
    if len(values) < 2:
        return Estimate(math.nan, math.nan, len(values), len(values))
    return _mean(values, len(values))


def interaction_aware_sharpness(
    objective: Objective, w: Vector, batch: int, samples: int = 50, seed: int = 0
) -> Estimate:
    """E[g_BᵀH g_B]/E‖g_B‖² = tr(H S_b)/tr S_b with S_b = E[g_B g_Bᵀ] (Lee & Jang 2023); H of all samples."""
    top, bottom = _quadratics(objective, w, batch, samples, seed)
    return _ratio(top, bottom, samples)


def gni(objective: Objective, w: Vector, batch: int, samples: int = 50, seed: int = 0) -> Estimate:
    """E[g_BᵀH g_B]/‖∇L‖² (gradient-noise interaction, arXiv:2412.20553); H and ∇L of all samples, exact."""
    top, _ = _quadratics(objective, w, batch, samples, seed)
    g = objective.grad(w).astype(np.float64)
    e = _mean(top, samples)
    size = float(g @ g)
    return Estimate(e.value / size, e.stderr / size, e.samples, samples)


def _quadratics(
    objective: Objective, w: Vector, batch: int, samples: int, seed: int
) -> tuple[list[float], list[float]]:
    point = objective.at(w)
    top, bottom = [], []
    for part in _draws(objective, batch, samples, seed):
        g = part.loss_and_grad(w)[1]
        wide = g.astype(np.float64)
        top.append(float(wide @ point.hvp(g)))
        bottom.append(float(wide @ wide))
    return top, bottom
