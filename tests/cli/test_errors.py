"""Wrong input: what, where, what to do; the exit code; the same as an object with --json."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.util import find_spec

import pytest

import eoslab
from eoslab.cli.explain import TEXTS
from eoslab.core.errors import EoslabError

CASES = {
    "run --optimizer adma": ("E102", "unknown optimizer 'adma'", "did you mean 'adam'?"),
    "run --model minimlist": ("E102", "unknown model 'minimlist'", "did you mean 'minimalist'?"),
    "run --lrr 2": ("E104", "unknown option '--lrr'", "did you mean '--lr'?"),
    "rnu": ("E102", "unknown command 'rnu'", "did you mean 'run'?"),
    "runs shwo x": ("E102", "unknown command 'shwo'", "did you mean 'show'?"),
    "list figurs": ("E102", "unknown kind of list 'figurs'", "did you mean 'figures'?"),
    "completions tcsh": ("E102", "unknown shell 'tcsh'", ""),
    "explain E999": ("E102", "unknown error code 'E999'", ""),
    "run --data digits --target party": ("E102", "unknown target 'party'", "did you mean 'parity'?"),
    "run --data digits --scale wide": ("E102", "unknown scale 'wide'", ""),
    "run --data nope.csv --target y": ("E103", "no file 'nope.csv'", ""),
    "run --lr -1": ("E101", "--lr", ""),
    "run --lr 0": ("E101", "--lr", ""),
    "run --lr nan": ("E101", "--lr", ""),
    "run --lr 1/0": ("E101", "--lr", ""),
    "run --lr fast": ("E101", "--lr", ""),
    "run --lr": ("E104", "needs a value", ""),
    "run --lambda1 inf": ("E101", "--lambda1", ""),
    "run --lambda2 -0.1": ("E101", "--lambda2", ""),
    "run --b 0": ("E101", "--b", ""),
    "run --init 1,2": ("E101", "--init", ""),
    "run --init 1,2,nan": ("E101", "--init", ""),
    "run --init 1,,2": ("E101", "--init", ""),
    "run --data digits --init 0.3,0.02,5": ("E101", "--init", ""),
    "run --data digits --init 0.3,-1": ("E101", "--init", ""),
    "run --steps 0": ("E101", "--steps", ""),
    "run --steps -5": ("E101", "--steps", ""),
    "run --steps 2.5": ("E101", "--steps", ""),
    "run --steps 1e12": ("E101", "--steps", "--record-every"),
    "run --record-every 0": ("E101", "--record-every", ""),
    "run --seed x": ("E101", "--seed", ""),
    "run --at 5,x": ("E101", "--at", ""),
    "run --at 4000": ("E101", "--at", ""),
    "run --beta 0.9": ("E101", "--beta", "gd takes --lr"),
    "run --optimizer adam --beta1 1": ("E101", "--beta1", ""),
    "run --batch 5": ("E101", "--batch", ""),
    "run --param x=1": ("E102", "unknown parameter of minimalist 'x'", ""),
    "run --param x": ("E101", "--param", ""),
    "run extra": ("E104", "extra", ""),
    "run --model uv --lambda1 2": ("E101", "--lambda1", ""),
    "figure loss-sharpness abcd": ("E104", "--output is missing", ""),
    "runs show": ("E104", "RUN is missing", ""),
}


@pytest.mark.parametrize("command", CASES)
def test_wrong_input_is_answered_in_three_parts(call, command):
    code, what, help = CASES[command]
    got = call(*command.split(" "))
    lines = got.err.splitlines()
    assert got.code == 2, got.err
    assert lines[0].startswith(f"error[{code}]: ")
    assert what in lines[0]
    assert lines[-1].startswith("help: ")
    assert help in lines[-1]
    assert lines[-1].endswith(f"(eoslab explain {code})")
    assert got.out == ""


def test_the_place_is_marked(call):
    got = call("run", "--steps", "10", "--optimizer", "adma")
    assert got.err.splitlines()[1:3] == [
        "  --optimizer adma",
        "              ^^^^ known: adam, ema, gd, gd-cap, gd-floor, heavy-ball, nesterov, rmsprop",
    ]


def test_the_place_is_marked_inside_a_list_and_after_an_equals_sign(call):
    got = call("run", "--init=0.3,oops,0.1")
    assert got.err.splitlines()[1:3] == ["  --init=0.3,oops,0.1", "             ^^^^ expected a number"]


@pytest.mark.parametrize("command", ["runs show 7f3c", "runs rm 7f3c", "report 7f3c", "runs diff 7f3c 81aa",
                                     "figure gfs 7f3c -o a.pdf", "run --resume 7f3c"])  # fmt: skip
def test_a_run_that_is_not_there_is_exit_4(call, command):
    got = call(*command.split(" "))
    assert got.code == 4
    assert got.err.startswith("error[E201]")
    assert "^^^^" in got.err


def test_json_error_is_one_object_on_stdout(call):
    got = call("run", "--json", "--optimizer", "adma")
    assert got.code == 2
    error = got.json["error"]
    assert error["code"] == "E102"
    assert error["exit_code"] == 2
    assert "adam" in error["known"]
    assert error["help"] == "did you mean 'adam'?"
    assert got.err.startswith("error[E102]")


def test_a_store_that_cannot_be_written_is_refused_before_the_run(call, folder):
    (folder / "file").write_text("")
    got = call("run", "--out", "file/runs")
    assert got.code == 1
    assert got.err.startswith("error[E203]")


def test_an_unreadable_settings_file_is_an_error(call, folder):
    (folder / "eoslab.toml").write_text("[run\n")
    got = call("run")
    assert got.code == 2
    assert "eoslab.toml" in got.err


def test_unknown_settings_are_an_error(call, folder):
    (folder / "eoslab.toml").write_text("[run]\nstep = 5\n")
    got = call("run")
    assert got.code == 2
    assert "unknown option in [run] of eoslab.toml 'step'" in got.err
    assert "did you mean 'steps'?" in got.err


def test_every_error_has_an_explanation():
    torch = find_spec("torch") is not None
    for info in pkgutil.walk_packages(eoslab.__path__, "eoslab."):
        # nn needs torch, which is an extra; __main__ runs the program
        if info.name.endswith("__main__") or (not torch and info.name.startswith("eoslab.nn")):
            continue
        importlib.import_module(info.name)
    classes = [EoslabError]
    for cls in classes:
        classes += cls.__subclasses__()
    codes = {cls.code for cls in classes if cls.__module__.startswith("eoslab.")}
    assert codes | (set() if torch else {"E111", "E112", "E113"}) == set(TEXTS)


@pytest.mark.parametrize("code", TEXTS)
def test_explain_tells_each_code(call, code):
    got = call("explain", code.lower())
    assert got.code == 0
    assert got.out.startswith(f"{code}: {TEXTS[code][0]}")
