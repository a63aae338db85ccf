"""The engine of gradient flow: turns the integrator's solution into rows of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from eoslab.flows.gradient_flow import gradient_flow
from eoslab.kernels.engine import Rows, State
from eoslab.theory import classifier

__all__ = ["FlowEngine"]


class FlowEngine:
    """Rows Δt apart of ẇ = −∇L(w); the memory m of the state keeps the start, from which drift is measured.

    The integrator is restarted where a run is resumed or a chunk begins, so runs in other chunks agree to the
    tolerances, not bit for bit.
    """

    #: What the rows hold beyond the schema, and that they say themselves that there are no phases.
    extras = ("conserved_drift",)
    defines_phases = True

    def __init__(self, model: Any, rule: Any) -> None:
        self.model, self.rule = model, rule
        self.homogeneous: tuple[int, ...] = ()
        self.t1 = self.t2 = -1
        self.failure = ""

    def advance(self, state: State, steps: int) -> tuple[Rows, State, bool]:
        """Rows for steps state.step … state.step + steps, fewer where the integrator failed; never diverged."""
        rule, model = self.rule, self.model
        origin = state.w if state.step == 0 else state.m
        flow = gradient_flow(
            model, state.w, rule.lr * np.arange(steps + 1),
            method=rule.method, rtol=rule.rtol, atol=rule.atol, start=origin,
        )  # fmt: skip
        self.failure = flow.failure
        w, n = flow.w, len(flow.w)
        unmeasured = np.full(n, np.nan)
        if hasattr(model, "loss_osc"):
            # without a learning rate no direction oscillates
            osc, conv = np.asarray(model.loss_osc(w, 0.0)), np.asarray(model.loss_conv(w, 0.0))
        else:
            offset = model.loss_min if np.isfinite(model.loss_min) else 0.0
            osc, conv = np.asarray(model.loss(w)) - offset, np.zeros(n)
        gfs = np.asarray(model.gfs_sharpness(w)) if hasattr(model, "gfs_sharpness") else unmeasured
        rows = Rows(
            start=state.step, w=w, mantissa=None, exponent=None, flag=None, loss_osc=osc, loss_conv=conv,
            sharpness=np.asarray(model.sharpness(w)), eta=unmeasured, gfs=gfs, above=np.zeros(n, np.bool_),
            phase=np.full(n, classifier.TRANSIENT, np.int8), extra={"conserved_drift": flow.drift},
        )  # fmt: skip
        last = State(state.step + n - 1, w[-1], state.exponent, origin, state.v)
        return rows, last, False
