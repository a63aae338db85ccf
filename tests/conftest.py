"""Runs that figures and reports are made of: small, and each with something that must be shown."""

from __future__ import annotations

import os

# One thread a test process, and a process that it starts: PyTorch's threads wait for each other by spinning, and
# with as many workers as cores that costs far more than it saves. Before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

import eoslab
from eoslab.optimizers import GD


@pytest.fixture(scope="session")
def cycles():
    """Twelve excursions above 2/η (docs/theory §12)."""
    model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3)
    return eoslab.trajectory(model, GD(lr=1.98), [1.0, 0.01, 0.1], steps=4000)


@pytest.fixture(scope="session")
def stable():
    return eoslab.trajectory(eoslab.models.Minimalist(), GD(lr=0.5), [0.3, 0.1, 0.1], steps=1000)


@pytest.fixture(scope="session")
def diverged():
    model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3)
    return eoslab.trajectory(model, GD(lr=3.0), [3.0, 0.5, 0.1], steps=500)


@pytest.fixture(scope="session")
def inputs():
    """A run of five inputs with a relevant top direction: it ends in a lasting two-cycle."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)) * np.array([0.9, 0.7, 0.4, 0.2, 0.05])
    y = X @ np.array([0.5, -0.4, 0.3, 1.0, 2.0])
    model = eoslab.models.Minimalist.from_data(X, y)
    return eoslab.trajectory(model, GD(lr=3.0), np.r_[0.3, 0.02 * rng.normal(size=5)], steps=1500)


@pytest.fixture(scope="session")
def flow():
    model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3)
    return eoslab.trajectory(model, eoslab.dynamics.GradientFlow(time=8000.0), [1.0, 0.01, 0.1], steps=300)
