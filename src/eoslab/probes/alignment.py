"""How much of the gradient lies along the top eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import whole
from eoslab.probes.snapshot import Snapshot

__all__ = ["Alignment", "alignment"]

Vector = NDArray[Any]


def alignment(g: Vector, vectors: Vector) -> NDArray[np.float64]:
    """(u_iᵀg)²/‖g‖² for orthonormal columns u_i: the share of the gradient along each eigenvector.

    >>> alignment(np.array([3.0, 4.0]), np.eye(2)).tolist()
    [0.36, 0.64]
    """
    g = np.asarray(g, dtype=np.float64)
    size = float(g @ g)
    return (np.asarray(vectors, dtype=np.float64).T @ g) ** 2 / size if size > 0 else np.zeros(vectors.shape[1])


@dataclass(frozen=True)
class Alignment:
    """Share of ‖∇L‖² along each top eigenvector, where the eigenvalues are measured."""

    every: int = 1

    name: ClassVar[str] = "alignment"
    dims: ClassVar[tuple[str, ...]] = ("step", "eig")
    unit: ClassVar[str] = "(uᵀ∇L)²/‖∇L‖²"
    #: Measured where the eigenvalues are, and nowhere else.
    at_eigenvalues: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", whole("every", self.every, 1))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set."""
        if snapshot.eigen is None:
            return {}
        return {"alignment": alignment(snapshot.grad, snapshot.eigen.vectors)}
