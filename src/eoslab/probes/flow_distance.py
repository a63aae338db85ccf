"""The gradient flow from the same start, at the same time, beside a run of gradient descent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from eoslab.core.errors import InvalidArgument, positive, whole
from eoslab.curvature import hessian, top_eigenpairs
from eoslab.flows.stabilized import FlowState, advance
from eoslab.probes.snapshot import Snapshot

__all__ = ["FlowDistance"]


@dataclass(frozen=True)
class FlowDistance:
    """The gradient flow w' = −∇L from the same start: its loss and sharpness at time η·step, and ‖w − w_flow‖.

    The flow is integrated along with the run by :func:`eoslab.flows.stabilized.advance`, an error-controlled
    explicit method: the estimated error of a step is at most ``rtol``·‖w‖, ``flow_error`` is their sum. Each
    measurement goes on from the one before, by at most ``most`` gradients a step of the run; a flow that needs
    more, or that leaves to infinity, ends there and is not measured (NaN) from then on. ``tol`` is the relative
    error of the flow's sharpness; 0 leaves it out. For gradient descent, whose limit of small steps it is.
    """

    every: int = 10
    rtol: float = 1e-5
    tol: float = 1e-3
    most: int = 200

    name: ClassVar[str] = "flow-distance"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "‖w − w_flow‖ at time η·step"
    units: ClassVar[Mapping[str, str]] = {
        "flow_loss": "loss of the gradient flow",
        "flow_sharpness": "λmax(∇²L) along the gradient flow",
        "flow_sharpness_bound": "half width of the interval that holds the eigenvalue",
        "flow_error": "sum of the estimated local errors of the flow, ‖·‖",
        "flow_gradients": "gradients and Hessian-vector products for the flow so far",
    }
    #: What an optimizer must be for the comparison to mean something.
    rules: ClassVar[tuple[str, ...]] = ("gd",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", whole("every", self.every, 1))
        object.__setattr__(self, "most", whole("most", self.most, 1))
        object.__setattr__(self, "rtol", positive("rtol", self.rtol))
        if not self.tol >= 0:
            raise InvalidArgument("tol", self.tol, "a number ≥ 0")

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set."""
        objective, kept = snapshot.objective, snapshot.memory
        flow = _read(kept) if kept else FlowState(np.array(snapshot.start, dtype=np.float64))
        budget = self.most * max(1, snapshot.step - int(kept["step"]) if kept else snapshot.step)
        flow, _ = advance(objective, flow, snapshot.time, rtol=self.rtol, gradients=budget)
        kept |= _written(flow) | {"step": np.array(snapshot.step)}
        kept["lost"] = np.array(bool(kept.get("lost", False)) or flow.time < snapshot.time)
        if kept["lost"]:
            return {"flow_distance": math.nan}
        w = flow.w.astype(snapshot.w.dtype)
        found: dict[str, Any] = {
            "flow_distance": float(np.linalg.norm(np.asarray(snapshot.w, dtype=np.float64) - flow.w)),
            "flow_loss": objective.loss(w),
            "flow_error": flow.error,
            "flow_gradients": flow.gradients + flow.products,
        }
        if self.tol > 0:
            top = top_eigenpairs(hessian(objective, w), 1, self.tol, v0=flow.top)
            found |= {"flow_sharpness": float(top.values[0]), "flow_sharpness_bound": float(top.errors[0])}
        return found


def _read(kept: Mapping[str, Any]) -> FlowState:
    time, step, error, gradients, products, failed = kept["numbers"]
    failure = "failed before" if failed else ""
    return FlowState(kept["w"], time, step, kept.get("top"), error, int(gradients), int(products), failure)


def _written(flow: FlowState) -> dict[str, Any]:
    numbers = [flow.time, flow.step, flow.error, flow.gradients, flow.products, bool(flow.failure)]
    return {"w": flow.w, "numbers": np.array(numbers)} | ({} if flow.top is None else {"top": flow.top})
