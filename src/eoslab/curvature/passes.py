"""The one loop of the tracker that BLAS has no name for, compiled at its first use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

__all__ = ["subtract_and_project"]

#: Columns at a time: some twenty rows of them stay in a second-level cache for their second reading.
STRIP = 1024


@cache
def subtract_and_project() -> Callable[..., float]:
    """(S, y, c, row, a) ↦ |row|²: row = y − cS and a += S row, in one reading of the rows S instead of two.

    S (m, n), y (n,), row (n,) and c (m,) are of one dtype, a (m,) is float64.
    """
    from numba import njit  # half a second that only a tracked run needs

    def loop(S: Any, y: Any, c: Any, row: Any, a: Any) -> float:
        m, n = S.shape
        r = np.empty(STRIP, S.dtype)
        square = 0.0
        for i in range(0, n, STRIP):
            e = min(n, i + STRIP)
            width = e - i
            for k in range(width):
                r[k] = y[i + k]
            for j in range(m):
                cj, q = c[j], S[j, i:e]
                for k in range(width):
                    r[k] -= cj * q[k]
            t = S.dtype.type(0)
            for k in range(width):
                row[i + k] = r[k]
                t += r[k] * r[k]
            square += t
            for j in range(m):
                t, q = S.dtype.type(0), S[j, i:e]
                for k in range(width):
                    t += q[k] * r[k]
                a[j] += t
        return square

    # Sums may be reordered, so that they use vector registers; what is not finite is sorted out before.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        compiled: Callable[..., float] = njit(cache=True, **options)(loop)
    except RuntimeError:  # no place to keep the machine code: compile for this process only
        compiled = njit(**options)(loop)
    return compiled
