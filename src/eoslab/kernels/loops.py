"""The loops over steps and lanes for low-dimensional models, as the compiler takes them.

This text is never run as it stands: :mod:`eoslab.kernels.compiler` puts it behind the plain formulas of one
model and one rule, writes out the operations whose length is the number of parameters (``advance``, ``store``,
``load``, ...), and compiles the whole. Names that are not defined here come from there.

A homogeneous component (β1 of the minimalist model; HOM is its index, −1 if there is none) enters the other
updates through its square only. Its true value is w[HOM]·2^e, e a multiple of 512, so that it never dies by
underflow: while e ≠ 0 it is below 2^−288, which the other components cannot see in float64, and they are
computed with zero in its place. Scaling by powers of two is exact, so a run does not depend on when it happens.
"""

import numpy as np

#: |component| below which the mantissa is scaled up, and above which it is scaled back.
LOW, HIGH = 2.0**-400, 2.0**112
UNIT, SCALE_UP, SCALE_DOWN = 512, 2.0**512, 2.0**-512
#: While the magnitudes stay below this, polynomials of degree 4 in them are finite.
BIG = 1e75
#: Smallest normal float64: |β1| below it is "below float64 range".
TINY = 2.2250738585072014e-308
#: Steps between two looks at the exponents in the block of lanes.
VISIT = 8
#: Lanes in a block: the state of a block stays in the first-level cache.
BLOCK = 128


def is_finite(x):
    return x - x == 0.0


def step_once(w, e, m, v, flag, t, h, p):
    """One update, with the homogeneous component carried by mantissa and exponent."""
    if e == 0:
        new, m, v = advance(w, m, v, t, h, p)
    else:
        hidden, m0, v0 = advance(hide(w), hide(m), v, t, h, p)
        shown, m1, _ = advance(w, m, v, t, h, p)
        new, m, v = graft(hidden, shown), graft(m0, m1), v0
    if PROJECTS:
        new, flag = project(w, new, flag, h, p)
    if HOM >= 0:
        size = largest_hom(new, m)
        if size < LOW and size > 0.0:
            new, m, e = scale_hom(new, SCALE_UP), scale_hom(m, SCALE_UP), e - UNIT
        elif e < 0 and size > HIGH:
            new, m, e = scale_hom(new, SCALE_DOWN), scale_hom(m, SCALE_DOWN), e + UNIT
    return new, e, m, v, flag


def dead(w, e, h, p):
    """Whether w has diverged: a reported number is not finite."""
    if magnitude(w) < BIG:
        return False
    x = loss(w, p) + sharpness(w, ones(), p)
    return not (is_finite(x) and is_finite(h[0] * x))


def run(w, e, m, v, flag, t0, steps, h, p, ws, es, fs, ps):
    """States of steps t0 … t0 + steps in the rows of ws (mantissas), exponents in es, flags in fs.

    For adaptive rules ps holds P⁻¹, the one used to leave each state. Returns the number of rows that hold a
    state (fewer than steps + 1 if the run diverged: row `rows` would be the first that is not finite), and the
    last state.
    """
    store(ws, 0, w)
    if e != 0:
        es[0] = e
    if PROJECTS:
        fs[0] = flag
    rows = 1
    for i in range(steps):
        new, ne, nm, nv, nflag = step_once(w, e, m, v, flag, t0 + i, h, p)
        if ADAPTIVE:
            store(ps, i, inverse(nm, nv, t0 + i, h))
        if dead(new, ne, h, p):
            return rows, w, e, m, v, flag
        w, e, m, v, flag = new, ne, nm, nv, nflag
        store(ws, i + 1, w)
        if e != 0:
            es[i + 1] = e
        if PROJECTS:
            fs[i + 1] = flag
        rows += 1
    if ADAPTIVE:
        _, _, nm, nv, _ = step_once(w, e, m, v, flag, t0 + steps, h, p)
        store(ps, steps, inverse(nm, nv, t0 + steps, h))
    return rows, w, e, m, v, flag


def run_state(w, e, m, v, flag, t0, steps, h, p, ws):
    """As ``run``, without exponents, flags and preconditioners: the least that a stored trajectory costs."""
    store(ws, 0, w)
    rows = 1
    for i in range(steps):
        new, ne, nm, nv, nflag = step_once(w, e, m, v, flag, t0 + i, h, p)
        if dead(new, ne, h, p):
            break
        w, e, m, v, flag = new, ne, nm, nv, nflag
        store(ws, i + 1, w)
        rows += 1
    return rows, w, e, m, v, flag


def measure(ws, es, ps, rows, h, p, threshold, out_osc, out_conv, out_s, out_eta, out_gfs, above):
    """Losses, sharpness, η·S_eff, GFS sharpness, and whether the threshold is reached, for rows of states."""
    lr = h[0]
    for i in range(rows):
        w = load(ws, i)
        if HOM >= 0 and es[i] != 0:
            w = true_value(w, es[i])
        out_osc[i] = loss_osc(w, lr, p)
        out_conv[i] = loss_conv(w, lr, p)
        s = sharpness(w, ones(), p)
        out_s[i] = s
        if HAS_GFS:
            out_gfs[i] = gfs_sharpness(w, p)
        if ADAPTIVE:
            d = square_roots(load(ps, i))
            out_eta[i] = sharpness(w, d, p)
            above[i] = threshold > 0.0 and not below(w, d, threshold, p)
        else:
            out_eta[i] = lr * s
            above[i] = threshold > 0.0 and not below(w, ones(), threshold / lr, p)


def measure_losses(ws, es, rows, h, p, threshold, out_osc, out_conv, out_s, out_gfs):
    """Losses, sharpness and GFS sharpness alone."""
    lr = h[0]
    for i in range(rows):
        w = load(ws, i)
        if HOM >= 0 and es[i] != 0:
            w = true_value(w, es[i])
        out_osc[i] = loss_osc(w, lr, p)
        out_conv[i] = loss_conv(w, lr, p)
        out_s[i] = sharpness(w, ones(), p)
        if HAS_GFS:
            out_gfs[i] = gfs_sharpness(w, p)


def phases_of(ws, es, rows, t0, h, p, t1, t2, out_phase):
    """Definition 3.1 along rows of states, from the T1 and T2 so far."""
    for i in range(rows):
        phase, t1, t2 = phase_step(load(ws, i), h[0], p, t0 + i, t1, t2)
        out_phase[i] = phase
    return t1, t2


def lanes(w0, steps, h, p, out_w, out_e, out_t):
    """Final states of many runs, one a row; nothing is stored on the way. h and p have a row for each lane.

    out_t is the number of updates that led to a finite state: ``steps``, or fewer where the lane diverged.
    """
    for j in range(w0.shape[0]):
        w, m, v, e, flag = load(w0, j), zeros(), zeros(), 0, 0
        hj, pj = load_h(h, j), load_p(p, j)
        t = 0
        while t < steps:
            new, ne, nm, nv, nflag = step_once(w, e, m, v, flag, t, hj, pj)
            if dead(new, ne, hj, pj):
                break
            w, e, m, v, flag = new, ne, nm, nv, nflag
            t += 1
        store(out_w, j, w)
        out_e[j] = e
        out_t[j] = t


def lanes_gd(w0, steps, h, p, out_w, out_e, out_t):
    """``lanes`` for plain gradient descent on a model with a factored map: blocks of lanes in vector registers.

    Bit for bit the same numbers: a lane that leaves the range in which blocks are safe is run again by ``lanes``.
    """
    n_lanes = w0.shape[0]
    live, e = np.empty(BLOCK), np.empty(BLOCK, np.int64)
    again = np.empty(BLOCK, np.bool_)
    x, hp = block_arrays()
    visits = steps // VISIT
    for start in range(0, n_lanes, BLOCK):
        size = min(BLOCK, n_lanes - start)
        load_block(x, hp, w0, h, p, start, size)
        for j in range(BLOCK):
            live[j], e[j], again[j] = 1.0, 0, False
        for _ in range(visits):
            visit_block(x, hp, live)
            if HOM >= 0:
                look_at_exponents(x, live, e, again)
        for _ in range(steps - visits * VISIT):
            single_block(x, hp, live)
        if HOM >= 0:
            look_at_exponents(x, live, e, again)
        for j in range(size):
            store_block(out_w, start + j, x, j)
            out_e[start + j] = e[j]
            out_t[start + j] = steps
            if again[j] or not (block_magnitude(x, j) < BIG):
                i = start + j
                lanes(
                    w0[i : i + 1], steps, h[i : i + 1], p[i : i + 1],
                    out_w[i : i + 1], out_e[i : i + 1], out_t[i : i + 1],
                )  # fmt: skip


def look_at_exponents(x, live, e, again):
    """Scale the homogeneous component of every lane of a block that asks for it."""
    b = x[HOM]
    calm = True
    for j in range(BLOCK):
        size = abs(b[j])
        calm = calm & ((size >= LOW) | (size == 0.0)) & ((live[j] == 1.0) | (size <= HIGH))
    if calm:
        return
    for j in range(BLOCK):
        size = abs(b[j])
        if size < LOW and size > 0.0:
            b[j] *= SCALE_UP
            e[j] -= UNIT
        elif e[j] < 0 and size > HIGH:
            # grown so much between two looks that the others may have missed it
            again[j] = again[j] or size > HIGH * 2.0**200
            b[j] *= SCALE_DOWN
            e[j] += UNIT
        live[j] = 1.0 if e[j] == 0 else 0.0
