"""Samples as nests of tensors (a tensor, a tuple or a dict of them): counted, cut, picked and joined alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from eoslab.core.errors import BadData, InvalidArgument

__all__ = ["Chunk", "chunks", "count", "cut", "equal", "join", "pick", "place"]

#: Inputs, targets and how many samples they are.
Chunk = tuple[Any, Any, int]


def place(x: Any, to: Callable[[Tensor], Tensor]) -> Any:
    """Arrays and sequences as nests of detached tensors, each of which went through ``to``."""
    if isinstance(x, Mapping):
        return {k: place(v, to) for k, v in x.items()}
    if isinstance(x, (tuple, list)):
        return tuple(place(v, to) for v in x)
    return to(torch.as_tensor(x).detach())


def chunks(data: Any, to: Callable[[Tensor], Tensor], size: int | None = None) -> list[Chunk]:
    """``data``, a pair (X, y) or a re-iterable of pairs, in chunks of at most ``size`` samples."""
    if isinstance(data, (tuple, list)) and len(data) == 2 and not _is_pair(data[0]):
        pairs: Iterable[Any] = [data]
    elif isinstance(data, Iterator):
        raise InvalidArgument(
            "data", type(data).__name__, "a pair (X, y) or a re-iterable of pairs", "an iterator is used up"
        )
    else:
        pairs = data
    found: list[Chunk] = []
    for x, y in pairs:
        x, y = place(x, to), place(y, to)
        n = count(x)
        if count(y) != n:
            raise BadData(f"data: X has {n} samples and y has {count(y)}", "both count samples first")
        found += split((x, y, n), size)
    return found


def split(chunk: Chunk, size: int | None) -> list[Chunk]:
    """One chunk as several of at most ``size`` samples, in order."""
    x, y, n = chunk
    if size is None or n <= size:
        return [chunk]
    return [(cut(x, i, i + size), cut(y, i, i + size), min(size, n - i)) for i in range(0, n, size)]


def count(x: Any) -> int:
    """Samples in a nest: the length of the first dimension."""
    t = _leaf(x)
    return int(t.shape[0]) if t.dim() else 1


def cut(x: Any, a: int, b: int) -> Any:
    """Samples a to b."""
    return _map(lambda t: t[a:b], x)


def pick(x: Any, rows: Tensor) -> Any:
    """The samples ``rows``."""
    return _map(lambda t: t[rows], x)


def join(xs: list[Any]) -> Any:
    """Several nests of one shape, one after the other."""
    return _map(lambda *ts: torch.cat(ts), *xs)


def equal(a: Any, b: Any) -> bool:
    """Whether two nests hold the same numbers."""
    if isinstance(a, dict):
        return all(equal(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return all(equal(p, q) for p, q in zip(a, b, strict=True))
    return bool(torch.equal(a, b))


def _is_pair(x: Any) -> bool:
    return isinstance(x, (tuple, list)) and len(x) == 2 and not isinstance(x[0], (int, float))


def _leaf(x: Any) -> Tensor:
    if isinstance(x, dict):
        return _leaf(next(iter(x.values())))
    if isinstance(x, tuple):
        return _leaf(x[0])
    return x  # type: ignore[no-any-return]


def _map(fn: Callable[..., Any], *xs: Any) -> Any:
    if isinstance(xs[0], dict):
        return {k: _map(fn, *(x[k] for x in xs)) for k in xs[0]}
    if isinstance(xs[0], tuple):
        return tuple(_map(fn, *parts) for parts in zip(*xs, strict=True))
    return fn(*xs)
