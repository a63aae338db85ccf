"""Folding the classifier over rows of a stored trajectory, as the compiler takes it."""


def fold(c, extreme, extreme_at, above, eta, rows, t0, kinds, steps, values):
    """Advance the crossings over rows and write event rows; returns the new state and the number of events.

    ``extreme`` is the largest η·S_eff since the last crossing while above the threshold, the smallest while
    below, reached at step ``extreme_at``. The buffers need 3 places a row.
    """
    used = 0
    for i in range(rows):
        t = t0 + i
        before = c
        c, crossed = observe(c, t, above[i])
        if crossed == 0:
            better = eta[i] > extreme if c[0] == 1 else eta[i] < extreme
            if before[0] < 0 or better:
                extreme, extreme_at = eta[i], t
            continue
        if c[7] < RAPID:
            # the stretch that ends here was an excursion or a dip, unless it is the approach to the threshold
            if crossed < 0 or before[3] > 0:
                kinds[used], steps[used], values[used] = (PEAK if crossed < 0 else DIP), extreme_at, extreme
                used += 1
            kinds[used], steps[used], values[used] = (UP if crossed > 0 else DOWN), t, eta[i]
            used += 1
            if crossed < 0 and before[1] == 1 and before[3] == 0:
                kinds[used], steps[used], values[used] = CATAPULT, t, eta[i]
                used += 1
        elif crossed > 0 and c[7] == RAPID:
            kinds[used], steps[used], values[used] = PERIOD2, t, eta[i]
            used += 1
        extreme, extreme_at = eta[i], t
    return c, extreme, extreme_at, used
