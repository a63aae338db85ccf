"""What a statement is evaluated on: parameters, a start, and optionally the trajectory from it.

Everything is normalised on entry: teacher 1 (Prop 0.1), and α > 0, β1 ≥ 0 by the exact sign symmetries, so the
arrays below can be read next to docs/theory. β1 may lie far below the float64 range; its logarithm is carried
separately and is what the statements about β1 use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument, finite, positive

if TYPE_CHECKING:
    from eoslab.theory.sharpening import Entry

__all__ = ["ULP", "Array", "Context", "Runs", "Trajectory", "runs_of", "segment"]

Array = NDArray[np.float64]

#: Unit roundoff of float64 times two: every tolerance below is a number of these times a scale.
ULP = 2.220446049250313e-16
LOG10 = float(np.log(10.0))
#: A run is cut where a parameter exceeds this: it has diverged, and the scales of the identities (powers up to
#: 14 of the parameters) still fit into a float64.
FAR = 1e15


@dataclass(frozen=True)
class Trajectory:
    """States w_0 … w_T as (α, β1, β2), shape (T+1, 3), every step recorded; log10|β1|, shape (T+1,)."""

    w: Array
    log10_beta1: Array

    @classmethod
    def of(cls, w: Any, log10_beta1: Any = None) -> Trajectory:
        """From arrays; without ``log10_beta1`` it is computed from w (−inf where β1 is zero)."""
        a = np.asarray(w, dtype=float)
        if a.ndim != 2 or a.shape[1] != 3 or not len(a):
            raise InvalidArgument(
                "trajectory", f"an array of shape {a.shape}", "shape (T+1, 3): alpha, beta1, beta2"
            )
        if log10_beta1 is None:
            with np.errstate(divide="ignore"):
                logs = np.log10(np.abs(a[:, 1]))
        else:
            logs = np.asarray(log10_beta1, dtype=float)
        if logs.shape != a.shape[:1]:
            raise InvalidArgument("log10_beta1", f"shape {logs.shape}", f"shape {a.shape[:1]}, one value a step")
        return cls(a, logs)

    def __len__(self) -> int:
        return len(self.w)


@dataclass(frozen=True)
class Runs:
    """Maximal runs of a boolean array: start (inclusive) and end (exclusive) indices."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)


def runs_of(mask: NDArray[np.bool_]) -> Runs:
    """The maximal runs of True.

    >>> runs = runs_of(np.array([True, False, True, True]))
    >>> runs.start.tolist(), runs.end.tolist()
    ([0, 2], [1, 4])
    """
    edges = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    return Runs(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1))


def segment(ufunc: np.ufunc, x: Array, start: NDArray[np.int64], end: NDArray[np.int64]) -> Array:
    """``ufunc.reduce`` over x[start:end] for each (non-empty) pair."""
    if not len(start):
        return np.empty(0)
    padded = np.append(x, x[-1])
    out: Array = ufunc.reduceat(padded, np.stack((start, end), axis=1).ravel())[::2]
    return out


@dataclass(frozen=True)
class Context:
    """Parameters (λ1, λ2, b, η), start w0 = (α, β1, β2), and the trajectory if there is one.

    ``floor`` is β_min if |β1| is projected up to it after each step, ``cap`` says whether α is projected down to
    α_e. Arrays are over steps 0 … T of the usable part of the trajectory (cut before overflow); without a
    trajectory they hold the start alone.
    """

    lambda1: float
    lambda2: float
    lr: float
    w0: tuple[float, float, float]
    b: float = 1.0
    trajectory: Trajectory | None = None
    floor: float | None = None
    cap: bool = False

    def __post_init__(self) -> None:
        for name in ("lambda1", "lambda2", "lr"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        if finite("b", self.b) == 0:
            raise InvalidArgument("b", self.b, "a number other than 0", "with b = 0 nothing is to be learnt")
        if self.lambda1 < self.lambda2:
            raise InvalidArgument(
                "lambda1",
                self.lambda1,
                f"λ1 ≥ λ2 = {self.lambda2}",
                "the theory has the irrelevant direction on top",
            )
        object.__setattr__(self, "w0", tuple(finite("w0", x) for x in self.w0))
        if len(self.w0) != 3:
            raise InvalidArgument("w0", self.w0, "three numbers: alpha, beta1, beta2")
        if self.floor is not None and self.cap:
            raise InvalidArgument("cap", self.cap, "one projection at a time")

    # -- parameters --------------------------------------------------------------------------------------

    @property
    def dynamics(self) -> str:
        """'gd', 'floor' or 'cap'."""
        return "floor" if self.floor is not None else "cap" if self.cap else "gd"

    @property
    def p(self) -> tuple[float, float, float]:
        """(λ1, λ2, b)."""
        return self.lambda1, self.lambda2, self.b

    @property
    def h(self) -> float:
        """ηλ2|b|."""
        return self.lr * self.lambda2 * abs(self.b)

    @property
    def h1(self) -> float:
        """ηλ1|b|."""
        return self.lr * self.lambda1 * abs(self.b)

    @property
    def k(self) -> float:
        """λ1/λ2."""
        return self.lambda1 / self.lambda2

    @property
    def eps(self) -> float:
        """η²λ1λ2b²."""
        return self.h * self.h1

    @property
    def alpha_e(self) -> float:
        """√(2/h1), in units of √|b|."""
        return float(np.sqrt(2 / self.h1))

    @property
    def w_min(self) -> float:
        """h1β_min² of the floor, 0 without one."""
        return 0.0 if self.floor is None else self.lr * self.lambda1 * self.floor**2

    # -- arrays over steps -------------------------------------------------------------------------------

    @property
    def has_run(self) -> bool:
        """Whether there is a trajectory of at least one step."""
        return self.trajectory is not None and self.T > 0

    @cached_property
    def _states(self) -> tuple[Array, Array]:
        run = self.trajectory or Trajectory.of([self.w0])
        usable = np.all(np.abs(run.w) < FAR, axis=1)
        stop = len(usable) if usable.all() else max(int(np.argmin(usable)), 1)
        return run.w[:stop], run.log10_beta1[:stop]

    @property
    def T(self) -> int:
        """The last usable step."""
        return len(self._states[0]) - 1

    @cached_property
    def cut(self) -> bool:
        """Whether the trajectory was cut because it left the range of float64."""
        return self.trajectory is not None and len(self.trajectory) > self.T + 1

    @cached_property
    def alpha(self) -> Array:
        """|α| in units of √|b|."""
        return np.asarray(np.abs(self._states[0][:, 0]) / np.sqrt(abs(self.b)))

    @cached_property
    def beta1(self) -> Array:
        """|β1| in units of √|b| (0 where it underflows)."""
        return np.asarray(np.abs(self._states[0][:, 1]) / np.sqrt(abs(self.b)))

    @cached_property
    def beta2(self) -> Array:
        """β2 in units of √|b|, with the sign that makes α and b positive."""
        w = self._states[0]
        sign = np.where(w[:, 0] < 0, -1.0, 1.0) * np.sign(self.b)
        return np.asarray(sign * w[:, 2] / np.sqrt(abs(self.b)))

    @cached_property
    def s(self) -> Array:
        """ηλ1α²."""
        return np.asarray(self.lr * self.lambda1 * self._states[0][:, 0] ** 2)

    @cached_property
    def w(self) -> Array:
        """ηλ1β1²."""
        return np.asarray(self.lr * self.lambda1 * self._states[0][:, 1] ** 2)

    @cached_property
    def log_w(self) -> Array:
        """Natural logarithm of w, also where w underflows; −inf where β1 = 0."""
        return np.asarray(np.log(self.lr * self.lambda1) + 2 * LOG10 * self._states[1])

    @cached_property
    def nu(self) -> Array:
        """ηλ1β2²."""
        return np.asarray(np.asarray(self.lr * self.lambda1 * self._states[0][:, 2] ** 2))

    @cached_property
    def r(self) -> Array:
        """αβ2/b − 1."""
        w = self._states[0]
        return np.asarray(w[:, 0] * w[:, 2] / self.b - 1)

    @cached_property
    def q(self) -> Array:
        """−ε r(1+r)."""
        # From 1 + r = αβ2/b directly: as α → 0, r + 1 has lost all digits.
        w = self._states[0]
        return np.asarray(-self.eps * self.r * (w[:, 0] * w[:, 2] / self.b))

    @cached_property
    def G(self) -> Array:
        """1 − w + q/s (nan at α = 0)."""
        with np.errstate(all="ignore"):
            return np.asarray(1 - self.w + self.q / self.s)

    @cached_property
    def z(self) -> Array:
        """s − 2."""
        return np.asarray(self.s - 2)

    @cached_property
    def chi(self) -> Array:
        """α/α_e."""
        return np.asarray(self.alpha / self.alpha_e)

    @cached_property
    def r_tilde(self) -> Array:
        """α_eβ2 − 1."""
        return np.asarray(self.alpha_e * self.beta2 - 1)

    @cached_property
    def loss(self) -> Array:
        """L in units of b²: ½λ1α²β1² + ½λ2r² of the normalised problem."""
        return np.asarray((self.s * self.w + self.eps * self.r**2) / (2 * self.lr * abs(self.b) * self.h1))

    @cached_property
    def eta_sharpness(self) -> Array:
        """ηS at every step."""
        from eoslab.theory.hessian_bounds import top_eigenvalue

        a, b1, b2, h, h1 = self.alpha, self.beta1, self.beta2, self.h, self.h1
        return top_eigenvalue(h1 * b1**2 + h * b2**2, 2 * h1 * a * b1, h1 * a**2, h * (2 * a * b2 - 1), h * a**2)

    @cached_property
    def entry(self) -> Entry:
        """Theorem 3.2 from the start."""
        from eoslab.theory.sharpening import entry

        return entry(
            float(self.alpha[0]), float(self.beta1[0]), float(self.beta2[0]), self.h, self.h1,
            log_w0=float(self.log_w[0]),
        )  # fmt: skip

    # -- landmarks of the run ----------------------------------------------------------------------------

    @property
    def r_tolerance(self) -> float:
        """How far r may be off by rounding: a few ulp a step, accumulated over the k/2 steps r remembers."""
        return 16 * ULP * (1 + self.k)

    @cached_property
    def T1(self) -> int | None:
        """First step with λ1α² ≥ 2/η (Definition 3.1), or None."""
        reached = np.flatnonzero(self.s >= 2)
        return int(reached[0]) if len(reached) else None

    @cached_property
    def T2(self) -> int | None:
        """First step, not before T1, with β2 ≥ 1/α_e, or None."""
        reached = np.flatnonzero(self.r_tilde >= 0)
        reached = reached[reached >= (self.T1 or 0)]
        return int(reached[0]) if len(reached) else None

    @cached_property
    def excursions(self) -> Runs:
        """Maximal runs with s > 2 (a first step with s = 2 exactly counts as part of the first one)."""
        up = self.s > 2
        if self.T1 is not None:
            up[self.T1] = True
        return runs_of(up)

    @cached_property
    def dips(self) -> Runs:
        """Maximal runs with s ≤ 2 after the first excursion."""
        if self.T1 is None:
            return Runs(np.empty(0, np.int64), np.empty(0, np.int64))
        ex = self.excursions
        start = ex.end[ex.end <= self.T]
        return Runs(start, np.append(ex.start[1:], self.T + 1)[: len(start)])
