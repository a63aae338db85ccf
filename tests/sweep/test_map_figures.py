"""The map commands together: ``sweep`` writes a store, ``figure`` draws it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eoslab.cli import app


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    path = tmp_path_factory.mktemp("maps") / "line.zarr"
    code = app.call(
        [
            "sweep",
            "--lr",
            "1:4:7",
            "--axis",
            "lambda2=0.01",
            "--init",
            "0.3,1e-3,0.1",
            "--steps",
            "5000",
            "-o",
            str(path),
            "-q",
        ]
    )
    assert code == 0
    return path


def test_a_map_is_drawn_by_the_figure_command(tmp_path, capsys):
    store, file = tmp_path / "map.zarr", tmp_path / "map.svg"
    words = ["--lr", "1:4:6", "--ratio", "1e-3:0.5:5:log", "--init", "0.3,1e-3,0.1", "--steps", "300"]
    assert app.call(["sweep", *words, "-o", str(store), "--json", "-q"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["cells"] == sum(counts["regimes"].values()) == 30
    assert app.call(["figure", "phase-map", str(store), "-o", str(file)]) == 0
    assert file.read_text().count("<svg") == 1


def test_a_bifurcation_diagram_follows_the_one_axis_of_its_map(line, tmp_path):
    from eoslab.results.bifurcation import bifurcation_of
    from eoslab.results.sweep import open_sweep

    ds = open_sweep(line)
    diagram = bifurcation_of(ds, keep=3)
    assert diagram.sizes["lr"] == 7
    # the axis with one value became a setting of the model
    below = diagram.sel(lr=1.0)
    assert below.period == 1
    assert np.allclose(below.eta_sharpness, ds.eta_sharpness.sel(lr=1.0).item(), rtol=1e-2)
    assert app.call(["figure", "bifurcation", str(line), "-o", str(tmp_path / "b.png")]) == 0


def test_a_bifurcation_diagram_of_a_plane_is_refused_with_the_command_to_use(tmp_path, capsys):
    store = tmp_path / "plane.zarr"
    assert app.call(["sweep", "--lr", "1|2", "--ratio", "0.1|0.2", "--steps", "10", "-o", str(store), "-q"]) == 0
    assert app.call(["figure", "bifurcation", str(store), "-o", str(tmp_path / "b.png")]) == 2
    assert "eoslab sweep --lr" in capsys.readouterr().err


def test_a_map_that_is_not_there_is_said(tmp_path, capsys):
    assert app.call(["figure", "phase-map", str(tmp_path / "no.zarr"), "-o", str(tmp_path / "m.png")]) == 4
    assert "no map" in capsys.readouterr().err
