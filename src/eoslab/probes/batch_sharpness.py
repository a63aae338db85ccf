"""The curvature along the gradient of a mini-batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import whole
from eoslab.curvature import Estimate
from eoslab.probes.sampling import columns, draws, mean
from eoslab.probes.snapshot import Snapshot

__all__ = ["BatchSharpness", "batch_sharpness"]

Vector = NDArray[Any]


def batch_sharpness(objective: Any, w: Vector, batch: int, samples: int = 50, seed: int = 0) -> Estimate:
    """E_B[g_BᵀH_B g_B / ‖g_B‖²] (Andreyev & Beneventano, arXiv:2412.20553): hovers at 2/η under SGD."""
    values = []
    for part in draws(objective, batch, samples, seed):
        g = part.at(w).grad
        size = float(np.dot(g.astype(np.float64), g))
        if size > 0:
            values.append(float(np.dot(g.astype(np.float64), part.hvp(w, g))) / size)
    if len(values) < 2:
        return Estimate(math.nan, math.nan, len(values), len(values))
    return mean(values, len(values))


@dataclass(frozen=True)
class BatchSharpness:
    """E[g_BᵀH_B g_B/‖g_B‖²] over mini-batches, with its standard error: what SGD holds at 2/η."""

    batch: int = 32
    samples: int = 50
    every: int = 50
    seed: int = 0

    name: ClassVar[str] = "batch-sharpness"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "E[g_BᵀH_B g_B/‖g_B‖²]"

    def __post_init__(self) -> None:
        for key, least in (("batch", 1), ("samples", 2), ("every", 1), ("seed", 0)):
            object.__setattr__(self, key, whole(key, getattr(self, key), least))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set; the batches depend on the seed and the step alone."""
        seed = self.seed + snapshot.step
        found = batch_sharpness(snapshot.objective, snapshot.w, self.batch, self.samples, seed)
        return columns("batch_sharpness", found)
