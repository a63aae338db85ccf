"""Stored runs, figures, reports, lists, doctor, demo."""

from __future__ import annotations

import re
from importlib.util import find_spec

import numpy as np
import pytest


@pytest.fixture
def run(call):
    """A stored run's id."""
    return call("run", "--json").json["id"]


def test_an_empty_store_says_how_to_start(call):
    got = call("runs", "list")
    assert got.code == 0
    assert got.out == ""
    assert got.err == "No runs in runs yet. Start one: eoslab run\n"


def test_list_shows_each_run(call, run):
    other = call("run", "--lr", "1", "--steps", "10", "--json").json["id"]
    text = call("runs", "list").out
    assert text.splitlines()[0].split()[:2] == ["id", "created"]
    assert [row.split()[0] for row in text.splitlines()[1:]] == [run, other]
    listed = call("runs", "list", "--json").json["runs"]
    assert [row["id"] for row in listed] == [run, other]
    assert listed[0]["regime"] == "edge"


def test_show_by_prefix_and_path(call, run):
    path = call("runs", "show", run, "--json").json["run"]
    assert call("runs", "show", path, "--json").json["id"] == run
    assert run in call("runs", "show", run).out


def test_diff_shows_settings_first(call, run):
    other = call("run", "--lr", "2.6", "--json").json["id"]
    text = call("runs", "diff", run, other).out
    assert text.splitlines()[0].split() == [run, other]
    assert "2.4" in text
    assert "2.6" in text
    assert call("runs", "diff", run, other, "--json").json["differences"]
    assert "same" in call("runs", "diff", run, run).out


@pytest.mark.parametrize(("file", "extra"), [("a.csv", []), ("a.nc", []), ("b", ["--format", "npz"])])
def test_export(call, run, folder, file, extra):
    got = call("runs", "export", run, "-o", file, *extra)
    assert got.code == 0, got.err
    assert (folder / file).exists() or (folder / f"{file}.npz").exists()


def test_export_in_an_unknown_format(call, run):
    got = call("runs", "export", run, "-o", "a.xlsx")
    assert got.code == 2
    assert "known: csv, netcdf, npz" in got.err


def test_remove_asks_for_all_names_before_it_removes_any(call, run):
    assert call("runs", "rm", run, "zzzz").code == 4
    assert call("runs", "show", run).code == 0
    assert call("runs", "rm", run).out == f"removed {run}\n"
    assert call("runs", "show", run).code == 4


def test_verify_finds_damage(call, run, folder):
    assert call("runs", "verify").out == f"{run}  sound\n"
    chunk = max(
        (folder / "runs" / f"{run}.zarr" / "loss").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0
    )
    chunk.write_bytes(b"damage")
    got = call("runs", "verify", run)
    assert got.code == 4
    assert f"{run}  damaged" in got.out
    assert call("runs", "show", run).code == 4


def test_a_foreign_folder_is_refused(call, folder):
    (folder / "other").mkdir()
    got = call("runs", "show", "other")
    assert got.code == 4
    assert got.err.startswith("error[E202]")


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_figure(call, run, folder, suffix):
    got = call("figure", "loss-sharpness", run, "-o", f"a.{suffix}")
    assert got.code == 0, got.err
    assert (folder / f"a.{suffix}").stat().st_size > 1000


def test_figure_with_a_wrong_name_or_ending(call, run):
    assert "did you mean 'loss-split'?" in call("figure", "los-split", run, "-o", "a.svg").err
    assert "known: pdf, png, svg" in call("figure", "gfs", run, "-o", "a.gif").err


def test_report(call, run, folder):
    got = call("report", run, "-o", "r.html")
    assert got.code == 0, got.err
    text = (folder / "r.html").read_text()
    assert "<html" in text
    assert "--lambda2 0.004" in text


@pytest.mark.parametrize("kind", ["models", "optimizers", "probes", "figures"])
def test_lists(call, kind):
    rows = call("list", kind, "--json").json[kind]
    assert rows
    text = call("list", kind).out
    assert len(text.splitlines()) == len(rows) + 1


def test_names_read_from_files_are_those_of_the_catalog():
    from eoslab.cli import names
    from eoslab.core import catalog

    assert sorted(names.models()) == sorted(catalog.names("eoslab.models"))
    assert sorted(names.optimizers()) == sorted(catalog.names("eoslab.optimizers"))


def test_doctor_finds_a_healthy_installation(call):
    got = call("doctor")
    assert got.code == 0, got.out
    assert got.out.endswith("everything works\n")
    assert call("doctor", "--json").json["ok"] is True


def test_doctor_finds_a_damaged_run(call, run, folder):
    (folder / "runs" / f"{run}.zarr" / "zarr.json").write_text("{")
    got = call("doctor")
    assert got.code == 1
    assert "✗ run store" in got.out


def test_demo_shows_theory_beside_measurement_and_leaves_a_report(call, folder):
    # with PyTorch there is a network too
    networks = int(find_spec("torch") is not None)
    got = call("demo", "--no-open")
    assert got.code == 0, got.err
    low, high = map(int, re.search(r"between steps (\d+) and (\d+)", got.out).groups())
    measured = int(re.search(r"Measured: step (\d+), inside", got.out).group(1))
    assert low == 95
    assert low <= measured <= high <= 342
    assert measured == 306
    assert "12 times" in got.out
    assert "two-cycle" in got.out
    assert len(got.out.splitlines()) < 45
    assert max(map(len, got.out.splitlines())) <= 115
    report = folder / "demo" / "report.html"
    assert str(report) in got.out
    assert 10_000 < report.stat().st_size < 1_000_000
    again = call("demo", "--no-open", "--json").json
    assert again["T1_measured"] == 306
    assert len(list((folder / "demo" / "runs").glob("*.zarr"))) == 4 + networks, (
        "a second demo replaces the runs of the first"
    )
    assert np.isfinite(again["seconds"])
