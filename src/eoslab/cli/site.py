"""``eoslab export-site DIR``: the tour and stored runs as a folder that any static web server can show."""

from __future__ import annotations

from typing import Annotated

import typer

from eoslab.cli import names, output, settings
from eoslab.cli.runs import Json, Quiet, StoreDir

__all__ = ["register"]

HELP = """Write the tour and stored runs as a page that needs no eoslab: files for any static web server.

Sliders, maps and live views need the engine and are not on it. Opened from disk (file://) it does not start."""

EXAMPLES = """Example:

eoslab export-site site 7f3c 81aa && python -m http.server -d site"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("export-site", help=HELP, epilog=EXAMPLES)
    def export_site(
        dir: Annotated[str, typer.Argument(metavar="DIR", help="Folder to write, new or empty.")],
        run: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[RUN...]", help="Stored runs; all if none is given.", autocompletion=names.runs
            ),
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Replace the site that is in the folder.")] = False,
        store: StoreDir = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        from eoslab.results.store import Store
        from eoslab.web.site import export

        found = Store(settings.store_root(store))
        chosen = [found.info(ref) for ref in dict.fromkeys(run or [])]
        left_out = []
        if not run:
            listed = found.list()
            chosen = [info for info in listed if not info.problem]
            left_out = [info.id for info in listed if info.problem]
        site = export(dir, found, chosen, force)
        if as_json:
            output.emit(
                {"dir": dir, "runs": site.runs, "left_out": left_out, "steps": site.steps, "bytes": site.size}
            )
            return
        many = "1 run" if len(site.runs) == 1 else f"{output.number(len(site.runs))} runs"
        output.line(f"wrote {dir}   {output.size(site.size)}, the tour and {many}")
        if left_out:
            output.note(f"left out, as they cannot be read: {', '.join(left_out)}")
        if not quiet:
            output.note(f"next: python -m http.server --bind 127.0.0.1 -d {dir}")
