"""One instant of a run, as probes see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.curvature import EigenResult

__all__ = ["Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """Step, point and objective; the eigenpairs where they were measured at this step; the start of the run.

    ``time`` is η·step. ``memory`` is what the asking probe has kept since its last measurement, arrays by name:
    it may put others in their place, and must not write into them. It is part of the run's checkpoint.
    """

    step: int
    objective: Any
    w: NDArray[Any]
    eigen: EigenResult | None
    start: NDArray[Any]
    time: float = 0.0
    memory: dict[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def grad(self) -> NDArray[np.float64]:
        """∇L(w), in float64. Free where the eigenvalues were measured."""
        return np.asarray(self.objective.grad(self.w), dtype=np.float64)
