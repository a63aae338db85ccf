"""The share of samples that are classified rightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from eoslab.core.errors import whole
from eoslab.probes.snapshot import Snapshot

__all__ = ["Accuracy"]


@dataclass(frozen=True)
class Accuracy:
    """Share of samples whose largest output is the target's class; costs a forward pass."""

    every: int = 10

    name: ClassVar[str] = "accuracy"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    unit: ClassVar[str] = "share of the training samples"

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", whole("every", self.every, 1))

    def measure(self, snapshot: Snapshot) -> dict[str, Any]:
        """Columns of the data set."""
        return {"accuracy": snapshot.objective.metric(snapshot.w, _right)}


def _right(out: Any, y: Any) -> Any:
    """Targets are class indices, or vectors whose largest entry is the class."""
    target = y.argmax(-1) if y.is_floating_point() else y
    return (out.argmax(-1) == target).double().mean()
