"""``eoslab completions SHELL``: a script that teaches the shell our commands, options and run ids."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from eoslab.cli import output
from eoslab.core.errors import UnknownName

__all__ = ["prepared", "register"]

SHELLS = {
    "bash": 'eval "$(eoslab completions bash)"    in ~/.bashrc',
    "zsh": 'eval "$(eoslab completions zsh)"    in ~/.zshrc, after compinit',
    "fish": "eoslab completions fish > ~/.config/fish/completions/eoslab.fish",
}


def prepared() -> Any:
    """Typer's module of shell completion, ready for use (it is public by habit, not by declaration)."""
    completion: Any = import_module("typer.completion")
    completion.completion_init()
    return completion


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Print completion for bash, zsh or fish.")
    def completions(
        shell: Annotated[str, typer.Argument(metavar="SHELL", autocompletion=lambda: list(SHELLS))],
    ) -> None:
        if shell not in SHELLS:
            raise UnknownName("shell", shell, SHELLS)
        completion = prepared()
        script = completion.get_completion_script(prog_name="eoslab", complete_var="_EOSLAB_COMPLETE", shell=shell)
        output.line(script)
        output.line(f"# {SHELLS[shell]}")
