"""Runs that the tests of this folder share; each is made once."""

from __future__ import annotations

import pytest
import xarray as xr

import eoslab
from eoslab.results.store import Store

MINIMALIST = eoslab.models.Minimalist
GD = eoslab.optimizers.GD


@pytest.fixture(scope="session")
def runs() -> dict[str, xr.Dataset]:
    """One run of every kind that a store has to hold."""
    data = eoslab.models.MinimalistD([1.0, 0.5, 0.01], [0.0, 0.02, 1.0])
    return {
        "edge": eoslab.trajectory(MINIMALIST(), GD(lr=2.4), steps=3000),
        # |β1| goes below 1e-308 and comes back, so mantissa and exponent are stored
        "underflow": eoslab.trajectory(MINIMALIST(1.0, 1e-3), GD(lr=2.662), [0.5, 0.01, 0.1], steps=3000),
        "diverged": eoslab.trajectory(MINIMALIST(), GD(lr=2.5), [9.0, 0.01, 0.1], steps=100),
        "stable": eoslab.trajectory(MINIMALIST(), GD(lr=0.5), steps=200),
        "decimated": eoslab.trajectory(MINIMALIST(), GD(lr=2.4), steps=3000, record_every=100),
        "adam": eoslab.trajectory(MINIMALIST(), eoslab.optimizers.Adam(lr=0.01), steps=800),
        "inputs": eoslab.trajectory(data, GD(lr=2.4), [0.3, 1e-3, 0.02, 0.1], steps=300),
        "nothing": eoslab.trajectory(MINIMALIST(), GD(lr=2.4), [0.3, 0.0, 0.1], steps=0),
    }


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "runs")
