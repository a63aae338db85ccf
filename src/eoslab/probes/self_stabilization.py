"""Coefficients of progressive sharpening and self-stabilization."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument, whole
from eoslab.probes.snapshot import Snapshot

__all__ = ["SelfStabilization", "self_stabilization"]

Vector = NDArray[Any]


def self_stabilization(objective: Any, w: Vector, u: Vector) -> dict[str, float]:
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


@dataclass(frozen=True)
class SelfStabilization:
    """Rate of sharpening −∇L·∇S, strength of self-stabilization ‖∇S⊥‖², and the amplitude that balances them.

    Needs third derivatives: where they cannot be trusted the run is refused. Measured where the eigenvalues are.
    """

    every: int = 10

    name: ClassVar[str] = "self-stabilization"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "alpha = −∇L·∇S, beta = ‖∇S⊥‖², delta = √(2α/β)"
    #: Measured where the eigenvalues are, and nowhere else.
    at_eigenvalues: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", whole("every", self.every, 1))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set."""
        if snapshot.eigen is None:
            return {}
        found = self_stabilization(snapshot.objective, snapshot.w, snapshot.eigen.vectors[:, 0])
        return {f"stabilization_{name}": value for name, value in found.items()}
