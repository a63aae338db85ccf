"""eoslab: the laboratory for training at the edge of stability.

The dozen names that a user types; everything heavy is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["dynamics", "models", "optimizers", "phases", "sweep", "trajectory"]

if TYPE_CHECKING:
    from eoslab import models, optimizers
    from eoslab.results.sweep import sweep
    from eoslab.results.trajectory import trajectory

_HOME = {
    "trajectory": "eoslab.results.trajectory",
    "phases": "eoslab.results.phases",
    "sweep": "eoslab.results.sweep",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in (
        "models",
        "optimizers",
        "dynamics",
        "results",
        "plots",
        "curvature",
        "probes",
        "nn",
        "theory",
        "certify",
    ):
        return import_module(f"eoslab.{name}")
    raise AttributeError(f"module 'eoslab' has no attribute {name!r}")
