"""The face that a file of plain update arithmetic shows to users.

An optimizer is a module with two elementwise functions,

    update(g, m, v, t, h) -> (dw, m, v)            one component; t counts updates from 0
    inverse_preconditioner(m, v, t, h) -> 1/P      so that frozen, the rule is descent with P⁻¹H

and one frozen dataclass that holds the settings h (the learning rate first). m and v are the rule's memory per
component; a rule that needs less leaves them alone. Everything is relative to the effective Hessian P⁻¹H: for
gradient descent P = I/η, so the ratio to the threshold is η·S/2.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eoslab.core.errors import InvalidArgument, finite
from eoslab.core.protocols import Array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ElementwiseRule", "fraction"]


class ElementwiseRule:
    """Methods of an optimizer whose update acts on each component alone.

    ``linear`` says that (w, m) of a component moves linearly in (g, m), so the kernels may scale it
    (mantissa and exponent); ``adaptive`` that the preconditioner differs between components.
    """

    name: ClassVar[str]
    linear: ClassVar[bool] = True
    adaptive: ClassVar[bool] = False
    projection: ClassVar[str] = ""
    lr: float

    @property
    def settings(self) -> dict[str, float]:
        """The settings by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    @property
    def h(self) -> tuple[float, ...]:
        """The settings in the order in which the formulas take them."""
        return tuple(self.settings.values())

    @property
    def formulas(self) -> ModuleType:
        """The module of plain functions."""
        return sys.modules[type(self).__module__]

    def init(self, w: ArrayLike) -> tuple[Array, Array]:
        """The memory (m, v) at the start: zeros of the shape of w."""
        zero = np.zeros(np.shape(w))
        return zero, zero.copy()

    def update(self, g: ArrayLike, state: tuple[Array, Array], step: int) -> tuple[Array, tuple[Array, Array]]:
        """The displacement and the new memory, from the gradient at w after ``step`` updates."""
        dw, m, v = self.formulas.update(np.asarray(g, dtype=float), *state, step, self.h)
        return dw, (m, v)

    def preconditioner(self, state: tuple[Array, Array], step: int) -> Array:
        """The diagonal of P from the memory *after* ``update`` number ``step``, the one used to leave w."""
        m, v = state
        out: Array = np.ones_like(m) / self.formulas.inverse_preconditioner(m, v, step, self.h)
        return out


def fraction(name: str, value: Any) -> float:
    """``value`` as a float in [0, 1); raises InvalidArgument otherwise."""
    x = finite(name, value)
    if not 0 <= x < 1:
        raise InvalidArgument(name, value, "a number in [0, 1)")
    return x
