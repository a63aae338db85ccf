"""The largest eigenvalues of the effective Hessian, with their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from eoslab.core.errors import InvalidArgument, finite, positive, whole
from eoslab.curvature import Tracker
from eoslab.probes.snapshot import Snapshot

__all__ = ["TopEigenvalues"]


@dataclass(frozen=True)
class TopEigenvalues:
    """The k largest eigenvalues of P⁻¹H, followed along the run: value, residual, bound, converged, products.

    ``every`` measures each so many steps, the first and the last; ``dense`` > 0 also each step within this
    relative distance of the threshold, or above it. ``tol`` is the relative error asked for, ``max_products`` the
    most products at a step: one that exhausts them is marked as not converged.
    """

    k: int = 2
    every: int = 1
    tol: float = 1e-3
    dense: float = 0.0
    max_products: int = 40
    seed: int = 0

    name: ClassVar[str] = "top-eigenvalues"
    dims: ClassVar[tuple[str, ...]] = ("step", "eig")

    def __post_init__(self) -> None:
        for key, least in (("k", 1), ("every", 1), ("max_products", 1), ("seed", 0)):
            object.__setattr__(self, key, whole(key, getattr(self, key), least))
        object.__setattr__(self, "tol", positive("tol", self.tol))
        if finite("dense", self.dense) < 0:
            raise InvalidArgument("dense", self.dense, "a number ≥ 0")

    def tracker(self) -> Tracker:
        """What measures, and carries what it has learnt from step to step."""
        return _Scheduled(self)

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set."""
        found = snapshot.eigen
        if found is None:
            return {}
        return {
            "eigenvalues": found.values,
            "eig_residual": found.residuals,
            "eig_bound": found.errors,
            "eig_converged": found.converged.astype(float),
            "matvecs": found.matvecs,
        }


class _Scheduled(Tracker):
    """A tracker that measures at the multiples of ``every``, wherever the run was begun or resumed."""

    def __init__(self, probe: TopEigenvalues) -> None:
        super().__init__(probe.k, probe.tol, max_products=probe.max_products, seed=probe.seed)
        self._probe = probe

    def due(self, step: int) -> bool:
        if step % self._probe.every == 0:
            return True
        ratio = self._last_ratio
        return self._probe.dense > 0 and np.isfinite(ratio) and bool(ratio >= 1.0 - self._probe.dense)
