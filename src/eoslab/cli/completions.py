"""``eoslab completions SHELL``: a script that teaches the shell our commands, options and run ids."""

from __future__ import annotations

from typing import Annotated

import typer

from eoslab.cli import output
from eoslab.core.errors import UnknownName

__all__ = ["register"]

SHELLS = {
    "bash": 'eval "$(eoslab completions bash)"    in ~/.bashrc',
    "zsh": 'eval "$(eoslab completions zsh)"    in ~/.zshrc, after compinit',
    "fish": "eoslab completions fish > ~/.config/fish/completions/eoslab.fish",
}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Print completion for bash, zsh or fish.")
    def completions(
        shell: Annotated[str, typer.Argument(metavar="SHELL", autocompletion=lambda: list(SHELLS))],
    ) -> None:
        from typer.completion import completion_init, get_completion_script

        if shell not in SHELLS:
            raise UnknownName("shell", shell, SHELLS)
        completion_init()
        output.line(get_completion_script(prog_name="eoslab", complete_var="_EOSLAB_COMPLETE", shell=shell))
        output.line(f"# {SHELLS[shell]}")
