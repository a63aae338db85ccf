"""Sweeps of networks: cells are single runs, labelled whatever happens; kills, workers, extension change none."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("torch")

from eoslab.cli import app
from eoslab.core.errors import EoslabError, InvalidArgument, StoreError, UnknownName
from eoslab.nn import Experiment
from eoslab.nn.sweeps import COLUMNS, failures, one_thread, sweep
from eoslab.optimizers import GD
from eoslab.plots import draw, save_figure
from eoslab.results.store import open_run
from eoslab.results.sweep import labels, open_sweep
from eoslab.results.sweep import sweep as sweep_models

#: Times are measured; everything else is a function of the parameters.
REPRODUCIBLE = [name for name in COLUMNS if name not in ("seconds", "cost_in_gradient_steps")]
TINY = ["--arch", "mlp", "--data", "digits", "--samples", "60", "--steps", "25"]


def small(lr=0.4, seed=0, hidden="8x8", batch=0.0, samples=60, steps=25):
    """A network that takes 50 ms; the larger rates reach the edge."""
    widths = [int(w) for w in str(hidden).split("x")]
    settings = {"data": "digits", "samples": int(samples), "hidden": widths, "seed": int(seed)}
    return Experiment(settings, GD(lr), steps, batch=int(batch) or None)


def longer(lr, seed):
    return small(lr, seed, steps=60)


def same(a, b):
    for name in REPRODUCIBLE:
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


def command(*words):
    return app.call([str(word) for word in words])


def test_a_cell_is_the_run_of_eoslab_train_to_the_last_bit(tmp_path, capsys):
    """The same numbers at every step, and the same verdict, for gradient descent and for a preconditioned rule."""
    path = tmp_path / "nets.zarr"
    few = [*TINY[:-1], "12"]
    lists = ["--optimizer", "gd|adam", "--lr", "2/40|2/5", "--hidden", "8|12,6", "--seed", 2]
    assert command("sweep", *few, *lists, "-o", path) == 0
    ds = open_sweep(path)
    assert dict(ds.sizes) == {"optimizer": 2, "lr": 2, "hidden": 2, "step": 13}
    assert ds["hidden"].values.tolist() == ["8", "12,6"]
    capsys.readouterr()
    for optimizer, lr, hidden in (("gd", "2/5", "12,6"), ("adam", "2/40", "8")):
        with one_thread():
            assert command("train", *few, "--optimizer", optimizer, "--lr", lr, "--hidden", hidden, "--seed", 2,
                           "--out", tmp_path / "runs", "--json") == 0  # fmt: skip
        said = json.loads(capsys.readouterr().out)
        run = open_run(said["run"])
        cell = ds.sel(optimizer=optimizer, hidden=hidden).sel(lr=eval(lr), method="nearest")
        np.testing.assert_array_equal(cell["loss"].values, run["loss"].values)
        np.testing.assert_array_equal(cell["ratio"].values, run["eta_sharpness"].values / said["threshold"])
        if optimizer == "gd":
            np.testing.assert_array_equal(cell["sharpness"].values, run["sharpness"].values)
        assert float(cell["threshold"]) == said["threshold"]
        assert (
            str(labels(ds, "regime").sel(optimizer=optimizer, hidden=hidden, lr=cell.lr).values)
            == (said["regime"])
        )
        for name, value in (("final_loss", said["final"]["loss"]), ("final_accuracy", said["final"]["accuracy"]),
                            ("final_sharpness", said["final"]["sharpness"]),
                            ("mean_ratio_second_half", said["mean_ratio_second_half"]),
                            ("hvp_per_step", said["hvp_per_step"])):  # fmt: skip
            assert float(cell[name]) == value, name
        assert int(cell["first_crossing"]) == (-1 if said["first_crossing"] is None else said["first_crossing"])


@pytest.mark.slow
def test_cells_do_not_depend_on_who_computes_them():
    distributed = pytest.importorskip("distributed")
    grid = {"lr": "2/40|2/5", "seed": "0|1"}
    alone = sweep(small, grid)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        same(sweep(small, grid, client=client), alone)


def test_whatever_happens_to_a_cell_is_a_label():
    """Divergence, and a mini-batch larger than the data: an outcome with its reason, and nothing missing."""
    ds = sweep(small, {"lr": "0.1|1e3", "batch": "10|100", "samples": "60|200"})
    word = labels(ds, "outcome")
    assert set(word.sel(lr=1e3, batch=10).values.ravel()) == {"diverged"}
    assert (word.sel(batch=100, samples=60) == "failed").all()
    assert "at most 60" in str(ds.reason.sel(batch=100, samples=60, lr=0.1).values)
    assert ds.measured.all()
    assert [cell["samples"] for cell in failures(ds)] == ["60", "60"]
    assert np.isnan(ds.loss.sel(lr=1e3, batch=10)).any("step").all()  # after the divergence there is no loss
    assert "none" not in str(ds.reason.sel(lr=0.1, batch=10, samples=60).values)
    drawn = draw("network-grid", ds.isel(samples=0), columns="batch", colours="lr")
    assert [ax.get_title(loc="left") for ax in drawn.axes[:2]] == ["batch 10", "batch 100, 2 failed"]


COMMAND = """
import sys
sys.path.insert(0, {folder!r})
from test_network_sweeps import longer, sweep
sweep(longer, {grid!r}, store=sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_sweep_loses_at_most_the_cell_in_flight(tmp_path):
    path, grid = tmp_path / "nets.zarr", {"lr": "2/40|2/10", "seed": "0|1|2"}
    text = COMMAND.format(folder=os.path.dirname(__file__), grid=grid)
    process = subprocess.Popen([sys.executable, "-c", text, str(path)])
    done = path / "measured" / "c"
    # the newest file may be on its way into place
    while process.poll() is None and len(list(done.glob("*/*"))) < 3:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    written = len(list(done.glob("*/*")))
    before = open_sweep(path)
    there = int(before.measured.sum())
    assert 2 <= there < 6, "killed too late or too early to show anything"
    assert there >= written - 1
    calls = []
    ds = sweep(longer, grid, store=path, progress=lambda done, total: calls.append(done))
    same(ds, sweep(longer, grid))
    assert calls[0] == 0
    assert calls[1:] == list(range(there + 1, 7))  # what was there was not computed again
    kept = before.measured.values
    np.testing.assert_array_equal(ds.seconds.values[kept], before.seconds.values[kept])


def test_more_values_extend_a_store_and_another_problem_is_refused(tmp_path):
    path = tmp_path / "nets.zarr"
    few = sweep(small, {"lr": "2/40|2/5", "hidden": ["8x4", "8x8"]}, store=path)
    more = {"lr": "2/40|2/10", "hidden": ["8x8", "4x4"]}
    same(sweep(small, more, store=path), sweep(small, more))
    union = open_sweep(path)
    assert dict(union.sizes) == {"lr": 3, "hidden": 3, "step": 26}
    assert int(union.measured.sum()) == 9  # the grid of all values, as for maps
    again = union.sel(lr=few.lr, hidden=few.hidden)
    np.testing.assert_array_equal(again.seconds.values, few.seconds.values)
    with pytest.raises(StoreError, match="number of steps"):
        sweep(lambda lr, hidden: small(lr, hidden=hidden, steps=26), more, store=path)
    with pytest.raises(StoreError, match="code"):
        sweep(lambda lr, hidden: small(lr / 2, hidden=hidden), more, store=path)


def test_ctrl_c_stops_in_the_middle_of_a_cell_and_keeps_the_others(tmp_path, capsys):
    path = tmp_path / "nets.zarr"
    quick = ["sweep", *TINY[:-2], "--hidden", "4", "--seed", "0|1", "-o", path]

    def interrupt():
        while len(list((path / "measured" / "c").glob("*"))) < 1:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    # the first cell ends at once, the second would take minutes
    with one_or_forever():
        assert command(*quick, "--steps", 100_000, "--until-loss", "10|1e-30") == 130
    said = capsys.readouterr()
    assert "run the same command to continue" in said.err
    assert "E105" not in said.err
    ds = open_sweep(path)
    assert 1 <= int(ds.measured.sum()) < 4
    assert set(labels(ds, "outcome").values.ravel()) == {"running", "interrupted"}


@contextlib.contextmanager
def one_or_forever():
    """A guard: a sweep that does not stop fails the test instead of hanging it."""

    def late(number, frame):
        raise RuntimeError("the sweep did not stop")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--arch", "mpl", "--lr", "1|2"], "unknown arch 'mpl'"),
        (["--arch", "mlp|cnm", "--lr", "1|2"], "unknown arch 'cnm'"),
        (["--arch", "mlp", "--ratio", "1|2"], "nothing beside --arch"),
        (["--arch", "mlp", "--axis", "k=1|2"], "nothing beside --arch"),
        (["--arch", "mlp", "--refine", "1", "--lr", "1:2:3"], "nothing beside --arch"),
        (["--ratio", "0.1|0.2", "--lr", "1", "--hidden", "8"], "--arch or --module with it"),
        (["--arch", "mlp", "--lr", "1,2"], "separated by |"),
        (["--arch", "mlp", "--lr", "1|x"], "expected numbers"),
        (["--arch", "mlp", "--lr", "2/40"], "no option with several values"),
        (["--arch", "mlp", "--seed", "0|0.5"], "a whole number"),
        (["--arch", "mlp", "--steps", "1|2", "--seed", "0|1"], "a whole number"),
        (["--arch", "mlp", "--optimizer", "gd|adam", "--beta", "0.9"], "a setting of one of gd, adam"),
        (["--arch", "mlp", "--optimizer", "gd", "--beta", "0.8|0.9"], "a setting of 'gd'"),
        (["--arch", "mlp", "--act", "tanh|tnah"], "tnah"),
        (["--lr", "1:2:3", "--cells", "3", "--samples", "3", "--design", "random"], "nothing beside --cells"),
    ],
)
def test_what_is_no_sweep_is_refused_by_name(words, said, capsys):
    assert command("sweep", *words) == 2
    assert said in capsys.readouterr().err


def test_a_module_that_cannot_be_built_is_refused_with_its_error(tmp_path, capsys):
    file = tmp_path / "own.py"
    file.write_text("import torch\n\n\ndef good():\n    return torch.nn.Linear(64, 10)\n\n\n"
                    "def bad():\n    raise TypeError('no such layer')\n")  # fmt: skip
    words = ["--samples", 50, "--steps", 3, "--seed", "0|1"]
    assert command("sweep", "--module", f"{file}:good", *words) == 0
    assert command("sweep", "--module", f"{file}:good|{file}:bad", *words) != 0
    assert "TypeError: no such layer" in capsys.readouterr().err


def test_names_of_results_are_no_axes():
    with pytest.raises(InvalidArgument, match="another name"):
        sweep(lambda loss: small(), {"loss": "1|2"})
    with pytest.raises(InvalidArgument, match="one number of steps"):
        sweep(lambda n: small(steps=int(n)), {"n": "3|4"})


def test_a_dry_run_trains_a_few_steps_to_say_how_long_it_takes(capsys):
    words = ["sweep", *TINY[:-2], "--steps", 1000, "--hidden", "4|8", "--lr", "2/40|2/20", "--loss", "mse|ce"]
    assert command(*words, "--workers", 2, "--dry-run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["cells"], said["steps_total"]) == (8, 8000)
    assert said["dims"] == {"hidden": 2, "lr": 2, "loss_fn": 2}
    # a step takes neither less than ten microseconds nor more than half a second
    assert 8000 * 1e-5 / 2 < said["seconds"] < 8000 * 0.5 / 2
    assert said["memory_bytes"] > 2 * said["disk_bytes"] > 0


def test_a_random_design_draws_learning_rates(capsys):
    words = ["--lr", "0.01:0.1:2:log", "--seed", "0|1", "--design", "random", "--cells", 3]
    assert command("sweep", *TINY, *words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["cells"] == 3


# -- figures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nets():
    return sweep(small, {"lr": "2/40|2/5", "hidden": ["8x4", "8x8"], "seed": "0|1"})


def test_the_grid_has_a_column_for_each_network_and_a_dotted_threshold_for_each_rate(nets):
    drawn = draw("network-grid", nets, size="double")
    top, bottom = drawn.axes[:2], drawn.axes[2:]
    assert [ax.get_title(loc="left") for ax in top] == ["hidden 8x4", "hidden 8x8"]
    assert [text.get_text() for text in top[0].get_legend().get_texts()] == ["η = 2/40", "η = 2/5"]
    for ax in bottom:
        lines = {float(line.get_ydata()[0]): line for line in ax.lines if line.get_gid() == "threshold"}
        assert sorted(lines) == pytest.approx([5, 40])
        curves = [line for line in ax.lines if line.get_gid() is None]
        assert len(curves) == 4  # two rates, two seeds
        assert {line.get_color() for line in curves} == {line.get_color() for line in lines.values()}
    assert {text.get_text() for text in bottom[-1].texts} == {"η = 2/40", "η = 2/5"}
    assert (top[0].get_ylabel(), bottom[0].get_ylabel()) == ("train loss", "sharpness")


def test_columns_and_colours_can_be_chosen_and_files_are_written(nets, tmp_path):
    assert len(draw("network-grid", nets, columns="seed", colours="hidden").axes) == 4
    assert save_figure("network-grid", nets, tmp_path / "nets.png").stat().st_size > 1000
    with pytest.raises(UnknownName):
        draw("network-grid", nets, columns="widths")
    with pytest.raises(InvalidArgument, match="another dimension"):
        draw("network-grid", nets, columns="lr", colours="lr")


def test_figures_refuse_the_other_kind_of_sweep(nets):
    from eoslab.models import Minimalist

    maps = sweep_models(Minimalist, GD, {"lr": "1|2"}, steps=10)
    with pytest.raises(InvalidArgument, match="a sweep of networks"):
        draw("network-grid", maps)
    with pytest.raises(InvalidArgument, match="network-grid"):
        draw("bifurcation", nets)
    with pytest.raises(InvalidArgument, match="two numeric ones"):
        draw("phase-map", nets.isel(seed=0))
    with pytest.raises(EoslabError, match="loss"):
        draw("phase-map", nets, quantity="loss")
    assert draw("phase-map", nets, x="lr", y="seed").axes[0].get_xlabel() == "learning rate η"
    assert draw("phase-map", nets, quantity="max_ratio").axes
