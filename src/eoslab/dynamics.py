"""Anything that moves w and is not a bare optimizer: projections, mini-batches, gradient flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from eoslab.core.catalog import find
from eoslab.core.errors import InvalidArgument, UnknownName, positive, whole
from eoslab.core.protocols import Threshold
from eoslab.optimizers import cap, floor
from eoslab.optimizers.gd import GD

__all__ = ["Cap", "Floor", "GradientFlow", "MiniBatch"]


def Floor(rule: GD, beta_min: float = 1e-4) -> floor.Floor:
    """Gradient descent with |β1| ← max(|β1|, ``beta_min``) while it is needed (Theorem 4.8)."""
    return floor.Floor(_gd_lr(rule), beta_min)


def Cap(rule: GD) -> cap.Cap:
    """Gradient descent projected onto {ηλ1α² ≤ 2} (Theorem 4.9)."""
    return cap.Cap(_gd_lr(rule))


@dataclass(frozen=True)
class GradientFlow:
    """Gradient flow ẇ = −∇L(w) over the time span ``time``, as a rule for ``trajectory``.

    ``trajectory(model, GradientFlow(time=T), w0, steps=N)`` stores N + 1 equally spaced points of [0, T]. With
    ``points`` given the spacing is T/points whatever ``steps`` is, so that a run can be extended. ``method`` is
    one of SciPy's integrators (LSODA, Radau and BDF are implicit and get the Hessian), ``rtol`` and ``atol`` its
    tolerances per step; the variable ``conserved_drift`` of the result says what they amounted to. There is no
    step size to lose stability at, so there is no threshold and η·S is not measured. An integration that cannot
    go on ends the run with outcome ``failed`` and the attribute ``failure``.

    >>> import eoslab
    >>> ds = eoslab.trajectory(eoslab.models.UV(), GradientFlow(time=100.0), [1.0, 0.1], steps=50)
    >>> str(ds.outcome.values), bool(ds.conserved_drift.max() < 1e-8)
    ('converged', True)
    """

    time: float
    points: int | None = None
    method: str = "LSODA"
    rtol: float = 1e-10
    atol: float = 1e-12

    name: ClassVar[str] = "gradient-flow"
    reference: ClassVar[str] = "docs/theory, Proposition 7.1"
    threshold: ClassVar[Threshold] = Threshold(None, "gradient flow has no step size that could be too large")

    def __post_init__(self) -> None:
        from eoslab.flows.gradient_flow import METHODS

        object.__setattr__(self, "time", positive("time", self.time))
        if self.points is not None:
            object.__setattr__(self, "points", whole("points", self.points, 1))
        if self.method not in METHODS:
            raise UnknownName("integrator", self.method, METHODS, argument="method")
        object.__setattr__(self, "rtol", positive("rtol", self.rtol))
        object.__setattr__(self, "atol", positive("atol", self.atol))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by name."""
        return {name: getattr(self, name) for name in ("time", "points", "method", "rtol", "atol")}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> GradientFlow:
        """The inverse of :attr:`settings`."""
        return cls(**settings)

    @property
    def lr(self) -> float:
        """The time between two stored points."""
        if self.points is None:
            raise InvalidArgument("points", None, "a number of points", "the stored points are time/points apart")
        return self.time / self.points

    def for_steps(self, steps: int) -> GradientFlow:
        """The flow whose points divide the span into ``steps`` parts, unless ``points`` was given."""
        return self if self.points is not None else replace(self, points=max(steps, 1))

    @staticmethod
    def engine(model: Any, rule: GradientFlow) -> Any:
        """What advances a run (called by ``trajectory``)."""
        from eoslab.results.flow_engine import FlowEngine

        return FlowEngine(model, rule)


@dataclass(frozen=True)
class MiniBatch:
    """Mini-batch descent: ``base`` with the gradient over ``batch`` samples of a finite sample.

    Samples come without replacement, a new permutation every epoch, drawn from ``seed`` and the number of the
    epoch. There is no deterministic threshold; λmax(P⁻¹H) of the full-batch loss is measured all the same.
    Works on models made by ``from_data``.
    """

    base: Any
    batch: int
    seed: int = 0

    name: ClassVar[str] = "mini-batch"
    projection: ClassVar[str] = ""
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", whole("batch", self.batch, 1))
        object.__setattr__(self, "seed", whole("seed", self.seed))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> MiniBatch:
        """The inverse of :attr:`settings`."""
        rest = dict(settings)
        name, batch, seed = rest.pop("base"), rest.pop("batch"), rest.pop("seed")
        return cls(find("eoslab.optimizers", name, "optimizer")(**rest), batch, seed)

    @property
    def lr(self) -> float:
        """The learning rate of the base rule."""
        return float(self.base.lr)

    @property
    def adaptive(self) -> bool:
        """Whether the base rule is."""
        return bool(self.base.adaptive)

    @property
    def settings(self) -> dict[str, Any]:
        """Base rule, batch size and seed."""
        return {"base": self.base.name, **self.base.settings, "batch": self.batch, "seed": self.seed}

    @property
    def threshold(self) -> Threshold:
        """None: a mini-batch rule has no deterministic threshold."""
        return Threshold(None, "mini-batch noise: the stability of one batch says nothing about the next")


def _gd_lr(rule: Any) -> float:
    if not isinstance(rule, GD):
        raise InvalidArgument("rule", getattr(rule, "name", rule), "GD(lr)", "projections are defined for GD")
    return rule.lr
