"""Third derivatives that are compared before they are believed.

PyTorch's fused layer and batch normalisation give **silently wrong** third derivatives (their second ones are
right). The first call therefore compares with differences of the products; on disagreement the normalisation
layers are replaced by primitive arithmetic and compared again, and if that does not help the call is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from eoslab.nn.ladder import ThirdDerivativeRefused

if TYPE_CHECKING:
    from eoslab.nn.point import Point

__all__ = ["third"]

Vector = NDArray[Any]

#: Largest relative distance to differences that is still rounding and truncation.
TOLERANCE = {torch.float64: 1e-4, torch.float32: 0.05}


def third(point: Point, u: Vector, v: Vector) -> Vector:
    """∇_w(uᵀHv) at ``point``, shape (n,).

    Raises:
        ThirdDerivativeRefused: the derivative stays wrong with primitive layers.
    """
    ladder, tolerance = point.ladder, TOLERANCE[point.objective.dtype]
    value = point.third_raw(u, v)
    if ladder.third_checked:
        return value
    error = _error(point, u, v, value)
    if error > tolerance and not ladder.primitive_norms:
        ladder.primitive_norms = True
        point.forget_graphs()
        value = point.third_raw(u, v)
        repaired = _error(point, u, v, value)
        if repaired <= tolerance:
            ladder.notes.append(
                f"primitive normalisation layers: third derivatives of the fused ones were off by {error:.2g}"
            )
        error = repaired
    if not error <= tolerance:
        ladder.primitive_norms = False
        raise ThirdDerivativeRefused(
            f"∇(uᵀHu): automatic differentiation disagrees with differences of the products by {error:.2g}",
            "some operation has a wrong third derivative; use float64, or rewrite the layer with primitives",
        )
    ladder.third_checked = True
    return value


def _error(point: Point, u: Vector, v: Vector, value: Vector) -> float:
    """Distance between ⟨∇(uᵀHv), d⟩ and its central difference, relative to their size, for three d.

    The third d is ``value`` itself: where the derivative is small in a random direction a difference
    cannot judge it.
    """
    o = point.objective
    rng = np.random.default_rng(0)
    w, value = point.w.astype(np.float64), value.astype(np.float64)
    h = (1e-4 if o.dtype == torch.float64 else 1e-2) * max(1.0, float(np.abs(w).max()))
    size, worst = 0.0, 0.0
    directions = [rng.standard_normal(o.n), rng.standard_normal(o.n), value.copy()]
    for d in directions:
        norm = float(np.linalg.norm(d))
        if norm == 0.0:
            continue
        d /= norm
        quadratic = []
        for sign in (1.0, -1.0):
            moved = type(point)(o, w + sign * h * d)
            quadratic.append(float(u.astype(np.float64) @ moved.hvp(v).astype(np.float64)))
        fd, ad = (quadratic[0] - quadratic[1]) / (2 * h), float(value @ d)
        worst, size = max(worst, abs(fd - ad)), max(size, abs(fd), abs(ad))
    floor = 1e-10 if o.dtype == torch.float64 else 1e-5
    return worst / size if size > floor else 0.0
