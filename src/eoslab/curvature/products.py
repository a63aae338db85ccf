"""The products of one point, and the model of the Hessian that they correct, in coordinates of a basis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eoslab.curvature.compiled import dense
from eoslab.curvature.memory import Memory

__all__ = ["Products"]

Float = NDArray[np.float64]

#: Gaps below this share of the eigenvalue are not trusted to be smaller; mixing such neighbours moves the
#: eigenvalue by less.
FLOOR = 0.01
#: Without a memory: the gap believed of what has not been multiplied, as a share of θ.
OUTSIDE = 0.1


class Products:
    """Vectors C multiplied at this point, their products Y, the Ritz pairs (θ, S) on C and the corrected model B.

    B is the symmetric matrix nearest to the old model A that reproduces every product taken here, B C = Y
    (Greenstadt 1970, Powell's symmetric Broyden formula); its eigenpairs are (λ, Z).
    """

    def __init__(self, size: int, memory: Memory) -> None:
        self._C, self._Y = np.zeros((size, size)), np.zeros((size, size))
        self._A = np.zeros((size, size))
        self._last: Float = np.zeros((0, 0))  # the last point's model, where it is not A
        self._rough: list[bool] = []
        self._pairs: dict[int, tuple[Float, Float]] = {}
        self.memory, self.p, self.M = memory, 0, memory.rows
        self.theta = self.lam = np.zeros(0)
        self.S = self.Z = self.model = np.zeros((0, 0))

    @property
    def C(self) -> Float:
        return self._C[: self.M, : self.p]

    @property
    def Y(self) -> Float:
        return self._Y[: self.M, : self.p]

    def set_base(self, G: Float) -> None:
        """The old model A, in the first coordinates: that of the last point, or the predicted one."""
        self._A[: len(G), : len(G)] = G
        last = self.memory.models[0]
        self._last = np.zeros((0, 0)) if np.array_equal(G, last) else last

    def add(self, x: Float, h: Float, rest: float, rough: bool = False, column: int = -1) -> None:
        """One product: coordinates h of Hx, and the length of what lies outside the basis and now extends it."""
        j = self.p if column < 0 else column
        m = len(h)
        self._C[:, j], self._Y[:, j] = 0.0, 0.0
        self._C[: len(x), j], self._Y[:m, j] = x, h
        self.M = m
        if rest > 0.0:
            self._Y[m, j] = rest
            self.M = m + 1
        if column < 0:
            self.p += 1
            self._rough.append(rough)
        else:
            self._rough[j] = rough
        self._solve()

    def extend(self, M: int) -> None:
        """The basis has grown by other means."""
        self.M = M

    def _solve(self) -> None:
        T = self.C.T @ self.Y
        if 0 < sum(self._rough) < self.p:  # an entry between an exact and a rough column is the exact one's
            rough = np.array(self._rough)
            T = np.where(rough[:, None] & ~rough[None, :], T, np.where(~rough[:, None] & rough[None, :], T.T, T))
        T = (T + T.T) / 2
        self.theta, self.S = np.linalg.eigh(T)
        self.model = dense().corrected(self._A, self._C, self._Y, T, self.M)
        self.lam, self.Z = np.linalg.eigh(self.model)
        self._pairs.clear()

    def pairs(self, k: int) -> tuple[Float, Float]:
        """(θ, R): the k largest Ritz values, descending, and the residuals of their vectors as columns."""
        if k not in self._pairs:
            S, theta = self.S[:, ::-1][:, :k], self.theta[::-1][:k]
            self._pairs[k] = theta, self.Y @ S - (self.C @ S) * theta
        return self._pairs[k]

    def roughness(self, k: int) -> tuple[Float, int]:
        """Share of each of the first k Ritz vectors that rough products stand for, and the worst column."""
        shares = self.S[:, ::-1][:, :k] ** 2 * np.array(self._rough)[:, None]
        return shares.sum(0), int(np.argmax(shares.max(1)))

    def surprise(self) -> float:
        """By how much the last product's value vᵀHv differs from the model's, as a share of θ_1, per measurement
        since v was multiplied; 0 where most of v never was."""
        m = self.memory.rows
        v, y = self._C[: self.M, self.p - 1], self._Y[: self.M, self.p - 1]
        old = v[:m]
        if float(old @ old - old @ self.memory.new @ old) <= 0.5:
            return 0.0
        off = abs(float(v @ y - v @ (self._A[: self.M, : self.M] @ v))) / abs(float(self.theta[-1]))
        return off / (float(old @ self.memory.age @ old) + 1.0)

    # -- errors ---------------------------------------------------------------------------------------------

    def errors(self, k: int, change: float, unknown: float, limits: Float | None = None) -> Float:
        """Estimated error of the k largest values λ(B), in units of H.

        The Ritz pair (θ, u) has the residual r, orthogonal to C. To second order the eigenvalue is
        θ + rᵀ(θ − K)⁻¹r, with K = H on the complement of C, of which the model knows A. The error is what
        this becomes if K is larger by all that the memory's doubt allows,

            rᵀ(θ − K − θD)⁻¹r − rᵀ(θ − K)⁻¹r,

        gaps cut at 1 % of θ; below twice that nothing is subtracted. Where A is a prediction, the first term is
        the larger one of A and the last point's model: what fits the first product better may be the worse one in
        another direction, and a close neighbour of θ may be seen in one of them alone. The last pair is only
        estimated once those before it are within their ``limits``: until then its residual has to do.
        """
        (theta, R), memory = self.pairs(k), self.memory
        limits = np.full(len(theta), np.inf) if limits is None else limits
        theta, R = np.ascontiguousarray(theta), np.ascontiguousarray(R.T)
        place = self._A, self._last, self._C, self.M, self.p
        known = memory.age, memory.new, change, unknown
        return np.asarray(dense().errors(*place, *known, theta, R, self.lam, FLOOR, limits))

    def cold_errors(self, k: int) -> Float:
        """The same without a memory: r² over a gap that is small rather than right, and at most r."""
        theta, R = self.pairs(k)
        square = (R * R).sum(0)
        size = np.maximum(np.abs(theta), np.finfo(np.float64).tiny)
        return np.asarray(np.minimum(square / (OUTSIDE * size), np.sqrt(square)))
