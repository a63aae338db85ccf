"""Maps over input distributions: families, their samples, and cells that are single runs bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eoslab import trajectory
from eoslab.cli import app
from eoslab.core.errors import BadData, InvalidArgument, UnknownName
from eoslab.models import MinimalistD
from eoslab.optimizers import GD, Adam
from eoslab.results.cells import Problem
from eoslab.results.data import load
from eoslab.results.grid import lay_out
from eoslab.results.inputs import (
    DataInputs,
    GivenSpectrum,
    PowerSpectrum,
    SpikedSpectrum,
    TwoLevelSpectrum,
    parse_spectrum,
)
from eoslab.results.single import single
from eoslab.results.sweep import counts, labels, open_sweep, sweep

AXES = {
    "exponent": "0:2:2",
    "irrelevant": "0|1|3",
    "n": "0|10|200",
    "noise": "0|0.5",
    "d": "5|20",
    "lr": "0.1:8:2:log",
}


def compare(model, rule, grid, steps, cells):
    layout = lay_out(grid, "random", cells, 4)
    problem = Problem(model, rule, None, steps, tuple(grid))
    assert problem.diagonal
    columns = layout.columns(np.arange(cells))
    table = problem.compute(columns)
    for i in range(cells):
        cell = {name: column[i] for name, column in columns.items()}
        row = single(*problem.build(cell), steps)
        for name, value in row.items():
            same = table[name][i] == value or (np.isnan(table[name][i]) and np.isnan(value))
            assert same, (name, table[name][i], value, cell)
    return table


@pytest.mark.parametrize("steps", [1, 2, 3, 1500])
def test_cells_of_gradient_descent_on_d_inputs_are_single_runs(steps):
    table = compare(PowerSpectrum(), GD, AXES, steps, 200 if steps > 3 else 20)
    if steps > 3:
        assert len(np.unique(table["outcome"])) >= 4
        assert set(np.unique(table["period"])) >= {0, 1, 2}


def test_cells_of_a_rule_with_a_preconditioner_are_single_runs():
    compare(PowerSpectrum, Adam, {**AXES, "lr": "0.01:1:2:log"}, 400, 40)


def test_a_cell_has_the_numbers_of_the_trajectory_that_users_call():
    ds = sweep(SpikedSpectrum(d=6), GD, {"spike": "2|20", "lr": "0.05|0.3"}, steps=500)
    for spike in ds.spike.values:
        for lr in ds.lr.values:
            family = SpikedSpectrum(d=6, spike=spike)
            run = trajectory(family.model(), GD(lr), family.start(family.model()), steps=500)
            cell = ds.sel(spike=spike, lr=lr)
            assert str(labels(cell, "regime").values) == str(run.regime.values)
            assert float(cell.max_eta_sharpness) == float(run.max_eta_sharpness)
            assert np.array_equal(float(cell.loss), float(run.loss[-1]), equal_nan=True)


def test_a_sweep_of_one_model_of_many_directions_takes_the_same_path():
    model = MinimalistD(lambdas=(1.0, 0.1, 0.01), v=(0.0, 1.0, 1.0))
    ds = sweep(model, GD, {"lr": "1|2", "init": "0.3,1e-3,0.1,0.1|1,0,0,0"}, steps=300)
    run = trajectory(model, GD(2.0), (0.3, 1e-3, 0.1, 0.1), steps=300)
    cell = ds.sel(lr=2.0).isel(init=0)
    assert float(cell.loss) == float(run.loss[-1])
    assert float(cell.log2_beta1_min) == pytest.approx(float(np.log2(np.abs(run.w.sel(param="beta_1"))).min()))


def test_spectra_are_what_they_say():
    assert PowerSpectrum(d=4, exponent=2).lambdas().tolist() == [1.0, 1 / 4, 1 / 9, 1 / 16]
    assert TwoLevelSpectrum(d=3, heavy=1, level=0.1, lambda1=2.0).lambdas().tolist() == [2.0, 0.2, 0.2]
    assert SpikedSpectrum(d=3, spikes=0).lambdas().tolist() == [1.0, 1.0, 1.0]
    assert GivenSpectrum(values=(1.0, 3.0, 2.0), d=2).lambdas().tolist() == [3.0, 2.0]
    v = np.array(PowerSpectrum(d=5, irrelevant=2, decay=1.0, b=2.0).model().v)
    np.testing.assert_allclose(v / v[2], [0, 0, 1, 1 / 2, 1 / 3])
    assert np.linalg.norm(v) == pytest.approx(2.0)
    assert PowerSpectrum(d=2, v=(3.0, 4.0)).model().v == (0.6, 0.8)


def test_a_sample_tends_to_the_population_and_a_larger_one_begins_with_it():
    family = {"d": 6, "exponent": 1.0, "noise": 0.3}
    whole = PowerSpectrum(**family).model()
    sample = PowerSpectrum(**family, n=200_000).model()
    np.testing.assert_allclose(sample.lambdas, whole.lambdas, rtol=0.02)
    np.testing.assert_allclose(np.abs(sample.v), whole.v, atol=0.02)
    assert sample.constant == pytest.approx(whole.constant, rel=0.02)
    few, more = (np.random.default_rng(0).standard_normal((n, 7)) for n in (5, 9))
    np.testing.assert_array_equal(few, more[:5])
    small = PowerSpectrum(**family, n=4).model()
    assert small.d == 3  # centred samples span n − 1 directions
    assert small.dropped == 3


def test_data_with_all_samples_is_the_model_of_the_data():
    x, y, _ = load("digits")
    whole, family = MinimalistD.from_data(x, y), DataInputs()
    assert family.model() == MinimalistD(whole.lambdas, whole.v, whole.constant, whole.dropped)
    assert DataInputs(n=300, seed=1).model() != DataInputs(n=300, seed=2).model()
    assert DataInputs(noise=1.0).model().constant > whole.constant + 0.4
    with pytest.raises(InvalidArgument, match="1797"):
        DataInputs(n=5000)


def test_values_that_exclude_each_other_are_labelled_and_bad_ones_refused():
    ds = sweep(PowerSpectrum(), GD, {"d": "2|8", "irrelevant": "1|4", "lr": "1"}, steps=50)
    assert counts(ds)["outcome"]["failed"] == 1
    assert str(labels(ds, "outcome").sel(d=2, irrelevant=4).values[0]) == "failed"
    for grid in ({"d": "0|2"}, {"exponent": "-1|1"}, {"n": "1|2"}, {"noise": "-1"}, {"d": "2.5"}):
        with pytest.raises(InvalidArgument):
            sweep(PowerSpectrum(), GD(1.0), grid, steps=10)
    with pytest.raises(UnknownName, match="ratio"):
        sweep(PowerSpectrum(), GD(1.0), {"ratio": "0.1"}, steps=10)
    with pytest.raises(InvalidArgument, match="lr"):
        sweep(PowerSpectrum(), GD, {"exponent": "1"}, steps=10)


def test_spectra_are_typed_and_read_from_files(tmp_path):
    assert parse_spectrum("two-level:4:2:0.5").lambdas().tolist() == [1, 1, 0.5, 0.5]
    np.save(tmp_path / "s.npy", np.array([0.1, 2.0, 0.0]))
    (tmp_path / "s.csv").write_text("2.0\n0.1\n")
    for name in ("s.npy", "s.csv"):
        assert parse_spectrum(str(tmp_path / name)).lambdas().tolist() == [2.0, 0.1]
    with pytest.raises(UnknownName):
        parse_spectrum("powre:3")
    with pytest.raises(InvalidArgument):
        parse_spectrum("power:3:1:2")
    with pytest.raises(BadData):
        parse_spectrum(str(tmp_path / "none.csv"))


def test_maps_of_inputs_on_the_command_line(tmp_path, capsys):
    store = str(tmp_path / "m.zarr")
    words = ["--spectrum", "power:6", "--axis", "exponent=0:2:4", "--lr", "0.5:4:5", "--steps", "200"]
    assert app.call(["sweep", *words, "-o", store, "--json", "-q"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["cells"] == sum(said["regimes"].values()) == 20
    assert dict(open_sweep(store).sizes) == {"lr": 5, "exponent": 4}
    assert app.call(["figure", "phase-map", store, "-o", str(tmp_path / "m.svg")]) == 0
    assert "exponent of the spectrum" in (tmp_path / "m.svg").read_text()
    capsys.readouterr()
    assert (
        app.call(["sweep", "--data", "digits", "--axis", "n=100|0", "--lr", "0.1|1", "--steps", "50", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["outcome"] == "complete"
    line = str(tmp_path / "line.zarr")
    assert app.call(["sweep", "--spectrum", "power:6", "--lr", "1|2", "--steps", "9", "-o", line, "-q"]) == 0
    assert app.call(["figure", "bifurcation", line, "-o", str(tmp_path / "b.svg")]) == 2
    assert "d-input model" in capsys.readouterr().err
    assert app.call(["sweep", "--spectrum", "power:6", "--lr", "1|2", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] > 0
    assert app.call(["sweep", "--data", "digits", "--spectrum", "power:6", "--lr", "1"]) == 2
    assert "the data brings its own spectrum" in capsys.readouterr().err
    assert app.call(["sweep", "--scale", "max", "--lr", "1"]) == 2


def test_data_that_changed_under_its_name_is_another_map(tmp_path):
    from eoslab.core.errors import StoreError
    from eoslab.results import inputs

    rng = np.random.default_rng(0)
    file = tmp_path / "t.npy"
    for attempt in range(2):
        np.save(file, rng.normal(size=(30, 4)))
        inputs._loaded.cache_clear()
        inputs._model_of.cache_clear()
        family = DataInputs(source=str(file), target="3")
        if attempt == 0:
            sweep(family, GD, {"lr": "0.1|0.2"}, steps=20, store=tmp_path / "m.zarr")
    with pytest.raises(StoreError, match="model"):
        sweep(family, GD, {"lr": "0.1|0.2"}, steps=20, store=tmp_path / "m.zarr")
