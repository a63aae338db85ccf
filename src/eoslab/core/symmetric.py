"""Largest eigenvalue of a small symmetric matrix that is no arrowhead: 2×2 in closed form, n×n by Jacobi.

Both are formulas in the sense of the model files: the kernel compiler follows an import of this module. The
2×2 form runs on every number type; the rotations of Jacobi decide by size and are for floats (and compiled code).
Both are backward stable: the error is a few units in the last place of ‖H‖, not of a possibly tiny λmax.
"""

from __future__ import annotations

import numpy as np

from eoslab.core.numbers import Num, Vec, sqrt

#: Sweeps of cyclic Jacobi. It converges quadratically; six sweeps suffice for 10×10, the rest is margin.
SWEEPS = 30


def symmetric2_top(a: Num, b: Num, c: Num) -> Num:
    """Largest eigenvalue of [[a, b], [b, c]], (a + c)/2 + √((a − c)²/4 + b²).

    >>> symmetric2_top(2.0, 3.0, 2.0)
    5.0
    """
    return (a + c) / 2 + sqrt(((a - c) / 2) ** 2 + b**2)


def symmetric2_below(a: Num, b: Num, c: Num, tau: Num) -> bool:
    """Whether both eigenvalues of [[a, b], [b, c]] are < tau: tau·I − H positive definite, by its minors."""
    return bool(tau - a > 0 and (tau - a) * (tau - c) > b**2)


def symmetric_top(rows: tuple[Vec, ...], d: Vec) -> float:
    """Largest eigenvalue of D·H·D, D = diag(d), H given by its rows: cyclic Jacobi (Golub, Van Loan §8.5).

    A rotation is skipped when the entry is below the rounding error of the two diagonal entries it couples.

    >>> round(symmetric_top(((2.0, 3.0), (3.0, 2.0)), (1.0, 1.0)), 12)
    5.0
    """
    n = len(rows)
    a = np.empty((n, n))
    total = 0.0
    for i in range(n):
        for j in range(n):
            a[i, j] = rows[i][j] * d[i] * d[j]
            total += a[i, j] * a[i, j]
    if not total < np.inf:  # infinite or NaN entries: the answer is NaN, not a plausible number
        return np.nan
    # entries below this cannot move an eigenvalue by a unit in the last place of the norm
    small = 1e-17 * sqrt(total)
    for _ in range(SWEEPS):
        rotated = False
        for i in range(n - 1):
            for j in range(i + 1, n):
                if abs(a[i, j]) <= small:
                    continue
                rotated = True
                theta = (a[j, j] - a[i, i]) / (2.0 * a[i, j])
                t = 1.0 / (abs(theta) + sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / sqrt(t * t + 1.0)
                s = t * c
                for k in range(n):
                    x, y = a[k, i], a[k, j]
                    a[k, i], a[k, j] = c * x - s * y, s * x + c * y
                for k in range(n):
                    x, y = a[i, k], a[j, k]
                    a[i, k], a[j, k] = c * x - s * y, s * x + c * y
        if not rotated:
            break
    top = a[0, 0]
    for i in range(1, n):
        if a[i, i] > top:
            top = a[i, i]
    return float(top)
