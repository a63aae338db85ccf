"""One question to the certifier: exact data of gradient descent on the minimalist model.

The general teacher b is Proposition 0.1: with θ = √|b|·θ̃ gradient descent with step η for teacher b is gradient
descent with step η|b| for teacher 1, so that the reduced coordinates

    s = ηλ1α²,   w = ηλ1β1²,   r = αβ2/b − 1,   ε = (ηb)²λ1λ2,   k = λ1/λ2

are those of b = 1, and no square root of b is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from eoslab.certify.exact import Point, exact, exact_positive, point
from eoslab.core.errors import InvalidArgument

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """λ1 ≥ λ2 > 0, teacher b ≠ 0, step size η > 0 and start θ0 = (α, β1, β2), all exact rationals."""

    lambda1: Fraction
    lambda2: Fraction
    b: Fraction
    lr: Fraction
    w0: Point

    @classmethod
    def parse(cls, lambda1: Any, lambda2: Any, b: Any, lr: Any, w0: Any) -> Problem:
        """The problem that numbers or texts mean; raises InvalidArgument for values without a meaning here."""
        problem = cls(
            exact_positive("lambda1", lambda1),
            exact_positive("lambda2", lambda2),
            exact("b", b),
            exact_positive("lr", lr),
            point("w0", w0),
        )
        if problem.b == 0:
            raise InvalidArgument("b", b, "a number other than 0", "With b = 0 nothing is to be learnt")
        if problem.lambda1 < problem.lambda2:
            raise InvalidArgument(
                "lambda1",
                lambda1,
                f"a number ≥ lambda2 = {lambda2}",
                "The theory is about an irrelevant input x1 with the larger variance",
            )
        return problem

    @property
    def h1(self) -> Fraction:
        """ηλ1, which makes s = h1·α² and w = h1·β1²."""
        return self.lr * self.lambda1

    @property
    def eps(self) -> Fraction:
        """ε = (ηb)²λ1λ2."""
        return (self.lr * self.b) ** 2 * self.lambda1 * self.lambda2

    @property
    def k(self) -> Fraction:
        """k = λ1/λ2."""
        return self.lambda1 / self.lambda2

    @property
    def on_saddle(self) -> bool:
        """Whether θ0 is on the line (0, β1, 0) of critical points that are strict saddles (Prop 0.3)."""
        return self.w0[0] == 0 and self.w0[2] == 0

    @property
    def has_stable_minimiser(self) -> bool:
        """Proposition 0.3: (h1 ≤ 2 and h ≤ 1) or (h1 > 2 and ε ≤ 4(1 − 1/k)), with η|b| for η."""
        h1 = self.h1 * abs(self.b)
        h = self.lr * abs(self.b) * self.lambda2
        return h <= 1 if h1 <= 2 else self.eps <= 4 * (1 - 1 / self.k)
