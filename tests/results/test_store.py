"""The run store: what goes in comes out, whatever happens to the writer, the disk or the folder."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eoslab.core.errors import DamagedRun, EoslabError, RunNotFound, StoreError, UnknownName
from eoslab.results import codec, provenance
from eoslab.results.store import Store, open_run


def child(code: str, *args: object, wait: bool = True) -> subprocess.Popen[str]:
    """A Python process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if wait:
        process.wait(60)
    return process


def said(process: subprocess.Popen[str]) -> str:
    """What a process that ended well has printed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


def litter(store: Store) -> list[str]:
    """Hidden files in the store."""
    return [name for name in os.listdir(store.root) if name.startswith(".")]


# -- round trip -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["edge", "underflow", "diverged", "stable", "decimated", "adam", "inputs", "nothing"]
)
def test_a_run_comes_back_identical_without_a_warning(store, runs, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved = store.save(runs[name])
        back = open_run(saved.path)
    xr.testing.assert_identical(back, runs[name])
    assert list(back.data_vars) == list(runs[name].data_vars)
    for variable in runs[name].variables:
        assert back[variable].dtype == runs[name][variable].dtype
    assert store.verify(saved.id) == []
    assert saved.path == store.root / f"{saved.id}.zarr"


ARRAYS = st.one_of(
    hnp.arrays(np.float64, st.integers(0, 5), elements=st.floats(allow_nan=True, allow_infinity=True)),
    hnp.arrays(np.int64, st.integers(0, 5)),
    hnp.arrays(np.int8, st.integers(0, 5)),
    hnp.arrays(np.bool_, st.integers(0, 5)),
    st.lists(st.text("ab β_1", max_size=4), max_size=5).map(lambda words: np.array(words, dtype="<U7")),
)


@given(ARRAYS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_flags_and_text_keep_every_bit(store, runs, values):
    ds = runs["nothing"].assign(extra=("extra_dim", values))
    back = open_run(store.save(ds).path)["extra"].values
    assert back.dtype == values.dtype
    assert back.shape == values.shape
    assert back.tobytes() == values.tobytes()


@given(st.lists(st.text(max_size=5), max_size=6))
def test_coded_text_is_decoded_to_the_same_text(words):
    text = np.array([word.rstrip("\0") for word in words], dtype="<U6")
    ds = xr.Dataset({"x": ("n", text, {"long_name": "words"})})
    xr.testing.assert_identical(codec.decode(codec.encode(ds)), ds)


def test_other_readers_of_zarr_see_plain_arrays(store, runs):
    path = store.save(runs["edge"]).path
    for meta in path.rglob("zarr.json"):
        head = json.loads(meta.read_text())
        assert head["zarr_format"] == 3
        assert head.get("data_type", "float64") in ("float64", "int64", "int16", "int8", "bool")
    kinds = xr.open_zarr(path, consolidated=False, chunks=None)["event_kind"]
    words = kinds.attrs["flag_meanings"].split()
    assert [words[code] for code in kinds.values] == runs["edge"]["event_kind"].values.tolist()


def test_command_sources_and_typed_settings_are_kept(store, runs):
    ds = provenance.stamp(runs["edge"], typed={"lr": "2.40"}, seed=3)
    saved = store.save(ds, command="eoslab run --lr 2.40", sources={"lr": "flag"})
    back = open_run(saved.path)
    assert back.attrs["command"] == "eoslab run --lr 2.40"
    assert json.loads(back.attrs["sources"]) == {"lr": "flag"}
    assert back.attrs["seed"] == 3
    assert provenance.parameters(back)["typed"] == {"lr": "2.40"}
    (run,) = store.list()
    assert (run.command, run.lr, run.parameters["optimizer"]) == ("eoslab run --lr 2.40", 2.4, {"lr": 2.4})


def test_the_folder_is_the_argument_the_variable_or_runs(monkeypatch, tmp_path):
    monkeypatch.delenv("EOSLAB_RUNS", raising=False)
    assert Store().root == Path("runs")
    monkeypatch.setenv("EOSLAB_RUNS", str(tmp_path / "here"))
    assert Store().root == tmp_path / "here"
    assert Store(tmp_path).root == tmp_path


# -- listing and finding ------------------------------------------------------------------------------------


def test_listing_shows_the_numbers_of_every_run(store, runs):
    ids = [store.save(ds).id for ds in runs.values()]
    listed = {run.id: run for run in store.list()}
    assert list(listed) == ids
    for id, ds in zip(ids, runs.values(), strict=True):
        run = listed[id]
        assert (run.outcome, run.regime) == (str(ds.outcome.values), str(ds.regime.values))
        assert (run.steps, run.lr, run.created) == (int(ds.steps), float(ds.lr), ds.attrs["created"])
        assert run.final_loss == (None if run.outcome == "diverged" else float(ds.loss[-1]))
        assert run.max_eta_sharpness == float(ds.max_eta_sharpness)


def test_listing_imports_no_arrays(store, runs):
    id = store.save(runs["edge"]).id
    code = """
import sys
from eoslab.results.store import Store
s = Store(sys.argv[1]); run, = s.list(); s.find(run.id[:3]); s.diff(run.id, run.id)
print(run.id, sorted({'numpy', 'xarray', 'zarr', 'numba', 'torch', 'matplotlib'} & set(sys.modules)))
"""
    assert said(child(code, store.root)) == f"{id} []"


def test_an_id_a_prefix_and_a_path_find_the_run(store, runs):
    saved = store.save(runs["stable"])
    for ref in (saved.id, saved.id[:2], saved.path, str(saved.path), str(saved.path) + "/"):
        assert store.find(ref) == saved.path
    elsewhere = Store(store.root.parent / "elsewhere")
    assert elsewhere.find(saved.path) == saved.path


def test_what_is_not_found_is_explained(store, runs):
    with pytest.raises(RunNotFound, match=r"Start one: eoslab run"):
        store.find("7f3c")
    with mock.patch("secrets.token_hex", side_effect=["0", "abc1", "0", "abc2", "0", "ff00", "0"]):
        for _ in range(3):
            store.save(runs["nothing"])
    with pytest.raises(RunNotFound, match=r"abc1, abc2"):
        store.find("abc")
    with pytest.raises(RunNotFound, match=r"did you mean 'ff00'"):
        store.find("ff0x")
    for nothing in ("", "no/such/run", "gone.zarr"):
        with pytest.raises(RunNotFound):
            store.find(nothing)


def test_a_taken_id_is_not_taken_again(store, runs):
    with mock.patch("secrets.token_hex", side_effect=["t", "abcd", "t", "abcd", "abcd", "1234"]):
        assert [store.save(runs["nothing"]).id for _ in range(2)] == ["abcd", "1234"]


# -- damage ---------------------------------------------------------------------------------------------------


def damages(path: Path) -> dict[str, object]:
    """Ways to break a run."""
    chunk = path / "loss" / "c" / "0"
    head = path / "zarr.json"
    return {
        "a chunk is gone": chunk.unlink,
        "a chunk is cut": lambda: chunk.write_bytes(chunk.read_bytes()[:-3]),
        "a bit is flipped": lambda: chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:]),
        "a file is added": lambda: (path / "loss" / "c" / "9").write_bytes(b"x"),
        "an array is gone": (path / "w" / "zarr.json").unlink,
        "the head is cut": lambda: head.write_text(head.read_text()[:100]),
        "the head is binary": lambda: head.write_bytes(b"\xff\xfe\x00"),
        "a number of the head is changed": lambda: head.write_text(head.read_text().replace("2.4", "2.5")),
    }


@pytest.mark.parametrize("damage", damages(Path()))
def test_damage_is_found_and_other_runs_are_not_affected(store, runs, damage):
    saved, other = store.save(runs["edge"]), store.save(runs["stable"])
    damages(saved.path)[damage]()  # type: ignore[operator]
    assert store.verify(saved.id) != []
    if damage != "a file is added":
        with pytest.raises(DamagedRun) as caught:
            open_run(saved.path)
        assert caught.value.exit_code == 4
        assert str(saved.path) in str(caught.value)
    assert store.verify(other.id) == []
    assert {run.id for run in store.list()} == {saved.id, other.id}
    assert [bool(run.problem) for run in store.list() if run.id == other.id] == [False]


def test_an_incomplete_schema_is_reported(store, runs):
    saved = store.save(runs["edge"].drop_vars("measured"))
    assert store.verify(saved.id) == ["the variable or attribute 'measured' is missing"]


def test_a_newer_format_is_refused_in_one_sentence(store, runs):
    saved = store.save(runs["stable"].assign_attrs(format=3, eoslab_version="0.9"))
    with pytest.raises(DamagedRun, match=r"Written by eoslab 0\.9 \(format 3\); this is .* \(format 1\)\. Update"):
        open_run(saved.path)
    assert "Update to open it" in store.list()[0].problem
    assert store.verify(saved.id)


def test_foreign_folders_are_neither_listed_nor_removed(store, runs, tmp_path):
    store.save(runs["stable"])
    foreign = store.root / "theirs.zarr"
    xr.Dataset({"x": ("n", np.arange(3))}).to_zarr(foreign, zarr_format=3, consolidated=False)
    (store.root / "empty.zarr").mkdir()
    (store.root / "notes.txt").write_text("mine")
    assert len(store.list()) == 1
    for ref in ("theirs", "empty", tmp_path):
        for use in (store.remove, store.open, store.info):
            with pytest.raises(DamagedRun, match="no run of eoslab"):
                use(ref)
        assert len(store.verify(ref)) == 1
    assert (foreign / "x" / "c" / "0").exists()
    assert tmp_path.exists()


def test_removing_removes_one_run(store, runs):
    kept, gone = store.save(runs["stable"]), store.save(runs["edge"])
    store.remove(gone.id)
    assert os.listdir(store.root) == [kept.path.name]
    with pytest.raises(RunNotFound):
        store.find(gone.id)


def test_a_link_is_not_removed_through(store, runs, tmp_path):
    saved = store.save(runs["stable"])
    link = tmp_path / "link.zarr"
    link.symlink_to(saved.path)
    with pytest.raises(DamagedRun, match="link"):
        store.remove(link)
    assert store.verify(saved.id) == []


# -- trouble while writing ------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_and_says_what_to_do(store, runs):
    sound = store.save(runs["stable"])
    full = OSError(errno.ENOSPC, "No space left on device")
    for use in (lambda: store.save(runs["edge"]), lambda: store.update(sound.path, runs["edge"])):
        with (
            mock.patch("pathlib.Path.write_text", side_effect=full),
            pytest.raises(StoreError, match=r"disk is full.*--out"),
        ):
            use()
    assert os.listdir(store.root) == [sound.path.name]
    xr.testing.assert_identical(open_run(sound.path), runs["stable"])


def test_a_write_that_fails_in_the_middle_of_the_arrays_leaves_nothing(store, runs):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # no file may grow beyond 4 kB: the small arrays succeed, the long ones fail
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.raises(StoreError, match="cannot be written"):
            store.save(runs["edge"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(store.root) == []


def test_a_store_that_is_a_file_is_an_error(tmp_path, runs):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        Store(tmp_path / "file").save(runs["stable"])
    assert Store(tmp_path / "file").list() == []


def test_ctrl_c_while_saving_leaves_nothing(store, runs):
    with (
        mock.patch("eoslab.results.layout.sha256", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        store.save(runs["stable"])
    assert os.listdir(store.root) == []


COPY = """
import os, signal, sys
from pathlib import Path
from eoslab.results import layout, store as module
from eoslab.results.store import Store, open_run
root, source, mode = sys.argv[1:4]
ds = open_run(source)
store = Store(root)
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
if mode == "save":           # arrays written, head not
    layout.sha256 = kill
    store.save(ds)
elif mode == "update":       # the old run has stepped aside, the new one is not in its place
    rename, done = module._renamed, []
    module._renamed = lambda a, b: kill() if len(done) == 2 else (done.append(1), rename(a, b))[1]
    store.update(sorted(Path(root).glob("*.zarr"))[0], ds)
else:
    for _ in range(int(mode)):
        print(store.save(ds).id)
"""


@pytest.mark.parametrize("mode", ["save", "update"])
def test_a_writer_killed_half_way_harms_nothing(store, runs, mode):
    sound, source = store.save(runs["stable"]), Store(store.root.parent / "source").save(runs["edge"])
    killed = child(COPY, store.root, source.path, mode)
    assert killed.returncode == -signal.SIGKILL, killed.communicate()
    assert litter(store) != []
    assert [run.id for run in store.list()] == [sound.id]
    xr.testing.assert_identical(open_run(sound.path), runs["stable"])
    assert store.verify(sound.id) == []
    # what the killed writer left goes away by and by
    with mock.patch("eoslab.results.store.STALE", -1):
        store.save(runs["nothing"])
    assert litter(store) == []
    assert len(store.list()) == 2


def test_two_writers_at_once_lose_nothing(store, runs):
    source = Store(store.root.parent / "source").save(runs["stable"])
    writers = [child(COPY, store.root, source.path, 3, wait=False) for _ in range(2)]
    ids = " ".join(said(writer) for writer in writers).split()
    assert len(set(ids)) == 6
    assert {run.id for run in store.list()} == set(ids)
    for id in ids:
        xr.testing.assert_identical(store.open(id), runs["stable"])
    assert litter(store) == []


def test_a_replacement_by_another_writer_in_between_is_overcome(store, runs):
    saved = store.save(runs["stable"])
    from eoslab.results import store as module

    rename, seen = module._renamed, []

    def meddle(old: Path, new: Path) -> bool:
        done = rename(old, new)
        if new.name.startswith(".old-") and not seen:
            seen.append(store.list())  # another process looks, and puts the old run back
        return done

    with mock.patch.object(module, "_renamed", meddle):
        store.update(saved.path, runs["edge"])
    assert [run.id for run in seen[0]] == [saved.id]
    xr.testing.assert_identical(open_run(saved.path), runs["edge"])
    assert os.listdir(store.root) == [saved.path.name]


def test_a_run_replaced_while_it_is_read_is_read_again(store, runs):
    saved = store.save(runs["stable"])
    from eoslab.results import layout

    damage, calls = layout.damage, []

    def slow(path: Path, attributes: dict) -> list[str]:
        if not calls:
            calls.append(store.update(saved.path, runs["edge"]))
        return damage(path, attributes)

    with mock.patch.object(layout, "damage", slow):
        xr.testing.assert_identical(open_run(saved.path), runs["edge"])


# -- comparing and exporting -----------------------------------------------------------------------------------


def test_diff_names_settings_first_then_results(store, runs):
    a, b = store.save(runs["edge"]), store.save(runs["stable"])
    lines = store.diff(a.id, b.id)
    assert [line.kind for line in lines] == sorted((line.kind for line in lines), key=("setting", "result").index)
    assert [(x.name, x.a, x.b) for x in lines if x.kind == "setting"] == [("lr", 2.4, 0.5), ("steps", 3000, 200)]
    assert {"regime", "max_eta_sharpness", "final_loss"} <= {x.name for x in lines if x.kind == "result"}
    assert store.diff(a.id, a.id) == []


@pytest.mark.parametrize("name", ["underflow", "diverged", "adam", "inputs", "nothing"])
def test_exports_hold_the_same_numbers(store, runs, name, tmp_path):
    ds = runs[name]
    saved = store.save(ds, command="eoslab run")
    with store.export(saved.id, "csv", tmp_path / "a.csv").open(encoding="utf-8") as f:
        table = list(csv.DictReader(line for line in f if not line.startswith("#")))
    assert len(table) == ds.sizes["step"]
    for column in ("step", "time", "loss", "sharpness", "eta_sharpness"):
        np.testing.assert_array_equal([float(row[column]) for row in table], ds[column])
    for param in ds.param.values:
        np.testing.assert_array_equal([float(row[param]) for row in table], ds.w.sel(param=param))
    words = ds.phase.attrs["flag_meanings"].split()
    assert [row["phase"] for row in table] == [words[code] for code in ds.phase.values]

    with np.load(store.export(saved.id, "npz", tmp_path / "a.npz")) as arrays:
        for variable in ds.variables:
            np.testing.assert_array_equal(arrays[variable], ds[variable])
        assert json.loads(str(arrays["parameters"])) == provenance.parameters(ds)

    nc = xr.load_dataset(store.export(saved.id, "netcdf", tmp_path / "a.nc"), engine="h5netcdf")
    for variable in ds.variables:
        np.testing.assert_array_equal(nc[variable], ds[variable])
    assert nc.attrs["command"] == "eoslab run"


def test_the_head_of_a_csv_file_says_where_it_comes_from(store, runs, tmp_path):
    saved = store.save(runs["edge"], command="eoslab run --lr 2.4")
    text = store.export(saved.id, "csv", tmp_path / "a.csv").read_text(encoding="utf-8")
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert head[0].startswith(f"# eoslab run {saved.id}: Edge of stability")
    assert "# command: eoslab run --lr 2.4" in head


def test_an_export_replaces_a_file_whole_or_not_at_all(store, runs, tmp_path):
    saved, out = store.save(runs["edge"]), tmp_path / "a.csv"
    out.write_text("before")
    full = OSError(errno.ENOSPC, "No space left on device")
    with mock.patch("csv.writer", side_effect=full), pytest.raises(StoreError, match="No space"):
        store.export(saved.id, "csv", out)
    assert out.read_text() == "before"
    assert os.listdir(tmp_path / "runs") == [saved.path.name]
    with pytest.raises(StoreError):
        store.export(saved.id, "csv", tmp_path / "no" / "folder.csv")
    with pytest.raises(UnknownName, match="did you mean 'netcdf'"):
        store.export(saved.id, "netcfd", out)


def test_every_error_of_the_store_has_a_code_and_an_exit_code():
    for cls in (RunNotFound, DamagedRun, StoreError):
        assert issubclass(cls, EoslabError)
        assert cls.code.startswith("E2")
