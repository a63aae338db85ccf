"""Stores: killed and continued, extended, refused, shared, and computed by a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from eoslab.core.errors import DamagedRun, StoreError
from eoslab.models import Minimalist
from eoslab.optimizers import GD
from eoslab.results import sweep_store
from eoslab.results.cells import COLUMNS
from eoslab.results.sweep import counts, open_sweep, sweep

GRID = {"lr": "1:4:160", "ratio": "1e-3:0.5:1000:log"}
COMMAND = """
import sys
from eoslab.models import Minimalist
from eoslab.optimizers import GD
from eoslab.results.sweep import sweep
sweep(Minimalist, GD, {grid!r}, steps={steps}, store=sys.argv[1], workers=1)
"""


def start(path, grid=GRID, steps=1500):
    return subprocess.Popen([sys.executable, "-c", COMMAND.format(grid=grid, steps=steps), str(path)])


def equal(a, b):
    for name in (*COLUMNS, "measured"):
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


@pytest.fixture(scope="module")
def uninterrupted():
    return sweep(Minimalist, GD, GRID, steps=1500)


def test_a_killed_sweep_continues_to_the_result_of_an_uninterrupted_one(tmp_path, uninterrupted):
    path = tmp_path / "map.zarr"
    process = start(path)
    done = path / "measured" / "c"
    while process.poll() is None and len(list(done.glob("*/*"))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = int(open_sweep(path).measured.sum())
    assert 0 < there < 160_000, "killed too late or too early to show anything"
    calls = []
    ds = sweep(Minimalist, GD, GRID, steps=1500, store=path, progress=lambda done, total: calls.append(done))
    equal(ds, uninterrupted)
    equal(open_sweep(path), uninterrupted)
    assert calls[1] > there  # what was there was not computed again


def test_two_processes_share_a_store(tmp_path, uninterrupted):
    path = tmp_path / "map.zarr"
    both = [start(path), start(path)]
    assert [process.wait() for process in both] == [0, 0]
    equal(open_sweep(path), uninterrupted)
    assert os.listdir(tmp_path) == ["map.zarr"]  # no locks and no temporary names are left


def test_a_changed_grid_extends_and_keeps_what_is_there(tmp_path):
    path = tmp_path / "map.zarr"
    few, many = {"lr": "1:4:4", "ratio": "1e-3|1e-2"}, {"lr": "1:4:7", "ratio": "1e-1|1e-2"}
    sweep(Minimalist, GD, few, steps=300, store=path)
    ds = sweep(Minimalist, GD, many, steps=300, store=path)
    equal(ds, sweep(Minimalist, GD, many, steps=300))
    union = open_sweep(path)
    assert dict(union.sizes) == {"lr": 7, "ratio": 3}
    assert union.measured.all()
    equal(sweep(Minimalist, GD, few, steps=300, store=path), sweep(Minimalist, GD, few, steps=300))


def test_more_samples_extend_a_random_design(tmp_path):
    path, grid = tmp_path / "map.zarr", {"lr": "1:4:2", "ratio": "1e-3:0.5:2:log"}
    sweep(Minimalist, GD, grid, steps=100, design="random", samples=50, store=path)
    ds = sweep(Minimalist, GD, grid, steps=100, design="random", samples=80, store=path)
    equal(ds, sweep(Minimalist, GD, grid, steps=100, design="random", samples=80))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steps": 11}, "steps"),
        ({"w0": (1.0, 1e-3, 0.5)}, "start"),
        ({"model": Minimalist(b=2.0)}, "model"),
        ({"grid": {"lr": "1|2", "ratio": "1e-3"}}, "swept parameters"),
        ({"resume": False}, "exists already"),
    ],
)
def test_another_problem_is_refused_with_what_differs(tmp_path, change, word):
    path = tmp_path / "map.zarr"
    first = {"model": Minimalist(), "rule": GD, "grid": {"lr": "1|2"}, "steps": 10, "store": path}
    sweep(**first)
    with pytest.raises(StoreError, match=word):
        sweep(**{**first, **change})


def test_another_code_is_refused(tmp_path, monkeypatch):
    from eoslab.results.cells import Problem

    path = tmp_path / "map.zarr"
    sweep(Minimalist, GD, {"lr": "1|2"}, steps=10, store=path)
    monkeypatch.setattr(Problem, "digest", lambda self: "of another version")
    with pytest.raises(StoreError, match="code that computes a cell"):
        sweep(Minimalist, GD, {"lr": "1|2"}, steps=10, store=path)


def test_what_is_no_map_is_refused(tmp_path):
    (tmp_path / "map.zarr").mkdir()
    with pytest.raises(DamagedRun):
        sweep(Minimalist, GD, {"lr": "1|2"}, steps=10, store=tmp_path / "map.zarr")


def test_a_killed_extension_is_undone(tmp_path):
    path = tmp_path / "map.zarr"
    sweep(Minimalist, GD, {"lr": "1|2"}, steps=10, store=path)
    os.replace(path, tmp_path / ".map.zarr.old")  # the state between its two renames
    ds = sweep(Minimalist, GD, {"lr": "1|2|3"}, steps=10, store=path)
    assert ds.measured.all()
    assert os.listdir(tmp_path) == ["map.zarr"]


def test_a_full_disk_loses_the_unit_in_flight_only(tmp_path, monkeypatch):
    path, grid, room = tmp_path / "map.zarr", {"lr": "1:4:80", "ratio": "1e-3:0.5:1000:log"}, [1]
    write = sweep_store.SweepStore.write

    def full(self, unit, flat, columns):
        if not room:
            with sweep_store._says_why(self.path):
                raise OSError(28, "No space left on device")
        room.pop()
        write(self, unit, flat, columns)

    monkeypatch.setattr(sweep_store.SweepStore, "write", full)
    with pytest.raises(StoreError, match="No space left on device"):
        sweep(Minimalist, GD, grid, steps=50, store=path, workers=1)
    monkeypatch.undo()
    assert 0 < int(open_sweep(path).measured.sum()) < 80_000
    equal(sweep(Minimalist, GD, grid, steps=50, store=path), sweep(Minimalist, GD, grid, steps=50))


def test_a_stopped_sweep_says_what_is_missing_and_continues(tmp_path):
    path, asked = tmp_path / "map.zarr", []

    def stop():
        asked.append(1)
        return len(asked) > 2

    grid = {"lr": "1:4:160", "ratio": "1e-3:0.5:1000:log"}
    ds = sweep(Minimalist, GD, grid, steps=20, store=path, workers=1, stop=stop)
    assert 0 < counts(ds)["outcome"]["interrupted"] < 160_000
    assert not ds.attrs["complete"]
    again = sweep(Minimalist, GD, grid, steps=20, store=path)
    assert again.attrs["complete"]
    equal(again, sweep(Minimalist, GD, grid, steps=20))


def test_a_cluster_computes_the_same_whatever_happens_to_its_workers(tmp_path):
    """One worker, two workers of which one is killed in the middle, a scheduler at an address: the same bits."""
    distributed = pytest.importorskip("distributed")
    grid = {"lr": "1:4:64", "ratio": "1e-3:0.5:500:log"}
    here = sweep(Minimalist, GD, grid, steps=4000, workers=1)
    equal(sweep(Minimalist, GD, grid, steps=4000, workers=3), here)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster.scheduler_address) as client:
        victim = next(iter(client.run(os.getpid).values()))
        killed = []

        def progress(done, total):
            if done and not killed:
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        ds = sweep(Minimalist, GD, grid, steps=4000, client=client, store=tmp_path / "m.zarr", progress=progress)
        assert killed
        equal(ds, here)


REFINED = {"lr": "1:4:33", "ratio": "1e-3:0.5:33:log"}
REFINE = """
import sys
from eoslab.models import Minimalist
from eoslab.optimizers import GD
from eoslab.results import sweep as module
module.WRITE_EVERY = 0.0
module._unit_size = lambda steps: 300
module.sweep(Minimalist, GD, {grid!r}, steps=1500, store=sys.argv[1], workers=1, refine=3)
"""


def test_a_killed_refinement_continues_to_the_result_of_an_uninterrupted_one(tmp_path):
    path = tmp_path / "map.zarr"
    process = subprocess.Popen([sys.executable, "-c", REFINE.format(grid=REFINED), str(path)])
    there = 0
    while process.poll() is None and there < 1500:
        time.sleep(0.02)
        there = int(open_sweep(path).measured.sum()) if (path / "measured" / "c").exists() else 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = open_sweep(path)
    there = int(killed.measured.sum())
    assert not killed.attrs["complete"]
    assert counts(killed)["outcome"]["interrupted"] == killed.regime.size - there
    whole = sweep(Minimalist, GD, REFINED, steps=1500, refine=3)
    assert 0 < there < int(whole.measured.sum())
    calls = []
    options = {"steps": 1500, "refine": 3, "store": path}
    ds = sweep(Minimalist, GD, REFINED, **options, progress=lambda done, total: calls.append(done))
    equal(ds, whole)
    equal(open_sweep(path), whole)
    assert open_sweep(path).attrs["complete"]
    assert counts(ds)["outcome"]["inferred"] == int((~whole.measured).sum())
    again = []
    equal(sweep(Minimalist, GD, REFINED, **options, progress=lambda *said: again.append(said)), whole)
    assert not again  # nothing was computed a second time
    with pytest.raises(StoreError, match="design"):
        sweep(Minimalist, GD, REFINED, steps=1500, refine=2, store=path)
    with pytest.raises(StoreError, match="another grid"):
        sweep(Minimalist, GD, {**REFINED, "lr": "1:5:33"}, **options)


def test_a_stopped_refinement_labels_what_is_missing(tmp_path):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 3

    for store in (None, tmp_path / "map.zarr"):
        asked.clear()
        ds = sweep(Minimalist, GD, REFINED, steps=50, refine=2, workers=1, stop=stop, store=store)
        found = counts(ds)["outcome"]
        assert found["interrupted"] == int((~ds.measured).sum()) > 0
        assert int(ds.measured.sum()) > 0
        assert not ds.attrs["complete"]
    equal(
        sweep(Minimalist, GD, REFINED, steps=50, refine=2, store=tmp_path / "map.zarr"),
        sweep(Minimalist, GD, REFINED, steps=50, refine=2),
    )
