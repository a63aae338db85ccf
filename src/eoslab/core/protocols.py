"""The interfaces. An object that has these members is one; nothing is inherited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Objective", "Optimizer", "Probe", "Snapshot", "Threshold"]

Array = NDArray[np.float64]


@runtime_checkable
class Objective(Protocol):
    """A loss over one flat parameter vector w (float64, shape (n,))."""

    @property
    def n(self) -> int: ...
    def loss(self, w: Any) -> Any: ...
    def grad(self, w: Any) -> Any: ...
    def hvp(self, w: Any, v: Any) -> Any: ...


@dataclass(frozen=True)
class Threshold:
    """Where an update rule loses stability on a quadratic, in units of λmax(P⁻¹H).

    ``value`` is dimensionless (2 for gradient descent); it is None with a ``reason`` for a rule that has no
    deterministic threshold.
    """

    value: float | None
    reason: str = ""


class Optimizer(Protocol):
    """An update rule that needs one gradient at w. A frozen value; its state is a pair of arrays (m, v)."""

    @property
    def lr(self) -> float: ...
    @property
    def threshold(self) -> Threshold: ...
    @property
    def settings(self) -> Mapping[str, float]: ...
    def init(self, w: Array) -> tuple[Array, ...]: ...
    def update(self, g: Array, state: tuple[Array, ...], step: int) -> tuple[Array, tuple[Array, ...]]: ...
    def preconditioner(self, state: tuple[Array, ...], step: int) -> Array: ...


class Snapshot(Protocol):
    """One instant of a run, after ``update`` and before moving; memoises what it is asked for."""

    @property
    def step(self) -> int: ...
    @property
    def w(self) -> Array: ...
    @property
    def loss(self) -> float: ...
    @property
    def grad(self) -> Array: ...
    @property
    def preconditioner(self) -> Array: ...


class Probe(Protocol):
    """A named observable with dims, unit, reference and a schedule."""

    @property
    def name(self) -> str: ...
    @property
    def dims(self) -> tuple[str, ...]: ...
    def measure(self, snapshot: Any) -> Any: ...
