"""The top eigenpairs along a trajectory w_0, w_1, …: two to four products a step instead of twenty or more.

Between neighbouring points the Hessian changes little, and at the edge of stability much of that change swings
to and fro: H(t) is closer to H(t−2) than to H(t−1). The tracker carries a **spectral model** from step to step:
m orthonormal vectors Q (:mod:`.basis`), and in their coordinates the matrices G ≈ Q H Qᵀ of the last four points
and how far each direction can be trusted (:mod:`.memory`). At a new point it

1. multiplies the top vector of the prediction G(t−1) + a (G(t−1) − G(t−2)) + b (G(t−2) − G(t−3)) + …, with the
   coefficients that fit the products of the last points best: y = Hv;
2. takes of the last model and the predicted one that which fits y better, and corrects it by the symmetric
   least-change update so that it reproduces every product taken at this point (:mod:`.products`), the part of y
   outside Q becoming a new basis vector;
3. estimates what is still unknown: the eigenvalue λ(B) of the corrected model B is right up to the doubt about B
   in the direction of the residual. What was multiplied a measurements ago may have changed by (a + 1) times the
   change seen per measurement, and what never was multiplied may have a curvature of up to 82 % of the eigenvalue;
4. multiplies the correction of the wanted vector, unless the estimate is far below ``tol``, and then, where the
   model cannot exclude that one has overtaken, the mode that may have risen highest since it was last looked at
   (:mod:`.rivals`): an eigenvector that is not coupled to the wanted ones shows in no residual. It stops when the
   wanted values are known to ``tol`` and the first rival well enough to tell that it lies below, or its share of
   the products is spent.

With an empty memory this is Lanczos. With one, the correction (B − θ)⁻¹r already knows the neighbouring
eigenvalues from earlier steps, and these near-degenerate neighbours (1–4 % apart at the edge of stability) are
what makes plain Krylov steps slow.

An operator may offer a cheaper product, ``rough(v)``, with its relative error ``rough_error``. From time to time
the first product is taken both ways; as long as the difference seen is well below ``tol``, all products are rough,
and twice that difference is added to the stated bounds. Otherwise the first product of each wanted pair is exact;
the others only correct, so that their errors enter by the square of a small component, which is bounded and added
to the stated bounds, and where it is not small the product is repeated exactly.

The error is an estimate: what a residual proves is that some eigenvalue lies within r of θ, and what a Ritz value
proves is θ_1 ≤ λ_1. Each result carries both.

Limit: an uncoupled eigenvector that overtakes between two looks at it makes a value too low for as long, and the
truth then lies above its upper bound. The looks make this rare; they do not exclude it
(docs/curvature-benchmark.md has the cases seen).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import BadData, InvalidArgument, positive, whole
from eoslab.curvature.basis import Basis
from eoslab.curvature.compiled import dense
from eoslab.curvature.memory import HISTORY, Memory
from eoslab.curvature.operator import Counted, as_operator
from eoslab.curvature.products import Products
from eoslab.curvature.result import EigenResult
from eoslab.curvature.rivals import Rivals, beside
from eoslab.curvature.trust import Trust

__all__ = ["Tracker", "TrackerSettings"]

Vector = NDArray[Any]
Float = NDArray[np.float64]

#: The estimate is asked to be below this share of tol, for what the model does not know.
SAFETY = 0.7
#: An estimate below this share of tol is let be; above it the correction of the vector is multiplied.
CALM = 0.1
#: The curvature that a direction never multiplied may have, as a share of the eigenvalue; the larger figure holds
#: for the first measurements after a start, when much of what Q spans is only half resolved.
UNKNOWN, UNKNOWN_YOUNG, YOUNG = 0.82, 0.95, 12
#: Relative change per measurement that is assumed at first, and how fast what was seen is forgotten.
CHANGE, FADE = 0.03, 0.65
#: The first rival is solved to this share of its distance from the wanted ones, and never more accurately than
#: RIVAL·θ; this share of its residual counts as error, because a mixture of two neighbours looks too small.
#: After the third product one goes to it alone, and one for each RIVAL_TURN taken: where the wanted pairs needed
#: many, the Hessian has changed much, and the rivals with it.
RIVAL_SHARE, RIVAL, RIVAL_RESIDUAL, RIVAL_TURN = 0.8, 0.002, 0.3, 4
#: Without a memory nothing tells how close the neighbours are: such a point is solved to this share of tol, and
#: the first rival to this share of θ.
COLD, COLD_RIVAL = 0.1, 0.01
#: Products of a reseeding: Lanczos steps from a random direction outside of the memory. The first one comes after
#: this many measurements: in the first steps eigenvectors turn so fast that the memory holds some only in part,
#: with values far too low, and none of the looks at what it knows would find them when they rise.
EXPLORE, EARLY = 8, 10
#: Measurements after which the basis is orthonormalised anew, and what it may lack before.
RENEW, DEFECT = 100, 2e-5
#: What lies outside of packed rows by less than this share of a product is not made a row of its own: by the
#: inverse of the share a new row would multiply what the others lack in orthogonality.
LEAST = 1e-4
#: Parameters from which the memory is smaller.
LARGE = 200_000
#: Tolerance and length from which rows are packed into sixteen bits, which rounds them by 3e-5.
PACKED, LONG = 1e-4, 8192
#: Number of the arrangement of :meth:`Tracker.state`; one of another number is refused.
LAYOUT = 2
TINY = float(np.finfo(np.float64).tiny)
#: Errors of rough products that only correct may use up this share of tol.
ROUGH = 0.2


@dataclass(frozen=True)
class TrackerSettings:
    """What a tracker is asked for.

    Attributes:
        k: number of largest eigenvalues.
        tol: relative error of each.
        memory: recycled vectors m; each costs n numbers (of two bytes for ``tol`` ≥ 1e-4 and n ≥ 8192) and three
            passes per product. If 0, k + 15, and k + 11 above 200,000 parameters.
        max_products: budget per step; a step that exhausts it reports converged = False.
        max_cost: budget per step in gradient steps, if ``product_cost`` is told; the smaller budget holds.
        product_cost: price of one product in gradient steps.
        reseed: every so many measurements, and once after the first ten, eight more products search from a
            random direction outside of the memory, as a guard against locking on to the wrong pair; 0 never.
        refresh: every so many measurements a product goes to the remembered mode below the wanted ones that may
            have risen highest, which could otherwise overtake unnoticed; at each one where the model says that
            one may have, or cannot say; up to eight times as seldom while the eigenvalue moves by less than
            ``tol``/8; 0 never.
        every: measure each this many steps, away from the threshold.
        dense: within this relative distance of the threshold measure each step.
        loosen: far from the threshold (by more than ``dense``) the tolerance is multiplied by this.
        rough: use an operator's cheaper products where it offers them.
        seed: of the random directions.
    """

    k: int = 1
    tol: float = 1e-3
    memory: int = 0
    max_products: int = 40
    max_cost: float = math.inf
    product_cost: float = math.nan
    reseed: int = 200
    refresh: int = 2
    every: int = 1
    dense: float = 0.1
    loosen: float = 1.0
    rough: bool = True
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
        self._basis: Basis | None = None
        self._memory = Memory()
        self._rivals = Rivals(k, tol, self.settings.refresh)
        self._young = 0  # measurements since the memory was empty
        self._change = CHANGE  # relative change per measurement of what a model said
        self._last: Float = np.full(k, np.nan)  # the values of the measurement before
        self._trust = Trust()
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
        budget = s.budget if budget is None else budget
        basis = self._prepare(n, source.dtype if tol > 1e-5 else np.dtype(np.float64), tol >= PACKED and n >= LONG)
        precision = float(max(np.finfo(source.dtype).eps, np.finfo(basis.dtype).eps))
        least = max(10 * precision, LEAST if basis.packed else 0.0)
        memory = self._memory
        warm = memory.rows > 0
        if warm and (self.measured % RENEW == 0 or basis.defect > DEFECT):
            basis.renew(memory.rows)
        explore = EXPLORE if s.reseed and self._reseed_due(s.reseed) else 0
        look = warm and self._rivals.due(memory, self._last_value)
        pairs = min(k + 1 if look or not warm else k, n)  # to be solved for, the first rival among them
        rough = s.rough and warm and source.rough_error > 0
        moved = self._rivals.drift / max(abs(self._last_value), TINY)
        compare, trusted = self._trust.decide(tol, source.rough_error, moved) if rough else (False, False)
        point = Products(basis.capacity, memory)
        predicted = memory.predict() if warm else np.zeros((0, 0))
        if not warm:
            point.extend(self._random(basis, 0))
        x = np.linalg.eigh(predicted)[1][:, -1] if warm else np.ones(1)
        seen, alone, redo, finite = 0.0, 0, -1, True
        errors = np.zeros(0)
        while True:
            exact = not rough or redo >= 0 or (point.p < k and not trusted)
            v = basis.combine(x).astype(source.dtype, copy=False)
            y = source.matvec(v, exact)
            norm = float(np.linalg.norm(y))
            if not math.isfinite(norm):
                finite = False
                break
            if compare and point.p == 0 and norm > 0.0 and budget > 1:
                off = (source.matvec(v, False) - y).astype(basis.dtype, copy=False)
                self._trust.see(float(np.linalg.norm(basis.coordinates(off, point.M))) / norm)
            h, rest = basis.absorb(y.astype(basis.dtype, copy=False), point.M, least * norm)
            if warm and point.p == 0:
                point.set_base(memory.base(predicted, x, h))
            point.add(x, h, rest, not exact, redo)
            p = point.p
            if warm and p > 1 and redo < 0:
                seen = max(seen, point.surprise())
            redo = -1
            theta, R = point.pairs(pairs)
            size = np.abs(theta)
            if warm:
                unknown = UNKNOWN_YOUNG if self._young < YOUNG else UNKNOWN
                wanted = SAFETY * tol * size
                errors = point.errors(pairs, max(seen, self._change), unknown, wanted[:k])
            else:
                errors, wanted = point.cold_errors(pairs), SAFETY * COLD * tol * size
            if len(theta) > k:
                wanted[k] = COLD_RIVAL * size[0]
                if warm:
                    errors[k] = max(errors[k], RIVAL_RESIDUAL * float(np.linalg.norm(R[:, k])))
                    wanted[k] = max(RIVAL_SHARE * float(point.lam[-k] - point.lam[-k - 1]), RIVAL * size[0])
            floor = 4 * precision * max(size[0], abs(float(point.theta[0])))
            unsolved = errors > np.maximum(wanted, floor)
            if warm and len(theta) > k and p > k + 1 and unsolved[k] and not unsolved[:k].any():
                alone += 1
                # it may be the larger one
                above = bool(theta[k] + errors[k] > theta[k - 1] + wanted[k - 1])
                unsolved[k] = above or alone <= max(1, (p - alone + 1) // RIVAL_TURN)
            enough = p >= pairs and not unsolved.any() and (warm or p >= min(n, 3))
            if source.count >= budget or p >= n or point.M >= basis.capacity - 1:
                break
            target = None
            restless = errors[:k] > CALM * tol * size[:k]
            if warm and memory.rows > k and p == k and restless.any():
                target = self._next(point, restless, k)
            elif look and k <= p <= k + 1:
                look = False
                target = self._rivals.target(point, self._last_value)
            if target is None and enough:
                if rough and not trusted and (column := self._too_rough(point, k, tol, source.rough_error)) >= 0:
                    redo, target = column, point.C[:, column].copy()
                elif explore:
                    target = self._explore(basis, point, explore == EXPLORE)
                    explore -= 1
                else:
                    break
            if target is None:
                target = self._next(point, unsolved, pairs)
            if target is None:  # the exact products span an invariant subspace: look outside
                M = self._random(basis, point.M)
                if M == point.M:
                    break
                point.extend(M)
                target = np.eye(M)[-1]
            x = target
        if seen > 0.0:
            self._change = max(seen, FADE * self._change)
            self._rivals.change(seen * abs(float(point.theta[-1])))
        self.measured += 1
        self._young = self._young + 1 if warm else 0
        self.total_matvecs += source.count
        rough_error = min(self._trust.error, source.rough_error) if trusted else source.rough_error
        return self._result(basis, point, errors, source, tol, precision, rough_error, finite)

    @staticmethod
    def _too_rough(point: Products, k: int, tol: float, rough_error: float) -> int:
        """The column to repeat exactly, where errors of rough products may matter; −1 where they do not."""
        shares, column = point.roughness(k)
        return column if bool((rough_error * shares > ROUGH * tol).any()) else -1

    def _reseed_due(self, reseed: int) -> bool:
        return self.measured == min(EARLY, reseed) or (self.measured > 0 and self.measured % reseed == 0)

    @property
    def _last_value(self) -> float:
        return float(self._last[0])

    # -- where to multiply next -----------------------------------------------------------------------------

    def _explore(self, basis: Basis, point: Products, first: bool) -> Float | None:
        """Lanczos from what was never multiplied, inside the memory and outside of it."""
        M = point.M
        if first:
            point.extend(self._random(basis, M))
            x = np.zeros(point.M)
            rng = np.random.default_rng([self.settings.seed, self.measured])
            inside = self._memory.new @ rng.standard_normal(self._memory.rows)
            x[: len(inside)] = inside / max(float(np.linalg.norm(inside)), 1e-12)
            x[M:] = 1.0
        else:
            x = point.Y[:, -1]
        return beside(point, x, 1e-7 * abs(float(point.theta[-1])))

    @staticmethod
    def _next(point: Products, unsolved: NDArray[np.bool_], k: int) -> Float | None:
        """The model's eigenvector of the first unsolved position, orthogonal to the vectors multiplied."""
        order = range(point.M - 1, max(point.M - k - 2, -1), -1)
        wanted = [order[i] for i in range(min(k, len(order))) if i >= len(unsolved) or unsolved[i]]
        for j in [*wanted, *order]:
            if (x := beside(point, point.Z[:, j])) is not None:
                return x
        return None

    # -- result ---------------------------------------------------------------------------------------------

    def _result(
        self,
        basis: Basis,
        point: Products,
        errors: Float,
        source: Counted,
        tol: float,
        precision: float,
        rough_error: float,
        finite: bool,
    ) -> EigenResult:
        k, n = self.settings.k, source.n
        values, r, e, ritz = np.full(k, np.nan), np.full(k, np.nan), np.full(k, np.nan), np.full(k, np.nan)
        vectors: Vector = np.zeros((0, n), source.dtype)
        have = min(k, point.p) if finite else 0
        notes: tuple[str, ...] = ()
        slack = np.zeros(k)
        if have:
            theta, R = point.pairs(have)
            ritz[:have], r[:have], e[:have] = theta, np.linalg.norm(R, axis=0), errors[:have]
            scale = max(abs(float(point.theta[0])), abs(float(point.theta[-1])))
            slack[:have] = scale * (10 * precision + 2 * basis.defect + rough_error * point.roughness(have)[0])
            if self._memory.rows:
                self._memory.learn(point.C, point.Y)
            values[:have] = theta + np.clip(point.lam[::-1][:have] - theta, 0.0, r[:have])
            # What has moved by less than rounding has not moved, and crosses no threshold.
            held = np.abs(values - self._last) <= 10 * precision * scale
            values[held] = self._last[held]
            vectors = self._keep(basis, point, have).astype(source.dtype, copy=False)
            wanted = float(point.lam[-have])
            gap = (wanted - float(point.lam[-have - 1])) / max(abs(wanted), TINY) if point.M > have else 1.0
            self._rivals.learn(abs(float(values[0]) - self._last_value), gap)
            self._last = values.copy()
        else:
            self._memory.forget()
            notes = ("a product was not finite",)
        if have < k:
            vectors = np.concatenate([vectors, np.full((k - have, n), np.nan, source.dtype)])
        with np.errstate(invalid="ignore"):
            converged = e <= np.maximum(tol * np.abs(ritz), slack)
            # Mixing neighbours closer than tol is within tol: a bound narrower than that would be a pretence.
            half = np.minimum(r, np.maximum(e, tol * np.abs(ritz)))
        return EigenResult(
            values=values,
            vectors=vectors.T,
            residuals=r,
            bounds=np.column_stack([ritz - slack, np.minimum(values + half, ritz + r) + slack]),
            converged=converged,
            matvecs=source.count,
            dtype=str(source.dtype),
            tol=tol,
            method=f"recycled spectral model, memory {self._rows(n)}",
            notes=notes,
        )

    # -- memory ---------------------------------------------------------------------------------------------

    def _prepare(self, n: int, dtype: np.dtype[Any], packed: bool) -> Basis:
        """The basis, allocated once; stored in another way when the tolerance asks for it, with the same rows."""
        old, m = self._basis, self._memory.rows
        dtype = np.dtype(np.float32) if packed else dtype
        if old is not None and old.n == n and old.dtype == dtype and old.packed == packed:
            return old
        new = Basis(min(n, self._rows(n) + self.settings.max_products) + 2, n, dtype, packed)
        if old is not None and old.n == n:
            new.put(old.rows(m))
        else:
            self._memory.forget()
        self._basis = new
        return new

    def _rows(self, n: int) -> int:
        """m, the rows kept from step to step."""
        k = self.settings.k
        return max(self.settings.memory or k + (15 if n <= LARGE else 11), k + 1)

    def _random(self, basis: Basis, M: int) -> int:
        """Rows after a random direction has been added, M where none is left."""
        rng = np.random.default_rng([self.settings.seed, self.measured, M])
        return M + basis.append(rng.standard_normal(basis.n), M)

    def _keep(self, basis: Basis, point: Products, have: int) -> Vector:
        """Choose what the memory holds from now on; returns the first Ritz vectors as rows.

        The wanted vectors of the last points and their first rivals come first: at the edge of stability the next
        one lies far closer to their span than to the last one alone. The rest are the model's Ritz vectors
        of largest value on their complement.
        """
        M, k, memory = point.M, self.settings.k, self._memory
        m = min(self._rows(basis.n), M)
        past = np.zeros((M, memory.history.shape[1]))
        past[: memory.rows] = memory.history
        first = min(k + 1, M)
        past = np.concatenate([point.Z[:, ::-1][:, :first], past], axis=1)
        past = past[:, : max(k, min(HISTORY * first, m // 2))]
        span = dense().span(np.ascontiguousarray(past), m)  # what has not moved is in the span already
        shift = 2 * float(np.abs(point.lam).max(initial=0.0)) + 1.0
        P = np.eye(M) - span @ span.T
        others = np.linalg.eigh(P @ point.model @ P - shift * (span @ span.T))[1][:, ::-1]
        drop = others[:, m - span.shape[1] : M - span.shape[1]]
        out = np.empty((have, basis.n), basis.dtype)
        H = basis.reduce(drop, point.C @ point.S[:, ::-1][:, :have], out)
        memory.carry(H, point.C, point.model, past)
        return out

    # -- state ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Vector]:
        """All that the next measurements depend on, as arrays (for a checkpoint)."""
        rows = {"Q": np.zeros((0, 0))} if self._basis is None else self._basis.state(self._memory.rows)
        counts = [LAYOUT, self.measured, self.total_matvecs, self._last_step, self._young]
        defect = 0.0 if self._basis is None else self._basis.defect
        return {
            **rows,
            **self._memory.state(),
            "tracker": np.array(counts, np.int64),
            "level": np.array([self._last_ratio, self._change, defect]),
            "trust": np.array(self._trust.state()),
            "rivals": np.array(self._rivals.state()),
            "last": self._last.copy(),
        }

    def restore(self, state: Mapping[str, Vector]) -> None:
        """Continue from :meth:`state`; the settings are the constructor's.

        Raises:
            BadData: the state is of a version that kept other numbers.
        """
        if "tracker" not in state or int(state["tracker"][0]) != LAYOUT:
            raise BadData(
                "state: a tracker of another version of eoslab has written it",
                "go on with that version, or begin the run again",
            )
        self._memory.forget()
        rows = {name: np.asarray(state[name]) for name in ("Q", "scale") if name in state}
        if rows["Q"].size:
            self._prepare(rows["Q"].shape[1], rows["Q"].dtype, "scale" in rows).restore(rows)
        self._memory.restore(state)
        self.measured, self.total_matvecs, self._last_step, self._young = (int(c) for c in state["tracker"][1:])
        self._last_ratio, self._change, defect = (float(x) for x in state["level"])
        if self._basis is not None:
            self._basis.defect = defect
        self._trust.restore([float(x) for x in state["trust"]])
        self._rivals.restore([float(x) for x in state["rivals"]])
        self._last = np.array(state["last"], np.float64)
