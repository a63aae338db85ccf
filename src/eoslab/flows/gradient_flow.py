"""Gradient flow ẇ = −∇L(w): where gradient descent would go with an infinitely small learning rate.

Near the edge of stability the flow is stiff (its rates are the Hessian's eigenvalues, 10³ apart and more), so the
default is LSODA, which changes between an explicit and an implicit method as it goes and takes the Jacobian −∇²L
in closed form. What the flow conserves in exact arithmetic is measured along the way: its drift is the evidence
for the accuracy of the solution (docs/theory, Prop 7.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IMPLICIT", "METHODS", "FlowSolution", "gradient_flow"]

Floats = NDArray[np.float64]

#: SciPy's integrators. Those of IMPLICIT use the Hessian.
METHODS = ("LSODA", "Radau", "BDF", "RK45", "RK23", "DOP853")
IMPLICIT = ("LSODA", "Radau", "BDF")
#: A step below this fraction of the time since the start makes no progress in float64.
NO_PROGRESS = 1e-14
#: Internal steps between two looks that are more than any sane problem takes (LSODA: a few hundred).
MAX_STEPS = 100_000


@dataclass(frozen=True)
class FlowSolution:
    """The flow at the times asked for, as far as the integrator came.

    ``w`` has shape (m, n); m is smaller than the number of times asked for iff ``failure`` is not empty, and
    then says why. ``drift`` of shape (m,) is max_i |c_i(w) − c_i(start)| over the conserved quantities c_i
    (NaN where the model has none), ``evaluations`` the number of gradients.
    """

    times: Floats
    w: Floats
    drift: Floats
    evaluations: int
    failure: str = ""


def gradient_flow(
    model: Any,
    w0: Any,
    times: Any,
    *,
    method: str = "LSODA",
    rtol: float = 1e-10,
    atol: float = 1e-12,
    start: Any = None,
) -> FlowSolution:
    """Solve ẇ = −∇L(w), w(times[0]) = w0, at the increasing ``times``.

    ``model`` has ``grad(w)`` and, for the implicit methods, ``hessian(w)``. The drift of conserved quantities is
    measured from ``start`` (w0 unless given). A flow that leaves to infinity in finite time, or tolerances out of
    reach, end the solution early with a sentence in ``failure``; nothing is raised and nothing is padded.

    >>> from eoslab.models import Quadratic
    >>> flow = gradient_flow(Quadratic(lambda1=1.0, lambda2=0.1), [1.0, 1.0], [0.0, 1.0])
    >>> bool(abs(flow.w[1, 0] - np.exp(-1.0)) < 1e-9)
    True
    """
    import scipy.integrate

    times = np.asarray(times, dtype=float)
    w0 = np.asarray(w0, dtype=float)
    options: dict[str, Any] = {"rtol": rtol, "atol": atol}
    if method in IMPLICIT:
        options["jac"] = lambda t, w: -model.hessian(w)
    span = float(times[-1] - times[0])
    out, failure, evaluations = [w0], "", 0
    if span > 0:
        with np.errstate(all="ignore"):  # overflow is reported below, as a failure
            solver = getattr(scipy.integrate, method)(lambda t, w: -model.grad(w), 0.0, w0, span, **options)
            failure = _advance(solver, times - times[0], out)
        evaluations = int(solver.nfev)
    w = np.array(out)
    return FlowSolution(times[: len(w)], w, _drift(model, w, w0 if start is None else start), evaluations, failure)


def _advance(solver: Any, times: Floats, out: list[Floats]) -> str:
    """Append the solution at times[1:] to ``out``; a sentence where the integrator could not go on."""
    since = 0
    while len(out) < len(times):
        message = solver.step()
        since += 1
        at = f"stopped at time {solver.t:.6g} after the start of this stretch, |w| = {np.abs(solver.y).max():.3g}"
        if solver.status == "failed":
            return f"{at}: {message}"
        if not np.isfinite(solver.y).all() or solver.t - solver.t_old <= NO_PROGRESS * solver.t:
            return f"{at}: no step is small enough; the flow leaves to infinity or the tolerances are out of reach"
        dense = None
        while len(out) < len(times) and times[len(out)] <= solver.t:
            dense = dense or solver.dense_output()
            since = 0
            out.append(np.asarray(dense(times[len(out)]), dtype=float))
        if since > MAX_STEPS:
            return f"{at}: more than {MAX_STEPS} integration steps between two points"
    return ""


def _drift(model: Any, w: Floats, start: Any) -> Floats:
    conserved = getattr(model, "conserved", None)
    if conserved is None:
        return np.full(len(w), np.nan)
    change = np.abs(np.asarray(conserved(w)) - np.asarray(conserved(np.asarray(start, dtype=float))))
    out: Floats = change.reshape(len(w), -1).max(axis=1)
    return out
