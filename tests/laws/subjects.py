"""What the law suites run over: every model and every rule of the catalog, as formulas.

A newcomer that can be made without arguments is found by itself; one that needs arguments gets a line here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from eoslab.core.catalog import plugins

ARGUMENTS: dict[str, dict[str, Any]] = {
    "minimalist-d": {"lambdas": (1.0, 0.3, 0.01), "v": (0.0, 0.2, 1.0)},
}


@dataclass(frozen=True)
class Subject:
    """A model and its plain formulas of (w, p); None where it has none."""

    name: str
    model: Any
    loss: Callable[..., Any]
    grad: Callable[..., Any]
    hessian: Callable[..., Any]
    gd_step: Callable[..., Any] | None
    third: Callable[..., Any] | None
    conserved: Callable[..., Any] | None

    @property
    def n(self) -> int:
        return len(self.model.params)

    def parameters(self, number: Callable[[float], Any]) -> Any:
        """The parameters p in another number type."""
        return tuple(tuple(map(number, x)) if isinstance(x, tuple) else number(x) for x in self.model.p)


def subject(name: str) -> Subject:
    model = plugins("eoslab.models")[name](**ARGUMENTS.get(name, {}))
    if getattr(model, "structure", "") == "diagonal":
        return _diagonal(name, model)
    f = model.formulas
    optional = [getattr(f, key, None) for key in ("gd_step", "third", "conserved")]
    return Subject(name, model, f.loss, f.grad, f.hessian, *optional)


def _diagonal(name: str, model: Any) -> Subject:
    """The formulas of a model with many directions act on one direction at a time; put them together."""
    import eoslab.models.minimalist_d as f

    def every(w, p, one):
        return [one(w[i + 1], p[0][i], p[1][i]) for i in range(len(p[0]))]

    def hessian(w, p):
        c = every(w, p, lambda beta, lam, v: f.border(w[0], beta, lam, v))
        rows = [[f.corner(w, p), *c]]
        for i, x in enumerate(c):
            rows.append([x, *[p[0][i] * w[0] ** 2 if i == j else 0 * w[0] for j in range(len(c))]])
        return rows

    return Subject(
        name,
        model,
        lambda w, p: f.loss_osc(w, 0, p) + f.loss_conv(w, 0, p),
        lambda w, p: (f.grad_alpha(w, p), *every(w, p, lambda b, lam, v: f.grad_beta(w[0], b, lam, v))),
        hessian,
        lambda w, lr, p: (
            f.step_alpha(w, lr, p),
            *every(w, p, lambda b, lam, v: f.step_beta(w[0], b, lr, lam, v)),
        ),
        None,
        f.conserved,
    )


MODELS = list(plugins("eoslab.models"))
RULES = list(plugins("eoslab.optimizers"))


def rule(name: str, **settings: float) -> Any:
    """A rule of the catalog with the settings that it knows among those given."""
    from dataclasses import fields

    cls = plugins("eoslab.optimizers")[name]
    known = {f.name for f in fields(cls)}
    return cls(**{k: v for k, v in settings.items() if k in known})


def points(n: int, count: int = 5, seed: int = 0) -> np.ndarray:
    """Random points of [−3/2, 3/2]ⁿ with components that are multiples of 1/64, hence exact in every type."""
    return np.random.default_rng(seed).integers(-96, 97, size=(count, n)) / 64


def fraction(x: float) -> Fraction:
    return Fraction(x)


def as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


class Machine(float):
    """A float whose integer powers are what compiled code computes: repeated squaring, not the library's pow."""

    def __pow__(self, k):
        if not isinstance(k, int):
            return Machine(math.pow(self, k))
        out, square = 1.0, float(self)
        while k:
            if k & 1:
                out = out * square
            square, k = square * square, k >> 1
        return Machine(out)

    def __add__(self, x):
        return Machine(float(self) + x)

    def __sub__(self, x):
        return Machine(float(self) - x)

    def __mul__(self, x):
        return Machine(float(self) * x)

    def __truediv__(self, x):
        return Machine(float(self) / x)

    def __radd__(self, x):
        return Machine(x + float(self))

    def __rsub__(self, x):
        return Machine(x - float(self))

    def __rmul__(self, x):
        return Machine(x * float(self))

    def __rtruediv__(self, x):
        return Machine(x / float(self))

    def __neg__(self):
        return Machine(-float(self))
