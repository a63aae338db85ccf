"""Documentation runs: docstring examples, the Python blocks of the README, shell blocks of README and guide."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import eoslab

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide-theory.md").read_text(encoding="utf-8")
#: Guides whose printed output is compared too.
GUIDES = [ROOT / "docs" / "sweeps.md"]
#: Blocks that begin so need a cluster, or networks.
ELSEWHERE = "# needs:"
NETWORKS = f"{ELSEWHERE} PyTorch"
HAS_TORCH = importlib.util.find_spec("torch") is not None
# loops are text for the compiler; nn needs torch
NOT_IMPORTED = ("eoslab.kernels.loops", "eoslab.kernels.fold", "eoslab.nn", "eoslab.__main__")
MODULES = [
    info.name
    for info in pkgutil.walk_packages(eoslab.__path__, "eoslab.", onerror=lambda _: None)
    if not info.name.startswith(NOT_IMPORTED)
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_give_what_they_say(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def test_python_blocks_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    assert blocks("python")
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), space)


@pytest.mark.parametrize("text", [README, GUIDE], ids=["readme", "guide-theory"])
def test_commands_of_the_documentation_run(tmp_path, text):
    commands = [
        line
        for block in blocks("sh", text)
        for line in block.splitlines()
        if line.startswith("eoslab ") and "demo" not in line
    ]
    assert commands
    for line in commands:
        words = shlex.split(line, comments=True)[1:]
        done = subprocess.run(
            [sys.executable, "-m", "eoslab", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_commands_of_a_guide_run_and_print_what_it_says(guide, tmp_path, monkeypatch, capsys):
    from eoslab.cli import app

    monkeypatch.chdir(tmp_path)
    text = guide.read_text(encoding="utf-8")
    printed = []
    shell = [block for block in blocks("sh", text) if HAS_TORCH or not block.startswith(NETWORKS)]
    for line in (line for block in shell for line in block.splitlines()):
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "eoslab", line
            assert app.call(words[1:]) == 0, (line, capsys.readouterr().err)
            printed += capsys.readouterr().out.splitlines()
    for block in blocks("text", text):
        for line in block.splitlines():
            assert any(alike(line, other) for other in printed), (line, printed)


def alike(line: str, other: str) -> bool:
    """The same words, and numbers that agree to a tenth; times are those of another machine."""
    number = r"\d[\d.,]*"
    ours, theirs = (re.split(number, text) for text in (line, other))
    if ours != theirs or line.startswith("seconds"):
        return ours == theirs
    values = ([float(x.replace(",", "")) for x in re.findall(number, text)] for text in (line, other))
    return all(abs(a - b) <= 0.1 * max(a, b, 100) for a, b in zip(*values, strict=True))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_python_blocks_of_a_guide_run(guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for block in blocks("python", guide.read_text(encoding="utf-8")):
        code = compile(block, guide.name, "exec")
        if not block.startswith(ELSEWHERE):
            exec(code, space)
