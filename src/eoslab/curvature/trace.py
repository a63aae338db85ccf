"""Trace of a symmetric operator by random probing, with standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from eoslab.core.errors import InvalidArgument, whole
from eoslab.curvature.operator import Counted, as_operator

__all__ = ["Estimate", "trace"]


@dataclass(frozen=True)
class Estimate:
    """A Monte-Carlo mean, its standard error, and what it cost."""

    value: float
    stderr: float
    samples: int
    matvecs: int

    def __str__(self) -> str:
        return f"{self.value:.6g} ± {self.stderr:.2g}"


def trace(op: Any, samples: int = 30, method: str = "hutch++", seed: int = 0) -> Estimate:
    """tr H.

    * "hutchinson": mean of zᵀHz over random sign vectors; variance 2(‖H‖_F² − Σ H_ii²) per sample.
    * "hutch++" (Meyer, Musco, Musco & Woodruff 2021): the trace on the range of HS for a random S exactly, the
      rest by Hutchinson. Far better where few eigenvalues dominate, as in trained networks. A third of the
      ``samples`` goes to each of: the range, the exact part, the rest.

    Args:
        op: what :func:`eoslab.curvature.as_operator` accepts.
        samples: products to spend, about.

    Returns:
        Estimate; the standard error is that of the random part, 0 when the range holds all of H.

    >>> trace(np.diag([1.0, 2.0, 3.0]), samples=4, method="hutchinson").value  # exact for diagonal matrices
    6.0
    """
    counted = Counted(as_operator(op))
    n, dtype = counted.n, counted.dtype
    if method not in ("hutchinson", "hutch++"):
        raise InvalidArgument("method", repr(method), "'hutchinson' or 'hutch++'")
    samples = whole("samples", samples, 2 if method == "hutchinson" else 6)
    rng = np.random.default_rng(seed)

    def product(v: Any) -> Any:
        return counted.matvec(np.asarray(v).astype(dtype)).astype(np.float64)

    exact, Q = 0.0, np.zeros((n, 0))
    if method == "hutch++":
        third = min(samples // 3, n)
        S = rng.choice([-1.0, 1.0], (third, n))
        Y = np.stack([product(s) for s in S], axis=1)
        U, sizes, _ = np.linalg.svd(Y, full_matrices=False)
        Q = U[:, sizes > 1e-12 * max(float(sizes[0]), 1e-300)]
        exact = float(sum(q @ product(q) for q in Q.T))
        samples = max(2, samples - 2 * third)
        if Q.shape[1] == n:
            return Estimate(exact, 0.0, 0, counted.count)
    values = np.empty(samples)
    for i in range(samples):
        z = rng.choice([-1.0, 1.0], n)
        z -= Q @ (Q.T @ z)
        values[i] = z @ product(z)
    stderr = float(values.std(ddof=1)) / math.sqrt(samples)
    return Estimate(exact + float(values.mean()), stderr, samples, counted.count)
