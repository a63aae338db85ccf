"""Where the iterate stands along the top eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import whole
from eoslab.probes.snapshot import Snapshot

__all__ = ["Displacement", "displacement"]

Vector = NDArray[Any]


def displacement(w: Vector, reference: Vector, vectors: Vector) -> NDArray[np.float64]:
    """u_iᵀ(w − reference): where the iterate stands along each eigenvector. The sign is that of u_i."""
    return np.asarray(vectors, dtype=np.float64).T @ (np.asarray(w, dtype=np.float64) - reference)


@dataclass(frozen=True)
class Displacement:
    """uᵀ(w − w0) along each top eigenvector, where the eigenvalues are measured; its sign is that of u."""

    every: int = 1

    name: ClassVar[str] = "displacement"
    dims: ClassVar[tuple[str, ...]] = ("step", "eig")
    unit: ClassVar[str] = "uᵀ(w − w0)"
    #: Measured where the eigenvalues are, and nowhere else.
    at_eigenvalues: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", whole("every", self.every, 1))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set."""
        if snapshot.eigen is None:
            return {}
        return {"displacement": displacement(snapshot.w, snapshot.start, snapshot.eigen.vectors)}
