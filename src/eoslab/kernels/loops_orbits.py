"""What a run does in the long run: last iterates and Lyapunov exponents, as the compiler takes them.

Compiled behind :mod:`eoslab.kernels.loops` and :mod:`eoslab.kernels.loops_lanes`, whose names are used here.
"""

import math

import numpy as np


def last_iterates(w0, steps, keep, h, p, out_w, out_eta, out_period, out_steps):
    """For every row: the states of steps steps+1 … steps+keep with their η·S_eff, and the period after ``steps``.

    out_steps is the number of updates that led to finite states; rows of a run that diverged stay as they are.
    """
    for j in range(w0.shape[0]):
        w, m, v, e, flag, t = load(w0, j), zeros(), zeros(), 0, 0, 0
        hj, pj = load_h(h, j), load_p(p, j)
        while t < steps + keep:
            if t == steps:
                out_period[j] = period_of(w, e, m, v, flag, t, hj, pj)
            new, ne, nm, nv, nflag = step_once(w, e, m, v, flag, t, hj, pj)
            if dead(new, ne, hj, pj):
                break
            w, e, m, v, flag = new, ne, nm, nv, nflag
            t += 1
            if t > steps:
                here = shown_value(w, e)
                store(out_w[j], t - steps - 1, here)
                if ADAPTIVE:
                    _, _, um, uv, _ = step_once(w, e, m, v, flag, t, hj, pj)
                    d = square_roots(inverse(um, uv, t, hj))
                    out_eta[j, t - steps - 1] = sharpness(here, d, pj)
                else:
                    out_eta[j, t - steps - 1] = hj[0] * sharpness(here, ones(), pj)
        out_steps[j] = t


def lyapunov(w0, skip, steps, h, p, out):
    """Largest Lyapunov exponent, per step, over ``steps`` updates after ``skip``; NaN where the run diverges.

    A tangent vector (δw, δm) is carried along by the linearised update, dg = ∇²L·δw, and normalised at every
    step. Exact for rules whose update is linear in gradient and memory.
    """
    for j in range(w0.shape[0]):
        w, m, v, e, flag = load(w0, j), zeros(), zeros(), 0, 0
        hj, pj = load_h(h, j), load_p(p, j)
        dw, dm, total, fine = tangent_start(), zeros(), 0.0, True
        for t in range(skip + steps):
            dw, dm = tangent_step(shown_value(w, e), dw, dm, t, hj, pj)
            size = math.sqrt(squares(dw) + squares(dm))
            if size == 0.0:
                total = -np.inf
                break
            dw, dm = times(dw, 1.0 / size), times(dm, 1.0 / size)
            if t >= skip:
                total += math.log(size)
            w, e, m, v, flag = step_once(w, e, m, v, flag, t, hj, pj)
            if dead(w, e, hj, pj):
                fine = False
                break
        out[j] = total / steps if fine else np.nan
