"""One network run described by plain values: what to build, how to train it, what to measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eoslab.nn.objective import Objective
from eoslab.nn.recipes import build, has_classes
from eoslab.nn.run import NetworkRun
from eoslab.nn.training import Batches
from eoslab.probes import Accuracy
from eoslab.probes.top_eigenvalues import TopEigenvalues

__all__ = ["Experiment"]


@dataclass(frozen=True)
class Experiment:
    """What ``eoslab train`` does, before it is done; a value that can be sent to another process.

    ``settings`` are those of :func:`eoslab.nn.recipes.build`, ``rule`` an update rule of :mod:`eoslab.nn.rules` or
    :mod:`eoslab.optimizers`, ``batch`` a size of mini-batches (drawn by the seed of the settings). Where the
    targets are classes the accuracy is measured too.

    >>> from eoslab.optimizers import GD
    >>> made = Experiment({"data": "digits", "samples": 50, "hidden": [4]}, GD(lr=2 / 40), steps=3)
    >>> run = made.begin(made.build())
    >>> run.go(made.steps)
    >>> dict(run.dataset().sizes)["step"]
    4
    """

    settings: Mapping[str, Any]
    rule: Any
    steps: int
    probes: tuple[Any, ...] = (TopEigenvalues(k=2),)
    batch: int | None = None
    until_loss: float | None = None

    def build(self) -> Objective:
        """The network with its data and loss."""
        return build(self.settings)

    def begin(self, objective: Objective, **how: Any) -> NetworkRun:
        """The run before its first step; ``how`` are further arguments of :class:`~eoslab.nn.run.NetworkRun`."""
        probes, seed = list(self.probes), int(self.settings.get("seed") or 0)
        if "accuracy" not in {probe.name for probe in probes} and has_classes(objective):
            probes.append(Accuracy(every=max(10, probes[0].every if probes else 1)))
        run = NetworkRun(
            objective, self.rule, probes, Batches(self.batch, seed) if self.batch else None,
            model=str(self.settings.get("arch") or "module"), settings=self.settings, seed=seed,
            loss="" if self.settings.get("module") else str(self.settings.get("loss") or "mse"),
            until_loss=self.until_loss, **how,
        )  # fmt: skip
        run.begin()
        return run

    def memory(self, objective: Objective) -> int:
        """Bytes at the peak, roughly: PyTorch itself, and the vectors of the eigensolver."""
        k = self.probes[0].k if self.probes else 0
        return round(3e8 + (12 + k + 4) * objective.n * objective.numpy_dtype.itemsize)
