"""Keeping optional imports of other libraries out of a short command.

xarray imports ``dask.array`` to find out whether an array is one of its, and Numba imports ``scipy.linalg`` to
find out whether kernels could call BLAS. A single run has no Dask array and its kernels call no BLAS; together
they would cost a third of its start-up time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["UNNEEDED", "without"]

UNNEEDED = ("dask.array", "scipy.linalg.cython_blas")


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let imports of these modules fail here, as if they were not installed; those loaded already stay."""
    hidden = [name for name in modules if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
