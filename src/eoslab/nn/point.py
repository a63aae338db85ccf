"""One point w with its loss, its gradient and the retained graph that all products there share.

Building the graph costs no more than the gradient that a descent step needs anyway, and a product then costs
about one gradient, half of what rebuilding the graph for each product costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eoslab.core.errors import InvalidArgument
from eoslab.nn import checks, third
from eoslab.nn.ladder import no_second_derivative

if TYPE_CHECKING:
    from eoslab.nn.objective import Objective

__all__ = ["Point"]

Vector = NDArray[Any]

#: Step of the one-sided finite difference of the gradient, for a unit direction. Its bias is ε∇³L/2, which
#: at the edge of stability is what is large: 2.5e-4 keeps it near 3e-4 relative in float32, where 1e-3 shows
#: a bias of 1e-3. In float64 the central difference with 1e-4 has an error of about 1e-8.
FD_STEP = {torch.float32: 2.5e-4, torch.float64: 1e-4}
#: The same for rough products, one-sided in both precisions, and the relative error that they are taken to have.
#: In float32 the value vᵀHv of a top eigenvector is then off by up to 4e-4 at the edge of stability: a longer step
#: raises the bias, a shorter one the rounding.
ROUGH_STEP = {torch.float32: 2e-4, torch.float64: 1e-6}
ROUGH_ERROR = {torch.float32: 1e-3, torch.float64: 1e-5}


class Point:
    """One w with its loss, gradient and, while it lives, the graph that all products share."""

    def __init__(self, objective: Objective, w: Vector) -> None:
        self.objective = objective
        self.mean, self.ladder = objective.mean, objective.ladder
        self.w = np.array(w, dtype=objective.numpy_dtype)
        self.w.setflags(write=False)
        self._length = float(np.linalg.norm(self.w))
        self._graphs: list[tuple[Tensor, Tensor, int]] = []  # (flat w, its gradient with graph, samples)
        self._evaluate()

    def _evaluate(self) -> None:
        """Loss and gradient, and the graphs where they are to be kept."""
        flat = self._tensor(self.w)
        if self.ladder.mode != "exact":
            self.loss, self.grad = self.mean.gradient(flat)
            return

        def term(x: Any, y: Any, count: int) -> Sequence[Tensor]:
            retain = self.ladder.retain if self.ladder.retain is not None else len(self.mean.chunks) == 1
            value, w, g = self._graph(x, y, retain)
            if retain:
                self._graphs.append((w, g, count))
            return value, g.detach()

        self._graphs.clear()
        loss, grad = self.mean(term, self._graphs)
        self.loss, self.grad = float(loss), grad.cpu().numpy()

    def _graph(self, x: Any, y: Any, create: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Loss of a chunk, w, and the gradient with its graph (or without)."""
        flat = self._tensor(self.w).requires_grad_()
        with torch.enable_grad():
            value = self.mean.loss(flat, x, y)
            (g,) = torch.autograd.grad(value, flat, create_graph=create)
        return value.detach(), flat, g

    def _tensor(self, w: Vector) -> Tensor:
        return self.objective.parameters.tensor(w)

    # -- products -------------------------------------------------------------------------------------------

    def hvp(self, v: Vector) -> Vector:
        """Hv, shape (n,)."""
        return self._products(np.asarray(v)[None])[0]

    def hvp_block(self, V: Vector) -> Vector:
        """H V for the rows of V (k, n): the products share the graph, or one rebuild of it per chunk."""
        return self._products(np.asarray(V))

    def _products(self, V: Vector) -> Vector:
        o, ladder = self.objective, self.ladder
        if V.ndim != 2 or V.shape[1] != o.n:
            raise InvalidArgument("v", f"shape {V.shape[-1:]}", f"({o.n},)")
        o.products += len(V)
        if ladder.mode == "exact" and not ladder.products_checked:
            ladder.products_checked = True
            checks.products(o, self.w)
            if ladder.mode != "exact":
                self._graphs.clear()
        while ladder.mode == "exact":
            try:
                return self.exact(V)
            except RuntimeError as error:
                if not no_second_derivative(error):
                    raise
                ladder.step_down(error)
            self._graphs.clear()
            if ladder.mode == "exact":
                self._evaluate()
        return np.stack([self.difference(v) for v in V])

    def exact(self, V: Vector) -> Vector:
        """H V by double backward, whatever the ladder says."""
        rows = [self._tensor(v) for v in V]

        def term(x: Any, y: Any, count: int) -> Sequence[Tensor]:
            flat, g = (x, y) if self._graphs else self._graph(x, y)[1:]
            return [_product(g, flat, v) for v in rows]

        return np.stack([t.detach().cpu().numpy() for t in self.mean(term, self._graphs)])

    def difference(self, v: Vector) -> Vector:
        """Differences of ∇L along v: one-sided in float32 (one gradient), central in float64 (two)."""
        o = self.objective
        norm = float(np.linalg.norm(v.astype(np.float64)))
        if norm == 0.0:
            return np.zeros(o.n, o.numpy_dtype)
        eps = FD_STEP[o.dtype]
        if o.dtype == torch.float32:
            return self._ahead(v, norm, eps)
        h = self._step(eps)
        u = v / norm
        return (o.loss_and_grad(self.w + h * u)[1] - o.loss_and_grad(self.w - h * u)[1]) * (norm / (2 * h))

    def _step(self, eps: float) -> float:
        """A step of ε in a direction of length 1, long enough that rounding w turns it by no more than 1 %."""
        return max(eps, 32 * float(np.finfo(self.w.dtype).eps) * self._length)

    def _ahead(self, v: Vector, norm: float, eps: float) -> Vector:
        """(∇L(w + hv) − ∇L(w))/h with h|v| = the step of ε."""
        h = self._step(eps) / norm
        ahead = self.objective.loss_and_grad(self.w + np.asarray(h, self.w.dtype) * v)[1]
        ahead -= self.grad
        ahead *= 1.0 / h
        return ahead

    @property
    def rough_error(self) -> float:
        """Relative error that :meth:`rough` is taken to have; 0 where products are differences anyway."""
        return ROUGH_ERROR[self.objective.dtype] if self.ladder.mode == "exact" else 0.0

    def rough(self, v: Vector) -> Vector:
        """Hv by one difference of the gradient: one gradient instead of a double backward."""
        o = self.objective
        o.products += 1
        norm = float(np.linalg.norm(v))
        if norm == 0.0:
            return np.zeros_like(self.w)
        return self._ahead(v, norm, ROUGH_STEP[o.dtype])

    def self_test(self, seed: int = 0) -> float:
        """Relative distance between an exact product and a difference, for a random unit vector."""
        v = np.random.default_rng(seed).standard_normal(self.objective.n)
        v /= np.linalg.norm(v)
        exact, fd = self.exact(v[None])[0].astype(np.float64), self.difference(v).astype(np.float64)
        return float(np.linalg.norm(exact - fd) / max(np.linalg.norm(exact), 1e-300))

    def ggn(self, v: Vector) -> Vector:
        """Gauss–Newton product Jᵀ(∇²_f ℓ)J v.

        J v comes from the transpose of the transpose (two backward passes), so it needs no forward-mode rule.
        """
        tangent = self._tensor(v)

        def term(x: Any, y: Any, count: int) -> Sequence[Tensor]:
            with torch.enable_grad():
                flat = self._tensor(self.w).requires_grad_()
                f = self.objective.parameters.forward(flat, x)
                dummy = torch.zeros_like(f, requires_grad=True)
                (back,) = torch.autograd.grad(f, flat, dummy, create_graph=True)
                (jv,) = torch.autograd.grad(back, dummy, tangent)
                leaf = f.detach().requires_grad_()
                (df,) = torch.autograd.grad(self.mean.loss_fn(leaf, y), leaf, create_graph=True)
                if not df.requires_grad:  # the loss is linear in f
                    return [torch.zeros_like(flat)]
                (hjv,) = torch.autograd.grad(df, leaf, jv)
                return torch.autograd.grad(f, flat, hjv)

        self.objective.products += 1
        return self.mean(term)[0].detach().cpu().numpy()

    def residual(self, v: Vector) -> Vector:
        """(H − Gauss–Newton) v: the part of the curvature that comes from the second derivative of f."""
        return self.hvp(v) - self.ggn(v)

    def third(self, u: Vector, v: Vector | None = None) -> Vector:
        """∇_w(uᵀHv), shape (n,); guarded, see :func:`eoslab.nn.third.third`.

        Raises:
            ThirdDerivativeRefused: the derivative stays wrong with primitive layers.
        """
        u = np.asarray(u)
        return third.third(self, u, u if v is None else np.asarray(v))

    def forget_graphs(self) -> None:
        """Free the graphs; products build their own."""
        self._graphs.clear()

    def third_raw(self, u: Vector, v: Vector) -> Vector:
        """∇_w(uᵀHv) as automatic differentiation has it, right or wrong."""
        ut, vt = self._tensor(u), self._tensor(v)

        def term(x: Any, y: Any, count: int) -> Sequence[Tensor]:
            with torch.enable_grad():
                _, flat, g = self._graph(x, y)
                hu = _product(g, flat, ut, create=True)
                return [_product(hu, flat, vt)]

        self.objective.products += 2
        return self.mean(term)[0].detach().cpu().numpy()


def _product(g: Tensor, flat: Tensor, v: Tensor, create: bool = False) -> Tensor:
    """vᵀ ∂g/∂flat; 0 where g does not depend on it (a loss that is linear in w)."""
    if not g.requires_grad:
        return torch.zeros_like(v)
    (out,) = torch.autograd.grad(g, flat, v, retain_graph=True, create_graph=create, allow_unused=True)
    return torch.zeros_like(v) if out is None else out
