"""Settings that show one thing each. A preset is a link; its name promises a verdict, which a test asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["PRESETS", "Preset", "listed"]


@dataclass(frozen=True)
class Preset:
    """A group of the list, the title, what differs from the defaults, and the regime that the title promises."""

    group: str
    title: str
    asked: Mapping[str, Any]
    regime: str


SHOW, BOOK, DATA = "What can happen", "Textbook sets of the theory", "Real data"


def _set(
    name: str, what: str, lambda2: str, lr: str, init: list[float], steps: int, lambda1: float = 1.0
) -> Preset:
    asked: dict[str, Any] = {"lambda2": lambda2, "lr": lr, "init": init, "steps": steps}
    return Preset(BOOK, f"{name}: {what}", asked | ({"lambda1": lambda1} if lambda1 != 1 else {}), "edge")


#: By the key under which the page lists them. M and S: docs/theory/parameter-sets.md.
PRESETS: Final[dict[str, Preset]] = {
    "stable": Preset(SHOW, "Stable, below the edge", {"lr": 1.5}, "stable"),
    "edge": Preset(SHOW, "Edge of stability", {}, "edge"),
    "cycles": Preset(
        SHOW, "Several cycles", {"lr": 1.98, "lambda2": 0.001, "init": [1, 0.01, 0.1], "steps": 4000}, "edge"
    ),
    "catapult": Preset(SHOW, "Catapult", {"init": [1.1, 0.05, 0.8], "steps": 1500}, "catapult"),
    "diverges": Preset(
        SHOW, "Diverges", {"lr": 3, "lambda2": 0.001, "init": [3, 0.5, 0.1], "steps": 500}, "diverged"
    ),
    "M1": _set("M1", "α = 2 at the edge, one excursion", "0.01", "0.5", [1.95, 0.001, 0.2], 3000),
    "M2": _set("M2", "α = 2 at the edge, λ₁/λ₂ = 1000", "0.001", "0.5", [1.99, 0.001, 0.1], 6000),
    "M4": _set("M4", "α = 1 at the edge", "0.001", "2", [0.98, 0.001, 0.93], 8000),
    "M6": _set("M6", "α = 1.2 at the edge, λ₁/λ₂ = 10 000", "0.0001", "2/1.44", [1.18, 0.001, 0.75], 30000),
    "S1": _set("S1", "five growing excursions", "1/300", "3.125", [0.75, 0.001, 0.8], 2500),
    "S2": _set("S2", "nine growing excursions", "0.001", "200/49", [0.65, 0.001, 0.9], 7000),
    "S5": _set("S5", "two damped excursions", "0.001", "2", [0.95, 0.001, 0.9], 8000),
    "S7": _set("S7", "λ₁ = 10, one excursion", "0.05", "0.2", [0.95, 0.001, 0.9], 800, 10.0),
    "S8": _set("S8", "λ₁/λ₂ = 10 000, five excursions", "0.0001", "2", [0.98, 0.001, 0.9], 50000),
    "digits": Preset(
        DATA, "Digits, even or odd: a lasting two-cycle at the edge", {"model": "digits"}, "edge-unsettled"
    ),
}


def listed() -> list[dict[str, Any]]:
    """The presets for the page."""
    return [{"key": key, **asdict(preset), "asked": dict(preset.asked)} for key, preset in PRESETS.items()]
