"""The account of the general theory for any model: constrained trajectory and predicted dynamics.

Damian, Nichani and Lee 2023 (arXiv 2209.15594, "Self-stabilization"): with u the top eigenvector and S the
sharpness, gradient descent at the edge follows projected gradient descent on the stable set

    M = {S ≤ 2/η, ∇L·u = 0},     θ†_{t+1} = proj_M(θ†_t − η∇L(θ†_t)),

and the displacement v from it follows, with x = u·v, y = ∇S⊥·v, P = I − uuᵀ, ∇S⊥ = P∇S, δ² = 2a/|∇S⊥|²,
a = −∇L·∇S, all at θ†_t,

    v⁺ = P⁺(I − η∇²L)P v + ηP⁺∇S⊥(δ² − x²)/2 − (1 + ηy)x u⁺.                                       (predicted)

At S† = 2/η the last factor is 1 − η(S† + y), which is the form used here, so that the same line also covers the
approach to the edge; before the edge the constraint is inactive and the δ² term is absent. The theory assumes one
unstable direction and an eigengap. For the minimalist model all of this is explicit
(:mod:`eoslab.theory.stable_set`); here it is written once for every model with ``grad``, ``hessian``, ``third``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eoslab.core.errors import InvalidArgument, positive, whole

__all__ = ["Predicted", "SmoothModel", "Top", "predicted_dynamics", "project_to_stable_set", "top_of"]

Array = NDArray[np.float64]

#: A projection that has come here has left every place where derivatives can be computed.
FAR = 1e20


class SmoothModel(Protocol):
    """What is asked of a model: three derivatives at a point w of shape (n,)."""

    def grad(self, w: Any) -> Any: ...
    def hessian(self, w: Any) -> Any: ...
    def third(self, w: Any, u: Any) -> Any: ...


@dataclass(frozen=True)
class Top:
    """Top of the Hessian at one point: S, u, ∇S, the gradient, the Hessian, the gap to the next eigenvalue."""

    S: float
    u: Array
    grad_S: Array
    g: Array
    H: Array
    gap: float

    @property
    def grad_S_perp(self) -> Array:
        """∇S without its component along u."""
        return np.asarray(self.grad_S - self.u * (self.u @ self.grad_S))

    @property
    def a_ps(self) -> float:
        """The progressive-sharpening coefficient −∇L·∇S."""
        return float(-self.g @ self.grad_S)

    @property
    def b_ss(self) -> float:
        """The self-stabilization coefficient |∇S⊥|²."""
        return float(self.grad_S_perp @ self.grad_S_perp)


def top_of(model: SmoothModel, w: Array, like: Array | None = None) -> Top:
    """S, u, ∇S, ∇L at w; the sign of u is that of ``like`` where given."""
    H = np.asarray(model.hessian(w), dtype=float)
    values, vectors = np.linalg.eigh(H)
    u = vectors[:, -1]
    if like is not None and u @ like < 0:
        u = -u
    grad_S, g = np.asarray(model.third(w, u), dtype=float), np.asarray(model.grad(w), dtype=float)
    return Top(float(values[-1]), u, grad_S, g, H, float(values[-1] - values[-2]))


def project_to_stable_set(
    model: SmoothModel, w: ArrayLike, lr: float, *, rounds: int = 50, tolerance: float = 1e-13
) -> tuple[Array, bool, bool]:
    """(proj_M(w), whether the constraint S ≤ 2/η is active there, whether the iteration converged).

    Each round removes ∇L·u by a Newton step along u and, if S > 2/η, S − 2/η by one along ∇S⊥: minimal-norm
    corrections, so the result is the nearest point of M to first order in the distance moved (exactly, where M is
    flat and aligned with them as in the minimalist model).
    """
    x = np.array(w, dtype=float)
    edge, active, u = 2 / lr, False, None
    for _ in range(rounds):
        top = top_of(model, x, u)
        u, slope = top.u, float(top.g @ top.u)
        # Close to M, S − 2/η below rounding of S is the edge itself.
        excess = top.S - edge
        over = excess > tolerance * edge or (active and abs(excess) > tolerance * edge)
        if abs(slope) <= tolerance * (float(np.abs(top.g).sum()) + top.S * float(np.abs(x).max())) and not over:
            return x, active or abs(excess) <= tolerance * edge, True
        if top.S > 0:
            x = x - u * slope / top.S
        if over and top.b_ss > 0:
            active = True
            x = x - top.grad_S_perp * (excess / top.b_ss)
        if not np.all(np.abs(x) <= FAR):
            break
    return x, active, False


@dataclass(frozen=True)
class Predicted:
    """Constrained trajectory and predicted displacement at steps 0 … T (rows), with the coefficients used.

    ``dagger`` (T+1, n), ``u`` (T+1, n) the top eigenvector there, ``v`` (T+1, n) displacement from it,
    ``x`` = u·v, ``y`` = ∇S⊥·v, ``sharpness`` = S(θ†), ``a_ps``, ``b_ss``, ``active`` (the constraint is tight),
    ``gap`` to the second eigenvalue. ``ok`` is False from the first step at which the projection did not converge;
    nothing is to be read off there.
    """

    dagger: Array
    u: Array
    v: Array
    x: Array
    y: Array
    sharpness: Array
    a_ps: Array
    b_ss: Array
    active: NDArray[np.bool_]
    gap: Array
    ok: NDArray[np.bool_]

    @property
    def w(self) -> Array:
        """The predicted iterate θ† + v."""
        return self.dagger + self.v

    @property
    def predicted_sharpness(self) -> Array:
        """S(θ†) + y, the sharpness along the predicted iterate to first order."""
        return self.sharpness + self.y


def predicted_dynamics(
    model: SmoothModel, lr: float, w0: ArrayLike, steps: int, *, dagger0: ArrayLike | None = None
) -> Predicted:
    """θ† and v for ``steps`` steps, started at θ†_0 = proj_M(w0) (or ``dagger0``) and v_0 = w0 − θ†_0.

    A row costs one Hessian, one eigendecomposition and a few projections: meant for models with few parameters.
    """
    lr, steps = positive("lr", lr), whole("steps", steps)
    start = np.asarray(w0, dtype=float)
    if start.ndim != 1:
        raise InvalidArgument("w0", f"an array of shape {start.shape}", "one point, shape (n,)")
    n, m = len(start), steps + 1
    dagger, us, v = (np.full((m, n), np.nan) for _ in range(3))
    x, y, S, a_ps, b_ss, gap = (np.full(m, np.nan) for _ in range(6))
    active, ok = np.zeros(m, bool), np.zeros(m, bool)
    point, on_edge, fine = project_to_stable_set(model, start if dagger0 is None else dagger0, lr)
    shift = start - point
    top = top_of(model, point)
    for t in range(m):
        perp = top.grad_S_perp
        dagger[t], us[t], v[t], x[t], y[t], S[t] = point, top.u, shift, top.u @ shift, perp @ shift, top.S
        a_ps[t], b_ss[t], gap[t], active[t], ok[t] = top.a_ps, top.b_ss, top.gap, on_edge, fine
        if t == steps or not (fine and np.all(np.isfinite(shift))):
            break
        after, on_edge_after, fine = project_to_stable_set(model, point - lr * top.g, lr)
        top_after = top_of(model, after, top.u)
        u, up = top.u, top_after.u
        across = shift - u * x[t]
        moved = across - lr * (top.H @ across)
        # δ² is what the projection takes back of progressive sharpening; with a ≤ 0 it takes nothing.
        delta2 = 2 * top.a_ps / top.b_ss if on_edge and on_edge_after and top.b_ss > 0 else 0.0
        moved = moved + lr * perp * (delta2 - x[t] ** 2) / 2
        shift = moved - up * (up @ moved) + (1 - lr * (top.S + y[t])) * x[t] * up
        point, on_edge, top = after, on_edge_after, top_after
    return Predicted(dagger, us, v, x, y, S, a_ps, b_ss, active, gap, ok)
