"""Many runs, classified and not stored: the loops of a map, as the compiler takes them.

Like :mod:`eoslab.kernels.loops` this text is compiled for one model and one rule. ``classify`` follows one lane
with the functions of :mod:`eoslab.theory.classifier`, the same that are folded over a stored trajectory, and
keeps only what a map needs. ``classify_lanes`` runs many lanes; for gradient descent on a model with a factored
map it puts blocks of them into vector registers and hands a lane to ``classify`` for its last steps, or when
its numbers leave the range in which a block is safe. Both give the numbers of a stored run, bit for bit:

* The largest η·S_eff is exact, but an eigenvalue is computed only where ``below`` (signs of minors: no square
  root, no division) cannot exclude that the maximum so far is reached. The computed sign is the exact one for a
  threshold moved by a few units of rounding, so with tau = max·(1 − RECORD_MARGIN) nothing is missed.
* In a block the predicates of VISIT steps are collected as bits, and the classifier sees them afterwards, in
  order, only where one of them differs from what it knows.
* No logarithm in the loop: the smallest |β1| is a pair of mantissa and exponent.
* A lane ends before ``steps`` only by divergence. One that sits in a trapping region (docs/theory, Theorem 5.1)
  goes on: its T2, its smallest |β1| and its last loss are still to come.
"""

import math

import numpy as np

#: A state is measured exactly if its η·S_eff may exceed the maximum so far times 1 minus this.
RECORD_MARGIN = 1e-12
#: |β1| below this fraction of the other components leaves no trace in S: its square is 2^-200 of theirs.
UNSEEN = 2.0**-100
#: Periods up to this are looked for.
LONGEST_PERIOD = 64
#: The last states are followed one by one, so that three of them are known at the end.
LAST = 2
#: A hidden component that grew beyond this between two looks may have been missed by the others.
MISSED = 2.0**312
#: What is known of a slot: columns of ``known`` (integers; the crossings from CROSSED on) and ``best`` (numbers;
#: the last two points that were measured from MEASURED on).
CELL, BEGAN, EXPONENT, T1, T2, LEAST_EXPONENT, TURN, CROSSED = 0, 1, 2, 3, 4, 5, 6, 8
HALF, LEAST_SO_FAR, MEASURED = 0, 1, 2
#: All bits of a visit.
EVERY = 2.0**8 - 1.0


def shown_value(w, e):
    """The point with the homogeneous component as float64 sees it."""
    if HOM >= 0 and e != 0:
        return true_value(w, e)
    return w


def smaller(a, ea, b, eb):
    """Whether a·2^ea < b·2^eb for a, b in [0, ∞]."""
    if ea == eb or a == 0.0 or b == 0.0 or a == np.inf or b == np.inf:
        return a < b
    fa, na = math.frexp(a)
    fb, nb = math.frexp(b)
    if na + ea != nb + eb:
        return na + ea < nb + eb
    return fa < fb


def period_of(w, e, m, v, flag, t, h, p):
    """The least q ≤ 64 after which the run returns to w, to CYCLE_RETURN of its farthest excursion; 0: none.

    A run whose next step is below CYCLE_SIZE of its size is at rest: period 1.
    """
    home = shown_value(w, e)
    far, rest = 0.0, CYCLE_SIZE * largest(home)
    for q in range(1, LONGEST_PERIOD + 1):
        w, e, m, v, flag = step_once(w, e, m, v, flag, t + q - 1, h, p)
        if dead(w, e, h, p):
            return 0
        away = largest_gap(shown_value(w, e), home)
        if away <= CYCLE_RETURN * far or (q == 1 and away <= rest):
            return q
        far = max(far, away)
    return 0


def classify(
    w, e, m, v, flag, t, steps, h, p, threshold, scale, c, t1, t2, top, least, least_e, half, row, counts, numbers
):
    """Follow a lane from its state at step t, not yet looked at, to its end, and write its row.

    ``scale`` is the loss of predicting nothing; c, t1, t2, top, least·2^least_e and half (the loss at step
    steps // 2) are what is known of the steps before t.
    """
    lr, middle, made, diverged = h[0], steps // 2, 0, False
    tau = threshold if ADAPTIVE else threshold / lr
    before = earlier = here = shown_value(w, e)
    eta = 0.0
    while True:
        here = shown_value(w, e)
        if ADAPTIVE or t < steps:
            new, ne, nm, nv, nflag = step_once(w, e, m, v, flag, t, h, p)
        else:
            new, ne, nm, nv, nflag = w, e, m, v, flag
        d = square_roots(inverse(nm, nv, t, h)) if ADAPTIVE else ones()
        unit = 1.0 if ADAPTIVE else lr
        c, _ = observe(c, t, threshold > 0.0 and not below(here, d, tau, p))
        _, t1, t2 = phase_at(here, lr, p, t, t1, t2)
        if t == steps or not below(here, d, top / unit * (1.0 - RECORD_MARGIN), p):
            eta = unit * sharpness(here, d, p)
            top = max(top, eta)
        if WATCH >= 0:
            size = watched(w)
            if smaller(size, e, least, least_e):
                least, least_e = size, e
        if t == middle:
            half = loss_osc(here, lr, p) + loss_conv(here, lr, p)
        if t == steps:
            break
        if dead(new, ne, h, p):
            diverged = True
            break
        earlier, before = before, here
        w, e, m, v, flag = new, ne, nm, nv, nflag
        made += 1
        t += 1
    if diverged:
        outcome, settled, period, loss_end, eta = DIVERGED, False, 0, np.nan, np.nan
        t += 1
    else:
        loss_end = loss_osc(here, lr, p) + loss_conv(here, lr, p)
        moved1 = largest_gap(here, before) if made >= 1 else np.inf
        moved2 = largest_gap(here, earlier) if made >= 2 else np.inf
        outcome = outcome_of(loss_end / scale, largest(here), moved1, moved2, c[0] == 1, t, c)
        settled = outcome == CONVERGED or settles(here, lr, p, t2)
        period = period_of(w, e, m, v, flag, t, h, p)
    counts[row, 0] = outcome
    counts[row, 1] = regime_of(outcome, settled, c)
    counts[row, 2] = t
    counts[row, 3] = t1
    counts[row, 4] = t2
    counts[row, 5] = c[2] + c[1]
    counts[row, 6] = period
    counts[row, 7] = least_e
    counts[row, 8] = c[4]
    counts[row, 9] = c[6]
    numbers[row, 0] = half
    numbers[row, 1] = loss_end
    numbers[row, 2] = top
    numbers[row, 3] = eta
    numbers[row, 4] = least if WATCH >= 0 else np.nan


def classify_scalar(w0, steps, h, p, threshold, scale, counts, numbers):
    """``classify`` for every row of w0, h, p, threshold and scale, one after the other."""
    for j in range(w0.shape[0]):
        classify(
            load(w0, j), 0, zeros(), zeros(), 0, 0, steps, load_h(h, j), load_p(p, j), threshold[j], scale[j],
            NO_CROSSINGS, -1, -1, -np.inf, np.inf, 0, np.nan, j, counts, numbers,
        )  # fmt: skip


def classify_lanes(w0, steps, h, p, threshold, scale, counts, numbers):
    """Rows as by ``classify_scalar``, blocks of lanes at a time: a lane that ends makes room for the next.

    A slot of the block is a column of ``a`` and a row each of ``known`` and ``best``. Most slots have nothing to
    tell after most visits: ``mark_looks`` finds out which do.
    """
    n, visits = w0.shape[0], (steps - LAST) // VISIT
    if visits <= 0:
        classify_scalar(w0, steps, h, p, threshold, scale, counts, numbers)
        return
    a, path = np.zeros(BLOCK_ROWS * LANES), np.zeros(VISIT * PATH_ROWS * LANES)
    known, best = np.full((LANES, CROSSED + 8), -1), np.zeros((LANES, MEASURED + 2 * PATH_ROWS))
    following, active, visit = 0, 0, 0
    for j in range(LANES):
        if following < n:
            begin_lane(a, known, best, j, following, 0, visits, steps, w0, h, p, threshold)
            following += 1
            active += 1
        else:
            idle_lane(a, j)
    while active > 0:
        clear_bits(a)
        for s in range(VISIT):
            visit_step(a, path, s * PATH_ROWS * LANES, 2.0**s)
        visit += 1
        mark_looks(a, float(visit))
        for j in range(LANES):
            if a[LOOK + j] == 0.0 or known[j, CELL] < 0:
                continue
            i, t = known[j, CELL], (visit - 1 - known[j, BEGAN]) * VISIT
            w = path_state(path, 0, j)
            if a[LOOK + j] == 1.0:
                take_visit(a, path, known, best, j, t, visits, steps, h, p)
                t += VISIT
                if t < visits * VISIT:
                    continue
                w = lane_state(a, j)
            take_least(a, known, best, j)
            classify(
                w, known[j, EXPONENT], zeros(), zeros(), 0, t, steps, load_h(h, i), load_p(p, i),
                threshold[i], scale[i], crossings_of(known, j), known[j, T1], known[j, T2], a[TOP + j],
                best[j, LEAST_SO_FAR], known[j, LEAST_EXPONENT], best[j, HALF], i, counts, numbers,
            )  # fmt: skip
            if following < n:
                begin_lane(a, known, best, j, following, visit, visits, steps, w0, h, p, threshold)
                following += 1
            else:
                known[j, CELL] = -1
                active -= 1
                idle_lane(a, j)


def begin_lane(a, known, best, j, i, visit, visits, steps, w0, h, p, threshold):
    """Cell i begins in slot j."""
    load_lane(a, j, w0, h, p, threshold, i)
    known[j, CELL], known[j, BEGAN], known[j, EXPONENT], known[j, TURN] = i, visit, 0, 0
    known[j, T1], known[j, T2], known[j, LEAST_EXPONENT] = -1, -1, 0
    best[j, HALF], best[j, LEAST_SO_FAR] = np.nan, np.inf
    best[j, MEASURED:] = np.nan
    store_crossings(known, j, NO_CROSSINGS)
    a[DUE + j] = visit + min(steps // 2 // VISIT + 1, visits)


def crossings_of(k, j):
    return k[j, 8], k[j, 9], k[j, 10], k[j, 11], k[j, 12], k[j, 13], k[j, 14], k[j, 15]


def store_crossings(k, j, c):
    k[j, 8], k[j, 9], k[j, 10], k[j, 11], k[j, 12], k[j, 13], k[j, 14], k[j, 15] = c


def take_least(a, known, best, j):
    """The least |β1| with the present exponent joins that of the exponents before."""
    if HOM >= 0 and smaller(a[LEAST + j], known[j, EXPONENT], best[j, LEAST_SO_FAR], known[j, LEAST_EXPONENT]):
        best[j, LEAST_SO_FAR], known[j, LEAST_EXPONENT] = a[LEAST + j], known[j, EXPONENT]
    a[LEAST + j] = np.inf


def take_visit(a, path, known, best, j, t0, visits, steps, h, p):
    """Tell the classifier what the bits of the VISIT steps from t0 say about the lane in slot j."""
    i, e = known[j, CELL], known[j, EXPONENT]
    hj, pj = load_h(h, i), load_p(p, i)
    if a[ABOVE + j] != a[EXPECTED + j]:
        c, bits = crossings_of(known, j), int(a[ABOVE + j])
        for s in range(VISIT):
            c, _ = observe(c, t0 + s, (bits >> s) & 1 == 1)
        store_crossings(known, j, c)
        a[EXPECTED + j] = EVERY if c[0] == 1 else 0.0
    if PHASES and a[EDGE_BITS + j] * a[EDGE_WANTED + j] + a[BEYOND_BITS + j] * a[BEYOND_WANTED + j] > 0.0:
        t1, t2 = known[j, T1], known[j, T2]
        for s in range(VISIT):
            _, t1, t2 = phase_at(path_state(path, s, j), hj[0], pj, t0 + s, t1, t2)
        known[j, T1], known[j, T2] = t1, t2
        a[EDGE_WANTED + j], a[BEYOND_WANTED + j] = 1.0 if t1 < 0 else 0.0, 1.0 if t2 < 0 else 0.0
    if a[RECORDS + j] > 0.0:
        a[TOP + j] = take_records(path, known, best, j, int(a[RECORDS + j]), a[TOP + j], hj, pj)
        a[TOP_TAU + j] = a[TOP + j] / hj[0] * (1.0 - RECORD_MARGIN)
    middle = steps // 2
    if t0 <= middle and middle < t0 + VISIT:
        w = shown_value(path_state(path, middle - t0, j), e)
        best[j, HALF] = loss_osc(w, hj[0], pj) + loss_conv(w, hj[0], pj)
        a[DUE + j] = known[j, BEGAN] + visits
    if HOM >= 0:
        size = hom_size(a, j)
        if size < LOW and size > 0.0:
            take_least(a, known, best, j)
            scale_lane(a, j, SCALE_UP)
            known[j, EXPONENT] = e - UNIT
        elif e < 0 and size > HIGH:
            take_least(a, known, best, j)
            scale_lane(a, j, SCALE_DOWN)
            known[j, EXPONENT] = e + UNIT
        a[ALIVE + j] = 1.0 if known[j, EXPONENT] == 0 else 0.0


def take_records(path, known, best, j, bits, top, h, p):
    """The maximum after the states of a visit that may exceed it; the latest first, as a rise ends with it."""
    e, lr, fresh = known[j, EXPONENT], h[0], False
    for back in range(VISIT):
        s = VISIT - 1 - back
        if (bits >> s) & 1 == 0:
            continue
        w = path_state(path, s, j)
        plain = unseen(w, e)
        if plain and (measured_before(w, best, j, MEASURED) or measured_before(w, best, j, MEASURED + PATH_ROWS)):
            continue
        w = shown_value(w, e)
        if fresh and below(w, ones(), top / lr * (1.0 - RECORD_MARGIN), p):
            continue
        top, fresh = max(top, lr * sharpness(w, ones(), p)), True
        known[j, TURN] = 1 - known[j, TURN]
        remember(w, best, j, MEASURED + known[j, TURN] * PATH_ROWS, plain)
    return top
