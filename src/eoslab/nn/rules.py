"""Update rules on flat vectors: plain arithmetic, with the edge of their stability on a quadratic.

A rule turns the gradient g at w into a step Δw = ``update(g, state, step)`` with a new state, elementwise, so
it works on vectors of any length and dtype. On a quadratic with a frozen preconditioner P it is stable exactly
while lr·λmax(P⁻¹H + shift) < ``threshold``; the thresholds are where the characteristic polynomial has the
root −1 (Cohen et al., arXiv:2103.00065, 2207.14484).

``preconditioner(state, step)`` is the one that the update made of this state has used, so after ``update`` it
describes the step about to be taken, also at step 0. Weight decay enters w's own dynamics: ``shift`` is what it
adds to the effective Hessian, ``decay`` what is subtracted from the step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from eoslab.core.errors import InvalidArgument, finite, positive
from eoslab.core.protocols import Threshold

__all__ = [
    "EMA",
    "GD",
    "RULES",
    "SAM",
    "Adam",
    "AdamW",
    "HeavyBall",
    "Nesterov",
    "NormalizedGD",
    "RMSProp",
    "SignGD",
]

State = tuple[Any, ...]


def _fraction(name: str, value: float) -> None:
    if not 0 <= finite(name, value) < 1:
        raise InvalidArgument(name, value, "a number in [0, 1)")


@dataclass(frozen=True)
class _Rule:
    """Shared by the rules below: learning rate, unit preconditioner, no weight decay."""

    lr: float
    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        positive("lr", self.lr)
        for key in ("beta", "beta1", "beta2"):
            if hasattr(self, key):
                _fraction(key, getattr(self, key))
        for key in ("eps", "rho", "weight_decay"):
            if hasattr(self, key) and finite(key, getattr(self, key)) < 0:
                raise InvalidArgument(key, getattr(self, key), "a number ≥ 0")

    @property
    def settings(self) -> Mapping[str, float]:
        return {k: v for k, v in self.__dict__.items() if k != "lr"}

    @property
    def shift(self) -> float:
        """What weight decay adds to the effective Hessian P⁻¹H."""
        return 0.0

    def init(self, w: Any) -> State:
        return ()

    def preconditioner(self, state: State, step: int) -> Any:
        return 1.0

    def effective(self, sharpness: float, grad_norm: float) -> float:
        """What lr times is compared with ``threshold``: λmax(P⁻¹H + shift) itself, except for :class:`SAM`."""
        return sharpness

    def decay(self, w: Any) -> Any:
        """The part of Δw that depends on w itself (decoupled weight decay); 0.0 if there is none."""
        return 0.0


@dataclass(frozen=True)
class GD(_Rule):
    """Δw = −ηg; threshold 2. Coupled weight decay belongs into the loss."""

    name: ClassVar[str] = "gd"
    threshold: ClassVar[Threshold] = Threshold(2.0)

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        return -self.lr * g, ()


@dataclass(frozen=True)
class HeavyBall(_Rule):
    """v ← βv − ηg, Δw = v; threshold 2 + 2β (torch.optim.SGD with momentum β)."""

    beta: float = 0.9
    name: ClassVar[str] = "heavy-ball"

    @property
    def threshold(self) -> Threshold:
        return Threshold(2 + 2 * self.beta)

    def init(self, w: Any) -> State:
        return (np.zeros_like(w),)

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        v = self.beta * state[0] - self.lr * g
        return v, (v,)


@dataclass(frozen=True)
class Nesterov(_Rule):
    """v ← βv + g, Δw = −η(g + βv) (torch's form, in the variable w + βv); threshold (2 + 2β)/(1 + 2β)."""

    beta: float = 0.9
    name: ClassVar[str] = "nesterov"

    @property
    def threshold(self) -> Threshold:
        return Threshold((2 + 2 * self.beta) / (1 + 2 * self.beta))

    def init(self, w: Any) -> State:
        return (np.zeros_like(w),)

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        v = self.beta * state[0] + g
        return -self.lr * (g + self.beta * v), (v,)


@dataclass(frozen=True)
class EMA(_Rule):
    """m ← βm + (1−β)g, Δw = −ηm; threshold 2(1 + β)/(1 − β)."""

    beta: float = 0.9
    name: ClassVar[str] = "ema"

    @property
    def threshold(self) -> Threshold:
        return Threshold(2 * (1 + self.beta) / (1 - self.beta))

    def init(self, w: Any) -> State:
        return (np.zeros_like(w),)

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        m = self.beta * state[0] + (1 - self.beta) * g
        return -self.lr * m, (m,)


@dataclass(frozen=True)
class RMSProp(_Rule):
    """v ← β₂v + (1−β₂)g², Δw = −ηg/P, P = √v + ε; threshold 2 for P⁻¹H."""

    beta2: float = 0.99
    eps: float = 1e-8
    name: ClassVar[str] = "rmsprop"
    threshold: ClassVar[Threshold] = Threshold(2.0)

    def init(self, w: Any) -> State:
        return (np.zeros_like(w),)

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        v = self.beta2 * state[0] + (1 - self.beta2) * g**2
        return -self.lr * g / (np.sqrt(v) + self.eps), (v,)

    def preconditioner(self, state: State, step: int) -> Any:
        return np.sqrt(state[0]) + self.eps


@dataclass(frozen=True)
class Adam(_Rule):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², Δw = −η m̂/(√v̂ + ε), with bias correction.

    Threshold 2(1 + β₁)/(1 − β₁) for P⁻¹H, P = (1 − β₁^t)(√v̂ + ε) at update number t: the first-moment
    correction is a factor of the step size and is counted into P. It is 38 at β₁ = 0.9.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    name: ClassVar[str] = "adam"

    @property
    def threshold(self) -> Threshold:
        return Threshold(2 * (1 + self.beta1) / (1 - self.beta1))

    def init(self, w: Any) -> State:
        return (np.zeros_like(w), np.zeros_like(w))

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        m = self.beta1 * state[0] + (1 - self.beta1) * g
        v = self.beta2 * state[1] + (1 - self.beta2) * g**2
        return -self.lr * m / self.preconditioner((m, v), step), (m, v)

    def preconditioner(self, state: State, step: int) -> Any:
        t = step + 1
        return (1 - self.beta1**t) * (np.sqrt(state[1] / (1 - self.beta2**t)) + self.eps)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay λ: Δw = −η m̂/(√v̂ + ε) − ηλw.

    The root −1 of its polynomial is at η(h + λ(1+β₁)/(1−β₁)) = 2(1+β₁)/(1−β₁), h an eigenvalue of P⁻¹H, so
    the decay shifts the effective Hessian by λ(1+β₁)/(1−β₁) and the threshold stays Adam's.
    """

    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"

    @property
    def shift(self) -> float:
        return self.weight_decay * (1 + self.beta1) / (1 - self.beta1)

    def decay(self, w: Any) -> Any:
        return -self.lr * self.weight_decay * w


@dataclass(frozen=True)
class SAM(_Rule):
    """Sharpness-aware minimization: Δw = −η∇L(w + ρg/‖g‖) (or w + ρg with normalize=False); g = ∇L(w).

    On a quadratic ∇L(w + rg) = (H + rH²)w with r = ρ/‖g‖ (or ρ), so along an eigenvector of H the step
    multiplies by 1 − ηλ(1 + rλ). For λ > 0 it is stable exactly while **ηλ(1 + rλ) < 2**: the threshold is 2 for
    the effective sharpness S_eff = λ + rλ² (:meth:`effective`), and :meth:`edge` solves for the sharpness itself,
    λ < (√(1 + 8r/η) − 1)/(2r) = ‖g‖/(2ρ)·(√(1 + 8ρ/(η‖g‖)) − 1). It lies below 2/η, moves with ‖g‖, and goes to 0
    with it: normalised SAM settles at no minimum (Long & Bartlett, *Sharpness-aware minimization and the edge of
    stability*, JMLR 25 (2024), arXiv:2309.12488).
    """

    rho: float = 0.05
    normalize: bool = True
    name: ClassVar[str] = "sam"
    threshold: ClassVar[Threshold] = Threshold(2.0)

    def radius(self, grad_norm: float) -> float:
        """r: the ascent in units of the gradient; 0 where there is no gradient to climb along."""
        if not self.normalize:
            return self.rho
        return self.rho / grad_norm if grad_norm > 0 else 0.0

    def ascent(self, g: Any) -> Any:
        """Displacement to the point whose gradient the step uses."""
        return self.radius(float(np.linalg.norm(g))) * g

    def effective(self, sharpness: float, grad_norm: float) -> float:
        """λ + rλ², which lr times is compared with 2; a negative λ stays itself."""
        return sharpness + self.radius(grad_norm) * max(sharpness, 0.0) ** 2

    def edge(self, grad_norm: float) -> float:
        """The sharpness at which the step loses stability.

        >>> SAM(lr=0.1, rho=0.0).edge(1.0), round(SAM(lr=0.1, rho=0.05).edge(1.0), 3)
        (20.0, 12.361)
        """
        # (√(1 + x) − 1)·4/(xη) with x = 8r/η, without the cancellation where x is small
        root = math.sqrt(1 + 8 * self.radius(grad_norm) / self.lr)
        return 4 / (self.lr * (root + 1))

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        return -self.lr * g, ()


@dataclass(frozen=True)
class SignGD(_Rule):
    """Δw = −η sign(g)."""

    name: ClassVar[str] = "sign"
    threshold: ClassVar[Threshold] = Threshold(
        None, "a step of fixed size never shrinks to a point: any minimum ends in an oscillation of size η"
    )

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        return -self.lr * np.sign(g), ()


@dataclass(frozen=True)
class NormalizedGD(_Rule):
    """Δw = −ηg/‖g‖: gradient descent with the learning rate η/‖g‖."""

    name: ClassVar[str] = "normalized"
    threshold: ClassVar[Threshold] = Threshold(
        None, "a step of fixed size never shrinks to a point: any minimum ends in an oscillation of size η"
    )

    def update(self, g: Any, state: State, step: int) -> tuple[Any, State]:
        norm = float(np.linalg.norm(g))
        return (-self.lr / norm * g if norm > 0 else 0.0 * g), ()


#: Name → rule.
RULES: dict[str, type[Any]] = {
    rule.name: rule for rule in (GD, HeavyBall, Nesterov, EMA, RMSProp, Adam, AdamW, SAM, SignGD, NormalizedGD)
}
