"""Matrix-free curvature: eigenvalues with evidence, a tracker along a trajectory, traces, spectral densities.

NumPy and SciPy only: whatever has a product v ↦ Hv can be measured.
"""

from eoslab.curvature.density import Density, density
from eoslab.curvature.lanczos import top_eigenpairs
from eoslab.curvature.operator import (
    FunctionOperator,
    SymmetricOperator,
    as_operator,
    hessian,
    preconditioned,
)
from eoslab.curvature.result import EigenResult
from eoslab.curvature.trace import Estimate, trace
from eoslab.curvature.tracker import Tracker, TrackerSettings

__all__ = [
    "Density",
    "EigenResult",
    "Estimate",
    "FunctionOperator",
    "SymmetricOperator",
    "Tracker",
    "TrackerSettings",
    "as_operator",
    "density",
    "hessian",
    "preconditioned",
    "top_eigenpairs",
    "trace",
]
