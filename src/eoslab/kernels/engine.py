"""Engines: what advances a run by a chunk of steps and measures it, behind one small interface.

An engine knows one model and one rule. It turns a :class:`State` into :class:`Rows` (every step of a chunk,
measured) and the next State. The driver in ``results/`` neither knows how many parameters there are nor how
they are stored; a new kind of model adds an engine and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument
from eoslab.kernels.compiler import kernel

__all__ = ["Engine", "LowDimensionalEngine", "Rows", "State"]

Floats = NDArray[np.float64]
#: Prefix under which an engine's own columns (``Rows.extra``) travel beside the others.
EXTRA = "extra:"


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on: a run resumes from it bit for bit.

    ``w`` and ``m`` hold mantissas where ``exponent`` (one per parameter, a multiple of 512) is not zero.
    """

    step: int
    w: Floats
    exponent: NDArray[np.int64]
    m: Floats
    v: Floats
    flag: int = 0

    @classmethod
    def start(cls, w0: Any, step: int = 0) -> State:
        """The state of a run that starts at w0."""
        w = np.asarray(w0, dtype=float)
        zero = np.zeros_like(w)
        return cls(step, w, np.zeros(w.shape, np.int64), zero, zero.copy())


@dataclass(frozen=True)
class Rows:
    """A chunk of consecutive steps, measured: arrays over the steps ``start``, ``start + 1``, …

    ``w`` are true values (0.0 or subnormal where float64 ends), ``mantissa`` and ``exponent`` the pair where
    some component left that range in this chunk, else None. ``above`` says whether η·S_eff is at or above the
    threshold. ``phase`` is None where Definition 3.1 does not apply.
    """

    start: int
    w: Floats
    mantissa: Floats | None
    exponent: NDArray[np.int64] | None
    flag: NDArray[np.int8] | None
    loss_osc: Floats
    loss_conv: Floats
    sharpness: Floats
    eta: Floats
    gfs: Floats
    above: NDArray[np.bool_]
    phase: NDArray[np.int8] | None
    #: What this engine measures beyond the schema: name → one number a step, kept as variables over ``step``.
    extra: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.w)


class Engine(Protocol):
    """What the driver needs."""

    model: Any
    rule: Any
    homogeneous: tuple[int, ...]
    t1: int
    t2: int

    def advance(self, state: State, steps: int) -> tuple[Rows, State, bool]: ...


class LowDimensionalEngine:
    """Compiled kernels of a model with a handful of parameters."""

    def __init__(self, model: Any, rule: Any) -> None:
        allowed = getattr(rule, "models", None)
        if allowed is not None and model.name not in allowed:
            raise InvalidArgument(
                "optimizer", rule.name, f"an optimizer for model {model.name!r}",
                f"{rule.name} is defined for {', '.join(allowed)} only",
            )  # fmt: skip
        self.model, self.rule = model, rule
        self.kernel = kernel(model, rule)
        self.homogeneous: tuple[int, ...] = (self.kernel.HOM,) if self.kernel.HOM >= 0 else ()
        self.t1 = self.t2 = -1
        self.defines_phases = hasattr(self.kernel, "phases_of")

    def advance(self, state: State, steps: int) -> tuple[Rows, State, bool]:
        """Rows for steps state.step … state.step + steps (fewer on divergence), the last state, diverged."""
        k, h, p, n = self.kernel, self.rule.h, self.model.p, len(self.model.params)
        hom = k.HOM
        exponent = int(state.exponent[hom]) if hom >= 0 else 0
        ws = np.empty((steps + 1, n))
        es = np.zeros(steps + 1 if hom >= 0 else 1, np.int64)
        fs = np.zeros(steps + 1 if k.PROJECTS else 1, np.int8)
        ps = np.empty((steps + 1, n)) if k.ADAPTIVE else np.empty((1, n))
        made, w, e, m, v, flag = k.run(
            tuple(state.w.tolist()), exponent, tuple(state.m.tolist()), tuple(state.v.tolist()),
            state.flag, state.step, steps, h, p, ws, es, fs, ps,
        )  # fmt: skip
        exponents = np.zeros(n, np.int64)
        if hom >= 0:
            exponents[hom] = e
        last = State(state.step + made - 1, np.array(w), exponents, np.array(m), np.array(v), flag)
        rows = self._measure(ws[:made], es[:made], ps[:made], fs[:made], state.step)
        return rows, last, made < steps + 1

    def _measure(self, ws: Floats, es: NDArray[np.int64], ps: Floats, fs: NDArray[np.int8], t0: int) -> Rows:
        k, h, p, n = self.kernel, self.rule.h, self.model.p, len(ws)
        osc, conv, s, eta = (np.empty(n) for _ in range(4))
        gfs = np.empty(n) if k.HAS_GFS else np.full(n, np.nan)
        above = np.empty(n, np.bool_)
        k.measure(ws, es, ps, n, h, p, self.rule.threshold.value or 0.0, osc, conv, s, eta, gfs, above)
        phase = None
        if self.defines_phases:
            phase = np.empty(n, np.int8)
            self.t1, self.t2 = k.phases_of(ws, es, n, t0, h, p, self.t1, self.t2, phase)
        mantissa = exponent = None
        w = ws
        if k.HOM >= 0 and es.any():
            exponent = np.zeros(ws.shape, np.int64)
            exponent[:, k.HOM] = es
            mantissa, w = ws, ws.copy()
            w[:, k.HOM] = np.ldexp(ws[:, k.HOM], es)
        flag = fs if k.PROJECTS else None
        return Rows(t0, w, mantissa, exponent, flag, osc, conv, s, eta, gfs, above, phase)


def with_step(state: State, step: int) -> State:
    """The same state, counted from another step."""
    return replace(state, step=step)
