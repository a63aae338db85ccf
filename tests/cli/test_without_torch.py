"""Networks without PyTorch: one sentence, and nothing else is affected; with it, it is imported late."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: As if PyTorch were not installed.
HIDDEN = "import sys; sys.modules['torch'] = None; from eoslab.cli.app import call; sys.exit(call(sys.argv[1:]))"
#: Which of the heavy modules a command has loaded.
PROBE = """
import sys
from eoslab.cli.app import call
try:
    call(sys.argv[1:])
except SystemExit:
    pass
sys.stderr.write("LOADED " + ",".join(n for n in ("torch", "numba", "matplotlib", "rich") if n in sys.modules))
"""


def run(code, argv, folder, environment):
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("argv", [["train"], ["train", "--preset", "digits"], ["sharpness", "abcd"]], ids=" ".join)
def test_networks_without_pytorch_say_what_to_install(argv, folder, environment):
    done = run(HIDDEN, argv, folder, environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error[E106]: networks need PyTorch, which is not installed\n")
    assert "pip install 'eoslab[torch]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("argv", [["train", "--help"], ["list", "presets"], ["run", "--steps", "5"]], ids=" ".join)
def test_the_rest_works_without_pytorch(argv, folder, environment):
    assert run(HIDDEN, argv, folder, environment).returncode == 0


@pytest.mark.parametrize(
    "argv",
    [["train", "--help"], ["sharpness", "--help"], ["list", "presets"], ["--help"], ["runs", "list"]],
    ids=" ".join,
)
def test_help_and_lists_import_no_pytorch(argv, folder, environment):
    done = run(PROBE, argv, folder, environment)
    assert done.stderr.endswith("LOADED "), done.stderr


def test_a_run_of_a_model_imports_no_pytorch(folder, environment):
    done = run(PROBE, ["run", "--steps", "5", "-q"], folder, environment)
    assert "torch" not in done.stderr


def test_presets_are_listed_with_their_options(call):
    rows = {row["name"]: row for row in call("list", "presets", "--json").json["presets"]}
    assert set(rows) == {"chebyshev", "digits", "fc-tanh-cifar5k"}
    assert "--data chebyshev-5-20" in rows["chebyshev"]["options"]
