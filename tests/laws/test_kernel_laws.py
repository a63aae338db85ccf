"""Compiled kernels against a plain Python loop over the same formulas, and lanes against runs: bit for bit."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from subjects import MODELS, RULES, Machine, rule, subject

from eoslab.kernels.compiler import kernel

LOW, HIGH, UNIT = 2.0**-400, 2.0**112, 512

SMALL = [name for name in MODELS if getattr(subject(name).model, "structure", "") != "diagonal"]
BROAD = ("gd", "heavy-ball", "adam")
PAIRS = [(m, r) for m in SMALL for r in BROAD] + [("minimalist", r) for r in RULES if r not in BROAD]
#: Settings in which things happen: learning rate by rule, start by model (β1 is to underflow and to return).
RATE = {"gd": 0.3, "heavy-ball": 0.05, "adam": 0.01, "rmsprop": 0.01, "ema": 0.3, "nesterov": 0.05}
STEPS = 600


def setting(model_name, rule_name):
    """A model, a rule and a start for a pair; the minimalist one spans the whole life of a dead β1."""
    one = subject(model_name).model
    if model_name == "minimalist":
        one = type(one)(lambda1=1.0, lambda2=1e-2, b=1.0)
        return one, rule(rule_name, lr=3.0 if rule_name.startswith("gd") else RATE[rule_name]), (0.5, 1e-110, 0.3)
    return one, rule(rule_name, lr=RATE[rule_name]), one.default_w0


@pytest.fixture
def exact_roots(monkeypatch):
    """Square roots of Machine numbers are Machine numbers, in the formulas and in the rules."""

    def patch(*modules):
        for module in modules:
            if hasattr(module, "sqrt"):
                monkeypatch.setattr(module, "sqrt", lambda x: Machine(math.sqrt(x)))

    return patch


def plain_loop(model, one, w0, steps):
    """States (w, e, flag, P⁻¹) step by step: the algorithm of the kernels, written down a second time."""
    f, r = model.formulas, one.formulas
    p, h = tuple(map(Machine, model.p)), tuple(map(Machine, one.h))
    hom = model.homogeneous[0] if model.homogeneous and one.linear else None
    factored = hasattr(f, "gd_step") and (one.name == "gd" or one.projection)

    def replaced(x, i, y):
        return tuple(y if i == j else z for j, z in enumerate(x))

    def advance(w, m, v, t):
        if factored:
            return f.gd_step(w, h[0], p), m, v
        out = [r.update(g, m[i], v[i], t, h) for i, g in enumerate(f.grad(w, p))]
        dw, m, v = zip(*out, strict=True)
        return tuple(x + d for x, d in zip(w, dw, strict=True)), m, v

    zero = tuple(Machine(0.0) for _ in w0)
    s = SimpleNamespace(w=tuple(map(Machine, w0)), m=zero, v=zero, e=0, flag=0)
    for t in range(steps + 1):
        if s.e == 0:
            w, m, v = advance(s.w, s.m, s.v, t)
        else:
            dead = Machine(0.0)
            w, m, v = advance(replaced(s.w, hom, dead), replaced(s.m, hom, dead), s.v, t)
            own_w, own_m, _ = advance(s.w, s.m, s.v, t)
            w, m = replaced(w, hom, own_w[hom]), replaced(m, hom, own_m[hom])
        yield s.w, s.e, s.flag, [r.inverse_preconditioner(m[i], v[i], t, h) for i in range(len(w))]
        flag, e = s.flag, s.e
        if one.projection:
            w, flag = r.project(s.w, w, flag, h, p)
        if hom is not None:
            size = max(abs(w[hom]), abs(m[hom]))
            shift = 1 if 0 < size < LOW else -1 if e < 0 and size > HIGH else 0
            if shift:
                w = replaced(w, hom, Machine(math.ldexp(w[hom], UNIT * shift)))
                m = replaced(m, hom, Machine(math.ldexp(m[hom], UNIT * shift)))
                e -= UNIT * shift
        s = SimpleNamespace(w=tuple(map(Machine, w)), m=m, v=v, e=e, flag=flag)


@pytest.mark.parametrize(("model_name", "rule_name"), PAIRS)
def test_kernel_is_the_plain_loop_bit_for_bit(model_name, rule_name, exact_roots):
    model, one, w0 = setting(model_name, rule_name)
    exact_roots(model.formulas, one.formulas)
    k, n = kernel(model, one), len(w0)
    ws, es = np.empty((STEPS + 1, n)), np.zeros(STEPS + 1, np.int64)
    fs, ps = np.zeros(STEPS + 1, np.int8), np.empty((STEPS + 1, n))
    zero = (0.0,) * n
    made, *_ = k.run(w0, 0, zero, zero, 0, 0, STEPS, one.h, model.p, ws, es, fs, ps)
    assert made == STEPS + 1
    if (model_name, rule_name) == ("minimalist", "gd"):
        assert (es.min(), es[-1]) == (-UNIT, 0)  # β1 dies and returns on the way
    for t, (w, e, flag, inverse) in enumerate(plain_loop(model, one, w0, STEPS)):
        assert (ws[t].tolist(), es[t]) == (list(w), e), t
        if one.projection:
            assert fs[t] == flag
        if one.adaptive:
            assert ps[t].tolist() == inverse, t


def last_of_run(k, w0, h, p, steps):
    n = len(w0)
    ws, es = np.empty((steps + 1, n)), np.zeros(steps + 1, np.int64)
    fs, ps = np.zeros(steps + 1, np.int8), np.empty((steps + 1, n))
    zero = (0.0,) * n
    made, w, e, *_ = k.run(tuple(w0), 0, zero, zero, 0, 0, steps, h, p, ws, es, fs, ps)
    return made - 1, list(w), e


def true_values(w, e, hom):
    """Mantissa and exponent of every component: the same number may be scaled at different times."""
    pairs = [math.frexp(x) for x in w]
    return [(m, x + (int(e) if i == hom and m else 0)) for i, (m, x) in enumerate(pairs)]


def many(model, one, count, seed):
    """Starts and settings of many lanes around a setting, some of which diverge."""
    rng = np.random.default_rng(seed)
    w0 = np.array(model.default_w0) * rng.uniform(0.3, 2.0, (count, len(model.params)))
    h = np.array(one.h) * np.ones((count, 1))
    h[:, 0] *= rng.uniform(0.5, 8.0, count)
    p = np.array(model.p).reshape(1, -1) * np.ones((count, 1))
    return w0, h, p


def outputs(w0):
    return np.empty_like(w0), np.empty(len(w0), np.int64), np.empty(len(w0), np.int64)


@pytest.mark.parametrize(("model_name", "rule_name"), PAIRS)
def test_lanes_end_where_runs_end(model_name, rule_name):
    model, one, _ = setting(model_name, rule_name)
    k = kernel(model, one)
    w0, h, p = many(model, one, 40, seed=5)
    w, e, t = outputs(w0)
    k.lanes(w0, STEPS, h, p, w, e, t)
    for j in range(len(w0)):
        made, last, exponent = last_of_run(k, w0[j], tuple(h[j]), tuple(p[j]), STEPS)
        assert (t[j], w[j].tolist(), e[j]) == (made, last, exponent), j


@pytest.mark.parametrize("model_name", [m for m in SMALL if subject(m).gd_step])
@pytest.mark.parametrize("steps", [0, 5, 603])
def test_blocks_of_lanes_end_where_lanes_end(model_name, steps):
    """300 lanes are two full blocks and a part; 603 steps are 75 visits and a rest."""
    model, one, start = setting(model_name, "gd")
    k = kernel(model, one)
    w0, h, p = many(model, one, 300, seed=6)
    if model_name == "minimalist":  # every third lane lives through underflow and return
        w0[::3], h[::3, 0] = start, np.random.default_rng(7).uniform(2.0, 3.5, 100)
        w0[::3, 1] *= 10.0 ** -np.arange(100)
    single, block = outputs(w0), outputs(w0)
    k.lanes(w0, steps, h, p, *single)
    k.lanes_gd(w0, steps, h, p, *block)
    assert steps < 600 or 0 < np.sum(single[2] < steps) < 300 or model_name == "quadratic"
    for j in range(300):
        assert single[2][j] == block[2][j], j
        a = true_values(single[0][j].tolist(), single[1][j], k.HOM)
        assert a == true_values(block[0][j].tolist(), block[1][j], k.HOM), j
