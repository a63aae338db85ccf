"""Interaction-aware sharpness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from eoslab.core.errors import whole
from eoslab.curvature import Estimate
from eoslab.probes.sampling import columns, quadratics, ratio
from eoslab.probes.snapshot import Snapshot

__all__ = ["InteractionAwareSharpness", "interaction_aware_sharpness"]

Vector = NDArray[Any]


def interaction_aware_sharpness(
    objective: Any, w: Vector, batch: int, samples: int = 50, seed: int = 0
) -> Estimate:
    """E[g_BᵀH g_B]/E‖g_B‖² = tr(H S_b)/tr S_b with S_b = E[g_B g_Bᵀ] (Lee & Jang 2023); H of all samples."""
    top, bottom = quadratics(objective, w, batch, samples, seed)
    return ratio(top, bottom, samples)


@dataclass(frozen=True)
class InteractionAwareSharpness:
    """tr(HS_b)/tr S_b with S_b = E[g_B g_Bᵀ] over mini-batches, with its standard error."""

    batch: int = 32
    samples: int = 50
    every: int = 50
    seed: int = 0

    name: ClassVar[str] = "interaction-aware-sharpness"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "E[g_BᵀHg_B]/E‖g_B‖²"

    def __post_init__(self) -> None:
        for key, least in (("batch", 1), ("samples", 2), ("every", 1), ("seed", 0)):
            object.__setattr__(self, key, whole(key, getattr(self, key), least))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set; the batches depend on the seed and the step alone."""
        seed = self.seed + snapshot.step
        found = interaction_aware_sharpness(snapshot.objective, snapshot.w, self.batch, self.samples, seed)
        return columns("interaction_aware_sharpness", found)
