"""``eoslab list models|optimizers|probes|figures|presets``: what there is to choose from."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer

from eoslab.cli import output
from eoslab.cli.runs import Json
from eoslab.core.errors import EoslabError, UnknownName

__all__ = ["KINDS", "register"]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("list", help="List models, optimizers, probes, figures or presets.")
    def list_(
        kind: Annotated[str, typer.Argument(metavar="KIND", help="models, optimizers, probes, figures or presets.",
                                            autocompletion=lambda: list(KINDS))],
        as_json: Json = False,
    ) -> None:  # fmt: skip
        if kind not in KINDS:
            raise UnknownName("kind of list", kind, KINDS)
        rows = KINDS[kind]()
        if as_json:
            output.emit({kind: rows})
            return
        if not rows:
            output.note(f"no {kind} are installed")
            return
        # references and whole command lines would be too long for a screen; --json has them
        head = [key for key in rows[0] if key not in ("reference", "options")]
        for text in output.table(head, [[_cell(row[h]) for h in head] for row in rows]):
            output.line(text)


def models() -> list[dict[str, Any]]:
    """Models with their parameters."""
    from eoslab.core.catalog import plugins

    return [
        {
            "name": name,
            "what": _first_line(cls),
            "parameters": _fields(cls),
            "reference": _reference(cls),
        }
        for name, cls in plugins("eoslab.models").items()
    ]


def optimizers() -> list[dict[str, Any]]:
    """Optimizers with their settings and thresholds at the default settings."""
    from eoslab.core.catalog import plugins

    rows = []
    for name, cls in plugins("eoslab.optimizers").items():
        try:
            threshold = cls(lr=1.0).threshold.value
        except (EoslabError, TypeError):
            threshold = None
        rows.append(
            {"name": name, "what": _first_line(cls), "settings": _fields(cls), "threshold of η·S": threshold,
             "reference": _reference(cls)}
        )  # fmt: skip
    return rows


def probes() -> list[dict[str, Any]]:
    """What is measured at every step of every trajectory, and the probes of the catalog."""
    from eoslab.core.catalog import plugins
    from eoslab.results.schema import UNITS

    rows = [{"name": name, "what": unit, "recorded": "every trajectory"} for name, unit in UNITS.items()]
    rows += [
        {"name": name, "what": _first_line(cls), "recorded": "on request"}
        for name, cls in plugins("eoslab.probes").items()
        if name not in UNITS
    ]
    return rows


def figures() -> list[dict[str, Any]]:
    """Figures and how many runs they take."""
    from eoslab.plots import FIGURES

    return [
        {"name": name, "what": figure.description, "runs": _count(figure.min_runs, figure.max_runs)}
        for name, figure in FIGURES.items()
    ]


def presets() -> list[dict[str, Any]]:
    """Named sets of options of ``eoslab train``."""
    from eoslab.cli.presets import PRESETS

    return [
        {"name": name, "what": preset.what, "options": " ".join(f"--{k} {v}" for k, v in preset.options.items())}
        for name, preset in PRESETS.items()
    ]


KINDS = {"models": models, "optimizers": optimizers, "probes": probes, "figures": figures, "presets": presets}


def _count(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}–{most}"


#: A cross-reference of a docstring, :class:`~package.module.Name`, of which people want the name.
ROLE = re.compile(r":\w+:`~?(?:\w+\.)*(\w+)`")


def _reference(cls: Any) -> str:
    return str(getattr(cls, "reference", ""))


def _first_line(item: Any) -> str:
    line = (inspect.getdoc(item) or "").strip().splitlines()[0].rstrip(".")
    return ROLE.sub(r"\1", line).replace("``", "")


def _fields(cls: Any) -> str:
    """Parameters with their defaults."""
    shown = []
    for f in fields(cls):
        if not f.init or not f.repr:
            continue
        shown.append(f.name if f.default is MISSING else f"{f.name}={f.default}")
    return ", ".join(shown)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return output.number(value) if isinstance(value, (int, float)) else str(value)
