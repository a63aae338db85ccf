"""What a live ``torch.optim`` optimizer is doing to the curvature: preconditioner and stability threshold.

:func:`read` turns an optimizer and its state into a :class:`Reading`, such that the update is stable on a
quadratic while lr·λmax(P⁻¹(H + weight_decay·I) + shift·I) < threshold. An optimizer that is not in the table is
refused by name: assuming 2/lr for it would be a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eoslab.core.errors import EoslabError, InvalidArgument
from eoslab.core.protocols import Threshold
from eoslab.curvature import FunctionOperator, SymmetricOperator, hessian, preconditioned
from eoslab.nn.objective import Objective
from eoslab.nn.rules import SAM

__all__ = ["KNOWN", "Reading", "UnknownOptimizer", "effective_hessian", "read"]

Vector = NDArray[Any]


class UnknownOptimizer(EoslabError, ValueError):
    """No threshold is known for this optimizer, or for these of its settings."""

    code = "E113"
    exit_code = 2


@dataclass(frozen=True)
class Reading:
    """An optimizer at one moment.

    Attributes:
        name: class of the optimizer.
        lr: the largest learning rate of the groups; other groups' are folded into ``preconditioner``.
        threshold: for lr·λmax of :func:`effective_hessian`.
        preconditioner: (n,) P, in the order of the objective's w.
        weight_decay: (n,) coupled decay: adds to H.
        shift: decoupled decay: adds to P⁻¹H.
        radius: of SAM, ρ/‖g‖: a sharpness λ counts as λ + radius·λ² (:class:`eoslab.nn.rules.SAM`); else 0.
    """

    name: str
    lr: float
    threshold: Threshold
    preconditioner: Vector
    weight_decay: Vector
    shift: float = 0.0
    radius: float = 0.0
    notes: tuple[str, ...] = field(default=())

    def ratio(self, sharpness: float) -> float:
        """lr·sharpness over the threshold, 1 at the edge; NaN where there is no threshold."""
        if self.threshold.value is None:
            return float("nan")
        return self.lr * (sharpness + self.radius * sharpness**2) / self.threshold.value


def effective_hessian(objective: Objective, w: Vector, reading: Reading) -> SymmetricOperator:
    """P^(−1/2)(H + weight_decay)P^(−1/2) + shift, which has the eigenvalues of the effective Hessian."""
    op = hessian(objective, w)
    decay = reading.weight_decay.astype(objective.numpy_dtype)
    if np.any(decay):
        plain = op
        op = FunctionOperator(lambda v: plain.matvec(v) + decay * v, objective.n, objective.numpy_dtype)
    return preconditioned(op, reading.preconditioner, reading.shift)


def read(optimizer: Any, objective: Objective, grad: Vector | None = None, sam: float | None = None) -> Reading:
    """Read ``optimizer``, whose parameters are those of ``objective.module``.

    Args:
        grad: (n,) the gradient of the coming step. With it the preconditioner is the one about to be used;
            without, the one of the last step, which must then exist.
        sam: the radius ρ where ``optimizer`` is given gradients at w + ρg/‖g‖: it is the base optimizer of
            sharpness-aware minimization, plain ``SGD``. Then ``grad`` is needed, at w itself.

    Raises:
        UnknownOptimizer: the class, or a setting of it, has no known threshold.

    >>> module = torch.nn.Linear(2, 1, bias=False)
    >>> obj = Objective(module, lambda f, y: ((f - y) ** 2).sum() / len(y), (torch.eye(2), torch.zeros(2, 1)))
    >>> read(torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9), obj).threshold.value
    3.8
    """
    kind = type(optimizer)
    reader = KNOWN.get(kind)
    if reader is None:
        known = ", ".join(sorted(k.__name__ for k in KNOWN))
        raise UnknownOptimizer(
            f"optimizer: no stability threshold is known for {kind.__module__}.{kind.__qualname__}",
            f"known are {known}; 2/lr is right for plain gradient descent only and is not assumed; "
            "of SAM, read the base optimizer with sam=ρ",
        )
    groups = optimizer.param_groups
    for key in ("betas", "momentum", "dampening", "nesterov", "alpha", "eps", "amsgrad", "maximize", "centered"):
        if len({str(g[key]) for g in groups if key in g}) > 1:
            raise UnknownOptimizer(
                f"optimizer: the parameter groups differ in {key!r}", "there is no single threshold for them"
            )
    if groups[0].get("maximize"):
        raise UnknownOptimizer("optimizer: maximize=True ascends", "the edge of stability is that of descent")
    lr = max(float(g["lr"]) for g in groups)
    if not lr > 0:
        raise InvalidArgument("optimizer", f"a largest learning rate of {lr}", "one > 0")
    parameters = dict(objective.module.named_parameters())
    where = {id(parameters[name]): part for name, (part, _) in objective.slices().items()}
    p, decay = np.full(objective.n, np.nan), np.zeros(objective.n)
    shift: set[float] = set()
    threshold = Threshold(None)
    notes: list[str] = []
    for group in groups:
        for parameter in group["params"]:
            part = where.pop(id(parameter), None)
            if part is None:
                continue
            g = None if grad is None else np.asarray(grad[part], dtype=np.float64)
            diagonal, threshold, moved = reader(group, optimizer.state.get(parameter, {}), g, parameter)
            if not group["lr"] > 0:
                raise InvalidArgument(
                    "optimizer", "a group with lr = 0", "groups that move", "freeze its parameters"
                )
            p[part] = np.asarray(diagonal) * (lr / float(group["lr"]))
            if moved:
                shift.add(moved)
            elif group.get("weight_decay") and kind is not torch.optim.AdamW:
                decay[part] = float(group["weight_decay"])
    if where:
        raise InvalidArgument("optimizer", "an optimizer without some of the module's parameters", "all of them")
    if len(shift) > 1:
        raise UnknownOptimizer("optimizer: the groups differ in decoupled weight decay", "give them the same")
    if len({float(g["lr"]) for g in groups}) > 1:
        notes.append("learning rates of the groups are folded into the preconditioner")
    radius = 0.0 if sam is None else _sam_radius(sam, groups[0], grad, decay, p)
    name = kind.__name__ if sam is None else "SAM"
    return Reading(name, lr, threshold, p, decay, next(iter(shift), 0.0), radius, tuple(notes))


def _sam_radius(rho: float, group: Any, grad: Vector | None, decay: Vector, p: Vector) -> float:
    if group.get("momentum") or "betas" in group or "alpha" in group or np.any(decay) or np.ptp(p):
        raise UnknownOptimizer(
            "optimizer: SAM on momentum, a preconditioner, weight decay or several learning rates",
            "its threshold has been derived for plain gradient descent",
        )
    if grad is None:
        raise InvalidArgument("grad", None, "the gradient at w", "the edge of SAM depends on its norm")
    return SAM(1.0, rho=rho).radius(float(np.linalg.norm(np.asarray(grad, dtype=np.float64))))


_Read = tuple[Any, Threshold, float]


def _array(t: Any, like: torch.Tensor) -> Vector:
    if t is None:
        return np.zeros(like.numel())
    return np.asarray(t.detach().cpu().double().reshape(-1).numpy())


def _second_moment(state: Any, key: str, g: Vector | None, beta2: float, parameter: torch.Tensor) -> Vector:
    """v of the coming step if its gradient is known, else of the last one."""
    if g is None and key not in state:
        raise InvalidArgument(
            "grad", None, "the gradient of the coming step", "before the first step there is no preconditioner"
        )
    v = _array(state.get(key), parameter)
    return v if g is None else beta2 * v + (1 - beta2) * g**2


def _sgd(group: Any, state: Any, g: Vector | None, parameter: torch.Tensor) -> _Read:
    beta, damping = float(group["momentum"]), float(group["dampening"])
    if group["nesterov"]:
        value = (2 + 2 * beta) / (1 + 2 * beta)
    else:
        value = (2 + 2 * beta) / (1 - damping if beta else 1.0)
    return 1.0, Threshold(value), 0.0


def _adam(group: Any, state: Any, g: Vector | None, parameter: torch.Tensor) -> _Read:
    if group.get("amsgrad"):
        raise UnknownOptimizer("optimizer: amsgrad=True", "read the maximum of its second moments yourself")
    beta1, beta2 = (float(b) for b in group["betas"])
    t = int(float(state.get("step", 0))) + (0 if g is None else 1)
    if g is not None and group["weight_decay"] and not _decoupled(group):
        g = g + float(group["weight_decay"]) * _array(parameter, parameter)
    v = _second_moment(state, "exp_avg_sq", g, beta2, parameter)
    p = (1 - beta1**t) * (np.sqrt(v / (1 - beta2**t)) + float(group["eps"]))
    shift = float(group["weight_decay"]) * (1 + beta1) / (1 - beta1) if _decoupled(group) else 0.0
    return p, Threshold(2 * (1 + beta1) / (1 - beta1)), shift


def _decoupled(group: Any) -> bool:
    return bool(group.get("decoupled_weight_decay", False))


def _adamw(group: Any, state: Any, g: Vector | None, parameter: torch.Tensor) -> _Read:
    return _adam({**group, "decoupled_weight_decay": True}, state, g, parameter)


def _rmsprop(group: Any, state: Any, g: Vector | None, parameter: torch.Tensor) -> _Read:
    if group["centered"]:
        raise UnknownOptimizer("optimizer: RMSprop(centered=True)", "no threshold has been derived for it here")
    if g is not None and group["weight_decay"]:
        g = g + float(group["weight_decay"]) * _array(parameter, parameter)
    v = _second_moment(state, "square_avg", g, float(group["alpha"]), parameter)
    return np.sqrt(v) + float(group["eps"]), Threshold(2 + 2 * float(group["momentum"])), 0.0


#: The optimizers that are understood; a subclass may change the update, so only these exact classes are.
KNOWN: dict[type[Any], Callable[[Any, Any, Vector | None, torch.Tensor], _Read]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adam: _adam,
    torch.optim.AdamW: _adamw,
    torch.optim.RMSprop: _rmsprop,
}
