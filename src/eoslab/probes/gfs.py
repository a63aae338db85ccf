"""The sharpness of the gradient-flow solution: where the flow from here would end, and how sharp it is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from eoslab.core.errors import positive, whole
from eoslab.curvature import hessian, top_eigenpairs
from eoslab.flows.stabilized import FlowState, advance
from eoslab.probes.snapshot import Snapshot

__all__ = ["GFS"]


@dataclass(frozen=True)
class GFS:
    """GFS sharpness: λmax(∇²L) where the gradient flow from the iterate ends (Kreisler et al., arXiv:2305.13064).

    The flow counts as ended where ‖∇L‖ is at most ``gradient`` times, *and* the loss at most ``loss`` times, what
    they are at the start of the run: one mark for all steps, so that they can be compared. It may take ``most``
    gradients and the time ``time``; where it has not ended by then ``gfs_sharpness`` is NaN, and ``gfs_reached``
    is the sharpness where it stood (so it is under cross-entropy, whose flow ends nowhere, and where slow
    directions are left). ``rtol`` is the error of a step of the integrator relative to ‖w‖, ``tol`` the relative
    error of the eigenvalue.
    """

    every: int = 50
    gradient: float = 1e-4
    loss: float = 1e-2
    time: float = 1e6
    most: int = 5000
    rtol: float = 1e-4
    tol: float = 1e-3

    name: ClassVar[str] = "gfs"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "λmax(∇²L) at the gradient-flow solution"
    units: ClassVar[Mapping[str, str]] = {
        "gfs_sharpness": "λmax(∇²L) at the gradient-flow solution",
        "gfs_reached": "λmax(∇²L) where the flow ended or its budget did",
        "gfs_bound": "half width of the interval that holds the eigenvalue",
        "gfs_converged": "1 where the flow came to its solution, else 0",
        "gfs_gradient": "‖∇L‖ there over ‖∇L‖ at the start of the run",
        "gfs_loss": "loss there",
        "gfs_time": "time that the flow took",
        "gfs_gradients": "gradients and Hessian-vector products that it took",
    }

    def __post_init__(self) -> None:
        for key in ("every", "most"):
            object.__setattr__(self, key, whole(key, getattr(self, key), 1))
        for key in ("gradient", "loss", "time", "rtol", "tol"):
            object.__setattr__(self, key, positive(key, getattr(self, key)))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set."""
        objective, kept = snapshot.objective, snapshot.memory
        if "first" not in kept:
            loss, slope = objective.loss_and_grad(snapshot.start)
            kept["first"] = np.array([loss, np.linalg.norm(slope)], dtype=np.float64)
        first_loss, first_size = kept["first"]
        low, small = self.loss * float(first_loss), self.gradient * float(first_size)
        begin = FlowState(np.asarray(snapshot.w, dtype=np.float64))

        def ended(w: Any, slope: Any) -> bool:
            return bool(np.linalg.norm(slope) <= small) and bool(objective.loss(w) <= low)

        flow, converged = advance(
            objective, begin, self.time, rtol=self.rtol, stop=ended, gradients=self.most
        )  # fmt: skip
        w = flow.w.astype(snapshot.w.dtype)
        top = top_eigenpairs(hessian(objective, w), 1, self.tol, v0=flow.top)
        slope = float(np.linalg.norm(objective.grad(w)))
        return {
            "gfs_sharpness": float(top.values[0]) if converged else math.nan,
            "gfs_reached": float(top.values[0]),
            "gfs_bound": float(top.errors[0]),
            "gfs_converged": float(converged),
            "gfs_gradient": slope / float(first_size) if first_size > 0 else 0.0,
            "gfs_loss": objective.loss(w),
            "gfs_time": flow.time,
            "gfs_gradients": flow.gradients + flow.products,
        }
