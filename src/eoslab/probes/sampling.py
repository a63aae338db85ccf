"""Drawing mini-batches for the sharpnesses of stochastic descent, and their means with standard errors.

Mini-batches of size b are drawn without replacement within a batch. g_B, H_B are gradient and Hessian of the
batch, g, H those of all samples.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument, whole
from eoslab.curvature import Estimate

__all__ = ["columns", "draws", "mean", "quadratics", "ratio"]

Vector = NDArray[Any]


def draws(objective: Any, batch: int, samples: int, seed: int) -> Any:
    whole("samples", samples, 2)
    if not 1 <= batch <= objective.samples:
        raise InvalidArgument("batch", batch, f"from 1 to {objective.samples}, the number of samples")
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield objective.batch(rng.choice(objective.samples, batch, replace=False))


def mean(values: list[float], matvecs: int) -> Estimate:
    x = np.array(values)
    return Estimate(float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x)), len(x), matvecs)


def ratio(top: list[float], bottom: list[float], matvecs: int) -> Estimate:
    """E[a]/E[b] with the standard error of the linearisation (a − rb)/E[b]."""
    a, b = np.array(top), np.array(bottom)
    r = float(a.mean() / b.mean())
    stderr = float((a - r * b).std(ddof=1)) / (abs(float(b.mean())) * math.sqrt(len(a)))
    return Estimate(r, stderr, len(a), matvecs)


def quadratics(objective: Any, w: Vector, batch: int, samples: int, seed: int) -> tuple[list[float], list[float]]:
    point = objective.at(w)
    top, bottom = [], []
    for part in draws(objective, batch, samples, seed):
        g = part.loss_and_grad(w)[1]
        wide = g.astype(np.float64)
        top.append(float(wide @ point.hvp(g)))
        bottom.append(float(wide @ wide))
    return top, bottom


def columns(name: str, estimate: Estimate) -> dict[str, float]:
    """An estimate as two columns of the data set."""
    return {name: estimate.value, f"{name}_stderr": estimate.stderr}
