"""Small dense problems of a step, some twenty numbers squared, for which a general routine's call costs more than
its arithmetic; compiled at their first use."""

from __future__ import annotations

from typing import Any

import numpy as np

from eoslab.curvature.compiled import compiled

__all__ = ["corrected", "errors", "raised", "span"]

#: A vector that lies in the span of those before it but for this share of its length adds nothing to it.
SAME = 1e-4
#: Sweeps of the eigenvalue iteration of a tridiagonal matrix; two or three are usual.
SWEEPS = 60


def _project(F: Any, C: Any, p: int) -> Any:
    """F ← (I − CCᵀ) F (I − CCᵀ) for a symmetric F (M, M) and the first p columns of C, which are orthonormal."""
    M = len(F)
    image, T = np.zeros((p, M)), np.zeros((p, p))
    for c in range(p):
        for i in range(M):
            s = 0.0
            for j in range(M):
                s += F[i, j] * C[j, c]
            image[c, i] = s
        for d in range(p):
            for i in range(M):
                T[c, d] += image[c, i] * C[i, d]
    for c in range(p):
        for d in range(p):
            for i in range(M):
                image[c, i] -= 0.5 * T[c, d] * C[i, d]
    for c in range(p):
        for i in range(M):
            for j in range(M):
                F[i, j] -= image[c, i] * C[j, c] + C[i, c] * image[c, j]


project = compiled(_project)


def _corrected(A: Any, C: Any, Y: Any, T: Any, M: int) -> Any:
    """A outside of the first columns of C, and YCᵀ + CYᵀ − CTCᵀ with it: the symmetric matrix nearest to A that
    takes C to Y, where T (p, p) = CᵀY is symmetric."""
    p = len(T)
    F = A[:M, :M].copy()
    project(F, C, p)
    half = Y[:M, :p].copy()
    for c in range(p):
        for d in range(p):
            for i in range(M):
                half[i, c] -= 0.5 * C[i, d] * T[d, c]
    for i in range(M):
        for c in range(p):
            for j in range(M):
                F[i, j] += half[i, c] * C[j, c] + C[i, c] * half[j, c]
    return F


def _raised(K: Any, r: Any, t: Any, least: Any, omit: Any) -> Any:
    """rᵀ(t − K)⁻¹r for a symmetric K (m, m), gaps t − λ below ``least`` put to that or, with ``omit``, left out.

    As a quadrature (Golub and Welsch 1969): reflections make [[0, rᵀ], [r, K]] tridiagonal; its lower part has the
    eigenvalues of K; rotations that make it diagonal carry |r| e_1 to the components of r on the eigenvectors.
    NaN where that does not converge.
    """
    n = len(K) + 1
    B = np.zeros((n, n))
    for i in range(n - 1):
        B[0, i + 1] = B[i + 1, 0] = r[i]
        for j in range(n - 1):
            B[i + 1, j + 1] = K[i, j]
    v, w, e = np.empty(n), np.empty(n), np.zeros(n)
    for k in range(n - 2):
        size = 0.0
        for i in range(k + 1, n):
            v[i] = B[k, i]
            size += v[i] * v[i]
        size = np.sqrt(size)
        if size == 0.0:
            continue
        if v[k + 1] > 0.0:
            size = -size
        e[k] = size
        v[k + 1] -= size
        scale = -1.0 / (size * v[k + 1])  # 2 / |v|²
        dot = 0.0
        for i in range(k + 1, n):
            s = 0.0
            for j in range(k + 1, n):
                s += B[i, j] * v[j]
            w[i] = scale * s
            dot += w[i] * v[i]
        for i in range(k + 1, n):
            w[i] -= 0.5 * scale * dot * v[i]
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                B[i, j] -= v[i] * w[j] + w[i] * v[j]
    e[n - 2] = B[n - 2, n - 1]
    m = n - 1
    d, z = np.empty(m), np.zeros(m)
    z[0] = e[0]
    for i in range(m):
        d[i] = B[i + 1, i + 1]
        e[i] = e[i + 1]
    for i in range(m):
        for _ in range(SWEEPS):
            j = i
            while j < m - 1:
                near = abs(d[j]) + abs(d[j + 1])
                if near + abs(e[j]) == near:
                    break
                j += 1
            if j == i:
                break
            g = (d[i + 1] - d[i]) / (2.0 * e[i])
            s = np.sqrt(g * g + 1.0)
            g = d[j] - d[i] + e[i] / (g + (s if g >= 0.0 else -s))
            sine, cosine, shift = 1.0, 1.0, 0.0
            done = True
            for k in range(j - 1, i - 1, -1):
                f, b = sine * e[k], cosine * e[k]
                size = np.sqrt(f * f + g * g)
                e[k + 1] = size
                if size == 0.0:
                    d[k + 1] -= shift
                    e[j] = 0.0
                    done = False
                    break
                sine, cosine = f / size, g / size
                g = d[k + 1] - shift
                size = (d[k] - g) * sine + 2.0 * cosine * b
                shift = sine * size
                d[k + 1] = g + shift
                g = cosine * size - b
                f = z[k + 1]
                z[k + 1] = sine * z[k] + cosine * f
                z[k] = cosine * z[k] - sine * f
            if done:
                d[i] -= shift
                e[i] = g
                e[j] = 0.0
        else:
            return np.nan
    total = 0.0
    for i in range(m):
        gap = t - d[i]
        if gap > least:
            total += z[i] * z[i] / gap
        elif not omit:
            total += z[i] * z[i] / least
    return total


raised = compiled(_raised)


def _errors(
    A: Any,
    last: Any,
    C: Any,
    M: int,
    p: int,
    age: Any,
    new: Any,
    change: Any,
    unknown: Any,
    theta: Any,
    R: Any,
    lam: Any,
    floor: Any,
    limits: Any,
) -> Any:
    """Of each Ritz value θ (k,) with its residual as a row of R (k, M): what it may lack (:class:`.Products`).

    A, C: buffers, of which the first M rows count, and the first M and p columns. last (m, m): the last point's
    model, or one of no rows where it is A. age, new (m, m): the memory's forms. lam: the model's eigenvalues,
    ascending. limits: of the first errors; one that has none is estimated only where those before it are within
    theirs.
    """
    k, m = len(theta), len(age)
    rest, D, before = A[:M, :M].copy(), np.zeros((M, M)), np.zeros((M, M))
    for i in range(M):
        D[i, i] = unknown
    for i in range(m):
        for j in range(m):
            D[i, j] = change * age[i, j] + unknown * new[i, j]
        D[i, i] += change
    project(rest, C, p)
    project(D, C, p)
    before[: len(last), : len(last)] = last
    project(before, C, p)
    out, own = np.empty(k), len(limits)
    for i in range(k):
        length = 0.0
        for j in range(M):
            length += R[i, j] * R[i, j]
        length = np.sqrt(length)
        ready = True
        for j in range(min(i, own)):
            ready = ready and out[j] <= limits[j]
        if i >= own and not ready:
            out[i:] = length
            break
        t = theta[i]
        size = max(abs(t), 1e-300)
        known = raised(rest, R[i], t, 2 * floor * size, True)
        worst = raised(rest + size * D, R[i], t, floor * size, False)
        if len(last) > 0:
            worst = max(worst, raised(before + size * D, R[i], t, floor * size, False))
        # A mode of the model above θ that no product has confirmed: a small residual says nothing of it.
        shift = lam[len(lam) - 1 - i] - t
        hidden = shift if shift > 2 * known else 0.0
        error = worst - known
        if not error <= length:  # or not a number
            error = length
        out[i] = max(error, hidden if i < own else min(hidden, length))
    return out


def _span(V: Any, most: int) -> Any:
    """Orthonormal columns (M, ≤ most) with the span of those of V (M, h), the first ones first.

    Each column is projected twice on the complement of those before it.
    """
    M, h = V.shape
    Q, kept = np.empty((h, M)), 0
    for j in range(h):
        if kept == most:
            break
        q, whole = Q[kept], 0.0
        for i in range(M):
            q[i] = V[i, j]
            whole += q[i] * q[i]
        for _ in range(2):
            for k in range(kept):
                p, s = Q[k], 0.0
                for i in range(M):
                    s += p[i] * q[i]
                for i in range(M):
                    q[i] -= s * p[i]
        rest = 0.0
        for i in range(M):
            rest += q[i] * q[i]
        if rest > SAME * SAME * whole:
            length = np.sqrt(rest)
            for i in range(M):
                q[i] /= length
            kept += 1
    return Q[:kept].T


corrected, errors, span = compiled(_corrected), compiled(_errors), compiled(_span)
