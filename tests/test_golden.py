"""Plain gradient descent against 50-digit values (tests/data/golden_minimalist.json), within their tolerances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import eoslab
from eoslab.results.schema import log10_abs

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_minimalist.json").read_text(encoding="utf-8"))
QUANTITIES = ("alpha", "beta1", "beta2", "loss", "sharpness", "gfs_sharpness")
#: A larger stated tolerance says that float64 loses the quantity to cancellation or rounding.
COMPARED = 1e-3


def run(golden):
    number = {k: float.fromhex(v) for k, v in golden["hex"].items() if k != "theta0"}
    model = eoslab.models.Minimalist(number["lambda1"], number["lambda2"], number["b"])
    w0 = [float.fromhex(x) for x in golden["hex"]["theta0"]]
    return eoslab.trajectory(
        model, eoslab.optimizers.GD(lr=number["eta"]), w0, steps=max(row["step"] for row in golden["rows"])
    )


@pytest.mark.parametrize("golden", GOLDEN["trajectories"], ids=lambda g: g["name"])
def test_trajectory_has_the_golden_values(golden):
    ds = run(golden)
    compared = 0
    for row in golden["rows"]:
        at = ds.sel(step=row["step"])
        for name in QUANTITIES:
            tolerance = row["rtol_float64"][name]
            if tolerance > COMPARED:
                continue
            got = float(at[name]) if name in ds else float(at.w.sel(param=name))
            # relative to the exact value; where it is below the float64 range, see the next test
            exact = float(row[name])
            assert abs(got - exact) <= tolerance * abs(exact) + np.finfo(float).tiny, (row["step"], name)
            compared += 1
    assert compared >= 25


def test_beta1_below_the_float64_range_keeps_its_size_and_sign():
    """At step 400 of ps_only β1 = −6.67…e-457: far below float64, and all of its digits are gone (stated
    tolerance 100), since η makes 1 − ηλ1α² nearly vanish; its logarithm is still right to 1 %."""
    golden = next(g for g in GOLDEN["trajectories"] if g["name"] == "ps_only")
    ds = run(golden)
    text = golden["rows"][-1]["beta1"]
    exponent = int(text.split("e")[1])
    assert ds.w.sel(param="beta1").values[-1] == 0.0
    assert np.sign(ds.beta1_mantissa.values[-1]) == (-1 if text.startswith("-") else 1)
    assert log10_abs(ds, "beta1")[-1] == pytest.approx(exponent, rel=0.01)


def test_diverging_golden_run_ends_as_diverged():
    golden = next(g for g in GOLDEN["trajectories"] if g["name"] == "diverge")
    number = {k: float.fromhex(v) for k, v in golden["hex"].items() if k != "theta0"}
    model = eoslab.models.Minimalist(number["lambda1"], number["lambda2"], number["b"])
    ds = eoslab.trajectory(model, eoslab.optimizers.GD(lr=number["eta"]), golden["theta0"], steps=100)
    assert (ds.outcome.item(), ds.regime.item()) == ("diverged", "diverged")
    assert "divergence" in ds.event_kind.values
