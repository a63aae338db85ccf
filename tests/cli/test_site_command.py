"""``eoslab export-site``: what it writes, and what it refuses to write over."""

from __future__ import annotations

import json

import pytest

from eoslab.results.store import Store


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """A command in this process, in a folder of its own: exit code, stdout, stderr."""
    from eoslab.cli.app import call as run_command

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EOSLAB_RUNS", raising=False)

    def run(*argv):
        capsys.readouterr()
        code = run_command(list(argv))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_site_is_written_once_and_replaced_by_force_only(call, tmp_path):
    first = json.loads(call("run", "--steps", "20", "--json")[1])["id"]
    second = json.loads(call("run", "--steps", "30", "--json")[1])["id"]
    code, out, _ = call("export-site", "site", "--json")
    assert code == 0
    assert json.loads(out)["runs"] == [first, second]
    assert (tmp_path / "site" / "data" / "runs" / f"{first}.bin").stat().st_size > 100
    code, _, err = call("export-site", "site")
    assert code == 2
    assert "a new or empty folder" in err
    assert "--force" in err
    (tmp_path / "site" / "CNAME").write_text("lab.example", encoding="utf-8")
    code, out, _ = call("export-site", "site", second, "--force")
    assert code == 0
    assert out.rstrip().endswith("the tour and 1 run")
    assert not (tmp_path / "site" / "data" / "runs" / f"{first}.bin").exists()
    assert (tmp_path / "site" / "CNAME").exists(), "other files are left alone"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".site")] == []


def test_what_cannot_be_read_is_left_out_and_named(call, tmp_path):
    id = json.loads(call("run", "--steps", "20", "--json")[1])["id"]
    head = Store(tmp_path / "runs").find(id) / "zarr.json"
    head.write_text(head.read_text(encoding="utf-8").replace('"format": 1', '"format": 9'), encoding="utf-8")
    code, _, err = call("export-site", "site")
    assert code == 0
    assert f"left out, as they cannot be read: {id}" in err


def test_wrong_folders_and_runs_are_named(call, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, err = call("export-site", "file")
    assert code == 2
    assert "it is a file" in err
    assert call("export-site", "site", "ffff")[0] == 4
    assert not (tmp_path / "site").exists()
