"""What may be drawn over a run on request: gradient flow, the constrained trajectory, the predicted dynamics.

Each is a message like that of the run (:mod:`eoslab.web.frames`), with its own steps and the rows of loss,
sharpness and the first two components. They take up to a second, so they are asked for apart from the run and
sliders do not wait for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from eoslab.core.errors import InvalidArgument, UnknownName
from eoslab.web.frames import pack
from eoslab.web.request import Request

__all__ = ["OVERLAYS", "Overlay", "offered", "overlay"]

#: Points of the gradient flow; it is smooth.
POINTS = 1000
#: Relative and absolute tolerance of the flow: a line on a screen.
RTOL, ATOL = 1e-8, 1e-10

#: The rows of a curve that a run does not have.
NOTHING = np.empty((0, 0))

Floats = Any


@dataclass(frozen=True)
class Curve:
    """Steps of the run, the points there, and what is drawn of them (None: the model's own)."""

    steps: Floats
    w: Floats
    sharpness: Floats
    note: str


@dataclass(frozen=True)
class Overlay:
    """A curve: its title and sentence, the derivatives that a model must have, the rules it is defined for."""

    title: str
    about: str
    needs: tuple[str, ...]
    rules: tuple[str, ...]
    make: Callable[[Request], Curve]


def offered(model: Any, rule: Any) -> list[dict[str, str]]:
    """The overlays that a kind of model offers with a rule, for checkboxes."""
    own = getattr(model, "overlays", None)
    return [
        {"name": name, "title": o.title, "about": o.about}
        for name, o in OVERLAYS.items()
        if rule.name in o.rules
        and (name in own if own is not None else all(hasattr(model, need) for need in o.needs))
    ]


def overlay(request: Request, name: str) -> bytes:
    """The curve over a run, as a message; without rows, and with the reason as ``absent``, where it has none.

    Raises UnknownName for a name that is not on offer for this model and rule.
    """
    on_offer = [o["name"] for o in offered(request.chosen, request.rule)]
    if name not in on_offer:
        raise UnknownName("overlay", name, on_offer)
    head = {"overlay": name, "title": OVERLAYS[name].title}
    try:
        curve = OVERLAYS[name].make(request)
    except InvalidArgument as error:
        return pack({**head, "note": "", "absent": f"{error.got}. {error.help}".strip(". "), "rows": []}, NOTHING)
    rows = {"step": curve.steps, "loss": request.model.loss(curve.w), "sharpness": curve.sharpness}
    rows |= {f"w:{p}": curve.w[:, i] for i, p in enumerate(request.model.params[:2])}
    return pack(
        {**head, "note": curve.note, "absent": "", "rows": list(rows)},
        np.stack([np.asarray(row, dtype=float) for row in rows.values()]),
    )


def _flow(request: Request) -> Curve:
    """Gradient flow from the same start, at the times η·t of the steps."""
    from eoslab.flows.gradient_flow import gradient_flow

    steps = np.unique(np.concatenate(([0.0], np.geomspace(0.1, request.steps, POINTS // 2))))
    steps = np.unique(np.concatenate((steps, np.linspace(0, request.steps, POINTS // 2))))
    flow = gradient_flow(request.model, request.w0, request.rule.lr * steps, rtol=RTOL, atol=ATOL)
    n = len(flow.w)
    note = f"gradient flow {flow.failure}" if flow.failure else ""
    return Curve(steps[:n], flow.w, np.asarray(request.model.sharpness(flow.w)), note)


@lru_cache(maxsize=4)
def _account(request: Request) -> Any:
    from eoslab.plots.reading import Run
    from eoslab.plots.stable_set import account

    return account(Run(request.run()))


def _constrained(request: Request) -> Curve:
    """θ†, projected gradient descent on {S ≤ 2/η, ∇L·u = 0}, from the first step at the edge on."""
    a = _account(request)
    return Curve(a.steps, a.predicted.dagger, a.predicted.sharpness, _length(a, request))


def _predicted(request: Request) -> Curve:
    """θ† + v, the iterate that the general theory predicts, and the sharpness S(θ†) + y there."""
    a = _account(request)
    return Curve(a.steps, a.predicted.w, a.predicted.predicted_sharpness, _length(a, request))


def _length(a: Any, request: Request) -> str:
    last = int(a.steps[-1])
    return f"followed from step {a.start} to {last}" if last < request.steps else ""


#: By the key under which links name them.
OVERLAYS: dict[str, Overlay] = {
    "flow": Overlay(
        "gradient flow", "ẇ = −∇L(w) from the same start, at equal time η·t",
        ("grad", "hessian", "sharpness"), ("gd", "gd-floor", "gd-cap"), _flow,
    ),
    "stable-set": Overlay(
        "constrained trajectory", "θ†: descent projected onto the stable set S ≤ 2/η, from the crossing on",
        ("grad", "hessian", "third"), ("gd",), _constrained,
    ),
    "predicted": Overlay(
        "predicted dynamics", "θ† + v: what self-stabilization predicts from the crossing on",
        ("grad", "hessian", "third"), ("gd",), _predicted,
    ),
}  # fmt: skip
