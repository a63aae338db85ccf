"""Errors that teach: what came, what was expected, what to do.

Misuse raises one of these; numerical failure (divergence, underflow, an unconverged eigenvalue) does not
raise, it is recorded as data. Each class has a code that ``eoslab explain CODE`` describes, and the exit code
with which the command line ends.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any, ClassVar

__all__ = [
    "BadData",
    "DamagedRun",
    "EoslabError",
    "InvalidArgument",
    "MissingPackage",
    "RunNotFound",
    "StoreError",
    "UnknownName",
    "finite",
    "nonzero",
    "positive",
    "suggest",
    "whole",
]


class EoslabError(Exception):
    """Base of the package's errors: a sentence, and what to do about it."""

    code: ClassVar[str] = "E100"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return f"{self.message}. {self.help}" if self.help else self.message


class InvalidArgument(EoslabError, ValueError):
    """An argument has a value that has no meaning here."""

    code = "E101"
    exit_code = 2

    def __init__(self, name: str, got: Any, expected: str, help: str = "") -> None:
        super().__init__(f"{name}: got {got!s}, expected {expected}", help)
        self.name, self.got, self.expected = name, got, expected


class UnknownName(EoslabError, ValueError):
    """A name that the catalog does not hold."""

    code = "E102"
    exit_code = 2

    def __init__(self, kind: str, name: str, known: Iterable[str], argument: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        self.argument = argument or kind
        near = suggest(name, self.known)
        super().__init__(
            f"unknown {kind} {name!r}; known: {', '.join(self.known)}",
            f"did you mean {near!r}?" if near else "",
        )


class BadData(EoslabError, ValueError):
    """A data file or array cannot be used as it is."""

    code = "E103"
    exit_code = 2


class MissingPackage(EoslabError, ImportError):
    """Something needs a package that is not installed."""

    code = "E106"
    exit_code = 1


class RunNotFound(EoslabError, LookupError):
    """No stored run has this id, prefix or path."""

    code = "E201"
    exit_code = 4


class DamagedRun(EoslabError):
    """A directory is no run of ours, or a damaged one."""

    code = "E202"
    exit_code = 4


class StoreError(EoslabError):
    """A run could not be written or read (disk full, no permission, another writer)."""

    code = "E203"
    exit_code = 1


def suggest(name: str, known: Iterable[str]) -> str:
    """The nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return near[0] if near else ""


def finite(name: str, value: Any) -> float:
    """``value`` as a float; raises InvalidArgument unless it is a finite number."""
    try:
        x = float(value)
    except (TypeError, ValueError):
        raise InvalidArgument(name, repr(value), "a number") from None
    if not math.isfinite(x):
        raise InvalidArgument(name, value, "a finite number")
    return x


def positive(name: str, value: Any) -> float:
    """``value`` as a float; raises InvalidArgument unless it is finite and > 0."""
    x = finite(name, value)
    if x <= 0:
        raise InvalidArgument(name, value, "a number > 0")
    return x


def nonzero(name: str, value: Any) -> float:
    """``value`` as a float; raises InvalidArgument unless it is finite and not 0."""
    x = finite(name, value)
    if x == 0:
        raise InvalidArgument(name, value, "a number other than 0")
    return x


def whole(name: str, value: Any, least: int = 0) -> int:
    """``value`` as an int; raises InvalidArgument unless it is a whole number ≥ least."""
    x = finite(name, value)
    if x != int(x) or x < least:
        raise InvalidArgument(name, value, f"a whole number ≥ {least}")
    return int(x)
