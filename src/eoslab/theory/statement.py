"""A statement of the theory as a value, and what became of it for given numbers.

A :class:`Statement` carries its words, its standing (proved, observed, formal, definition), its assumptions with
what is known about their necessity, and a test. Evaluating it on a :class:`~eoslab.theory.context.Context` gives
a :class:`Finding`: each hypothesis with the margin by which it holds or fails, what is predicted, what was
measured, and whether the two agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from eoslab.theory.context import Context

__all__ = [
    "Assumption",
    "Evidence",
    "Finding",
    "Hypothesis",
    "Quantity",
    "Statement",
    "Status",
    "at_least",
    "at_most",
]

Status: TypeAlias = Literal["proved", "observed", "formal", "definition"]
#: A number, an interval (lo, hi), or None where it cannot be had.
Quantity: TypeAlias = float | tuple[float, float] | None


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis on given numbers. ``margin`` ≥ 0 where it holds; its size says by how much."""

    name: str
    holds: bool
    margin: float | None = None


def at_least(name: str, value: float, bound: float, *, strict: bool = False) -> Hypothesis:
    """The hypothesis value ≥ bound (> if strict), with margin value − bound."""
    margin = float(value) - float(bound)
    return Hypothesis(name, bool(margin > 0 if strict else margin >= 0), margin)


def at_most(name: str, value: float, bound: float, *, strict: bool = False) -> Hypothesis:
    """The hypothesis value ≤ bound (< if strict), with margin bound − value."""
    return at_least(name, -float(value), -float(bound), strict=strict)


@dataclass(frozen=True)
class Assumption:
    """A hypothesis in words. ``needed`` says what is known about dropping it: a witness, or 'unknown'."""

    name: str
    text: str
    needed: str = "unknown"


@dataclass(frozen=True)
class Evidence:
    """What a statement's test returns; :meth:`Statement.evaluate` turns it into a Finding."""

    hypotheses: tuple[Hypothesis, ...] = ()
    predicted: Mapping[str, Quantity] = field(default_factory=dict)
    measured: Mapping[str, Quantity] = field(default_factory=dict)
    consistent: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Statement:
    """A definition, theorem or observed law.

    ``dynamics`` is the kind of trajectory that it speaks about: 'gd' (plain gradient descent), 'floor' or 'cap'
    (the two projections), or 'any' (it is about points).
    """

    id: str
    title: str
    status: Status
    reference: str
    text: str
    test: Callable[[Context], Evidence] = field(repr=False)
    hypotheses: tuple[Assumption, ...] = ()
    dynamics: Literal["gd", "floor", "cap", "any"] = "gd"

    def evaluate(self, context: Context) -> Finding:
        """The finding for these parameters, this start and (if there is one) this trajectory."""
        kind = context.dynamics
        if self.dynamics not in ("any", kind):
            wanted = {"gd": "plain gradient descent", "floor": "floor on |β1|", "cap": "cap on α"}[self.dynamics]
            return Finding(
                self, self.status, (Hypothesis(wanted, False),), False, note=f"the run is of kind {kind}"
            )
        e = self.test(context)
        applies = all(h.holds for h in e.hypotheses)
        return Finding(
            self,
            self.status,
            e.hypotheses,
            applies,
            e.predicted,
            e.measured,
            e.consistent if applies else None,
            e.note,
        )


@dataclass(frozen=True)
class Finding:
    """What a statement says about one case, and whether it is so.

    ``applies`` is False where a hypothesis fails. ``consistent`` is None where the statement does not apply or
    there is nothing to compare it with. False on a proved statement is a contradiction: a bug of ours until
    the opposite is shown; ``predicted``, ``measured`` and ``note`` are enough to reproduce it. (False on an
    observed law says that the law failed here.)
    """

    statement: Statement
    status: Status
    hypotheses: tuple[Hypothesis, ...]
    applies: bool
    predicted: Mapping[str, Quantity] = field(default_factory=dict)
    measured: Mapping[str, Quantity] = field(default_factory=dict)
    consistent: bool | None = None
    note: str = ""

    @property
    def contradiction(self) -> bool:
        """A proved statement whose hypotheses hold and whose conclusion does not."""
        return self.status in ("proved", "definition") and self.consistent is False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON: numbers, [lo, hi] pairs, null for what is missing or not finite."""
        return {
            "statement": self.statement.id,
            "title": self.statement.title,
            "status": self.status,
            "hypotheses": [
                {"name": h.name, "holds": h.holds, "margin": _plain(h.margin)} for h in self.hypotheses
            ],
            "applies": self.applies,
            "predicted": {name: _plain(x) for name, x in self.predicted.items()},
            "measured": {name: _plain(x) for name, x in self.measured.items()},
            "consistent": self.consistent,
            "note": self.note,
        }


def _plain(x: Quantity) -> Any:
    if x is None:
        return None
    if isinstance(x, tuple):
        return [_plain(y) for y in x]
    return float(x) if math.isfinite(x) else None
