"""``eoslab figure NAME RUN... -o FILE``: a static figure of stored runs or of a map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eoslab.cli import names, output
from eoslab.cli.runs import Json, Quiet, Runs, StoreDir, opened
from eoslab.core.errors import InvalidArgument, UnknownName

__all__ = ["figure_format", "register"]

SIZES = ("single", "double", "slide")


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Draw a figure of stored runs, or of the map of a sweep, as PDF, SVG or PNG.")
    def figure(
        name: Annotated[
            str, typer.Argument(metavar="NAME", help="Figure (eoslab list figures).", autocompletion=_figures)
        ],
        run: Runs,
        file: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="FILE.pdf, .svg or .png.")],
        size: Annotated[
            str,
            typer.Option("--size", metavar="NAME", help="single (3.25 in), double (6.75 in) or slide.",
                         autocompletion=lambda: list(SIZES)),
        ] = "single",
        quantity: Annotated[
            str | None,
            typer.Option("--quantity", metavar="NAME", help="phase-map: a number of every cell instead."),
        ] = None,
        columns: Annotated[
            str | None,
            typer.Option("--columns", metavar="NAME", help="network-grid: the dimension of the columns."),
        ] = None,
        colours: Annotated[
            str | None,
            typer.Option("--colours", metavar="NAME", help="network-grid: the dimension of the colours."),
        ] = None,
        store: StoreDir = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:  # fmt: skip
        from eoslab.plots import FIGURES

        if name not in FIGURES:
            raise UnknownName("figure", name, FIGURES)
        figure_format(file)
        if size not in SIZES:
            raise UnknownName("size", size, SIZES)
        more: dict[str, str] = {}
        for option, value, figure in (("quantity", quantity, "phase-map"), ("columns", columns, "network-grid"),
                                      ("colours", colours, "network-grid")):  # fmt: skip
            if value is not None and name != figure:
                raise InvalidArgument(option, value, f"the figure {figure} with it")
            more |= {option: value} if value is not None else {}
        if FIGURES[name].of != "runs":
            from eoslab.results.sweep import open_sweep

            datasets = [open_sweep(path) for path in run]
        else:
            _, datasets = opened(store, run)

        from eoslab.plots import save_figure

        save_figure(name, datasets, Path(file), size=size, **more)
        if as_json:
            output.emit({"figure": name, "file": file, "runs": run})
        elif not quiet:
            output.line(f"wrote {file}")


def figure_format(file: str) -> str:
    """The format that a file name asks for; refused before anything is computed if there is none such."""
    from eoslab.plots import FORMATS

    suffix = Path(file).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise UnknownName("format", suffix or file, FORMATS, "output")
    return suffix


def _figures(incomplete: str) -> list[str]:
    return names.starting(names.figures(), incomplete)
