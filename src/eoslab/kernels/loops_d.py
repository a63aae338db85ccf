"""The loops for models with many directions (L = ½ Σ λ_i (αβ_i − v_i)²), as the compiler takes them.

As in :mod:`eoslab.kernels.loops`, free names are bound by the compiler. States are arrays; each irrelevant
direction (hom[i] is True) has its own exponent.
"""

import numpy as np

LOW, HIGH = 2.0**-400, 2.0**112
UNIT, SCALE_UP, SCALE_DOWN = 512, 2.0**512, 2.0**-512
BIG = 1e75


def is_finite(x):
    return x - x == 0.0


def seen(w, e, out):
    """The values that the other components see: zero where a component is carried by its exponent."""
    for i in range(len(w)):
        out[i] = w[i] if e[i] == 0 else 0.0


def true_values(w, e, out):
    for i in range(len(w)):
        out[i] = w[i] if e[i] == 0 else math.ldexp(w[i], e[i])


def step_once(w, e, m, v, t, h, lambdas, teacher, hom, x, nw, ne, nm, nv):
    """One update of all components into nw, ne, nm, nv; x is scratch."""
    seen(w, e, x)
    p = (lambdas, teacher)
    lr = h[0]
    if FACTORED:
        nw[0] = step_alpha(x, lr, p)
    else:
        d, nm[0], nv[0] = update(grad_alpha(x, p), m[0], v[0], t, h)
        nw[0] = x[0] + d
    for i in range(len(lambdas)):
        j = i + 1
        if FACTORED:
            nw[j] = step_beta(x[0], w[j], lr, lambdas[i], teacher[i])
        else:
            d, nm[j], nv[j] = update(grad_beta(x[0], w[j], lambdas[i], teacher[i]), m[j], v[j], t, h)
            nw[j] = w[j] + d
    scale_all(e, hom, nw, ne, nm)


def scale_all(e, hom, nw, ne, nm):
    """Carry irrelevant directions by mantissa and exponent."""
    for j in range(len(nw)):
        ne[j] = e[j]
        if LINEAR and hom[j]:
            size = max(abs(nw[j]), abs(nm[j]))
            if size < LOW and size > 0.0:
                nw[j] *= SCALE_UP
                nm[j] *= SCALE_UP
                ne[j] -= UNIT
            elif e[j] < 0 and size > HIGH:
                nw[j] *= SCALE_DOWN
                nm[j] *= SCALE_DOWN
                ne[j] += UNIT


def batch_step(w, m, v, t, h, z, y, rows, nw, nm, nv, g):
    """One update with the gradient of the mean loss over a batch of samples, in float64 throughout."""
    n = len(rows)
    for j in range(len(w)):
        g[j] = 0.0
    for k in range(n):
        row = rows[k]
        s = 0.0
        for i in range(len(w) - 1):
            s += w[i + 1] * z[row, i]
        residual = (w[0] * s - y[row]) / n
        g[0] += residual * s
        for i in range(len(w) - 1):
            g[i + 1] += residual * w[0] * z[row, i]
    for j in range(len(w)):
        d, nm[j], nv[j] = update(g[j], m[j], v[j], t, h)
        nw[j] = w[j] + d


def top(w, scale, lambdas, teacher, c, m):
    """λmax(D·H·D), D = diag(scale); c and m are scratch."""
    q = corner(w, (lambdas, teacher)) * scale[0] * scale[0]
    for i in range(len(lambdas)):
        c[i] = border(w[0], w[i + 1], lambdas[i], teacher[i]) * scale[0] * scale[i + 1]
        m[i] = lambdas[i] * w[0] ** 2 * scale[i + 1] ** 2
    return arrowhead_top(q, c, m)


def dead(w, e, h, lambdas, teacher, ones, c, m, x):
    """Whether w has diverged: a reported number is not finite."""
    total = 0.0
    for i in range(len(w)):
        total += abs(w[i])
    if total < BIG:
        return False
    true_values(w, e, x)
    p = (lambdas, teacher)
    s = top(x, ones, lambdas, teacher, c, m)
    return not is_finite(loss_osc(x, h[0], p) + loss_conv(x, h[0], p) + s + h[0] * s)


def run(w, e, m, v, t0, steps, h, lambdas, teacher, hom, z, y, batches, ws, es, ps):
    """States of steps t0 … t0 + steps in the rows of ws (mantissas) and es (exponents); see ``loops.run``.

    ``batches`` (steps × batch) selects the samples of each step; it has no rows for full-batch runs. w, e, m
    and v end as the last state. Returns the number of rows that hold a state.
    """
    n = len(w)
    x, nw, nm, nv = np.empty(n), np.empty(n), m.copy(), v.copy()
    ne = e.copy()
    ones, c, d, g = np.ones(n), np.empty(n - 1), np.empty(n - 1), np.empty(n)
    ws[0], es[0] = w, e
    rows = 1
    for i in range(steps + 1):
        last = i == steps
        if last and not ADAPTIVE:
            break
        if len(batches) > 0:
            k = min(i, steps - 1)
            batch_step(w, m, v, t0 + i, h, z, y, batches[k], nw, nm, nv, g)
        else:
            step_once(w, e, m, v, t0 + i, h, lambdas, teacher, hom, x, nw, ne, nm, nv)
        if ADAPTIVE:
            for j in range(n):
                ps[i, j] = inverse_preconditioner(nm[j], nv[j], t0 + i, h)
        if last or dead(nw, ne, h, lambdas, teacher, ones, c, d, x):
            break
        w[:], e[:], m[:], v[:] = nw, ne, nm, nv
        ws[i + 1], es[i + 1] = w, e
        rows += 1
    return rows


def measure(ws, es, ps, rows, h, lambdas, teacher, threshold, osc, conv, sharp, eta, gfs, above):
    """Losses, sharpness, η·S_eff, GFS sharpness and the crossing predicate for rows of states."""
    n = ws.shape[1]
    lr = h[0]
    x, at, ones, scale = np.empty(n), np.empty(n), np.ones(n), np.ones(n)
    c, d = np.empty(n - 1), np.empty(n - 1)
    p = (lambdas, teacher)
    for i in range(rows):
        true_values(ws[i], es[i], x)
        osc[i] = loss_osc(x, lr, p)
        conv[i] = loss_conv(x, lr, p)
        s = top(x, ones, lambdas, teacher, c, d)
        sharp[i] = s
        if ADAPTIVE:
            for j in range(n):
                scale[j] = sqrt(ps[i, j])
            eta[i] = top(x, scale, lambdas, teacher, c, d)
            above[i] = threshold > 0.0 and eta[i] >= threshold
        else:
            eta[i] = lr * s
            above[i] = threshold > 0.0 and eta[i] >= threshold
        alpha = sqrt(gfs_alpha2(x, p))
        at[0] = alpha
        for j in range(n - 1):
            at[j + 1] = teacher[j] / alpha
        gfs[i] = top(at, ones, lambdas, teacher, c, d)
