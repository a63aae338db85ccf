"""Probes of networks: what is measured along a run, one file each.

A probe is a value: its settings, ``every`` among them. ``measure(snapshot)`` returns numbers by the names that
they have in the data set, for one instant of the run (see :class:`eoslab.probes.snapshot.Snapshot`), taken after
the optimizer's ``update`` and before moving. No torch here: an objective is whatever has the products.
"""

from eoslab.probes.accuracy import Accuracy
from eoslab.probes.alignment import Alignment
from eoslab.probes.batch_sharpness import BatchSharpness
from eoslab.probes.displacement import Displacement
from eoslab.probes.flow_distance import FlowDistance
from eoslab.probes.gfs import GFS
from eoslab.probes.gni import GNI
from eoslab.probes.interaction_aware import InteractionAwareSharpness
from eoslab.probes.self_stabilization import SelfStabilization
from eoslab.probes.top_eigenvalues import TopEigenvalues
from eoslab.probes.trace import Trace

__all__ = [
    "GFS",
    "GNI",
    "Accuracy",
    "Alignment",
    "BatchSharpness",
    "Displacement",
    "FlowDistance",
    "InteractionAwareSharpness",
    "SelfStabilization",
    "TopEigenvalues",
    "Trace",
]
