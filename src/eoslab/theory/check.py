"""Every statement, evaluated on one case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eoslab.core.errors import InvalidArgument, UnknownName, whole
from eoslab.theory import (
    critical,
    endings,
    excursions,
    generalizations,
    gfs,
    hessian_bounds,
    identities,
    main_theorem,
    oscillation,
    regimes,
    sharpening,
    stable_set,
)
from eoslab.theory.context import Context, Trajectory
from eoslab.theory.orbit import orbit
from eoslab.theory.statement import Finding, Statement

__all__ = ["STATEMENTS", "check", "context", "statement"]

_MODULES = (
    critical, hessian_bounds, identities, sharpening, excursions, main_theorem, oscillation, endings, stable_set,
    gfs, regimes, generalizations,
)  # fmt: skip

#: All statements by id, in the order of docs/theory.
STATEMENTS: dict[str, Statement] = {s.id: s for module in _MODULES for s in module.STATEMENTS}


def statement(id: str) -> Statement:
    """The statement with this id ('4.6', "4.6'", 'I3' …)."""
    if id not in STATEMENTS:
        raise UnknownName("statement", id, STATEMENTS)
    return STATEMENTS[id]


def context(
    model: Any,
    lr: float,
    w0: Sequence[float],
    *,
    trajectory: Trajectory | None = None,
    floor: float | None = None,
    cap: bool = False,
) -> Context:
    """The context of a :class:`~eoslab.models.minimalist.Minimalist` model; other models are refused."""
    try:
        lambda1, lambda2, b = float(model.lambda1), float(model.lambda2), float(model.b)
    except AttributeError:
        raise InvalidArgument(
            "model",
            type(model).__name__,
            "a model with lambda1, lambda2 and b",
            "the theory is about the minimalist model",
        ) from None
    start = tuple(float(x) for x in w0)
    if len(start) != 3:
        raise InvalidArgument("w0", w0, "three numbers: alpha, beta1, beta2")
    return Context(lambda1, lambda2, float(lr), start, b, trajectory, floor, cap)


def check(
    model: Any,
    lr: float,
    w0: Sequence[float],
    *,
    trajectory: Trajectory | None = None,
    steps: int = 10**6,
    floor: float | None = None,
    cap: bool = False,
    only: Sequence[str] | None = None,
) -> list[Finding]:
    """What every statement says about gradient descent on ``model`` from ``w0``, and whether it is so.

    ``trajectory`` (every step from w0 on) is what conclusions are compared with. Without one a reference
    trajectory of at most ``steps`` steps is computed here, in plain Python, until its future is decided (1–2 µs a
    step); ``steps=0`` evaluates from θ0 alone. ``floor`` and ``cap`` name the projection that the trajectory was
    made with. A :attr:`~eoslab.theory.statement.Finding.contradiction` is reported, not raised.

    >>> from eoslab.models.minimalist import Minimalist
    >>> found = check(Minimalist(1.0, 0.01), 0.5, (1.95, 1e-3, 0.2), steps=0, only=["4.6'"])
    >>> found[0].applies
    True
    """
    start = context(model, lr, w0, floor=floor, cap=cap)
    if trajectory is None and whole("steps", steps) > 0:
        trajectory = orbit(
            start.lambda1, start.lambda2, start.lr, start.w0, steps, b=start.b, floor=floor, cap=cap
        )
    case = context(model, lr, w0, trajectory=trajectory, floor=floor, cap=cap)
    chosen = STATEMENTS.values() if only is None else [statement(id) for id in only]
    return [s.evaluate(case) for s in chosen]
