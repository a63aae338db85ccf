"""``eoslab flow``: the gradient flow beside a stored run."""

from __future__ import annotations

import json

import pytest

from eoslab.cli import app


def test_flow_ends_at_the_gfs_sharpness_of_the_run_and_can_be_drawn_beside_it(tmp_path, capsys):
    store = ["--store", str(tmp_path)]
    words = ["run", "--lambda2", "0.1", "--lr", "1", "--init", "0.5,0.1,0.3", "--steps", "400", "--json"]
    assert app.call([*words, "--out", str(tmp_path)]) == 0
    run = json.loads(capsys.readouterr().out)
    assert app.call(["flow", run["id"], *store, "--json"]) == 0
    flow = json.loads(capsys.readouterr().out)
    # the flow is integrated to 1e-10 per step and the loss has fallen to rounding by then
    assert flow["final"]["sharpness"] == pytest.approx(run["initial"]["gfs_sharpness"], rel=1e-6)
    assert flow["conserved_drift"] < 1e-8
    assert flow["threshold"] is None
    file = tmp_path / "beside.svg"
    assert app.call(["figure", "gd-vs-flow", run["id"], flow["id"], *store, "-o", str(file)]) == 0
    assert file.exists()


def test_flow_of_a_run_that_is_not_there_is_said(tmp_path, capsys):
    assert app.call(["flow", "abcd", "--store", str(tmp_path)]) == 4
    assert "abcd" in capsys.readouterr().err
