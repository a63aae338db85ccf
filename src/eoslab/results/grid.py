"""What a sweep runs over: axes as people type them, designs, and the cells that they make.

An axis is a name and its values. Typed, a range is ``lo:hi:n`` or ``lo:hi:n:log`` (both ends included), a list is
separated by ``|``, and a comma inside a value keeps its meaning: ``0.3,1e-3,0.1|0.5,1e-3,0.1`` is two starts.
Numbers may be fractions such as ``2/150``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eoslab.core.errors import InvalidArgument, whole

__all__ = ["DESIGNS", "Axis", "Layout", "checked", "label", "lay_out", "parse_axis", "parse_value"]

DESIGNS = ("grid", "list", "random", "sobol")


def parse_value(text: str) -> Any:
    """A number (``2/150`` is one), a tuple of numbers if there are commas, else the text itself.

    >>> parse_value("2/4"), parse_value("0.3,1e-3"), parse_value("adam")
    (0.5, (0.3, 0.001), 'adam')
    """
    text = text.strip()
    if "," in text:
        return tuple(parse_value(part) for part in text.split(","))
    over, slash, under = text.partition("/")
    try:
        return float(over) / float(under) if slash else float(text)
    except ValueError:
        return text
    except ZeroDivisionError:
        raise InvalidArgument("value", repr(text), "a fraction with a denominator other than 0") from None


@dataclass(frozen=True)
class Axis:
    """A swept parameter: its name, its values in order, and the scale on which ranges are divided."""

    name: str
    values: tuple[Any, ...]
    scale: str = "list"

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(value, float) for value in self.values)

    @property
    def coordinate(self) -> np.ndarray:
        """The values as a coordinate: numbers, or labels for starts and names."""
        if self.numeric:
            return np.array(self.values, dtype=float)
        return np.array([label(value) for value in self.values])

    def refined(self, levels: int) -> Axis:
        """The axis with 2^levels times as many steps between its ends."""
        if self.scale not in ("linear", "log") or len(self.values) < 2:
            return self
        n = (len(self.values) - 1) * 2**levels + 1
        return Axis(self.name, spaced(self.values[0], self.values[-1], n, self.scale), self.scale)


def label(value: Any) -> str:
    """A value as it would be typed.

    >>> label((0.3, 0.001))
    '0.3,0.001'
    """
    if isinstance(value, tuple):
        return ",".join(label(part) for part in value)
    return format(value, "g") if isinstance(value, float) and float(format(value, "g")) == value else str(value)


def spaced(lo: float, hi: float, n: int, scale: str) -> tuple[float, ...]:
    """n values from lo to hi, both included exactly."""
    if n == 1:
        return (lo,)
    values = np.geomspace(lo, hi, n) if scale == "log" else np.linspace(lo, hi, n)
    return tuple(values.tolist())


def parse_axis(name: str, spec: Any) -> Axis:
    """The axis that a text, a sequence, an array or a number describes.

    >>> parse_axis("lr", "1:4:4").values
    (1.0, 2.0, 3.0, 4.0)
    >>> parse_axis("init", "0.3,1e-3,0.1|0.5,1e-3,0.1").values
    ((0.3, 0.001, 0.1), (0.5, 0.001, 0.1))
    """
    if isinstance(spec, Axis):
        return Axis(name, spec.values, spec.scale)
    if isinstance(spec, str):
        if "|" not in spec and ":" in spec:
            return _range(name, spec)
        return checked(Axis(name, tuple(parse_value(part) for part in spec.split("|"))))
    if isinstance(spec, (int, float, np.number)):
        return checked(Axis(name, (float(spec),)))
    if isinstance(spec, (Sequence, np.ndarray)):
        values = [tuple(np.asarray(v, float).tolist()) if np.ndim(v) else _plain(v) for v in spec]
        return checked(Axis(name, tuple(values)))
    raise InvalidArgument(name, repr(spec), "lo:hi:n, lo:hi:n:log, a|b|c, or a sequence of values")


def _plain(value: Any) -> Any:
    return parse_value(value) if isinstance(value, str) else float(value)


def checked(axis: Axis) -> Axis:
    """The axis, if it has values, each of them once and finite."""
    if not axis.values or any(value == "" for value in axis.values):
        raise InvalidArgument(axis.name, "an empty value", "at least one value", "lists are written a|b|c")
    for value in axis.values:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, float) and not np.isfinite(part):
                raise InvalidArgument(axis.name, part, "finite numbers")
    if len(set(axis.values)) != len(axis.values):
        raise InvalidArgument(axis.name, "a value twice", "each value once", "cells are found by their values")
    return axis


def _range(name: str, spec: str) -> Axis:
    expected = "lo:hi:n or lo:hi:n:log"
    parts = spec.split(":")
    if len(parts) not in (3, 4) or (len(parts) == 4 and parts[3] not in ("log", "linear")):
        raise InvalidArgument(name, repr(spec), expected, "e.g. 1:4:200 or 1e-4:0.5:200:log")
    lo, hi, n = (parse_value(part) for part in parts[:3])
    if not all(isinstance(x, float) and np.isfinite(x) for x in (lo, hi, n)):
        raise InvalidArgument(name, repr(spec), expected, "lo, hi and n are numbers")
    scale = parts[3] if len(parts) == 4 else "linear"
    if scale == "log" and not (lo > 0 and hi > 0):
        raise InvalidArgument(name, repr(spec), "ends > 0 for a logarithmic range")
    return checked(Axis(name, spaced(lo, hi, whole(f"{name}: n", n, 1), scale), scale))


@dataclass(frozen=True)
class Layout:
    """The cells of a sweep: dimensions with their sizes, and the parameters of each cell.

    For a grid every axis is a dimension; otherwise the one dimension is ``cell`` and every axis has a value for
    each cell.
    """

    axes: tuple[Axis, ...]
    product: bool = True

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the dimensions."""
        return tuple(axis.name for axis in self.axes) if self.product else ("cell",)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dimensions."""
        return tuple(len(a.values) for a in self.axes) if self.product else (len(self.axes[0].values),)

    @property
    def cells(self) -> int:
        """The number of cells."""
        return int(np.prod(self.shape, dtype=np.int64))

    def columns(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The parameters of the cells with these flat indices (C order), an array for each axis."""
        where = np.unravel_index(flat, self.shape) if self.product else (flat,) * len(self.axes)
        return {axis.name: _array(axis)[i] for axis, i in zip(self.axes, where, strict=True)}

    def coords(self) -> dict[str, Any]:
        """Coordinates for a data set."""
        if self.product:
            return {axis.name: axis.coordinate for axis in self.axes}
        return {"cell": np.arange(self.cells), **{a.name: ("cell", a.coordinate) for a in self.axes}}

    def union(self, other: Layout) -> Layout:
        """The smallest layout that holds the cells of both, in the order of the first."""
        if self.product:
            return Layout(tuple(_union(a, b) for a, b in zip(self.axes, other.axes, strict=True)))
        rows = list(zip(*(axis.values for axis in self.axes), strict=True))
        new = [r for r in zip(*(axis.values for axis in other.axes), strict=True) if r not in set(rows)]
        columns = zip(*(rows + new), strict=True)
        return Layout(tuple(Axis(a.name, tuple(c)) for a, c in zip(self.axes, columns, strict=True)), False)

    def find(self, other: Layout) -> np.ndarray:
        """For each cell of ``other``, its flat index here; every one has to be a cell here."""
        if self.product:
            index = []
            for mine, theirs in zip(self.axes, other.axes, strict=True):
                at = {value: i for i, value in enumerate(mine.values)}
                index.append(np.array([at[value] for value in theirs.values]))
            return np.ravel_multi_index(tuple(np.meshgrid(*index, indexing="ij")), self.shape).ravel()
        at = {row: i for i, row in enumerate(zip(*(axis.values for axis in self.axes), strict=True))}
        return np.array([at[row] for row in zip(*(axis.values for axis in other.axes), strict=True)])


def _array(axis: Axis) -> np.ndarray:
    if axis.numeric:
        return np.array(axis.values, dtype=float)
    out = np.empty(len(axis.values), dtype=object)
    out[:] = axis.values
    return out


def _union(a: Axis, b: Axis) -> Axis:
    if set(b.values) <= set(a.values):
        return a
    if set(a.values) <= set(b.values):
        return b
    new = [value for value in b.values if value not in set(a.values)]
    values = a.values + tuple(new)
    return Axis(a.name, tuple(sorted(values)) if a.numeric and b.numeric else values)


def lay_out(grid: Mapping[str, Any], design: str = "grid", samples: int | None = None, seed: int = 0) -> Layout:
    """The cells of a design over axes.

    ``grid``: the product of the axes. ``list``: the i-th values of all axes are cell i. ``random`` and ``sobol``:
    ``samples`` cells within the ranges (uniform on the scale of the range; a list is drawn from); a larger
    ``samples`` with the same seed begins with the same cells.
    """
    if design not in DESIGNS:
        raise InvalidArgument("design", repr(design), f"one of {', '.join(DESIGNS)}")
    if not grid:
        raise InvalidArgument("grid", "no axis", "at least one", "e.g. {'lr': '1:4:200'}")
    parse = _listed if design == "list" else parse_axis
    axes = tuple(parse(name, spec) for name, spec in grid.items())
    if design == "grid":
        return Layout(axes)
    if design == "list":
        sizes = {len(axis.values) for axis in axes}
        if len(sizes) != 1:
            raise InvalidArgument("grid", f"lists of {sorted(sizes)} values", "lists of one length")
        return Layout(axes, False)
    n = whole("samples", samples if samples is not None else 0, 1)
    if design == "random":
        unit = np.random.default_rng(seed).random((n, len(axes)))
    else:
        from scipy.stats import qmc

        unit = qmc.Sobol(len(axes), scramble=seed != 0, rng=np.random.default_rng(seed)).random(n)
    return Layout(tuple(_drawn(axis, unit[:, i]) for i, axis in enumerate(axes)), False)


def _listed(name: str, spec: Any) -> Axis:
    """As parse_axis, but a value may come twice: cells differ in another parameter."""
    if isinstance(spec, str) and ":" not in spec:
        return Axis(name, tuple(parse_value(part) for part in spec.split("|")))
    if isinstance(spec, (Sequence, np.ndarray)) and not isinstance(spec, str):
        return Axis(name, tuple(tuple(np.asarray(v, float).tolist()) if np.ndim(v) else _plain(v) for v in spec))
    return parse_axis(name, spec)


def _drawn(axis: Axis, unit: np.ndarray) -> Axis:
    if axis.scale == "list":
        which = np.minimum((unit * len(axis.values)).astype(int), len(axis.values) - 1)
        return Axis(axis.name, tuple(axis.values[i] for i in which))
    lo, hi = axis.values[0], axis.values[-1]
    drawn = lo * (hi / lo) ** unit if axis.scale == "log" else lo + (hi - lo) * unit
    return Axis(axis.name, tuple(drawn.tolist()))
