"""eoslab: the laboratory for training at the edge of stability."""

__version__ = "0.1.0"
