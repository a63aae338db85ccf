"""What every probe of the catalog keeps to: a newcomer is done when this passes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eoslab.core.catalog import plugins
from eoslab.core.errors import InvalidArgument
from eoslab.curvature import hessian, top_eigenpairs
from eoslab.nn import recipes
from eoslab.probes.snapshot import Snapshot

PROBES = plugins("eoslab.probes")
#: Budgets that are for real runs by default.
CHEAP = {"gfs": {"most": 100}}
SETTINGS = {"arch": "mlp", "hidden": [4], "data": "digits", "samples": 40, "loss": "mse", "act": "tanh"}


@pytest.fixture(scope="module")
def objective():
    return recipes.build(SETTINGS)


def snapshot(objective, memory):
    w = objective.w0 - 0.05 * objective.grad(objective.w0)
    eigen = top_eigenpairs(hessian(objective, w), 2, 1e-6)
    return Snapshot(1, objective, w, eigen, objective.w0, 0.05, memory)


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_measures_named_numbers_that_depend_on_the_instant_alone(objective, name):
    probe = PROBES[name](**CHEAP.get(name, {}))
    found = []
    for _ in range(2):
        memory: dict = {}
        found.append(probe.measure(snapshot(objective, memory)))
        assert all(isinstance(kept, np.ndarray) for kept in memory.values()), "a checkpoint holds arrays"
    assert found[0]
    assert all(np.array_equal(found[0][key], found[1][key], equal_nan=True) for key in found[0])
    assert all(np.ndim(value) <= 1 for value in found[0].values())


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_is_a_value_that_names_itself_and_its_cadence(name):
    cls = PROBES[name]
    assert cls.dims[0] == "step"
    assert cls.__doc__
    assert cls() == cls()
    assert cls(every=7).every == 7
    with pytest.raises(InvalidArgument, match="every"):
        cls(every=0)
    with pytest.raises(FrozenInstanceError):
        cls().every = 3
