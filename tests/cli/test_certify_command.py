"""``eoslab certify``: verdict, JSON, exit codes, files and replays, as a user or a program meets them."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from eoslab.cli import app

S1 = ["--lambda1", "1", "--lambda2", "1/300", "--lr", "3.125", "--init", "0.75,0.001,0.8"]


def run(capsys, *words):
    code = app.call(["certify", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_has_the_documented_keys_and_the_enclosure_of_the_table(capsys):
    code, out, _ = run(capsys, *S1, "--json")
    shown = json.loads(out)
    assert code == 0
    assert list(shown) == ["verdict", "statement", "step", "bits", "enclosure", "delta", "seconds"]
    assert shown["verdict"] == "PROVED"
    lo, hi = map(Fraction, shown["enclosure"])
    assert Fraction("1.99455") <= lo < hi <= Fraction("1.99818")


def test_a_certificate_file_replays_and_a_changed_one_does_not(capsys, tmp_path):
    path = tmp_path / "cert.json"
    assert run(capsys, *S1, "-o", str(path))[0] == 0
    code, out, err = run(capsys, "--replay", str(path))
    assert code == 0
    assert out.startswith("confirmed")
    assert "about" in err
    path.write_text(path.read_text().replace("1.99", "1.98", 1))
    code, out, _ = run(capsys, "--replay", str(path))
    assert code == 1
    assert "does not hold" in out


@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        (["--lambda2", "0.01", "--lr", "1", "--init", "1.5,1.5,0.5"], 0, "PROVED"),
        (["--lambda2", "0.01", "--lr", "1", "--init", "1.5,1.5,0.5", "--prove", "converges"], 0, "REFUTED"),
        ([*S1, "--max-steps", "10"], 5, "UNDECIDED"),
    ],
)
def test_exit_codes(capsys, words, code, verdict):
    got, out, _ = run(capsys, *words, "--json")
    assert (got, json.loads(out)["verdict"]) == (code, verdict)


def test_wrong_numbers_are_answered_with_the_option_and_what_to_write(capsys):
    code, _, err = run(capsys, "--lr", "much")
    assert code == 2
    assert "--lr much" in err
    assert "1/300" in err
