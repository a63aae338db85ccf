"""Folding the classifier over rows of a stored trajectory, as the compiler takes it."""


def fold(c, extreme, extreme_at, above, eta, before_eta, rows, t0, kinds, steps, values):
    """Advance the crossings over rows and write event rows; returns the new state and the number of events.

    ``extreme`` is the largest η·S_eff since the last crossing while above the threshold, the smallest while
    below, reached at step ``extreme_at``; ``before_eta`` is η·S_eff one step before the first row. The buffers
    need 3 places a row.

    While the trajectory crosses at every step (a two-cycle), single crossings are not written; the first is, as
    the event ``period-2``, and so is the crossing with which such a stretch ends.
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
            if c[7] >= RAPID and max(c[5], c[6]) == t - 1 and abs(c[5] - c[6]) == 1:
                last = eta[i - 1] if i > 0 else before_eta
                kinds[used], steps[used], values[used] = (UP if c[0] == 1 else DOWN), t - 1, last
                used += 1
            continue
        at_once = max(before[5], before[6]) == t - 1
        if c[7] < RAPID or not at_once:
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
