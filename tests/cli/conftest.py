"""The command line as a user meets it: a process of its own, or, where speed matters, the same call in here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import eoslab

SOURCE = str(Path(eoslab.__file__).parents[1])


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a process that finds this source tree and no settings of the tester."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("EOSLAB_") or k == "EOSLAB_CACHE"}
    return env | {"PYTHONPATH": SOURCE, "NO_COLOR": "1", "COLUMNS": "100"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that ./runs and eoslab.toml are the test's own."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("EOSLAB_") and name != "EOSLAB_CACHE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """A command in this process: the parser, the errors and the exit code are those of the console script."""
    from eoslab.cli.app import call as run_command

    def run(*argv: str) -> Result:
        capsys.readouterr()
        code = run_command(list(argv))
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def process(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Result]:
    """A command in a process of its own."""

    def run(*argv: str, **env: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "eoslab", *argv],
            cwd=tmp_path, env=environment | env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    return run
