"""Networks: the only part of the package that imports torch.

from eoslab.curvature import Tracker, hessian, top_eigenpairs
from eoslab.nn import Objective, losses, rules, train

objective = Objective(module, losses.mse, (X, y))
for record in train(objective, rules.GD(lr=2 / 40), steps=3000, tracker=Tracker(k=2, tol=1e-3)):
    print(record.step, record.loss, record.ratio, record.curvature.bounds)
"""

from eoslab.nn import adapters, architectures, data, losses, probes, ranks, recipes, rules, run
from eoslab.nn.experiment import Experiment
from eoslab.nn.objective import NonDeterministic, Objective, OutOfMemory, Point, ThirdDerivativeRefused
from eoslab.nn.run import NetworkRun, trajectory
from eoslab.nn.sweeps import sweep
from eoslab.nn.training import (
    Batches,
    Record,
    TrainingState,
    load_checkpoint,
    save_checkpoint,
    start,
    summary,
    train,
)

__all__ = [
    "Batches",
    "Experiment",
    "NetworkRun",
    "NonDeterministic",
    "Objective",
    "OutOfMemory",
    "Point",
    "Record",
    "ThirdDerivativeRefused",
    "TrainingState",
    "adapters",
    "architectures",
    "data",
    "load_checkpoint",
    "losses",
    "probes",
    "ranks",
    "recipes",
    "rules",
    "run",
    "save_checkpoint",
    "start",
    "summary",
    "sweep",
    "train",
    "trajectory",
]
