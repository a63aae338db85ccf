"""The observables of :mod:`eoslab.probes` as functions of an objective and a point."""

from eoslab.probes.alignment import alignment
from eoslab.probes.batch_sharpness import batch_sharpness
from eoslab.probes.displacement import displacement
from eoslab.probes.gni import gni
from eoslab.probes.interaction_aware import interaction_aware_sharpness
from eoslab.probes.self_stabilization import self_stabilization

__all__ = [
    "alignment",
    "batch_sharpness",
    "displacement",
    "gni",
    "interaction_aware_sharpness",
    "self_stabilization",
]
