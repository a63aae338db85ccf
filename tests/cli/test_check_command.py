"""``eoslab check``: the findings of the theory for parameters and for stored runs."""

from __future__ import annotations

import json

import pytest

from eoslab.cli import app

M4 = ["--lambda1", "1", "--lambda2", "1/1000", "--lr", "2", "--init", "0.98,1/1000,0.93"]


def run(capsys, *words):
    code = app.call(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_is_a_list_of_findings_in_the_documented_form(capsys):
    code, out, _ = run(capsys, "check", *M4, "--json")
    found = {f["statement"]: f for f in json.loads(out)}
    assert code == 0
    assert set(found["4.6'"]) >= {
        "statement",
        "status",
        "hypotheses",
        "applies",
        "predicted",
        "measured",
        "consistent",
    }
    assert all(set(h) == {"name", "holds", "margin"} for h in found["3.2"]["hypotheses"])
    lo, hi = found["4.6'"]["predicted"]["T1"]
    assert lo <= found["4.6'"]["measured"]["T1"] == 159 <= hi
    assert found["3.3"]["applies"] is False
    assert found["3.3"]["consistent"] is None
    assert not [f for f in found.values() if f["status"] == "proved" and f["consistent"] is False]


@pytest.mark.parametrize("optimizer", ["gd", "gd-floor", "gd-cap"])
def test_a_stored_run_is_checked_with_its_own_projection(capsys, tmp_path, optimizer):
    words = ["run", "--lambda2", "0.001", "--lr", "1.98", "--init", "1,0.01,0.1", "--steps", "500"]
    _, out, _ = run(capsys, *words, "--optimizer", optimizer, "--out", str(tmp_path), "--json")
    code, out, _ = run(capsys, "check", json.loads(out)["run"], "--json", "--store", str(tmp_path))
    found = {f["statement"]: f for f in json.loads(out)}
    assert code == 0
    assert found["I7"]["consistent"] is not False
    other_kinds = {"gd": {"4.8", "4.9"}, "gd-floor": {"4.6", "4.9"}, "gd-cap": {"4.6", "4.8"}}[optimizer]
    assert all("of kind" in found[id]["note"] for id in other_kinds)


def test_the_table_says_how_many_apply_and_that_none_is_contradicted(capsys):
    code, out, _ = run(capsys, "check", *M4, "-q")
    assert code == 0
    assert "0 contradicted" in out
    assert "Main theorem" in out


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_the_figure_of_parameters_and_of_a_stored_run(capsys, tmp_path, kind):
    file = tmp_path / f"theory.{kind}"
    code, out, _ = run(capsys, "check", *M4, "-o", str(file))
    assert code == 0
    assert f"wrote {file}" in out
    assert file.stat().st_size > 10_000
    file.unlink()
    words = ["run", "--lambda2", "0.001", "--lr", "1.98", "--init", "1,0.01,0.1", "--steps", "500"]
    _, out, _ = run(capsys, *words, "--out", str(tmp_path), "--json")
    stored = json.loads(out)["run"]
    code, out, _ = run(capsys, "check", stored, "--store", str(tmp_path), "-o", str(file), "--json")
    assert code == 0
    assert isinstance(json.loads(out), list)
    assert file.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "-o", "theory.jpg"], "unknown format"),
        (["check", "-o", "theory.png", "--steps", "0"], "--output"),
        (["check", "--init", "1,2"], "three numbers"),
        (["check", "--only", "9.9"], "unknown statement"),
        (["check", "--lr", "0"], "> 0"),
        (["check", "nothing-like-it"], "nothing-like-it"),
    ],
)
def test_wrong_words_end_with_a_sentence(capsys, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *words)
    assert code in (2, 4)
    assert said in err
