"""The minimalist model with d inputs, and the exact empirical risk of any data set (docs/theory §9).

    L(α, β) = ½ Σ_i λ_i (αβ_i − v_i)² + constant,      λ_1 ≥ … ≥ λ_d > 0,

is the risk of the width-one two-layer linear network f(x) = α β·x with squared loss, in the eigenbasis of the
input covariance: λ_i are its eigenvalues, v_i = E[x_i y]/λ_i the teacher, and the constant is the variance of y
that no linear function explains. Directions with v_i = 0 are irrelevant; they are the β1 of the two-input model.

The formulas take w = (α, β_1, …, β_d) and p = (λ, v), sequences of numbers of any type or of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eoslab.core.arrowhead import arrowhead_below, arrowhead_top
from eoslab.core.errors import BadData, InvalidArgument, finite, positive
from eoslab.core.numbers import Num, Vec, sqrt, where
from eoslab.core.protocols import Array
from eoslab.models.face import join, split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# -- formulas ---------------------------------------------------------------------------------------------


def loss_osc(w: Vec, lr: Num, p: Vec) -> Num:
    """½ Σ λ_i (αβ_i − v_i)² over the directions that overshoot, ηλ_iα² ≥ 1."""
    lambdas, v = p
    total = 0 * w[0]
    a2 = w[0] ** 2
    for i in range(len(lambdas)):
        part = lambdas[i] * (w[0] * w[i + 1] - v[i]) ** 2 / 2
        total = total + where(lr * lambdas[i] * a2 >= 1, part, 0 * part)
    return total


def loss_conv(w: Vec, lr: Num, p: Vec) -> Num:
    """½ Σ λ_i (αβ_i − v_i)² over the other directions."""
    lambdas, v = p
    total = 0 * w[0]
    a2 = w[0] ** 2
    for i in range(len(lambdas)):
        part = lambdas[i] * (w[0] * w[i + 1] - v[i]) ** 2 / 2
        total = total + where(lr * lambdas[i] * a2 >= 1, 0 * part, part)
    return total


def grad_alpha(w: Vec, p: Vec) -> Num:
    """∂L/∂α = Σ λ_i (αβ_i − v_i) β_i."""
    lambdas, v = p
    total = 0 * w[0]
    for i in range(len(lambdas)):
        total = total + lambdas[i] * (w[0] * w[i + 1] - v[i]) * w[i + 1]
    return total


def grad_beta(alpha: Num, beta: Num, lam: Num, v: Num) -> Num:
    """∂L/∂β_i = λ_i (αβ_i − v_i) α."""
    return lam * alpha * (alpha * beta - v)


def step_alpha(w: Vec, lr: Num, p: Vec) -> Num:
    """α − η ∂L/∂α in factored form, α(1 − η Σ λ_iβ_i²) + η Σ λ_iv_iβ_i."""
    lambdas, v = p
    square, cross = 0 * w[0], 0 * w[0]
    for i in range(len(lambdas)):
        square = square + lambdas[i] * w[i + 1] ** 2
        cross = cross + lambdas[i] * v[i] * w[i + 1]
    return w[0] * (1 - lr * square) + lr * cross


def step_beta(alpha: Num, beta: Num, lr: Num, lam: Num, v: Num) -> Num:
    """β_i − η ∂L/∂β_i in factored form, β_i(1 − ηλ_iα²) + ηλ_iv_iα."""
    return beta * (1 - lr * lam * alpha**2) + lr * lam * v * alpha


def corner(w: Vec, p: Vec) -> Num:
    """∂²L/∂α² = Σ λ_i β_i²."""
    lambdas, _ = p
    total = 0 * w[0]
    for i in range(len(lambdas)):
        total = total + lambdas[i] * w[i + 1] ** 2
    return total


def border(alpha: Num, beta: Num, lam: Num, v: Num) -> Num:
    """∂²L/∂α∂β_i = λ_i (2αβ_i − v_i)."""
    return lam * (2 * alpha * beta - v)


def conserved(w: Vec, p: Vec) -> Num:
    """c = α² − |β|², conserved by gradient flow."""
    c = w[0] ** 2
    for i in range(len(p[0])):
        c = c - w[i + 1] ** 2
    return c


def gfs_alpha2(w: Vec, p: Vec) -> Num:
    """α∞² of the gradient flow from w: (c + √(c² + 4|v|²))/2 (Prop 7.1 with |v| for b)."""
    _, v = p
    square = 0 * v[0]
    for i in range(len(v)):
        square = square + v[i] * v[i]
    c = conserved(w, p)
    root = sqrt(c * c + 4 * square)
    return where(c < 0, 2 * square / (root - c), (c + root) / 2)


# -- the face for users -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class MinimalistD:
    """L(α, β) = ½ Σ λ_i (αβ_i − v_i)² + constant with d directions.

    ``lambdas`` are the variances of the inputs in the eigenbasis (any order, > 0), ``v`` the teacher there,
    ``constant`` the unexplained part of the risk. Made from a covariance and a teacher by
    :meth:`from_covariance`, from data by :meth:`from_data`. Methods take w of shape (..., d + 1).

    Raises :class:`~eoslab.core.errors.InvalidArgument` for lengths that differ, variances that are not
    positive, or a teacher that is zero.

    >>> model = MinimalistD(lambdas=(1.0, 0.01), v=(0.0, 1.0))
    >>> round(model.sharpness([2.0, 0.0, 0.5]), 12)
    4.0
    """

    lambdas: tuple[float, ...]
    v: tuple[float, ...]
    constant: float = 0.0
    dropped: int = 0
    basis: Array | None = field(default=None, repr=False, compare=False)
    sample: tuple[Array, Array] | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "minimalist-d"
    reference: ClassVar[str] = "Liu, Zhang, Du, Zhao 2025 (arXiv 2503.02809); docs/theory §9"
    structure: ClassVar[str] = "diagonal"

    def __post_init__(self) -> None:
        lambdas, v = tuple(self.lambdas), tuple(self.v)
        if not lambdas or len(lambdas) != len(v):
            raise InvalidArgument(
                "v", f"{len(v)} numbers for {len(lambdas)} variances", "one teacher component for each variance"
            )
        object.__setattr__(self, "lambdas", tuple(positive(f"lambdas[{i}]", x) for i, x in enumerate(lambdas)))
        object.__setattr__(self, "v", tuple(finite(f"v[{i}]", x) for i, x in enumerate(v)))
        object.__setattr__(self, "constant", finite("constant", self.constant))
        if not any(self.v):
            raise InvalidArgument("v", "all zero", "at least one relevant direction", "nothing is to be learnt")

    @classmethod
    def from_covariance(cls, covariance: ArrayLike, teacher: ArrayLike) -> MinimalistD:
        """The population risk for x with this covariance (d, d) and y = teacher·x, rotated to the eigenbasis."""
        c, t = np.asarray(covariance, dtype=float), np.asarray(teacher, dtype=float)
        if c.ndim != 2 or c.shape[0] != c.shape[1] or t.shape != (c.shape[0],):
            raise InvalidArgument(
                "covariance", f"shape {c.shape} with a teacher of shape {t.shape}", "shapes (d, d) and (d,)"
            )
        if not (np.isfinite(c).all() and np.isfinite(t).all()):
            raise InvalidArgument("covariance", "numbers that are not finite", "finite numbers")
        if not np.allclose(c, c.T, rtol=1e-10, atol=1e-12 * np.abs(c).max()):
            raise InvalidArgument("covariance", "an asymmetric matrix", "a symmetric one")
        return cls._from_moments(c, c @ t, float(t @ c @ t))

    @classmethod
    def from_data(cls, X: ArrayLike, y: ArrayLike) -> MinimalistD:
        """The exact empirical risk of f(x) = α β·x on (X, y), X of shape (n, d), y of shape (n,).

        X and y are centred; covariance and moments have 1/n; eigenvalues are sorted descending;
        v_i = (UᵀE[xy])_i/λ_i; directions with λ_i ≤ 1e-12·λ_1 are dropped and counted in ``dropped``. The
        centred sample in the eigenbasis is kept for mini-batches. Raises BadData for values that are not
        finite, sizes that do not match, or a target that is constant.
        """
        x, t = np.asarray(X), np.asarray(y)
        if x.dtype.kind not in "fiub" or t.dtype.kind not in "fiub":
            raise BadData(f"X and y have to be numbers, got {x.dtype} and {t.dtype}", "encode categories first")
        x, t = x.astype(float), t.astype(float)
        if x.ndim == 1:
            x = x[:, None]
        if x.ndim != 2 or t.shape != (x.shape[0],):
            raise BadData(f"X has shape {x.shape} and y {t.shape}", "expected (n, d) and (n,)")
        for label, a in (("X", x), ("y", t)):
            bad = int((~np.isfinite(a)).sum())
            if bad:
                raise BadData(f"{label} holds {bad} values that are not finite", "remove or impute these samples")
        x, t = x - x.mean(axis=0), t - t.mean()
        n = len(x)
        if n < 2 or not t.any():
            raise BadData("the target is constant: nothing is to be learnt", "choose another target column")
        if not x.any():
            raise BadData("every input column is constant: nothing can be learnt from them", "choose other inputs")
        model = cls._from_moments(x.T @ x / n, x.T @ t / n, float(t @ t) / n)
        object.__setattr__(model, "sample", (x @ model.basis, t))
        return model

    @classmethod
    def _from_moments(cls, covariance: Array, moment: Array, variance: float) -> MinimalistD:
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        values, vectors = values[::-1], vectors[:, ::-1]
        if values[0] <= 0:
            raise InvalidArgument("covariance", "a matrix without a positive eigenvalue", "a covariance")
        kept = values > 1e-12 * values[0]
        if values[-1] < -1e-8 * values[0]:
            raise InvalidArgument(
                "covariance", f"a negative eigenvalue {values[-1]:.3g}", "positive semi-definite"
            )
        lambdas, basis = values[kept], vectors[:, kept]
        v = basis.T @ moment / lambdas
        constant = max(0.0, (variance - float(lambdas @ v**2)) / 2)
        return cls(tuple(lambdas.tolist()), tuple(v.tolist()), constant, int((~kept).sum()), basis)

    @property
    def d(self) -> int:
        """The number of directions."""
        return len(self.lambdas)

    @property
    def n(self) -> int:
        """The number of parameters, d + 1."""
        return self.d + 1

    @property
    def params(self) -> tuple[str, ...]:
        """alpha, beta_1, …, beta_d."""
        return ("alpha", *(f"beta_{i}" for i in range(1, self.d + 1)))

    @property
    def homogeneous(self) -> tuple[int, ...]:
        """Indices in w of the irrelevant directions, v_i = 0."""
        return tuple(i + 1 for i, x in enumerate(self.v) if x == 0)

    @property
    def default_w0(self) -> tuple[float, ...]:
        """α = 0.3 and β_i ~ N(0, 0.02²) from seed 0."""
        return self.random_start(0.3, 0.02, 0)

    def random_start(self, alpha: float, sd: float, seed: int) -> tuple[float, ...]:
        """(α, β) with β_i ~ N(0, sd²) drawn by ``numpy.random.default_rng(seed)``."""
        beta = np.random.default_rng(seed).normal(0.0, 1.0, self.d) * sd
        return (float(alpha), *beta.tolist())

    @property
    def p(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The parameters in the order in which the formulas take them."""
        return self.lambdas, self.v

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters by name (not the sample)."""
        return {
            "lambdas": list(self.lambdas),
            "v": list(self.v),
            "constant": self.constant,
            "dropped": self.dropped,
        }

    @property
    def loss_min(self) -> float:
        """The smallest value of the loss: the constant."""
        return self.constant

    @property
    def loss_scale(self) -> float:
        """The part of L(0) that can be learnt, ½ Σ λ_i v_i²."""
        return float(np.dot(self.lambdas, np.square(self.v))) / 2

    @property
    def relevance(self) -> Array:
        """Share of the learnable variance of y in each direction, λ_iv_i²/Σ λ_jv_j², shape (d,)."""
        share = np.asarray(self.lambdas) * np.square(self.v)
        out: Array = share / share.sum()
        return out

    def loss(self, w: ArrayLike) -> Any:
        """L(w), the constant included, shape (...)."""
        x = split(w, self.params)
        return loss_osc(x, 0.0, self.p) + loss_conv(x, 0.0, self.p) + self.constant

    def loss_osc(self, w: ArrayLike, lr: float) -> Any:
        """The part of the loss in directions with ηλ_iα² ≥ 1."""
        return loss_osc(split(w, self.params), lr, self.p)

    def loss_conv(self, w: ArrayLike, lr: float) -> Any:
        """The part of the loss in the other directions, without the constant."""
        return loss_conv(split(w, self.params), lr, self.p)

    def grad(self, w: ArrayLike) -> Array:
        """∇L(w), shape (..., d + 1)."""
        x = split(w, self.params)
        rest = [grad_beta(x[0], x[i + 1], self.lambdas[i], self.v[i]) for i in range(self.d)]
        return join((grad_alpha(x, self.p), *rest))

    def hessian(self, w: ArrayLike) -> Array:
        """∇²L(w), an arrowhead, shape (..., d + 1, d + 1)."""
        x = split(w, self.params)
        a = np.asarray(w, dtype=float)
        h = np.zeros((*a.shape[:-1], self.n, self.n))
        h[..., 0, 0] = corner(x, self.p)
        for i in range(self.d):
            h[..., 0, i + 1] = h[..., i + 1, 0] = border(x[0], x[i + 1], self.lambdas[i], self.v[i])
            h[..., i + 1, i + 1] = self.lambdas[i] * x[0] ** 2
        return h

    def hvp(self, w: ArrayLike, v: ArrayLike) -> Array:
        """∇²L(w)·v, shape (..., d + 1)."""
        out: Array = np.einsum("...ij,...j->...i", self.hessian(w), np.asarray(v, dtype=float))
        return out

    def third(self, w: ArrayLike, u: ArrayLike) -> Array:
        """∇(uᵀHu) at fixed u, shape (..., d + 1)."""
        a, x = np.asarray(w, dtype=float), np.asarray(u, dtype=float)
        lam = np.asarray(self.lambdas)
        alpha, beta, x0, xi = a[..., :1], a[..., 1:], x[..., :1], x[..., 1:]
        first = (4 * lam * beta * x0 * xi + 2 * lam * alpha * xi**2).sum(axis=-1, keepdims=True)
        rest = 2 * lam * beta * x0**2 + 4 * lam * alpha * x0 * xi
        return np.concatenate([first, rest], axis=-1)

    def sharpness(self, w: ArrayLike) -> Any:
        """S(w) = λmax(∇²L(w)) by the secular equation, shape (...)."""
        a = np.asarray(w, dtype=float)
        split(a, self.params)
        flat = a.reshape(-1, self.n)
        out = np.array([self._top(row) for row in flat]).reshape(a.shape[:-1])
        return float(out) if a.ndim == 1 else out

    def below(self, w: ArrayLike, tau: float) -> bool:
        """Whether S(w) < tau, by the Schur complement (one point)."""
        q, c, m = self._arrow(np.asarray(w, dtype=float))
        return bool(arrowhead_below(q, c.tolist(), m.tolist(), tau))

    def conserved(self, w: ArrayLike) -> Any:
        """c = α² − |β|², shape (...)."""
        return conserved(split(w, self.params), self.p)

    def gfs_sharpness(self, w: ArrayLike) -> Any:
        """Sharpness of the minimiser that gradient flow from w ends at, shape (...)."""
        a = np.asarray(w, dtype=float)
        alpha = np.sqrt(gfs_alpha2(split(a, self.params), self.p))
        return self.sharpness(join((alpha, *[x / alpha for x in self.v])))

    def _arrow(self, w: Array) -> tuple[float, Array, Array]:
        lam = np.asarray(self.lambdas)
        return float(lam @ w[1:] ** 2), lam * (2 * w[0] * w[1:] - np.asarray(self.v)), lam * w[0] ** 2

    def _top(self, w: Array) -> float:
        q, c, m = self._arrow(w)
        return float(arrowhead_top(q, c.tolist(), m.tolist()))
