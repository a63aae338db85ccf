"""The top eigenpairs along a trajectory w_0, w_1, …: two to four products a step instead of twenty or more.

Between neighbouring points the Hessian changes little, and at the edge of stability much of that change swings
to and fro: H(t) is closer to H(t−2) than to H(t−1). The tracker carries a **spectral model** from step to step:
m orthonormal vectors Q, and in their coordinates the matrices G ≈ Q H Qᵀ of the last four points. Q spans the
Ritz vectors of these points, the wanted ones and the first below them, and the model's next Ritz vectors. (Four
points are two of each state of a swing of period two, so each state can move on along its own line: on a run of
digits the first two vectors of four points span the next first one up to 3e-7 of its square, the median; of
three points up to 4e-5.) At a new point the tracker

1. multiplies the top vector of the prediction G(t−1) + a (G(t−1) − G(t−2)) + b (G(t−2) − G(t−3)) + …, with the
   coefficients that fit the products of the last points best: y = Hv, exact;
2. corrects G(t−1) by the symmetric least-change update so that it reproduces every product taken at this
   point (B V = H V exactly, B = old model on the complement of V: Greenstadt 1970, Powell's symmetric
   Broyden formula), the part of y outside Q becoming a new basis vector;
3. takes Ritz pairs (θ, u) on the exact products alone, with their residuals r, and stops when the estimated
   error is below ``tol``; otherwise the corrected model's top vector, made orthogonal to V, is next.

With an empty memory this is Lanczos. With one, the correction (B − θ)⁻¹r of step 3 already knows the
neighbouring eigenvalues from earlier steps, and these near-degenerate neighbours (1–4 % apart at the edge of
stability) are what makes plain Krylov steps slow. All of it but a few passes over Q per product happens in
coordinates of about ten numbers. The prediction is used for the starting vector alone: a difference of two
models is news of an old value as much as it is motion, and extrapolating it would move remembered rivals.

Error estimate: with ρ_j the components of the residual on the model's other modes μ_j and ρ the rest of it,

    error ≈ Σ_j ρ_j² / min(max(θ − μ_j, φθ), γθ) + ρ² / γ'θ,  φ = 1 %, γ = 5 %, γ' = 10 %.

γ and γ' are far below most of the gaps, because a mode's remembered value may be old and what lies outside Q may
be close. The reported value is θ plus the model's own second-order correction, λ(B) − θ, cut to what the error
estimate allows. It is an estimate: what a residual proves is that some eigenvalue lies within r of θ, and what
a Ritz value proves is θ_1 ≤ λ_1. Each result carries both.

Limit: an eigenvector that is not coupled to the wanted ones and overtakes them shows neither in a residual nor in
the estimate, so for a few steps a value can be too low and the truth above its upper bound. ``refresh`` looks for
such rivals and makes this rare; it does not exclude it (docs/curvature-benchmark.md has the cases seen).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument, positive, whole
from eoslab.curvature.operator import Counted, as_operator
from eoslab.curvature.result import EigenResult

__all__ = ["Tracker", "TrackerSettings"]

Vector = NDArray[Any]
Float = NDArray[np.float64]

#: φ: gaps below this share of θ are not trusted to be smaller; mixing such neighbours moves θ by less than φ.
GAP_FLOOR = 0.01
#: γ: no gap is believed to be larger than this share of θ.
GAP_CEILING = 0.05
#: γ': the gap believed of what lies outside of the memory.
GAP_OUTSIDE = 0.1
#: The estimate is asked to be below this share of tol, for what the model does not know.
SAFETY = 0.7
#: A rival is solved to this share of its distance from the wanted ones, and never more accurately than RIVAL·θ:
#: an unconverged Ritz value is too small, and a rival believed too low overtakes unnoticed.
RIVAL_SHARE, RIVAL = 0.2, 0.005
#: Without a memory nothing tells how close the neighbours are: such a point is solved to this share of tol.
COLD = 0.03
#: A rival may close in by at least this share of the eigenvalue per measurement.
CLOSING = 0.005
#: An eigenvalue whose mean drift is below this share of tol stands still.
STILL = 0.01
#: Columns of Q worked on at a time: ten rows of them in float32 fit a second-level cache.
BLOCK = 8192
#: Points whose first k + 1 Ritz vectors Q spans, this one included.
HISTORY = 4
#: Differences of models that predict the next one: all that four points have.
TRENDS = 3
#: Weight of the step before in the fit of the prediction, its relative ridge, and the largest coefficient.
FORGET, RIDGE, STEEPEST = 0.5, 1e-3, 1.5


@dataclass(frozen=True)
class TrackerSettings:
    """What a tracker is asked for.

    Attributes:
        k: number of largest eigenvalues.
        tol: relative error of each.
        memory: recycled vectors m (k + 15 if 0); each costs n numbers and two passes per product.
        max_products: budget per step; a step that exhausts it reports converged = False.
        max_cost: budget per step in gradient steps, if ``product_cost`` is told; the smaller budget holds.
        product_cost: price of one product in gradient steps.
        reseed: every so many measurements start from a random direction, forgetting the memory, as a guard
            against locking on to the wrong pair; 0 never.
        refresh: at the latest every so many measurements (eight times as many while the eigenvalue stands
            still) products go to a remembered mode below the wanted ones, whose eigenvalue would otherwise
            stay what it was when last seen and could overtake unnoticed; 0 never. With 8 errors above tol were
            more frequent; with 1 they are rare, not excluded.
        every: measure each this many steps, away from the threshold.
        dense: within this relative distance of the threshold measure each step.
        loosen: far from the threshold (by more than ``dense``) the tolerance is multiplied by this.
        seed: of the random directions.
    """

    k: int = 1
    tol: float = 1e-3
    memory: int = 0
    max_products: int = 40
    max_cost: float = math.inf
    product_cost: float = math.nan
    reseed: int = 200
    refresh: int = 1
    every: int = 1
    dense: float = 0.1
    loosen: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        whole("k", self.k, 1)
        positive("tol", self.tol)
        whole("memory", self.memory)
        whole("max_products", self.max_products, 1)
        whole("reseed", self.reseed)
        whole("refresh", self.refresh)
        whole("every", self.every, 1)
        if not self.max_cost > 0:
            raise InvalidArgument("max_cost", self.max_cost, "a number > 0, in gradient steps")
        if self.loosen < 1:
            raise InvalidArgument("loosen", self.loosen, "a factor ≥ 1")

    @property
    def budget(self) -> int:
        """Products allowed in one step."""
        if math.isfinite(self.max_cost) and self.product_cost > 0:
            return max(1, min(self.max_products, int(self.max_cost / self.product_cost)))
        return self.max_products


class Tracker:
    """Follows the top k eigenpairs of a slowly changing symmetric operator.

    Use one tracker per run and give it each point's operator in turn::

        tracker = Tracker(k=2, tol=1e-3)
        for ...:
            result = tracker.measure(hessian(objective, w))

    The state is explicit: :meth:`state` gives arrays from which :meth:`restore` continues bit for bit.

    >>> H = np.diag([3.0, 2.9, 1.0, 0.0])
    >>> tracker = Tracker(tol=1e-8)
    >>> cold, warm = tracker.measure(H), tracker.measure(1.001 * H)
    >>> round(float(warm.values[0]), 6), warm.matvecs
    (3.003, 1)
    """

    def __init__(self, k: int = 1, tol: float = 1e-3, **settings: Any) -> None:
        self.settings = TrackerSettings(k=k, tol=tol, **settings)
        self._m = max(self.settings.memory or k + 15, k + 1)
        self._buffer: Vector | None = None  # (rows, n); the first _rows rows are Q
        self._rows = 0
        self._models: list[Float] = []  # in coordinates of Q, the newest first, which is diagonal
        self._history: Float = np.zeros((0, 0))  # columns: wanted vectors of the last points, the newest first
        self._normal = np.zeros((TRENDS, TRENDS + 1))  # normal equations of the prediction, right side last
        self._waited = 0  # measurements since a rival was multiplied
        self._ages: Float = np.zeros(0)  # measurements since each row of Q was multiplied, a weighted mean
        self._drift = 0.0  # mean |Δθ_1| between measurements
        self._rival_drift = 0.0  # |Δμ| per measurement of a rival, seen when it was multiplied again
        self._last_value = math.nan
        self.measured = 0
        self.total_matvecs = 0
        self._last_step = -1
        self._last_ratio = math.nan

    # -- schedule -------------------------------------------------------------------------------------------

    def due(self, step: int) -> bool:
        """Whether to measure at this step: each ``every``-th, and each one close to the threshold."""
        s = self.settings
        if self._last_step < 0 or s.every == 1 or step - self._last_step >= s.every:
            return True
        return abs(self._last_ratio - 1.0) <= s.dense or self._last_ratio > 1.0

    def note(self, step: int, ratio: float) -> None:
        """Tell the schedule where the ratio to the threshold stands (adaptive cadence and tolerance)."""
        self._last_step, self._last_ratio = step, ratio

    @property
    def tol(self) -> float:
        """The tolerance of the next measurement: loosened far below the threshold if that was asked for."""
        s = self.settings
        far = self._last_ratio < 1.0 - 2 * s.dense
        return s.tol * (s.loosen if far else 1.0)

    # -- measurement ----------------------------------------------------------------------------------------

    def measure(self, op: Any, budget: int | None = None) -> EigenResult:
        """Top eigenpairs of ``op``.

        Args:
            op: what :func:`eoslab.curvature.as_operator` accepts.
            budget: products allowed now, if other than the settings'.
        """
        source = Counted(as_operator(op))
        s, n, k, tol = self.settings, source.n, self.settings.k, self.tol
        if k > n:
            raise InvalidArgument("k", k, f"at most n = {n}")
        dtype = source.dtype if tol > 1e-5 else np.dtype(np.float64)
        precision = float(np.finfo(source.dtype).eps)
        budget = s.budget if budget is None else budget
        if s.reseed and self.measured and self.measured % s.reseed == 0:
            self._forget()
        Q = self._prepare(n, dtype)
        cap = len(Q)
        M0 = self._rows
        A0 = np.zeros((cap, cap))  # the model before this point's products
        x = np.zeros(cap)
        if M0:
            A0[:M0, :M0] = self._models[0]
            x[:M0] = np.linalg.eigh(self._predict())[1][:, -1]
        M = M0
        if M == 0:
            M = self._append_random(Q, M)
            x[0] = 1.0
        M0 = M
        C, Y = np.zeros((cap, cap)), np.zeros((cap, cap))  # coordinates of the exact vectors and of their products
        p = 0
        lam, Z = np.zeros(0), np.zeros((0, 0))
        theta, S = np.zeros(0), np.zeros((0, 0))
        resid = errors = np.zeros(0)
        finite = True
        rival: tuple[int, int] | None = None
        refresh = bool(s.refresh) and self._rows > k and self._rival_due(k)
        kk = k + 1 if refresh else k  # pairs to be solved for, the first rival among them when it is due
        while True:
            v = np.asarray(x[:M].astype(dtype) @ Q[:M])
            y = source.matvec(v.astype(source.dtype, copy=False)).astype(dtype, copy=False)
            norm = math.sqrt(float(np.dot(y, y)))
            if not math.isfinite(norm):
                finite = False
                break
            h = Q[:M] @ y
            row = Q[M]
            np.subtract(y, h @ Q[:M], out=row)
            beta = math.sqrt(float(np.dot(row, row)))
            if beta < 0.1 * norm:  # cancellation has eaten digits: orthogonalise once more
                again = Q[:M] @ row
                row -= again @ Q[:M]
                h = h + again
                beta = math.sqrt(float(np.dot(row, row)))
            C[:M, p] = x[:M]
            Y[:M, p] = h
            if beta > 10 * precision * norm and beta > 0:
                row *= 1.0 / beta
                Y[M, p] = beta
                M += 1
            p += 1
            if rival is not None and rival[0] == p - 1:  # how far the remembered value was off, per measurement
                now, then = float(C[:M, p - 1] @ Y[:M, p - 1]), float(A0[rival[1], rival[1]])
                self._rival_drift = max(0.5 * self._rival_drift, abs(now - then) / (self._ages[rival[1]] + 1))
            Cp, Yp = C[:M, :p], Y[:M, :p]
            T = Cp.T @ Yp
            T = (T + T.T) / 2
            theta, S = np.linalg.eigh(T)
            top = np.arange(p)[::-1][:kk]
            R = Yp @ S[:, top] - (Cp @ S[:, top]) * theta[top]
            resid = np.sqrt((R * R).sum(0))
            # The model, corrected to reproduce the products of this point.
            P = -Cp @ Cp.T
            P[np.diag_indices(M)] += 1.0
            inner = P @ A0[:M, :M] @ P
            A = inner + Yp @ Cp.T + Cp @ Yp.T - Cp @ T @ Cp.T
            lam, Z = np.linalg.eigh((A + A.T) / 2)
            errors = self._estimate(theta[top], R, inner[:M0, :M0])
            scale = max(abs(float(theta[0])), abs(float(theta[-1])))
            enough = p >= min(kk, n)
            wanted = SAFETY * tol * (COLD if self._rows == 0 else 1.0) * np.abs(theta[top])
            if len(top) > k:
                # The rival need only be known well enough to tell that it lies below: an unconverged Ritz value
                # is too small, and a rival that has overtaken would go unnoticed.
                wanted[k] = max(
                    RIVAL_SHARE * float(theta[top[k - 1]] - theta[top[k]]), RIVAL * abs(float(theta[top[0]]))
                )
            floor = 4 * precision * scale
            open_ = errors > np.maximum(wanted, floor)
            enough = enough and not open_.any() and (M0 > 1 or p >= min(n, 3))
            if p >= budget or p >= n or cap - 1 <= M:
                break
            target = None
            if refresh and (enough or p == k):
                refresh = False
                target = self._stale(M0, Cp)
                self._waited = 0
                rival = None if target is None else (p, int(np.argmax(np.abs(target[:M0]))))
            if target is None:
                if enough:
                    break
                target = self._next(lam, Z, Cp, open_, kk)
            if target is None:  # the exact products span an invariant subspace: look outside
                grown = self._append_random(Q, M)
                if grown == M:
                    break
                target = np.zeros(grown)
                target[M] = 1.0
                M = grown
            x = np.zeros(cap)
            x[: len(target)] = target
        self.measured += 1
        self.total_matvecs += source.count
        return self._result(Q, C, Y, S, theta, resid, errors, p, M, lam, Z, source, tol, precision, finite)

    @staticmethod
    def _estimate(theta: Float, R: Float, known: Float) -> Float:
        """The error estimate of the module's docstring for each wanted pair; see there.

        ``known`` is the model on the complement of the exact vectors, seen through the remembered basis.
        """
        mu, W = np.linalg.eigh((known + known.T) / 2)
        size = np.maximum(np.abs(theta), np.finfo(np.float64).tiny)
        square = (R * R).sum(0)
        rho = (W.T @ R[: len(mu)]) ** 2
        gaps = np.clip(theta - mu[:, None], GAP_FLOOR * size, GAP_CEILING * size)
        rest = np.maximum(square - rho.sum(0), 0.0)
        estimate = (rho / gaps).sum(0) + rest / (GAP_OUTSIDE * size)
        return np.asarray(np.minimum(estimate, np.sqrt(square)))

    # -- prediction -----------------------------------------------------------------------------------------

    def _trends(self) -> list[Float]:
        """G(t−1) − G(t−2), G(t−2) − G(t−3), as far as there are that many models."""
        return [new - old for new, old in zip(self._models[:TRENDS], self._models[1:], strict=False)]

    def _predict(self) -> Float:
        """The model extrapolated to the next point, in coordinates of Q."""
        trends = self._trends()
        j = len(trends)
        N, right = self._normal[:j, :j], self._normal[:j, -1]
        size = float(np.trace(N))
        if not size > 0.0:
            return self._models[0]
        fit = np.linalg.solve(N + RIDGE * size / j * np.eye(j), right).clip(-STEEPEST, STEEPEST)
        out: Float = self._models[0].copy()
        for a, trend in zip(fit, trends, strict=True):
            out += float(a) * trend
        return out

    def _learn(self, C: Float, Y: Float) -> None:
        """Add this point's exact products Y of the vectors C to the fit of the prediction."""
        C, off = C[: self._rows], Y[: self._rows] - self._models[0] @ C[: self._rows]
        self._normal *= FORGET
        moved = [trend @ C for trend in self._trends()]
        for i, a in enumerate(moved):
            self._normal[i, -1] += float((a * off).sum())
            for j, b in enumerate(moved):
                self._normal[i, j] += float((a * b).sum())

    def _forget(self) -> None:
        """Empty the memory: the next measurement is a cold one."""
        self._rows, self._models, self._history = 0, [], np.zeros((0, 0))
        self._normal = np.zeros((TRENDS, TRENDS + 1))

    # -- rivals ---------------------------------------------------------------------------------------------

    def _rival_due(self, k: int) -> bool:
        """Whether a mode below the wanted ones may have overtaken since it was last multiplied."""
        self._waited += 1
        mu = np.diag(self._models[0])
        reach = mu + self._speed * (self._ages + 1)
        still = self._drift <= STILL * self.settings.tol * abs(self._last_value)
        patience = self.settings.refresh * (8 if still else 1)
        return self._waited >= patience or (not still and bool(reach[:-k].max() >= mu[-k]))

    @property
    def _speed(self) -> float:
        """How fast a rival may close in: both may move by the mean drift, in opposite directions.

        The floor lets every remembered mode have its turn, the sooner the closer it is.
        """
        return self._drift + max(self._drift, self._rival_drift) + CLOSING * abs(self._last_value)

    def _stale(self, M0: int, C: Float) -> Float | None:
        """The remembered mode that may have risen highest since it was last multiplied, orthogonal to C."""
        ages = self._ages + 1.0
        seen = (C[: len(ages)] ** 2).sum(1)  # share of each remembered mode that this point's products cover
        reach = np.diag(self._models[0]) + self._speed * ages
        reach[seen > 0.5] = -math.inf
        j = int(np.argmax(reach))
        if not math.isfinite(reach[j]) or j >= M0:
            return None
        x = np.zeros(len(C))
        x[j] = 1.0
        x -= C @ C[j]
        return np.asarray(x / np.linalg.norm(x))

    @staticmethod
    def _next(lam: Float, Z: Float, C: Float, open_: NDArray[np.bool_], k: int) -> Float | None:
        """The model's eigenvector of the first unfinished position, orthogonal to the vectors multiplied."""
        order = np.argsort(-lam)[: k + 1]
        wanted = [order[i] for i in range(min(k, len(order))) if i >= len(open_) or open_[i]]
        for j in [*wanted, *order]:
            x = Z[:, j] - C @ (C.T @ Z[:, j])
            size = float(np.linalg.norm(x))
            if size > 1e-7:
                x /= size
                x -= C @ (C.T @ x)
                return np.asarray(x / np.linalg.norm(x))
        return None

    def _result(
        self,
        Q: Vector,
        C: Float,
        Y: Float,
        S: Float,
        theta: Float,
        resid: Float,
        errors: Float,
        p: int,
        M: int,
        lam: Float,
        Z: Float,
        source: Counted,
        tol: float,
        precision: float,
        finite: bool,
    ) -> EigenResult:
        k, n = self.settings.k, source.n
        values, r, e, ritz = np.full(k, np.nan), np.full(k, np.nan), np.full(k, np.nan), np.full(k, np.nan)
        vectors = np.empty((k, n), dtype=Q.dtype)
        vectors[min(k, p) if finite else 0 :] = np.nan
        have = min(k, p) if finite else 0
        notes: tuple[str, ...] = ()
        slack = 0.0
        if have:
            top = np.arange(p)[::-1][:have]
            coordinates = C[:M, :p] @ S[:, top]
            ritz[:have], r[:have], e[:have] = theta[top], resid[:have], errors[:have]
            slack = 10 * precision * max(abs(float(theta[0])), abs(float(theta[-1])))
            if self._rows:
                self._learn(C[:M, :p], Y[:M, :p])
            values[:have] = ritz[:have] + np.clip(lam[::-1][:have] - ritz[:have], 0.0, e[:have])
            self._keep(Q, C[:M, :p], lam, Z, coordinates, vectors[:have])
            moved = abs(float(values[0]) - self._last_value)
            if math.isfinite(moved):
                self._drift += 0.3 * (moved - self._drift)  # a mean over about three steps
            self._last_value = float(values[0])
        else:
            self._forget()
            notes = ("a product was not finite",)
        with np.errstate(invalid="ignore"):
            converged = e <= np.maximum(tol * np.abs(ritz), slack)
            # Mixing neighbours closer than tol is within tol: a bound narrower than that would be a pretence.
            half = np.minimum(r, np.maximum(e, tol * np.abs(ritz)))
        return EigenResult(
            values=values,
            vectors=vectors.T,
            residuals=r,
            bounds=np.column_stack([ritz - slack, ritz + half + slack]),
            converged=converged,
            matvecs=source.count,
            dtype=str(source.dtype),
            tol=tol,
            method=f"recycled spectral model, memory {self._m}",
            notes=notes,
        )

    # -- memory ---------------------------------------------------------------------------------------------

    def _prepare(self, n: int, dtype: np.dtype[Any]) -> Vector:
        """The buffer whose first rows are Q, allocated once."""
        old = self._buffer
        if old is not None and old.shape[1] == n and old.dtype == dtype:
            return old
        rows = min(n, self._m + self.settings.max_products) + 2
        # Untouched rows of an empty array cost no memory; touched ones are kept from step to step, because
        # faulting pages in again at each step costs more than the arithmetic.
        new = np.empty((rows, n), dtype)
        if old is not None and old.shape[1] == n:
            new[: self._rows] = old[: self._rows]
        else:
            self._forget()
        self._buffer = new
        return new

    def _append_random(self, Q: Vector, M: int) -> int:
        rng = np.random.default_rng([self.settings.seed, self.measured, M])
        v = rng.standard_normal(Q.shape[1])
        return self._append(Q, M, v)

    @staticmethod
    def _append(Q: Vector, M: int, v: Any) -> int:
        norm = float(np.linalg.norm(v))
        if not (math.isfinite(norm) and norm > 0) or len(Q) <= M:
            return M
        q = (v / norm).astype(Q.dtype)
        for _ in range(2):
            q -= (Q[:M] @ q) @ Q[:M]
        rest = float(np.linalg.norm(q))
        if rest < 1e-3:
            return M
        np.multiply(q, 1.0 / rest, out=Q[M])
        return M + 1

    def _keep(self, Q: Vector, C: Float, lam: Float, Z: Float, coordinates: Float, out: Vector) -> None:
        """Choose what the memory holds from now on, and write the rows ``coordinates``ᵀQ to ``out``.

        The wanted vectors of the last points and their first rivals come first: at the edge of stability the next
        one lies far closer to their span than to the last one alone. The rest are the model's Ritz vectors
        of largest value on their complement. All are rotated to Ritz vectors, ascending.
        """
        M, k = len(Z), self.settings.k
        m, rows = min(self._m, M), self._rows
        A = (Z * lam) @ Z.T
        past = np.zeros((M, self._history.shape[1]))
        past[:rows] = self._history
        first = min(k + 1, M)
        past = np.concatenate([Z[:, -1 : -1 - first : -1], past], axis=1)
        past = past[:, : max(k, min(HISTORY * first, m // 2))]
        basis, R = np.linalg.qr(past)
        basis = basis[:, np.abs(np.diag(R)) > 1e-4][:, :m]  # a vector that has not moved is in the span already
        shift = 2 * float(np.abs(lam).max(initial=0.0)) + 1.0
        P = np.eye(M) - basis @ basis.T
        others = np.linalg.eigh(P @ A @ P - shift * (basis @ basis.T))[1][:, ::-1]
        W = np.concatenate([basis, others[:, : m - basis.shape[1]]], axis=1)
        mu, U = np.linalg.eigh(W.T @ A @ W)
        W = W @ U
        stale = W - C @ (C.T @ W)
        ages = np.zeros(M)
        if rows:
            ages[:rows] = self._ages + 1.0
        self._ages = (stale**2).T @ ages
        self._models = [np.diag(mu), *(W[:rows].T @ G @ W[:rows] for G in self._models[:TRENDS])]
        self._history = W.T @ past
        self._truncate(Q, np.concatenate([W, coordinates], axis=1).T.astype(Q.dtype), m, out)

    def _truncate(self, Q: Vector, W: Vector, m: int, out: Vector) -> None:
        """Replace Q by the first m rows of WQ and write the others to ``out``.

        Block by block, so that each part of Q is read and written once while it is in the cache.
        """
        M = W.shape[1]
        for i in range(0, Q.shape[1], BLOCK):
            part = W @ Q[:M, i : i + BLOCK]
            Q[:m, i : i + BLOCK] = part[:m]
            out[:, i : i + BLOCK] = part[m:]
        self._rows = m

    # -- state ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Vector]:
        """All that the next measurements depend on, as arrays (for a checkpoint)."""
        Q = np.zeros((0, 0)) if self._buffer is None else self._buffer[: self._rows].copy()
        return {
            "Q": Q,
            "models": np.array(self._models),
            "history": self._history.copy(),
            "normal": self._normal.copy(),
            "ages": self._ages.copy(),
            "counts": np.array([self.measured, self.total_matvecs, self._last_step, self._waited], dtype=np.int64),
            "floats": np.array([self._last_ratio, self._drift, self._rival_drift, self._last_value]),
        }

    def restore(self, state: Mapping[str, Vector]) -> None:
        """Continue from :meth:`state`; the settings are the constructor's."""
        Q = np.asarray(state["Q"])
        self._forget()
        if Q.size:
            self._prepare(Q.shape[1], Q.dtype)[: len(Q)] = Q
            self._rows = len(Q)
        self._models = list(np.array(state["models"], dtype=np.float64))
        self._history = np.array(state["history"], dtype=np.float64)
        self._normal = np.array(state["normal"], dtype=np.float64)
        self._ages = np.array(state["ages"], dtype=np.float64)
        self.measured, self.total_matvecs, self._last_step, self._waited = (int(c) for c in state["counts"])
        self._last_ratio, self._drift, self._rival_drift, self._last_value = map(float, state["floats"])
