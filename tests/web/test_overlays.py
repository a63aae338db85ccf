"""Curves over a run: the same numbers as the library's, where the model offers them, and a reason where not."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from eoslab.core.errors import UnknownName
from eoslab.flows.predicted import predicted_dynamics
from eoslab.theory.stable_set import constrained_trajectory
from eoslab.web.overlays import OVERLAYS, offered, overlay
from eoslab.web.request import catalogue, parse

CYCLES = {"lr": 1.98, "lambda2": 0.001, "init": [1, 0.01, 0.1], "steps": 200}


def curve(asked, name):
    message = overlay(parse(asked), name)
    (length,) = struct.unpack_from("<I", message)
    head = json.loads(message[4 : 4 + length])
    rows = np.frombuffer(message, "<f4", offset=4 + length).reshape(len(head["rows"]), head["n"])
    return head, dict(zip(head["rows"], rows, strict=True))


def test_flow_ends_at_the_gfs_sharpness_and_never_exceeds_it():
    request = parse({"steps": 20000})
    head, rows = curve({"steps": 20000}, "flow")
    gfs = request.model.gfs_sharpness(request.w0)
    assert rows["sharpness"][-1] == pytest.approx(gfs, rel=1e-6)
    assert (np.diff(rows["loss"]) <= 1e-12).all()
    assert (rows["step"][0], rows["step"][-1]) == (0, 20000)
    assert head["note"] == ""


def test_constrained_trajectory_is_the_closed_form():
    request = parse(CYCLES)
    ds = request.run()
    _, rows = curve(CYCLES, "stable-set")
    start = int(rows["step"][0])
    assert start == int(ds["event_step"][0])
    lr, lambda2 = request.rule.lr, request.model.lambda2
    w = ds["w"].values[start]
    exact = constrained_trajectory(w[0], w[2], lr * lambda2, lr, len(rows["step"]) - 1)
    assert np.allclose(rows["w:alpha"], exact[:, 0], rtol=1e-5)
    assert np.abs(rows["w:beta1"]).max() < 1e-6
    # nowhere above 2/η
    assert rows["sharpness"].max() <= 2 / lr * (1 + 1e-6)


def test_predicted_dynamics_are_those_of_the_library():
    request = parse(CYCLES)
    ds = request.run()
    _, rows = curve(CYCLES, "predicted")
    start = int(rows["step"][0])
    p = predicted_dynamics(request.model, request.rule.lr, ds["w"].values[start], len(rows["step"]) - 1)
    assert np.array_equal(rows["w:beta1"], p.w[:, 1].astype("f4"))
    assert np.array_equal(rows["sharpness"], p.predicted_sharpness.astype("f4"))


def test_long_runs_say_how_far_the_prediction_goes():
    head, rows = curve(CYCLES | {"steps": 4000}, "stable-set")
    assert head["note"] == f"followed from step 41 to {int(rows['step'][-1])}"


def test_catalogue_offers_what_can_be_computed():
    table = catalogue()["overlays"]
    names = {o["name"] for o in table["minimalist"]["gd"]}
    assert names == set(OVERLAYS)
    assert [o["name"] for o in table["minimalist"]["gd-floor"]] == ["flow"]
    assert table["minimalist"]["adam"] == []
    assert [o["name"] for o in table["digits"]["gd"]] == ["flow"]


@pytest.mark.parametrize("model", [m for m, rules in catalogue()["overlays"].items() if rules["gd"]])
def test_every_offer_is_a_curve_or_a_reason(model):
    request = parse({"model": model, "steps": 60})
    for offer in offered(request.chosen, request.rule):
        head, rows = curve({"model": model, "steps": 60}, offer["name"])
        if head["absent"]:
            assert head["absent"].startswith("a run that ")
            assert rows == {}
        else:
            assert np.isfinite(rows["loss"]).all()


@pytest.mark.parametrize("model", [m for m, rules in catalogue()["overlays"].items() if rules["gd"]])
def test_flow_begins_where_the_run_does(model):
    ds = parse({"model": model, "steps": 5}).run()
    _, rows = curve({"model": model, "steps": 5}, "flow")
    for name in ("loss", "sharpness"):
        assert rows[name][0] == pytest.approx(float(ds[name][0]), rel=1e-6)


def test_what_is_not_on_offer_is_refused():
    with pytest.raises(UnknownName):
        overlay(parse({"optimizer": "adam"}), "flow")


def test_reason_is_said_where_a_run_has_no_such_curve():
    head, rows = curve({"lr": 1.5}, "predicted")
    assert head["absent"] == "a run that stays below 2/η = 1.33"
    assert rows == {}
