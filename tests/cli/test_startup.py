"""Start-up: help, completion and listings import nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "xarray", "zarr", "numba", "torch", "matplotlib", "starlette", "scipy", "pandas", "rich")

PROBE = """
import sys
from eoslab.cli.app import call
try:
    code = call(sys.argv[1:])
except SystemExit as e:
    code = e.code
loaded = [name for name in {heavy!r} if name in sys.modules]
sys.stderr.write("LOADED " + ",".join(loaded) + "\\n")
sys.exit(code or 0)
"""


@pytest.mark.parametrize(
    "argv",
    [["--help"], ["run", "--help"], ["runs", "--help"], ["runs", "list"], ["runs", "list", "--json"],
     ["completions", "bash"], ["explain", "E101"], ["--version"], ["rnu"]],
    ids=" ".join,
)  # fmt: skip
def test_light_commands_import_nothing_heavy(argv, tmp_path, environment):
    assert _loaded(argv, tmp_path, environment) == ""


@pytest.mark.parametrize(
    "words", ["eoslab run --optimizer g", "eoslab run --mo", "eoslab figure lo", "eoslab runs show "]
)
def test_completion_imports_nothing_heavy(words, tmp_path, environment):
    env = {"_EOSLAB_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    assert _loaded([], tmp_path, environment | env) == ""


def _loaded(argv, folder, environment):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *argv],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    line = [text for text in done.stderr.splitlines() if text.startswith("LOADED")]
    assert line, done.stderr
    return line[0].removeprefix("LOADED ").strip()


def test_completion_offers_names(process):
    words = "eoslab run --optimizer gd"
    got = process(_EOSLAB_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="3")
    assert set(got.out.split()) == {"gd", "gd-cap", "gd-floor"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_names_the_command(call, shell):
    got = call("completions", shell)
    assert got.code == 0
    assert "_EOSLAB_COMPLETE" in got.out


def test_bare_command_prints_help(call):
    got = call()
    assert got.code == 0
    assert "Commands:" in got.out


def test_module_and_version(process):
    import eoslab

    assert process("--version").out == f"eoslab {eoslab.__version__}\n"
