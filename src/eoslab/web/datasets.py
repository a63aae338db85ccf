"""Real data with controls: the d-input model of a data set, its start drawn from two numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

__all__ = ["Digits"]


@dataclass(frozen=True)
class Digits:
    """Handwritten digits, even or odd: the exact risk of a linear network on 1797 images.

    The start is α and the spread of the β_i, as of ``eoslab run --data digits --init ALPHA,SD``.
    """

    name: ClassVar[str] = "digits"
    params: ClassVar[tuple[str, ...]] = ("alpha", "sd")
    default_w0: ClassVar[tuple[float, ...]] = (0.3, 0.02)
    settings: ClassVar[dict[str, float]] = {}
    #: With 61 directions the constrained trajectory takes minutes.
    overlays: ClassVar[tuple[str, ...]] = ("flow",)
    #: The model on the command line and in Python.
    words: ClassVar[tuple[str, ...]] = ("--data digits", "--target parity")
    code: ClassVar[tuple[str, str, str]] = (
        "from eoslab.results.data import load",
        'X, y, _ = load("digits", "parity")\nmodel = eoslab.models.MinimalistD.from_data(X, y)',
        "model.random_start({}, {}, 0)",
    )

    @property
    def model(self) -> Any:
        """The model in the eigenbasis of the pixels' covariance."""
        return _digits()

    def start(self, given: tuple[float, ...]) -> tuple[float, ...]:
        """(α, β_1 … β_d) for (α, spread)."""
        start: tuple[float, ...] = self.model.random_start(*given, 0)
        return start


@cache
def _digits() -> Any:
    from eoslab.models.minimalist_d import MinimalistD
    from eoslab.results.data import load

    X, y, _ = load("digits", "parity")
    return MinimalistD.from_data(X, y)
