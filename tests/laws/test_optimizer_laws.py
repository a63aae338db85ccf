"""Laws of every rule in the catalog: the threshold is the stability boundary of the frozen effective Hessian."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from subjects import RULES, rule

from eoslab.core.catalog import plugins

#: 1 − 2⁻⁵³: a second-moment decay that freezes v, as it moves by g²·1e-16 a step.
FROZEN = 1.0 - 2.0**-53
#: A step count at which bias corrections are over even at that decay: FROZEN^LATE = e^−111.
LATE = 10**18
DECAYS = (0.0, 0.6, 0.9)


def decay_names(name):
    return [f.name for f in fields(plugins("eoslab.optimizers")[name]) if f.name in ("beta", "beta1")]


CASES = [(name, decay) for name in RULES for decay in (DECAYS if decay_names(name) else DECAYS[:1])]


def descend(one, curvature):
    """|w| of the rule on ½·curvature·w² from 1e-8, v frozen at 1, until it is 10³ times larger or smaller."""
    f, h = one.formulas, one.h
    w, m, v = 1e-8, 0.0, 1.0
    for _ in range(100_000):
        dw, m, v = f.update(curvature * w, m, v, LATE, h)
        w += dw
        # the memory counts: momentum passes through w = 0 on its way
        size = max(abs(w), abs(dw))
        if not 1e-11 < size < 1e-5:
            return size
    raise AssertionError("neither shrinks nor grows")


@pytest.mark.parametrize(("name", "decay"), CASES)
def test_threshold_is_the_stability_boundary_on_a_quadratic(name, decay):
    one = rule(name, lr=0.37, beta=decay, beta1=decay, beta2=FROZEN)
    threshold = one.threshold
    if threshold.value is None:
        assert threshold.reason
        return
    inverse = one.formulas.inverse_preconditioner(0.0, 1.0, LATE, one.h)
    # 1 % to either side: the slowest rate is then above 1e-3 a step for every decay used
    assert descend(one, 0.99 * threshold.value / inverse) < 1e-10
    assert descend(one, 1.01 * threshold.value / inverse) > 1e-6


@pytest.mark.parametrize("name", RULES)
def test_frozen_rule_is_descent_with_the_inverse_preconditioner(name):
    """Without momentum one update is −P⁻¹g, P⁻¹ from the memory after the update."""
    one = rule(name, lr=0.37, beta=0.0, beta1=0.0)
    f, h = one.formulas, one.h
    for t in (0, 3, 1000):
        for g in (0.3, -2.0):
            dw, m, v = f.update(g, 0.0, 0.25, t, h)
            expected = -f.inverse_preconditioner(m, v, t, h) * g
            # a handful of roundings on either side
            assert dw == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", RULES)
def test_face_and_formulas_agree_on_arrays(name):
    one = rule(name, lr=0.1)
    w = np.array([1.0, -2.0, 0.5])
    state = one.init(w)
    memory = [(0.0, 0.0)] * 3
    for t in range(5):
        g = np.sin(w + t)
        dw, state = one.update(g, state, t)
        for i in range(3):
            expected, *memory[i] = one.formulas.update(float(g[i]), *memory[i], t, one.h)
            # NumPy's and the library's powers and roots differ in the last place
            assert dw[i] == pytest.approx(expected, rel=1e-14)
            p = one.preconditioner(state, t)[i]
            assert p == pytest.approx(1 / one.formulas.inverse_preconditioner(*memory[i], t, one.h), rel=1e-14)
        w = w + dw


@pytest.mark.parametrize("name", RULES)
def test_a_linear_rule_scales_with_its_input(name):
    """``linear`` lets the kernels carry a component as mantissa and exponent: powers of two pass through."""
    one = rule(name, lr=0.1)
    if not one.linear:
        return
    scale = 2.0**-300
    a = one.formulas.update(0.7, 0.3, 0.0, 4, one.h)
    b = one.formulas.update(0.7 * scale, 0.3 * scale, 0.0, 4, one.h)
    assert (b[0], b[1]) == (a[0] * scale, a[1] * scale)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_learning_rate_has_to_be_positive_and_finite(name, bad):
    with pytest.raises(ValueError, match="lr"):
        rule(name, lr=bad)
