"""Extreme eigenpairs of a symmetric operator: band Lanczos with full reorthogonalisation and thick restart.

The basis Q has p processed vectors (their products are known) and a frontier of f vectors, and by
construction H q_j lies in span Q for each processed j. With T = Q H Qᵀ the Ritz pairs (θ, z) of the processed
block have the residual ‖T[frontier, processed] z‖, so neither products nor residual vectors are stored.
A start block of b vectors gives a frontier of b; a restart keeps Ritz vectors as processed and the frontier
as it is. (Parlett, The Symmetric Eigenvalue Problem, ch. 13; Wu & Simon 2000 for the thick restart.)

Reductions are in float64 whatever the products' dtype: with float32 reductions the eigenvalue stalls at
3e-6, with float64 ones and the same products at 5e-9 (relative to ‖H‖).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument, positive, whole
from eoslab.curvature.operator import Counted, SymmetricOperator, as_operator
from eoslab.curvature.result import EigenResult

__all__ = ["top_eigenpairs"]

Vector = NDArray[Any]
Float = NDArray[np.float64]

#: Eigenvalues closer than this (relative) are common at the edge of stability, and a Ritz gap can hide one:
#: the error estimate r²/gap never uses a larger gap than this share of |θ|.
GAP = 0.01


def top_eigenpairs(
    op: Any,
    k: int = 1,
    tol: float = 1e-6,
    *,
    which: str = "LA",
    v0: Vector | None = None,
    max_products: int | None = None,
    max_basis: int | None = None,
    safety: int = 15,
    seed: int = 0,
) -> EigenResult:
    """The k algebraically largest ("LA"), smallest ("SA"), or k of both ends ("BE": k at each) eigenpairs.

    θ_i, u_i with ‖Hu_i − θ_iu_i‖ = r_i; the error of θ_i is taken as min(r_i, r_i²/gap) with
    gap = min(θ_i − θ_{i+1}, 1 % of |θ_i|). A pair counts as converged when that is ≤ ``tol``·max(|θ_i|, ‖H‖/1000):
    an eigenvalue that is nothing beside the others is asked for to their scale.

    Args:
        op: what :func:`eoslab.curvature.as_operator` accepts.
        k: number of pairs (at each end for "BE").
        tol: relative error of the eigenvalues.
        which: "LA" (default), "SA", "BE". There is deliberately no largest *magnitude*: a large negative
            eigenvalue is not a sharpness.
        v0: (n,) or (n, b) start vectors from an earlier solve; a random **safety vector** is added to them so
            that a start without a component along the wanted vector cannot lock on to another.
        max_products: budget; when it ends, unconverged pairs are returned and say so.
        max_basis: vectors kept before a thick restart; default max(2·pairs + 20, 40).
        safety: products spent at least on the safety vector's Krylov space when v0 is given; 0 trusts v0.
        seed: of the start and safety vectors.

    Returns:
        EigenResult, "LA" descending, "SA" ascending, "BE" the largest descending and then the smallest
        ascending. Multiple eigenvalues: from one start vector a Krylov space holds one copy only; pass a v0
        of several columns where exact multiplicity is expected.

    >>> r = top_eigenpairs(np.diag([3.0, 1.0, -5.0]), k=1)
    >>> round(float(r.values[0]), 9), bool(r.converged[0])
    (3.0, True)
    """
    source: SymmetricOperator = as_operator(op)
    n = source.n
    if which not in ("LA", "SA", "BE"):
        raise InvalidArgument(
            "which", repr(which), "'LA', 'SA' or 'BE'", "largest magnitude ('LM') mistakes −λmin for a sharpness"
        )
    k = whole("k", k, 1)
    wanted = 2 * k if which == "BE" else k
    if wanted > n:
        raise InvalidArgument("k", k, f"at most {n if which != 'BE' else n // 2}, the operator has n = {n}")
    tol = positive("tol", tol)
    counted = Counted(source)
    rng = np.random.default_rng(seed)
    limit = max_products if max_products is not None else max(20 * wanted + 300, 60)
    limit = whole("max_products", limit, 1)
    cap = min(n, max_basis if max_basis is not None else max(2 * wanted + 20, 40))
    cap = min(n, max(cap, wanted + 3))
    dtype = counted.dtype
    precision = float(np.finfo(dtype).eps) if np.issubdtype(dtype, np.floating) else 2.2e-16

    start = [] if v0 is None else list(np.atleast_2d(np.asarray(v0, dtype=np.float64).T))
    if any(v.shape != (n,) for v in start):
        raise InvalidArgument("v0", f"shape {start[0].shape} per column", f"({n},) or ({n}, b)")
    frontier = min(n, max(1, len(start) + 1 if start else 1))
    Q = np.zeros((min(n, cap + frontier + 1), n))
    T = np.zeros((len(Q), len(Q)))
    p, M = 0, 0
    for v in start:
        M = _append(Q, M, v)
    if frontier > M:
        M = _append(Q, M, rng.standard_normal(n))

    # Warm vectors may be exact eigenvectors of the wrong pairs: only the safety vector's own Krylov space can
    # tell, and it has to grow for that.
    least = min(n, wanted if not start else max(wanted, len(start) + whole("safety", safety)))

    theta, Z, order = np.zeros(0), np.zeros((0, 0)), np.zeros(0, dtype=int)
    resid, errors = np.zeros(0), np.zeros(0)
    scale = 0.0
    diverged = False
    while True:
        if p >= wanted or (p == M):
            theta, Z = np.linalg.eigh((T[:p, :p] + T[:p, :p].T) / 2)
            order = _order(theta, which, k)
            coupling = T[p:M, :p] @ Z
            full = np.sqrt((coupling**2).sum(0))
            scale = max(scale, float(np.abs(theta).max(initial=0.0)))
            resid = full[order]
            errors = _errors(theta, order, resid, tol)
            done = errors <= _allowed(theta[order], tol, scale, precision)
            if (len(order) == wanted and done.all() and p >= least) or p == n:
                break
        if counted.count >= limit:
            break
        if p == M:  # an invariant subspace: continue outside it
            M = _append(Q, M, rng.standard_normal(n))
            if p == M:
                break
        if len(Q) <= M and p >= wanted + 2:
            p, M = _restart(Q, T, theta, Z, p, M, which, wanted)
        q = Q[p]
        y = counted.matvec(q.astype(dtype)).astype(np.float64)
        if not np.isfinite(y).all():
            diverged = True
            break
        h = Q[:M] @ y
        y -= h @ Q[:M]
        again = Q[:M] @ y
        y -= again @ Q[:M]
        h += again
        beta = float(np.linalg.norm(y))
        norm = math.sqrt(float(h @ h) + beta * beta)
        T[:M, p] = h
        T[p, :M] = h
        if beta > 1e2 * precision * max(norm, precision) and len(Q) > M:
            Q[M] = y / beta
            T[M, p] = T[p, M] = beta
            M += 1
        p += 1

    values = theta[order]
    vectors = Z[:, order].T @ Q[:p] if len(order) else np.zeros((0, n))
    missing = wanted - len(values)
    if missing:
        values = np.append(values, np.full(missing, np.nan))
        resid = np.append(resid, np.full(missing, np.nan))
        errors = np.append(errors, np.full(missing, np.nan))
        vectors = np.vstack([vectors, np.full((missing, n), np.nan)])
    with np.errstate(invalid="ignore"):
        allowed = _allowed(values, tol, scale, precision)
        converged = errors <= allowed
        # Mixing neighbours closer than tol is within tol: a bound narrower than that would be a pretence.
        errors = np.minimum(resid, np.maximum(errors, allowed))
    if diverged:
        converged[:] = False
    slack = 10 * precision * scale
    low = np.ones(wanted, dtype=bool)
    if which == "SA":
        low[:] = False
    elif which == "BE":
        low[k:] = False
    bounds = np.column_stack(
        [
            np.where(low, values - slack, values - errors - slack),
            np.where(low, values + errors + slack, values + slack),
        ]
    )
    return EigenResult(
        values=values,
        vectors=vectors.T,
        residuals=resid,
        bounds=bounds,
        converged=converged,
        matvecs=counted.count,
        dtype=str(dtype),
        tol=tol,
        method=f"band Lanczos {which}, basis ≤ {cap}",
        notes=("a product was not finite",) if diverged else (),
    )


def _allowed(values: Float, tol: float, scale: float, precision: float) -> Float:
    """The error that counts as converged: tol, relative, and never below what the products can resolve."""
    out: Float = np.maximum(tol * np.maximum(np.abs(values), 1e-3 * scale), 4 * precision * scale)
    return out


def _append(Q: Float, M: int, v: Vector) -> int:
    """Orthonormalise v against the first M rows of Q and append it; dependent vectors are dropped."""
    v = np.array(v, dtype=np.float64)
    before = float(np.linalg.norm(v))
    if not before > 0.0 or not math.isfinite(before):
        return M
    v /= before
    for _ in range(2):
        v -= (Q[:M] @ v) @ Q[:M]
    after = float(np.linalg.norm(v))
    if after < 1e-10:
        return M
    Q[M] = v / after
    return M + 1


def _order(theta: Float, which: str, k: int) -> NDArray[np.int_]:
    ascending = np.argsort(theta)
    if which == "LA":
        return ascending[::-1][:k]
    if which == "SA":
        return ascending[:k]
    top = ascending[::-1][:k]
    return np.concatenate([top, ascending[: min(k, len(theta) - len(top))]])


def _errors(theta: Float, order: NDArray[np.int_], resid: Float, tol: float) -> Float:
    """min(r, r²/gap) for each wanted pair, the gap being that to the nearest other Ritz value, ≤ 1 % of |θ|.

    Neighbours within tol·|θ| are taken as the same eigenvalue: mixing them moves the value by less than tol.
    """
    out = np.empty(len(order))
    for i, j in enumerate(order):
        others = np.abs(np.delete(theta, j) - theta[j])
        others = others[others > tol * abs(theta[j])]
        gap = min(float(others.min(initial=math.inf)), GAP * abs(theta[j]))
        out[i] = min(resid[i], resid[i] ** 2 / gap) if gap > 0 else resid[i]
    return out


def _restart(
    Q: Float, T: Float, theta: Float, Z: Float, p: int, M: int, which: str, wanted: int
) -> tuple[int, int]:
    """Keep the wanted Ritz vectors, half of the others that are nearest to them, and the frontier."""
    keep = min(p - 1, wanted + max(4, (p - wanted) // 2))
    if which == "LA":
        chosen = np.argsort(-theta)[:keep]
    elif which == "SA":
        chosen = np.argsort(theta)[:keep]
    else:
        half = keep // 2
        ascending = np.argsort(theta)
        chosen = np.concatenate([ascending[::-1][: keep - half], ascending[:half]])
    f = M - p
    kept, front = Z[:, chosen].T @ Q[:p], Q[p:M].copy()
    coupling = T[p:M, :p] @ Z[:, chosen]
    T[:] = 0.0
    T[np.arange(keep), np.arange(keep)] = theta[chosen]
    T[keep : keep + f, :keep] = coupling
    T[:keep, keep : keep + f] = coupling.T
    Q[:keep], Q[keep : keep + f] = kept, front
    return keep, keep + f
