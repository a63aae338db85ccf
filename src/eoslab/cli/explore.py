"""``eoslab explore``: the instrument in the browser."""

from __future__ import annotations

import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from eoslab.cli import names, output, parse, settings
from eoslab.cli.problem import Finish
from eoslab.core.errors import InvalidArgument

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Explore the model in the browser: a local page, reachable from this machine only.")
    def explore(
        run: Annotated[
            list[str] | None,
            typer.Argument(metavar="[RUN...]", help="Stored runs to begin with.", autocompletion=names.runs),
        ] = None,
        port: Annotated[str, typer.Option("--port", metavar="N", help="Port; 0 takes a free one.")] = "0",
        open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
        store: Annotated[
            str | None,
            typer.Option(
                "--store",
                metavar="DIR",
                help="Folder of the store  [default: ./runs].",
                envvar="EOSLAB_RUNS",
                show_envvar=False,
            ),
        ] = None,
    ) -> None:
        from eoslab.results.store import Store
        from eoslab.web.server import serve

        number = parse.steps("port", port)
        if number > 65535:
            raise InvalidArgument("port", port, "a port, 0 to 65535")
        runs = Store(settings.store_root(store))
        found = [runs.info(ref) for ref in run or []]

        def ready(address: str) -> None:
            output.line(f"READY {address}")
            sys.stdout.flush()
            if open_it:
                import webbrowser

                webbrowser.open(address)

        try:
            serve(number, runs, ready, _path(found))
        except KeyboardInterrupt:
            raise Finish(0) from None


def _path(runs: list[Any]) -> str:
    """The page to begin with: the live view of a run that is being made, else the runs over one another."""
    if len(runs) == 1 and (status := runs[0].live) and status.state != "finished":
        return f"/live/{quote(runs[0].id)}"
    return f"/?v=1&view=runs&runs={quote(','.join(run.id for run in runs))}" if runs else ""
