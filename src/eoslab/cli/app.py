"""The parser: all commands in one Typer application, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from eoslab.cli import output, settings
from eoslab.cli.problem import Finish, Interrupted, show, usage
from eoslab.core.errors import EoslabError, StoreError, UnknownName

__all__ = ["app", "call", "group"]

#: The parser's base class of usage errors; its module differs between versions of Typer, its place does not.
UsageError: Any = typer.BadParameter.__mro__[1]

EPILOG = "Settings: flag, then EOSLAB_… in the environment, then eoslab.toml here, then the default."


class Group(TyperGroup):
    """A group whose unknown commands are answered like any other unknown name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UnknownName("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def group(help: str) -> typer.Typer:
    """A command group with our habits: plain help (fast), no traceback decoration."""
    return typer.Typer(
        cls=Group,
        help=help,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


app = group("The laboratory for training at the edge of stability.")


def _version(value: bool) -> None:
    if value:
        from eoslab import __version__

        output.line(f"eoslab {__version__}")
        raise typer.Exit()


@app.callback(epilog=EPILOG)
def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


#: One module a command (or group), in the order of the help.
COMMANDS = (
    "run", "train", "sharpness", "demo", "explore", "sweep", "flow", "runs", "check", "certify", "figure",
    "report", "site",
    "lists", "doctor", "explain", "completions",
)  # fmt: skip


def command_tree() -> Any:
    """The parser's command object, all commands registered."""
    for name in COMMANDS:
        module = import_module(f"eoslab.cli.{name}")
        if not getattr(module, "registered", False):
            module.register(app)
            module.registered = True  # type: ignore[attr-defined]
    return typer.main.get_command(app)


def call(argv: Sequence[str]) -> int:
    """Run the command line ``argv`` and return its exit code; everything that can go wrong ends here."""
    argv = list(argv)
    as_json = "--json" in argv
    for stream in (sys.stdout, sys.stderr):
        # a console that cannot show η prints a replacement instead of ending the run
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        try:
            code = _call(argv)
        except Finish as e:
            code = e.code
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (output.ReaderGone, BrokenPipeError):
        # nothing more can be written, not even what the interpreter flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UsageError as e:
        if type(e).__name__ == "NoArgsIsHelpError":
            output.line(e.ctx.get_help())
            return 0
        return show(usage(e), argv, as_json)
    except EoslabError as e:
        return show(e, argv, as_json)
    except (KeyboardInterrupt, typer.Abort):
        return show(
            Interrupted("interrupted, nothing was saved", "start again with the same command"), argv, as_json
        )
    except MemoryError:
        return show(StoreError("out of memory", "keep fewer steps with --record-every"), argv, as_json)
    except OSError as e:
        what = f"{e.strerror or e}" + (f": {str(e.filename)!r}" if e.filename else "")
        return show(StoreError(what, "check the path, its permissions and the free space"), argv, as_json)


def _call(argv: list[str]) -> int:
    if "_EOSLAB_COMPLETE" in os.environ:
        from eoslab.cli.completions import prepared

        prepared()
    tree = command_tree()
    options = {name: [p.name for p in cmd.params] for name, cmd in tree.commands.items()}
    defaults = {} if set(argv) & {"--help", "-h"} else settings.read(options)
    result = tree.main(args=argv, prog_name="eoslab", standalone_mode=False, default_map=defaults)
    if result == 130:
        # the parser turns Ctrl-C into this number; our own commands end with Finish
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0
