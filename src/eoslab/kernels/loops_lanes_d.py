"""Many runs of the d-input model, classified and not stored: one cell after the other, as the compiler takes it.

The step is that of :mod:`eoslab.kernels.loops_d`, the classifier that of single runs, so a cell has the numbers of
the stored run, bit for bit. An eigenvalue is computed only where the Schur complement cannot tell on which side of
the threshold, and of the largest η·S_eff so far, a state lies: its sign is exact for a bound moved by a few
units of rounding a direction, far less than ``margin``.
"""

import numpy as np

#: A state is measured if its η·S_eff may come this close to a bound, and this much more for each direction.
MARGIN, MARGIN_PER_DIRECTION = 1e-12, 1e-15


def arrow(w, scale, lambdas, teacher, c, m):
    """The arrowhead of D·H·D as ``top`` takes it: fills border c and diagonal m, returns the corner."""
    for i in range(len(lambdas)):
        c[i] = border(w[0], w[i + 1], lambdas[i], teacher[i]) * scale[0] * scale[i + 1]
        m[i] = lambdas[i] * w[0] ** 2 * scale[i + 1] ** 2
    return corner(w, (lambdas, teacher)) * scale[0] * scale[0]


def largest_of(w):
    x = 0.0
    for i in range(len(w)):
        x = max(x, abs(w[i]))
    return x


def largest_gap_of(a, b):
    x = 0.0
    for i in range(len(a)):
        x = max(x, abs(a[i] - b[i]))
    return x


def period_d(w0, e0, m0, v0, t, h, lambdas, teacher, hom):
    """The least q ≤ 64 after which the run returns to w0; 0: none, 1: at rest. See ``period_of``."""
    n = len(w0)
    w, e, m, v = w0.copy(), e0.copy(), m0.copy(), v0.copy()
    nw, ne, nm, nv, x = w.copy(), e.copy(), m.copy(), v.copy(), np.empty(n)
    home, here, ones, c, d = np.empty(n), np.empty(n), np.ones(n), np.empty(n - 1), np.empty(n - 1)
    true_values(w, e, home)
    far, rest = 0.0, CYCLE_SIZE * largest_of(home)
    for q in range(1, LONGEST_PERIOD + 1):
        step_once(w, e, m, v, t + q - 1, h, lambdas, teacher, hom, x, nw, ne, nm, nv)
        if dead(nw, ne, h, lambdas, teacher, ones, c, d, x):
            return 0
        w[:], e[:], m[:], v[:] = nw, ne, nm, nv
        true_values(w, e, here)
        away = largest_gap_of(here, home)
        if away <= CYCLE_RETURN * far or (q == 1 and away <= rest):
            return q
        far = max(far, away)
    return 0


def classify_d(w, steps, h, lambdas, teacher, threshold, loss_scale, row, counts, numbers):
    """Follow a run from w to its end and write its row; w is changed. ``loss_scale``: see ``classify``."""
    n, lr, middle = len(w), h[0], steps // 2
    unit = 1.0 if ADAPTIVE else lr
    margin = MARGIN + MARGIN_PER_DIRECTION * n
    hom, watch = np.zeros(n, np.bool_), 0
    for i in range(n - 1):
        if teacher[i] == 0.0:
            hom[i + 1] = LINEAR
            watch = i + 1 if watch == 0 else watch
    e, m, v = np.zeros(n, np.int64), np.zeros(n), np.zeros(n)
    nw, ne, nm, nv = w.copy(), e.copy(), m.copy(), v.copy()
    x, y, ones, scale = np.empty(n), np.empty(n), np.ones(n), np.ones(n)
    c, d = np.empty(n - 1), np.empty(n - 1)
    before, earlier = w.copy(), w.copy()
    crossings, top_eta, eta, t, diverged = NO_CROSSINGS, -np.inf, 0.0, 0, False
    least, least_e, half = np.inf, 0, np.nan
    p = (lambdas, teacher)
    while True:
        if ADAPTIVE or t < steps:
            step_once(w, e, m, v, t, h, lambdas, teacher, hom, y, nw, ne, nm, nv)
        if ADAPTIVE:
            for j in range(n):
                scale[j] = sqrt(inverse_preconditioner(nm[j], nv[j], t, h))
        true_values(w, e, x)
        q = arrow(x, scale, lambdas, teacher, c, d)
        bound, known = threshold / unit, True
        above = not arrowhead_below(q, c, d, bound * (1.0 - margin))
        if above:
            known = not arrowhead_below(q, c, d, bound * (1.0 + margin))
        if not known or t == steps or not arrowhead_below(q, c, d, top_eta / unit * (1.0 - margin)):
            eta = unit * arrowhead_top(q, c, d)
            above = eta >= threshold
            if eta > top_eta:
                top_eta = eta
        crossings, _ = observe(crossings, t, threshold > 0.0 and above)
        if watch > 0:
            size = abs(w[watch])
            if smaller(size, e[watch], least, least_e):
                least, least_e = size, e[watch]
        if t == middle:
            half = loss_osc(x, lr, p) + loss_conv(x, lr, p)
        if t == steps:
            break
        if dead(nw, ne, h, lambdas, teacher, ones, c, d, y):
            diverged = True
            break
        if t >= steps - 2:
            earlier[:] = before
            before[:] = x
        w[:], e[:], m[:], v[:] = nw, ne, nm, nv
        t += 1
    if diverged:
        outcome, settled, period, loss_end, eta = DIVERGED, False, 0, np.nan, np.nan
        t += 1
    else:
        loss_end = loss_osc(x, lr, p) + loss_conv(x, lr, p)
        moved1 = largest_gap_of(x, before) if t >= 1 else np.inf
        moved2 = largest_gap_of(x, earlier) if t >= 2 else np.inf
        outcome = outcome_of(loss_end / loss_scale, largest_of(x), moved1, moved2, crossings[0] == 1, t, crossings)
        settled = outcome == CONVERGED
        period = period_d(w, e, m, v, t, h, lambdas, teacher, hom)
    counts[row, 0] = outcome
    counts[row, 1] = regime_of(outcome, settled, crossings)
    counts[row, 2] = t
    counts[row, 3] = -1
    counts[row, 4] = -1
    counts[row, 5] = crossings[2] + crossings[1]
    counts[row, 6] = period
    counts[row, 7] = least_e
    counts[row, 8] = crossings[4]
    counts[row, 9] = crossings[6]
    numbers[row, 0] = half
    numbers[row, 1] = loss_end
    numbers[row, 2] = top_eta
    numbers[row, 3] = eta
    numbers[row, 4] = least if watch > 0 else np.nan


def classify_many(which, ends, lambdas, teachers, starts, loss_scales, steps, h, thresholds, counts, numbers):
    """``classify_d`` for cell after cell: cell j runs on model ``which[j]`` with settings h[j].

    Variances and teacher of model k are lambdas and teachers from ends[k] to ends[k + 1]; its start, which has one
    number more, begins at ends[k] + k.
    """
    for j in range(len(which)):
        k = which[j]
        a, b = ends[k], ends[k + 1]
        classify_d(
            starts[a + k : b + k + 1].copy(), steps, load_h(h, j), lambdas[a:b], teachers[a:b],
            thresholds[j], loss_scales[k], j, counts, numbers,
        )  # fmt: skip
