"""The row of a map's cell from a stored trajectory: what the compiled lanes compute without storing it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from eoslab.core.vocabulary import OUTCOMES, REGIMES

__all__ = ["has_formulas", "log2", "loss_rate", "single"]


def single(objective: Any, rule: Any, w0: Any, steps: int) -> dict[str, Any]:
    """The row of one run, from its stored trajectory."""
    from eoslab.kernels.engine import State
    from eoslab.results.trajectory import Recording, _start_point, engine_for

    engine = engine_for(objective, rule)
    recording = Recording(engine)
    recording.run(State.start(_start_point(objective, w0)), steps)
    outcome, regime = recording.verdict()
    state, c, model = recording.state, recording.crossings, engine.model
    assert state is not None
    eta, osc, conv, step = (
        np.concatenate([rows[name] for rows in recording.rows])
        for name in ("eta", "loss_osc", "loss_conv", "step")
    )
    excess = osc + conv
    middle = np.flatnonzero(step == steps // 2)
    half = excess[middle[0]] if len(middle) else np.nan
    period = 0 if recording.diverged else _period(engine, state)
    ended = np.nan if recording.diverged else float(excess[-1])
    return {
        "outcome": list(OUTCOMES).index(outcome),
        "regime": list(REGIMES).index(regime),
        "steps": state.step + (1 if recording.diverged else 0),
        "T1": engine.t1,
        "T2": engine.t2,
        "excursions": c[2] + c[1],
        "period": period,
        "first_crossing": c[4],
        "last_crossing_down": c[6],
        "loss": ended + model.loss_min,
        "loss_rate": float(loss_rate(np.array([half]), np.array([ended]), steps)[0]),
        "max_eta_sharpness": recording.max_eta,
        "eta_sharpness": np.nan if recording.diverged else float(eta[-1]),
        "log2_beta1_min": _least(recording),
    }


def _period(engine: Any, state: Any) -> int:
    from eoslab.kernels.compiler import diagonal_lanes_kernel, lanes_kernel

    if getattr(engine.model, "structure", "") == "diagonal" and not getattr(engine, "batch", 1):
        found = diagonal_lanes_kernel(engine.rule).period_d(
            state.w, state.exponent, state.m, state.v, state.step, engine.h, engine.lambdas, engine.teacher,
            engine.hom,
        )  # fmt: skip
        return int(found)

    if not has_formulas(engine.model) or not hasattr(engine, "kernel"):
        return 0
    kernel = lanes_kernel(engine.model, engine.rule)
    if not hasattr(engine.kernel, "HOM"):
        return 0
    exponent = int(state.exponent[kernel.HOM]) if kernel.HOM >= 0 else 0
    w, m, v = (tuple(x.tolist()) for x in (state.w, state.m, state.v))
    return int(kernel.period_of(w, exponent, m, v, state.flag, state.step, engine.rule.h, engine.model.p))


def _least(recording: Any) -> float:
    """log2 of the least size of the homogeneous component, from mantissas and exponents."""
    which = getattr(recording.engine.model, "homogeneous", ())
    if not which or recording.rows[0]["w"].shape[1] <= which[0]:
        return np.nan
    least = np.inf
    for rows in recording.rows:
        size = np.abs(rows.get("mantissa", rows["w"])[:, which[0]])
        exponent = rows["exponent"][:, which[0]] if "exponent" in rows else 0
        least = min(least, float(log2(size, exponent).min()))
    return least


def log2(size: np.ndarray, exponent: Any) -> np.ndarray:
    """log2(size·2^exponent); the same number whichever power of two the mantissa carries."""
    fraction, power = np.frexp(size)
    with np.errstate(divide="ignore"):
        out: np.ndarray = np.log2(fraction) + (power + exponent)
    return out


def loss_rate(half: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """The mean decay of the log excess loss a step, from the middle of the run to its end."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out: np.ndarray = (np.log(half) - np.log(end)) / max(steps - steps // 2, 1)
    return out


def has_formulas(item: Any) -> bool:
    """Whether a model or a rule (class or instance) is plain formulas that the lanes can compile."""
    kind = item if isinstance(item, type) else type(item)
    if hasattr(kind, "engine") or getattr(kind, "structure", "") == "diagonal":
        return False
    return (
        is_dataclass(kind) and hasattr(kind, "formulas") and all(f.type in ("float", float) for f in fields(kind))
    )
