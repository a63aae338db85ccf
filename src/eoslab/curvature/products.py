"""The products of one point, and the model of the Hessian that they correct, in coordinates of a basis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    (Greenstadt 1970, Powell's symmetric Broyden formula); its eigenpairs are (λ, Z). ``off`` projects onto the
    complement of C, and ``rest`` is the old model seen there.
    """

    def __init__(self, size: int, memory: Memory) -> None:
        self._C, self._Y = np.zeros((size, size)), np.zeros((size, size))
        self._A = np.zeros((size, size))
        self._rough: list[bool] = []
        self.memory, self.p, self.M = memory, 0, memory.rows
        self.theta = self.lam = np.zeros(0)
        self.S = self.Z = self.rest = self.off = np.zeros((0, 0))

    @property
    def C(self) -> Float:
        return self._C[: self.M, : self.p]

    @property
    def Y(self) -> Float:
        return self._Y[: self.M, : self.p]

    @property
    def model(self) -> Float:
        """B."""
        return np.asarray((self.Z * self.lam) @ self.Z.T)

    def set_base(self, G: Float) -> None:
        """The old model A, in the first coordinates."""
        self._A[: len(G), : len(G)] = G

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
        C, Y, M = self.C, self.Y, self.M
        T = C.T @ Y
        rough = np.array(self._rough)
        if rough.any() and not rough.all():  # an entry between an exact and a rough column is the exact one's
            T = np.where(rough[:, None] & ~rough[None, :], T, np.where(~rough[:, None] & rough[None, :], T.T, T))
        T = (T + T.T) / 2
        self.theta, self.S = np.linalg.eigh(T)
        self.off = np.eye(M) - C @ C.T
        rest = self.off @ self._A[:M, :M] @ self.off
        self.rest = (rest + rest.T) / 2
        B = rest + Y @ C.T + C @ Y.T - C @ T @ C.T
        self.lam, self.Z = np.linalg.eigh((B + B.T) / 2)

    def pairs(self, k: int) -> tuple[Float, Float]:
        """(θ, R): the k largest Ritz values, descending, and the residuals of their vectors as columns."""
        S, theta = self.S[:, ::-1][:, :k], self.theta[::-1][:k]
        return theta, self.Y @ S - (self.C @ S) * theta

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
        θ + rᵀ(θ − K)⁻¹r, with K = H on the complement of C, of which the model knows ``rest``. The error is what
        this becomes if K is larger by all that the memory's doubt allows,

            rᵀ(θ − K − θD)⁻¹r − rᵀ(θ − K)⁻¹r,

        gaps cut at 1 % of θ; below twice that nothing is subtracted. The last one is only estimated once those
        before it are within their ``limits``: until then its residual has to do.
        """
        theta, R = self.pairs(k)
        D = self.off @ self.memory.doubt(self.M, change, unknown) @ self.off
        mu, W = np.linalg.eigh(self.rest)
        own = k if limits is None else len(limits)
        out, length = np.empty(len(theta)), np.sqrt((R * R).sum(0))
        for i, t in enumerate(theta):
            if limits is not None and i == len(limits) and (out[:i] > limits).any():
                out[i] = length[i]
                break
            size = max(abs(float(t)), float(np.finfo(np.float64).tiny))
            high, X = np.linalg.eigh(self.rest + size * D)
            worst = float(((X.T @ R[:, i]) ** 2 / np.maximum(t - high, FLOOR * size)).sum())
            gap = t - mu
            near = gap <= 2 * FLOOR * size
            known = float(((W.T @ R[:, i]) ** 2 / np.where(near, np.inf, gap)).sum())
            # A mode of the model above θ that no product has confirmed: a small residual says nothing of it.
            shift = float(self.lam[-1 - i] - t)
            hidden = shift if shift > 2 * known else 0.0
            out[i] = max(min(worst - known, length[i]), hidden if i < own else min(hidden, length[i]))
        return out

    def cold_errors(self, k: int) -> Float:
        """The same without a memory: r² over a gap that is small rather than right, and at most r."""
        theta, R = self.pairs(k)
        square = (R * R).sum(0)
        size = np.maximum(np.abs(theta), np.finfo(np.float64).tiny)
        return np.asarray(np.minimum(square / (OUTSIDE * size), np.sqrt(square)))
