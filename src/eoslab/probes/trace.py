"""The trace of the Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from eoslab.core.errors import whole
from eoslab.curvature import hessian, trace
from eoslab.probes.sampling import columns
from eoslab.probes.snapshot import Snapshot

__all__ = ["Trace"]


@dataclass(frozen=True)
class Trace:
    """tr ∇²L by random vectors (Hutch++), with its standard error."""

    samples: int = 30
    every: int = 50
    seed: int = 0

    name: ClassVar[str] = "trace"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "tr ∇²L"

    def __post_init__(self) -> None:
        for key, least in (("samples", 2), ("every", 1), ("seed", 0)):
            object.__setattr__(self, key, whole(key, getattr(self, key), least))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set; the vectors depend on the seed and the step alone."""
        operator = hessian(snapshot.objective, snapshot.w)
        return columns("hessian_trace", trace(operator, self.samples, seed=self.seed + snapshot.step))
