"""The words of the field, once: outcomes, phases, regimes, events, with the titles that people read.

Kernels store the integer codes, data sets the names, figures and screens the titles.
"""

from __future__ import annotations

from typing import Final

__all__ = ["EVENTS", "OUTCOMES", "PHASES", "REGIMES", "title"]

#: How a run ended. The position is the integer code.
OUTCOMES: Final[dict[str, str]] = {
    "running": "steps ended first",
    "converged": "converged",
    "period-2": "two-cycle",
    "cycling": "still cycling",
    "saddle": "stopped at a saddle",
    "metastable": "metastable: above the threshold with a dead oscillation",
    "diverged": "diverged",
    "interrupted": "interrupted",
    "failed": "failed",
    "no-such-start": "no such start",
    "inferred": "not computed: regime taken from the cells around",
}

#: Definition 3.1. The position is the integer code (int8 variable ``phase``).
PHASES: Final[dict[str, str]] = {
    "transient": "transient",
    "ps": "progressive sharpening",
    "eos": "edge of stability",
    "final": "monotone convergence",
}

#: One per run, for maps and verdicts. The position is the integer code.
REGIMES: Final[dict[str, str]] = {
    "stable": "stable",
    "edge": "edge of stability",
    "edge-unsettled": "edge of stability, not settled",
    "catapult": "catapult",
    "diverged": "diverges",
    "no-threshold": "no threshold to compare with",
}

#: Kinds of event rows. The position is the integer code.
EVENTS: Final[dict[str, str]] = {
    "crossing-up": "crosses the threshold upwards",
    "crossing-down": "falls below the threshold",
    "peak": "peak of the sharpness",
    "dip": "dip of the sharpness",
    "period-2": "two-cycle begins",
    "beta1-underflow": "|β1| leaves the float64 range",
    "beta1-return": "|β1| returns to the float64 range",
    "floor-released": "floor on |β1| released",
    "catapult": "catapult: falls below the threshold it started above",
    "divergence": "diverges",
}


def title(word: str) -> str:
    """The title of a word of the vocabulary, for screens and figures.

    >>> title("eos")
    'edge of stability'
    """
    for table in (OUTCOMES, PHASES, REGIMES, EVENTS):
        if word in table:
            return table[word]
    raise KeyError(word)
