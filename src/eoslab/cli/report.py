"""``eoslab report RUN... -o FILE.html``: one self-contained page about one run or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eoslab.cli import output
from eoslab.cli.runs import Json, Quiet, Runs, StoreDir, opened

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Write one HTML page about one or several runs.")
    def report(
        run: Runs,
        file: Annotated[
            str, typer.Option("--output", "-o", metavar="FILE", help="HTML file to write.")
        ] = "report.html",
        interactive: Annotated[
            bool, typer.Option("--interactive", help="Add charts to zoom and read values from (< 150 kB).")
        ] = False,
        open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
        store: StoreDir = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        import eoslab.report

        _, datasets = opened(store, run)
        path = Path(file)
        commands = [str(ds.attrs.get("command", "")) for ds in datasets]
        eoslab.report.report(datasets, path, commands=commands, interactive=interactive)
        size = path.stat().st_size
        if as_json:
            output.emit({"file": file, "bytes": size, "runs": run})
        elif not quiet:
            output.line(f"wrote {file}   {output.size(size)}, opens from disk without a network")
        if open_it:
            import webbrowser

            webbrowser.open(path.resolve().as_uri())
