"""How derivatives are taken, from the best way down: what was tried, what is done instead, and why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch.nn.attention import SDPBackend, sdpa_kernel

from eoslab.core.errors import EoslabError, InvalidArgument
from eoslab.nn.primitives import PrimitiveNorms

__all__ = ["Ladder", "NonDeterministic", "ThirdDerivativeRefused", "no_second_derivative"]


class NonDeterministic(EoslabError, ValueError):
    """The loss is not a function of w: two evaluations at the same point differ."""

    code = "E111"
    exit_code = 2


class ThirdDerivativeRefused(EoslabError):
    """Automatic third derivatives of this module disagree with differences of second ones."""

    code = "E112"


class Ladder:
    """The state that an objective shares with its mini-batches: what one finds out, the others need not.

    Attributes:
        mode, reason: "exact" (double backward) or "fd" (differences of the gradient), and why differences.
        retain: keep the graph of a point for its products; None does where there is one chunk.
        notes: what was changed so that the derivatives are right or the memory suffices, and why.
        math_attention, primitive_norms: operations replaced by those with the derivatives that are needed.
        products_checked, third_checked: whether the comparison with differences has been made.
    """

    def __init__(self, requested: str, retain: bool | None, check: bool) -> None:
        if requested not in ("auto", "exact", "fd"):
            raise InvalidArgument("hvp", repr(requested), "'auto', 'exact' or 'fd'")
        self.requested, self.retain = requested, retain
        self.mode = "fd" if requested == "fd" else "exact"
        self.reason = "asked for" if requested == "fd" else ""
        self.notes: list[str] = []
        self.math_attention = self.primitive_norms = False
        self.products_checked, self.third_checked = not check, False

    @contextlib.contextmanager
    def kernels(self) -> Iterator[None]:
        """The operations replaced, for as long as the context lasts."""
        with contextlib.ExitStack() as stack:
            if self.math_attention:
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if self.primitive_norms:
                stack.enter_context(PrimitiveNorms())
            yield

    def differences(self, reason: str, help: str = "") -> None:
        """From here on differences of the gradient; refused where exact products were insisted on."""
        if self.requested == "exact":
            raise InvalidArgument("hvp", "'exact'", "operations with a second derivative", reason + help)
        self.mode, self.reason = "fd", reason
        self.notes.append(f"differences of the gradient: {reason}")

    def step_down(self, error: RuntimeError) -> None:
        """One rung: the math kernel of attention, then differences of the gradient."""
        short = str(error).splitlines()[0][:160]
        if "attention" in str(error).lower() and not self.math_attention:
            self.math_attention = True
            self.notes.append(f"math attention kernel: the fused one has no second derivative ({short})")
        else:
            self.differences(short)


def no_second_derivative(error: RuntimeError) -> bool:
    """Whether PyTorch says that an operation cannot be differentiated twice."""
    text = str(error)
    return any(
        s in text
        for s in (
            "is not implemented",
            "not differentiable",
            "does not support double",
            "not support higher order",
        )
    )
