"""Largest eigenvalue of a symmetric arrowhead matrix, in closed form up to a few secular iterations.

The Hessian of every two-layer width-one linear network is an arrowhead

    H = [[q, c_1, ..., c_d], [c_1, m_1, 0, ...], ..., [c_d, 0, ..., m_d]],

and stays one under diagonal preconditioning. Its largest eigenvalue μ is the largest root of the secular
function g(μ) = μ − q − Σ c_i²/(μ − m_i), which is increasing and concave to the right of the largest pole.
With x = μ − m_1 ≥ 0 (m_1 the leading pole) we keep the term c_1²/x and linearise the rest; the resulting
quadratic is solved without cancellation, so c_1 → 0 (β1 dead) and c_1 = 0 are not special. Starting from the
upper bound in which all weight sits on the leading pole, the first step lands left of the root and the
following ones increase to it, quadratically. (Bounds: docs/theory, Proposition 1.3.)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

EPS = 2.220446049250313e-16


def positive_root(a: float, b: float, c: float) -> float:
    """The non-negative root x of a·x² + b·x − c = 0 for a > 0, c ≥ 0, without cancellation."""
    root = sqrt(b * b + 4.0 * a * c)
    if b > 0.0:
        return 2.0 * c / (b + root)
    return (root - b) / (2.0 * a)


def arrowhead3_top(q: float, c1: float, m1: float, c2: float, m2: float) -> float:
    """Largest eigenvalue of [[q, c1, c2], [c1, m1, 0], [c2, 0, m2]].

    >>> arrowhead3_top(2.0, 3.0, 2.0, 0.0, 1.0)
    5.0
    """
    if m2 > m1:
        c1, c2, m1, m2 = c2, c1, m2, m1
    w1, w2, gap, b0 = c1 * c1, c2 * c2, m1 - m2, m1 - q
    x = positive_root(1.0, b0, w1 + w2)
    for _ in range(60):
        y = x + gap
        if w2 == 0.0 or y <= 0.0:
            break
        t = w2 / y
        slope = 1.0 + t / y
        new = positive_root(slope, x + b0 - t - slope * x, w1)
        moved = abs(new - x)
        x = new
        if moved <= EPS * (abs(m1) + x):
            break
    return m1 + x


def arrowhead3_below(q: float, c1: float, m1: float, c2: float, m2: float, tau: float) -> bool:
    """Whether all eigenvalues of the 3×3 arrowhead are < tau: tau·I − H positive definite, by its minors.

    No square root and no iteration: this is how a crossing of the threshold is decided (in kernels, and on
    balls by the certifier).
    """
    d1, d2 = tau - m1, tau - m2
    return d1 > 0.0 and d2 > 0.0 and (tau - q) * d1 * d2 > c1 * c1 * d2 + c2 * c2 * d1


def arrowhead3_at_pole(q: float, c1: float, m1: float, c2: float, m2: float) -> bool:
    """Whether :func:`arrowhead3_top` returns m1 itself: c1 is too small to be seen in the sum m1 + x.

    With gap = m1 − m2 > 0 and D = m1 − q − c2²/gap > 0 the root m1 + x has 0 ≤ x ≤ c1²/D. Required is
    c1²/D ≤ 1e-18·m1, an eightieth of the spacing of floats there, and D > 1e-6·m1, so that the rounding of the
    secular iteration (a few units of m1's rounding in D) cannot make its x twice as large. No division.

    >>> arrowhead3_at_pole(0.5, 1e-12, 2.0, 0.1, 0.1), arrowhead3_top(0.5, 1e-12, 2.0, 0.1, 0.1)
    (True, 2.0)
    """
    gap = m1 - m2
    d = (m1 - q) * gap - c2 * c2
    return gap > 0.0 and d > 1e-6 * m1 * gap and c1 * c1 * gap <= 1e-18 * m1 * d


def arrowhead_top(q: float, c: Sequence[float], m: Sequence[float]) -> float:
    """Largest eigenvalue of the arrowhead with corner q, border c[0..d−1], diagonal m[0..d−1]."""
    lead, total = 0, 0.0
    for i in range(len(m)):
        total += c[i] * c[i]
        if m[i] > m[lead]:
            lead = i
    m1 = m[lead]
    w1, b0 = c[lead] * c[lead], m1 - q
    x = positive_root(1.0, b0, total)
    for _ in range(60):
        rest, slope = 0.0, 1.0
        for i in range(len(m)):
            y = x + m1 - m[i]
            if i != lead and c[i] != 0.0 and y > 0.0:
                t = c[i] * c[i] / y
                rest += t
                slope += t / y
        new = positive_root(slope, x + b0 - rest - slope * x, w1)
        moved = abs(new - x)
        x = new
        if moved <= EPS * (abs(m1) + x):
            break
    return m1 + x


def arrowhead_below(q: float, c: Sequence[float], m: Sequence[float], tau: float) -> bool:
    """Whether all eigenvalues of the arrowhead are < tau (Schur complement of tau·I − H)."""
    schur = tau - q
    for i in range(len(m)):
        d = tau - m[i]
        if d <= 0.0:
            return False
        schur -= c[i] * c[i] / d
    return schur > 0.0
