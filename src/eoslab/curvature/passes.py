"""The passes over the rows of a basis that BLAS has no name for, compiled at their first use.

Packed rows are sixteen-bit integers with one scale for each STRIP columns of a row: half the memory, and half the
time where memory is what a pass waits for. Sums over a strip are taken in the rows' own precision, those over
strips in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eoslab.curvature.compiled import compiled

__all__ = [
    "STRIP",
    "combine",
    "load",
    "project",
    "reduce",
    "store",
    "subtract_and_project",
    "subtract_and_project_packed",
]

#: Columns at a time: some twenty rows of them stay in a second-level cache for their second reading.
STRIP = 1024
#: The largest integer of a packed row.
TOP = 32767
#: A strip whose largest number is smaller is nought: its scale would be beyond what single precision holds.
TINY = 1e-30


def _subtract_and_project(S: Any, y: Any, c: Any, row: Any, a: Any) -> Any:
    """(S, y, c, row, a) ↦ |row|²: row = y − cS and a += S row, in one reading of the rows S instead of two.

    S (m, n), y (n,), row (n,) and c (m,) are of one dtype, a (m,) is float64.
    """
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


# -- packed rows: S (rows, n) int16, A (rows, strips) float32, the row's numbers being A·S ------------------------


def _encode(r: Any, width: int, q: Any) -> Any:
    """Round the first numbers of r (STRIP,) float32 to integers q times the scale that is returned."""
    bits, top = r.view(np.int32), np.int32(0)
    for k in range(width):
        top = max(top, bits[k] & np.int32(0x7FFFFFFF))  # non-negative floats are ordered as their bits are
    largest = np.empty(1, np.int32)
    largest[0] = top
    size = largest.view(np.float32)[0]
    if size < np.float32(TINY):
        for k in range(width):
            q[k] = 0
        return np.float32(0)
    finer = np.float32(TOP) / size
    for k in range(width):
        q[k] = np.int16(np.int32(np.floor(r[k] * finer + np.float32(0.5))))
    return np.float32(1) / finer


def _add(S: Any, A: Any, c: Any, m: int, b: int, i: int, e: int, r: Any) -> None:
    """r += Σ_j c_j s_j in strip b, columns i to e; four rows at a time, so that memory is asked for ahead."""
    j = 0
    while j + 4 <= m:
        f0, f1 = np.float32(c[j]) * A[j, b], np.float32(c[j + 1]) * A[j + 1, b]
        f2, f3 = np.float32(c[j + 2]) * A[j + 2, b], np.float32(c[j + 3]) * A[j + 3, b]
        q0, q1, q2, q3 = S[j, i:e], S[j + 1, i:e], S[j + 2, i:e], S[j + 3, i:e]
        for k in range(e - i):
            r[k] += (f0 * np.float32(q0[k]) + f1 * np.float32(q1[k])) + (
                f2 * np.float32(q2[k]) + f3 * np.float32(q3[k])
            )
        j += 4
    while j < m:
        f, q = np.float32(c[j]) * A[j, b], S[j, i:e]
        for k in range(e - i):
            r[k] += f * np.float32(q[k])
        j += 1


def _dot(S: Any, A: Any, m: int, b: int, i: int, e: int, r: Any, a: Any) -> None:
    """a_j += s_j·r in strip b, columns i to e."""
    j = 0
    while j + 4 <= m:
        q0, q1, q2, q3 = S[j, i:e], S[j + 1, i:e], S[j + 2, i:e], S[j + 3, i:e]
        t0, t1, t2, t3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for k in range(e - i):
            t0 += r[k] * np.float32(q0[k])
            t1 += r[k] * np.float32(q1[k])
            t2 += r[k] * np.float32(q2[k])
            t3 += r[k] * np.float32(q3[k])
        a[j] += np.float64(t0) * A[j, b]
        a[j + 1] += np.float64(t1) * A[j + 1, b]
        a[j + 2] += np.float64(t2) * A[j + 2, b]
        a[j + 3] += np.float64(t3) * A[j + 3, b]
        j += 4
    while j < m:
        q, t = S[j, i:e], np.float32(0)
        for k in range(e - i):
            t += r[k] * np.float32(q[k])
        a[j] += np.float64(t) * A[j, b]
        j += 1


def _mix(c: Any, P: Any, m: int, width: int, r: Any) -> None:
    """r += Σ_j c_j p_j for rows that are numbers."""
    j = 0
    while j + 4 <= m:
        f0, f1, f2, f3 = c[j], c[j + 1], c[j + 2], c[j + 3]
        q0, q1, q2, q3 = P[j], P[j + 1], P[j + 2], P[j + 3]
        for k in range(width):
            r[k] += (f0 * q0[k] + f1 * q1[k]) + (f2 * q2[k] + f3 * q3[k])
        j += 4
    while j < m:
        f, q = c[j], P[j]
        for k in range(width):
            r[k] += f * q[k]
        j += 1


encode = compiled(_encode)
add, dot, mix = (compiled(loop, inline="always") for loop in (_add, _dot, _mix))


def _combine(S: Any, A: Any, c: Any, out: Any) -> None:
    """out (n,) float32 = Σ_j c_j s_j."""
    n, r = S.shape[1], np.empty(STRIP, np.float32)
    for b in range(A.shape[1]):
        i, e = b * STRIP, min(n, (b + 1) * STRIP)
        for k in range(e - i):
            r[k] = np.float32(0)
        add(S, A, c, len(c), b, i, e, r)
        for k in range(e - i):
            out[i + k] = r[k]


def _project(S: Any, A: Any, y: Any, a: Any) -> None:
    """a_j += s_j·y, for y (n,) float32 and a (m,) float64."""
    n = S.shape[1]
    for b in range(A.shape[1]):
        i, e = b * STRIP, min(n, (b + 1) * STRIP)
        dot(S, A, len(a), b, i, e, y[i:e], a)


def _subtract_and_project_packed(S: Any, A: Any, y: Any, c: Any, a: Any) -> Any:
    """Row m becomes y + cS, rounded; a += S·row; returns |row|². Both are of the row as it is stored."""
    m, n, r = len(c), S.shape[1], np.empty(STRIP, np.float32)
    square: Any = 0.0
    for b in range(A.shape[1]):
        i, e = b * STRIP, min(n, (b + 1) * STRIP)
        for k in range(e - i):
            r[k] = y[i + k]
        add(S, A, c, m, b, i, e, r)
        q = S[m, i:e]
        scale = encode(r, e - i, q)
        A[m, b] = scale
        t = np.float32(0)
        for k in range(e - i):
            r[k] = scale * np.float32(q[k])
            t += r[k] * r[k]
        square += t
        dot(S, A, m, b, i, e, r, a)
    return square


def _reduce(S: Any, A: Any, wanted: Any, right: Any, left: Any, young: Any, out: Any) -> None:
    """With D = right·S: out = wanted·S, then the last of the first m rows become young·S, and then S += left·D.

    wanted (k, M), right (r, M), left (m, r) and young (m − f, m) are float32; rows from m on are left as they are.
    """
    r, M = right.shape
    m, n, f = left.shape[0], S.shape[1], left.shape[0] - young.shape[0]
    P, D = np.empty((M, STRIP), np.float32), np.empty((r, STRIP), np.float32)
    T = np.empty((m - f, STRIP), np.float32)
    for b in range(A.shape[1]):
        i, e = b * STRIP, min(n, (b + 1) * STRIP)
        width = e - i
        for j in range(M):
            scale, q, p = A[j, b], S[j, i:e], P[j]
            for k in range(width):
                p[k] = scale * np.float32(q[k])
        for j in range(len(wanted)):
            row = out[j, i:e]
            for k in range(width):
                row[k] = np.float32(0)
            mix(wanted[j], P, M, width, row)
        for j in range(r):
            for k in range(width):
                D[j, k] = np.float32(0)
            mix(right[j], P, M, width, D[j])
        for j in range(m - f):
            for k in range(width):
                T[j, k] = np.float32(0)
            mix(young[j], P, m, width, T[j])
        for j in range(m - f):
            for k in range(width):
                P[f + j, k] = T[j, k]
        for j in range(m):
            mix(left[j], D, r, width, P[j])
            A[j, b] = encode(P[j], width, S[j, i:e])


def _load(S: Any, A: Any, b: int, part: Any) -> None:
    """Columns from strip b on of the first rows, as numbers, into part (m, width) float32."""
    m, width = part.shape
    for i in range(0, width, STRIP):
        e, at = min(width, i + STRIP), b * STRIP + i
        for j in range(m):
            scale, q, out = A[j, b + i // STRIP], S[j, at : at + e - i], part[j, i:e]
            for k in range(e - i):
                out[k] = scale * np.float32(q[k])


def _store(S: Any, A: Any, b: int, first: int, part: Any) -> None:
    """The reverse, to rows from ``first`` on."""
    m, width = part.shape
    r = np.empty(STRIP, np.float32)
    for i in range(0, width, STRIP):
        e, at = min(width, i + STRIP), b * STRIP + i
        for j in range(m):
            for k in range(e - i):
                r[k] = part[j, i + k]
            A[first + j, b + i // STRIP] = encode(r, e - i, S[first + j, at : at + e - i])


subtract_and_project = compiled(_subtract_and_project)
combine, project, load, store = compiled(_combine), compiled(_project), compiled(_load), compiled(_store)
reduce = compiled(_reduce)
subtract_and_project_packed = compiled(_subtract_and_project_packed)
