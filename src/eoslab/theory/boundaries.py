"""Where the theory's regimes of the two-input model end (docs/theory §8), as level functions of one run's data.

Every function takes η, the parameters (λ1, λ2, b) and the start (α, β1, β2), numbers or arrays; it is positive on
one side of a boundary, negative on the other. §0: h1 = ηλ1|b|, h = ηλ2|b|, ε = h·h1, k = λ1/λ2, after scaling
the teacher to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eoslab.core.numbers import Num, Vec

__all__ = ["BOUNDARIES", "flow_like", "no_minimiser"]

Floats = NDArray[np.float64]


def scaled(lr: Num, p: Vec, w: Vec) -> tuple[Num, ...]:
    """h1, h, and α², β1², β2² for the teacher 1 (Prop 0.1), with r = αβ2/b − 1."""
    lambda1, lambda2, b = p
    alpha, beta1, beta2 = w
    size = abs(b)
    return (
        lr * lambda1 * size, lr * lambda2 * size, alpha**2 / size, beta1**2 / size, beta2**2 / size,
        alpha * beta2 / b - 1,
    )  # fmt: skip


def gfs_level(c: Num) -> Floats:
    """A(c) = (c + √(c² + 4))/2, without cancellation (Prop 7.1)."""
    root = np.sqrt(np.asarray(c) ** 2 + 4)
    out: Floats = np.where(np.asarray(c) < 0, 2 / (root - np.minimum(c, 0.0)), (c + root) / 2)
    return out


def no_minimiser(lr: Num, p: Vec, w: Vec) -> Floats:
    """Positive where no minimiser has sharpness ≤ 2/η (Prop 0.3): then almost no start converges."""
    h1, h, *_ = scaled(lr, p, w)
    h1, h = np.broadcast_arrays(h1, h)
    with np.errstate(divide="ignore"):
        out: Floats = np.where(h1 <= 2, np.log(h), np.log(h * h1) - np.log(4 * np.maximum(1 - h / h1, 1e-300)))
    return out


def edge(lr: Num, p: Vec, w: Vec) -> Floats:
    """Positive where the gradient-flow solution is sharper than 2/η, λ1A(c0) > 2/η (leading order of Thm 3.2)."""
    h1, _, a2, b2, c2, _ = scaled(lr, p, w)
    out: Floats = np.log(h1 * gfs_level(a2 - b2 - c2) / 2)
    return out


def eighth(lr: Num, p: Vec, w: Vec) -> Floats:
    """r_E + 1/8 with 1 + r_E = α_e√(α_e² − c0): positive where cycles are damped from the entry on (Prop 4.10).

    NaN where the edge is not entered.
    """
    h1, _, a2, b2, c2, _ = scaled(lr, p, w)
    c0, edge2 = a2 - b2 - c2, 2 / h1
    with np.errstate(invalid="ignore"):
        level = np.sqrt(edge2 * (edge2 - c0)) - 1 + 0.125
    out: Floats = np.where(edge(lr, p, w) > 0, level, np.nan)
    return out


def catapult(lr: Num, p: Vec, w: Vec) -> Floats:
    """Σ0 − 4 = ηλ1(α0² + β1,0²) − 4: positive where a start diverges, for λ2 = 0 exactly so (Thm 5.4)."""
    h1, _, a2, b2, *_ = scaled(lr, p, w)
    out: Floats = np.asarray(h1 * (a2 + b2) - 4)
    return out


def flow_like(lr: Num, p: Vec, w: Vec) -> NDArray[np.bool_]:
    """Where the hypotheses of Theorem 3.3 hold: convergence without ever reaching the edge, proved."""
    lambda1, lambda2, _ = p
    h1, h, a2, b2, c2, r = scaled(lr, p, w)
    k, eps, s0, w0 = lambda1 / lambda2, h * h1, h1 * a2, h1 * b2
    top = h1 * gfs_level(np.maximum(a2 - c2, 0.0))
    low = s0 / 4
    with np.errstate(divide="ignore", invalid="ignore"):
        m = np.maximum((1 - low) ** 2, (1 - top) ** 2)
        monotone = (low / k + eps / low <= 1) & (top / k + eps / top <= 1)
        out: NDArray[np.bool_] = (
            (s0 > 0) & (-1 < r) & (r <= 0) & (top < 2) & (w0 <= (1 - m) / 2) & monotone & (k >= 1)
        )
    return out


#: Boundaries by the name under which figures draw them.
BOUNDARIES: dict[str, Callable[[Num, Vec, Vec], Floats]] = {
    "no-minimiser": no_minimiser,
    "edge": edge,
    "eighth": eighth,
    "catapult": catapult,
}
