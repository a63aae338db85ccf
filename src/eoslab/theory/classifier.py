"""The one classifier: phases, events, outcome and regime of a trajectory, as plain arithmetic.

Everything here is a small function of numbers and tuples. The kernels compile it into the lanes that store no
trajectory, and fold it over stored trajectories, so a map and a single run cannot disagree.

Words (DESIGN): crossings are of η·S_eff against the optimizer's threshold, decided by the signs of leading
minors. ``phase`` is Definition 3.1 (docs/theory), for gradient descent and its projections on the two-input
model. A trajectory that jumps over the threshold at every step (a two-cycle) is one event, not thousands.
"""

from __future__ import annotations

from eoslab.core.numbers import Num, Vec

# -- codes (positions in eoslab.core.vocabulary) -----------------------------------------------------------

TRANSIENT, PS, EOS, FINAL = 0, 1, 2, 3
UP, DOWN, PEAK, DIP, PERIOD2, UNDERFLOW, RETURN, RELEASE, CATAPULT, DIVERGENCE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
RUNNING, CONVERGED, TWO_CYCLE, CYCLING, SADDLE, METASTABLE, DIVERGED = 0, 1, 2, 3, 4, 5, 6
STABLE, EDGE, EDGE_UNSETTLED, CATAPULT_REGIME, DIVERGES = 0, 1, 2, 3, 4

#: s = ηλ1α² counts as "at the edge" from here on: a cap at α_e rounds to either side of 2.
AT_EDGE = 1.9999999999999982
#: r ∈ (−1, 0] up to the rounding floor of r near a minimiser (3e-15·k/2; docs/theory §11).
R_ROUNDING = 1e-9
#: Excess loss, in units of the loss of predicting nothing, below which a run counts as converged.
CONVERGED_AT = 1e-12
#: A run is a two-cycle when w returns after two steps to this fraction of its one-step displacement.
CYCLE_RETURN = 1e-7
#: A drifting two-cycle moves by less than this fraction of its one-step displacement in two steps; a cycle of
#: four and chaos in two bands also jump over the threshold at every step, but move on by more.
CYCLE_DRIFT = 0.1
#: The one-step displacement of a two-cycle is at least this fraction of |w|.
CYCLE_SIZE = 1e-6
#: A displacement below this fraction of |w| away from a minimum is a saddle.
SADDLE_STEP = 1e-14
#: So many crossings in a row, each two steps after the last, are a two-cycle and not excursions.
RAPID = 4

# -- Definition 3.1 --------------------------------------------------------------------------------------


def marks(w: Vec, lr: Num, p: Vec) -> tuple[bool, bool, bool]:
    """Whether Definition 3.1 applies (r ∈ (−1, 0]), α is at or above α_e, and β2 is at or above 1/α_e."""
    alpha, _, beta2 = w
    lambda1, _, b = p
    r = alpha * beta2 / b - 1
    applies = -1 < r and r <= R_ROUNDING
    return applies, lr * lambda1 * alpha**2 >= AT_EDGE, 2 * beta2**2 >= lr * lambda1 * b**2


def phase_step(w: Vec, lr: Num, p: Vec, t: int, t1: int, t2: int) -> tuple[int, int, int]:
    """Phase of step t and the times T1 (first s ≥ 2) and T2 (first β2 ≥ 1/α_e), −1 while absent."""
    applies, at_edge, beyond = marks(w, lr, p)
    if not applies:
        return TRANSIENT, t1, t2
    if t1 < 0 and at_edge:
        t1 = t
    if t2 < 0 and beyond:
        t2 = t
    if beyond:
        return FINAL, t1, t2
    if t1 < 0:
        return PS, t1, t2
    return EOS, t1, t2


def absorbing(w: Vec, lr: Num, p: Vec) -> bool:
    """Whether phase III is absorbing from here: r ∈ (−1, 0], w < 1, s ≤ k and (N) of Lemma 3.0 on [s, 2]."""
    alpha, beta1, beta2 = w
    lambda1, lambda2, b = p
    s = lr * lambda1 * alpha**2
    k = lambda1 / lambda2
    eps = lr**2 * lambda1 * lambda2 * b**2
    r = alpha * beta2 / b - 1
    if not (-1 < r and r <= R_ROUNDING) or s <= 0 or s > 2 or lr * lambda1 * beta1**2 >= 1:
        return False
    return bool(s <= k and s / k + eps / s <= 1 and 2 * beta2**2 >= lr * lambda1 * b**2)


# -- crossings -------------------------------------------------------------------------------------------

#: above (−1 before the first step), started above, ups, downs, first up, last up, last down, rapid crossings
Crossings = tuple[int, int, int, int, int, int, int, int]
NO_CROSSINGS = (-1, 0, 0, 0, -1, -1, -1, 0)


def observe(c: Crossings, t: int, above: bool) -> tuple[Crossings, int]:
    """Advance the crossing state by one step; also +1 for a crossing up, −1 for down, 0 for none."""
    was, started, ups, downs, first_up, last_up, last_down, rapid = c
    now = 1 if above else 0
    if was == now:
        return c, 0
    if was < 0:
        return (now, now, ups, downs, first_up, last_up, last_down, rapid), 0
    if now == 1:
        rapid = rapid + 1 if (last_up >= 0 and t - last_up == 2) else 0
        return (1, started, ups + 1, downs, t if first_up < 0 else first_up, t, last_down, rapid), 1
    return (0, started, ups, downs + 1, first_up, last_up, t, rapid), -1


# -- the end of a run ------------------------------------------------------------------------------------


def outcome_of(excess: Num, size: Num, moved1: Num, moved2: Num, above: bool, t: int, c: Crossings) -> int:
    """How a run that did not diverge has ended.

    ``excess`` is (L − min L)/(L(0) − min L), ``size`` max|w|, ``moved1`` and ``moved2`` the largest
    displacement over the last one and two steps. A two-cycle is a return after two steps, or a near return with
    a crossing of the threshold at every step of the last quarter of the run.
    """
    if t >= 2 and moved1 > CYCLE_SIZE * size and moved2 <= CYCLE_RETURN * moved1:
        return TWO_CYCLE
    # other parameters may still drift while the sharpness jumps over the threshold at every step
    drifts = t >= 2 and moved2 <= CYCLE_DRIFT * moved1
    if drifts and excess > CONVERGED_AT and c[5] >= t - 2 and c[7] >= RAPID and 8 * c[7] >= t:
        return TWO_CYCLE
    if excess <= CONVERGED_AT:
        return METASTABLE if above else CONVERGED
    if t > 0 and moved1 <= SADDLE_STEP * size:
        return SADDLE
    if c[2] >= 2 and 4 * c[5] >= 3 * t:
        return CYCLING
    return RUNNING


def regime_of(outcome: int, settled: bool, c: Crossings) -> int:
    """The regime from the outcome, whether the run has settled below the threshold, and its crossings."""
    above, started, ups = c[0], c[1], c[2]
    if outcome == DIVERGED:
        return DIVERGES
    if started == 0 and ups == 0:
        return STABLE
    if started == 1 and ups == 0 and above == 0:
        return CATAPULT_REGIME
    return EDGE if settled and above == 0 else EDGE_UNSETTLED
