"""Gradient-noise interaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import whole
from eoslab.curvature import Estimate
from eoslab.probes.sampling import columns, mean, quadratics
from eoslab.probes.snapshot import Snapshot

__all__ = ["GNI", "gni"]

Vector = NDArray[Any]


def gni(objective: Any, w: Vector, batch: int, samples: int = 50, seed: int = 0) -> Estimate:
    """E[g_BᵀH g_B]/‖∇L‖² (gradient-noise interaction, arXiv:2412.20553); H and ∇L of all samples, exact."""
    top, _ = quadratics(objective, w, batch, samples, seed)
    g = objective.grad(w).astype(np.float64)
    e = mean(top, samples)
    size = float(g @ g)
    return Estimate(e.value / size, e.stderr / size, e.samples, samples)


@dataclass(frozen=True)
class GNI:
    """Gradient-noise interaction E[g_BᵀHg_B]/‖∇L‖² over mini-batches, with its standard error."""

    batch: int = 32
    samples: int = 50
    every: int = 50
    seed: int = 0

    name: ClassVar[str] = "gni"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "E[g_BᵀHg_B]/‖∇L‖²"

    def __post_init__(self) -> None:
        for key, least in (("batch", 1), ("samples", 2), ("every", 1), ("seed", 0)):
            object.__setattr__(self, key, whole(key, getattr(self, key), least))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set; the batches depend on the seed and the step alone."""
        seed = self.seed + snapshot.step
        found = gni(snapshot.objective, snapshot.w, self.batch, self.samples, seed)
        return columns("gni", found)
