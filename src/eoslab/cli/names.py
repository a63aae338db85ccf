"""Names for completion, help and did-you-mean, read from the files: a Tab must not import NumPy."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["figures", "models", "optimizers", "runs", "starting"]

HERE = Path(__file__).resolve().parent.parent
NAME = re.compile(r"^    name: ClassVar\[str\] = \"([^\"]+)\"", re.MULTILINE)


@cache
def _declared(package: str) -> list[str]:
    found: list[str] = []
    for path in sorted((HERE / package).glob("*.py")):
        found += NAME.findall(path.read_text(encoding="utf-8"))
    return found


def models() -> list[str]:
    """Names of the models."""
    return _declared("models")


def optimizers() -> list[str]:
    """Names of the optimizers."""
    return _declared("optimizers")


def figures() -> list[str]:
    """Names of the figures; the catalogue is known without matplotlib."""
    from eoslab.plots import FIGURES

    return list(FIGURES)


def runs(incomplete: str = "") -> list[str]:
    """Ids of the stored runs that begin so."""
    from eoslab.cli.settings import store_root
    from eoslab.results.store import Store

    return starting([run.id for run in Store(store_root(None)).list()], incomplete)


def starting(names: list[str], text: str) -> list[str]:
    """Those that begin with ``text``."""
    return [name for name in names if name.startswith(text)]
