"""The engine of models with many directions, full batch or mini-batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument
from eoslab.kernels.compiler import diagonal_kernel
from eoslab.kernels.engine import Rows, State

__all__ = ["DiagonalEngine"]


class DiagonalEngine:
    """Compiled kernels of L = ½ Σ λ_i (αβ_i − v_i)² for one rule.

    A rule with ``batch`` (a mini-batch dynamics) takes its samples from ``model.sample``. The batches of an
    epoch are a permutation that depends on the seed and the number of the epoch alone, so a run resumes exactly.
    """

    def __init__(self, model: Any, rule: Any) -> None:
        if rule.projection:
            raise InvalidArgument(
                "optimizer", rule.name, f"an optimizer for model {model.name!r}", f"{rule.name} needs two inputs"
            )
        self.model, self.rule = model, rule
        base = getattr(rule, "base", rule)
        self.kernel = diagonal_kernel(base)
        self.h = base.h
        self.batch = int(getattr(rule, "batch", 0))
        if self.batch:
            if model.sample is None:
                raise InvalidArgument("model", "a model without a sample", "MinimalistD.from_data(X, y)")
            if self.batch > len(model.sample[1]):
                raise InvalidArgument("batch", self.batch, f"at most the {len(model.sample[1])} samples")
        self.homogeneous: tuple[int, ...] = model.homogeneous if base.linear and not self.batch else ()
        self.t1 = self.t2 = -1
        self.lambdas, self.teacher = np.asarray(model.lambdas), np.asarray(model.v)
        self.hom = np.zeros(model.n, bool)
        self.hom[list(self.homogeneous)] = True

    def advance(self, state: State, steps: int) -> tuple[Rows, State, bool]:
        """Rows for steps state.step … state.step + steps (fewer on divergence), the last state, diverged."""
        k, n = self.kernel, self.model.n
        ws, es = np.empty((steps + 1, n)), np.zeros((steps + 1, n), np.int64)
        ps = np.empty((steps + 1 if k.ADAPTIVE else 1, n))
        w, e, m, v = state.w.copy(), state.exponent.copy(), state.m.copy(), state.v.copy()
        z, y = self.model.sample if self.batch else (np.empty((0, n - 1)), np.empty(0))
        batches = self._batches(state.step, steps, len(y))
        made = k.run(
            w, e, m, v, state.step, steps, self.h, self.lambdas, self.teacher, self.hom, z, y, batches, ws, es, ps
        )
        last = State(state.step + made - 1, w, e, m, v)
        ws, es = ws[:made], es[:made]
        osc, conv, s, eta, gfs = (np.empty(made) for _ in range(5))
        above = np.empty(made, np.bool_)
        k.measure(
            ws, es, ps, made, self.h, self.lambdas, self.teacher, self.rule.threshold.value or 0.0,
            osc, conv, s, eta, gfs, above,
        )  # fmt: skip
        if es.any():
            rows = Rows(state.step, np.ldexp(ws, es), ws, es, None, osc, conv, s, eta, gfs, above, None)
        else:
            rows = Rows(state.step, ws, None, None, None, osc, conv, s, eta, gfs, above, None)
        return rows, last, made < steps + 1

    def _batches(self, step: int, steps: int, samples: int) -> NDArray[np.int64]:
        """Sample indices of each step, (steps, batch): consecutive pieces of a new permutation every epoch."""
        if not self.batch or steps == 0:
            return np.empty((0, 1), np.int64)
        per_epoch = samples // self.batch
        first, last = step // per_epoch, (step + steps - 1) // per_epoch
        pieces = []
        for epoch in range(first, last + 1):
            order = np.random.default_rng([self.rule.seed, epoch]).permutation(samples)
            pieces.append(order[: per_epoch * self.batch].reshape(per_epoch, self.batch))
        offset = step - first * per_epoch
        return np.concatenate(pieces)[offset : offset + steps]
