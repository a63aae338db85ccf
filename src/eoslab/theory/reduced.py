"""Reduced coordinates of the minimalist model (docs/theory, section 0).

    s = ηλ1α²    w = ηλ1β1²    ν = ηλ1β2²    r = αβ2/b − 1       h = ηλ2|b|   h1 = ηλ1|b|
    k = λ1/λ2    ε = h·h1      α_e = √(2/h1) (in units of √|b|)  z = s − 2
    q = −ε r(1+r)              G = 1 − w + q/s     Σ = s + w     P = s w      Λ = s + w − ν
    r̃ = α_e β2 − 1 = √(2ν)/h1 − 1                 χ = α/α_e = √(s/2)

Gradient descent is a closed map of (s, w, r) with the two parameters (k, ε): nothing else can matter. All
functions are plain arithmetic and take floats, arrays, balls, fractions or symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

from eoslab.core.numbers import Num, Vec, sqrt

__all__ = [
    "Coordinates",
    "Steps",
    "big_g",
    "coordinates",
    "lyapunov",
    "normalise",
    "q_of",
    "reduced_step",
    "reduced_steps",
    "steps_of",
    "surrogate_residual",
]


@dataclass(frozen=True)
class Steps:
    """The step sizes in units of the problem: h = ηλ2|b|, h1 = ηλ1|b|, and what follows from them."""

    h: Num
    h1: Num

    @property
    def k(self) -> Num:
        """λ1/λ2."""
        return self.h1 / self.h

    @property
    def eps(self) -> Num:
        """ε = η²λ1λ2b²."""
        return self.h * self.h1

    @property
    def alpha_e2(self) -> Num:
        """α_e² = 2/h1: the α² (in units of |b|) at which λ1α² = 2/η."""
        return 2 / self.h1

    @property
    def alpha_e(self) -> Num:
        """α_e = √(2/h1)."""
        return sqrt(self.alpha_e2)


@dataclass(frozen=True)
class Coordinates:
    """One state in reduced coordinates, with its two parameters."""

    s: Num
    w: Num
    nu: Num
    r: Num
    steps: Steps

    @property
    def q(self) -> Num:
        """q = −ε r(1+r) ≤ ε/4, positive iff −1 < r < 0."""
        return q_of(self.r, self.steps.eps)

    @property
    def G(self) -> Num:
        """G = 1 − w + q/s, the factor of α in one step (s ≠ 0)."""
        return big_g(self.s, self.w, self.q)

    @property
    def z(self) -> Num:
        """z = s − 2."""
        return self.s - 2

    @property
    def Sigma(self) -> Num:
        """Σ = s + w."""
        return self.s + self.w

    @property
    def P(self) -> Num:
        """P = s w = 2ηh1·L_osc."""
        return self.s * self.w

    @property
    def Lambda(self) -> Num:
        """Λ = s + w − ν."""
        return lyapunov(self.s, self.w, self.nu)

    @property
    def chi(self) -> Num:
        """χ = α/α_e = √(s/2)."""
        return sqrt(self.s / 2)

    @property
    def r_tilde(self) -> Num:
        """The surrogate residual r̃ = (1+r)/χ − 1, which is α_eβ2 − 1 (s ≠ 0)."""
        return (1 + self.r) / self.chi - 1


def steps_of(p: Vec, lr: Num) -> Steps:
    """(h, h1) from p = (λ1, λ2, b) and the learning rate (Prop 0.1: b scales away)."""
    lambda1, lambda2, b = p
    return Steps(h=lr * lambda2 * abs(b), h1=lr * lambda1 * abs(b))


def normalise(w: Vec, p: Vec) -> Vec:
    """θ̃ with teacher 1 (Prop 0.1): θ/√|b|, and for b < 0 the sign of β2 flipped."""
    alpha, beta1, beta2 = w
    b = p[2]
    root = sqrt(abs(b))
    return alpha / root, beta1 / root, beta2 * b / (abs(b) * root)


def coordinates(w: Vec, p: Vec, lr: Num) -> Coordinates:
    """Reduced coordinates of θ = w for parameters p = (λ1, λ2, b) and step ``lr``; no square root is taken."""
    alpha, beta1, beta2 = w
    lambda1, _, b = p
    g = lr * lambda1
    return Coordinates(
        s=g * alpha**2, w=g * beta1**2, nu=g * beta2**2, r=alpha * beta2 / b - 1, steps=steps_of(p, lr)
    )


def q_of(r: Num, eps: Num) -> Num:
    """q = −ε r(1+r)."""
    return -eps * r * (1 + r)


def big_g(s: Num, w: Num, q: Num) -> Num:
    """G = 1 − w + q/s."""
    return 1 - w + q / s


def lyapunov(s: Num, w: Num, nu: Num) -> Num:
    """Λ = s + w − ν."""
    return s + w - nu


def surrogate_residual(beta2: Num, alpha_e: Num) -> Num:
    """r̃ = α_e β2 − 1 (β2 in units of √|b|)."""
    return alpha_e * beta2 - 1


def reduced_step(s: Num, w: Num, r: Num, k: Num, eps: Num) -> Vec:
    """One step of gradient descent in (s, w, r), equation (0.2); s ≠ 0."""
    g = big_g(s, w, q_of(r, eps))
    return s * g**2, w * (1 - s) ** 2, g * (1 + r - r * s / k) - 1


def reduced_steps(s: Num, w: Num, r: Num, k: Num, eps: Num, steps: int) -> list[Vec]:
    """The states 0 … steps of the reduced map, as tuples (s, w, r)."""
    out: list[Vec] = [(s, w, r)]
    for _ in range(steps):
        s, w, r = reduced_step(s, w, r, k, eps)
        out.append((s, w, r))
    return out
