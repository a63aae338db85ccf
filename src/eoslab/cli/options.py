"""The options that several commands have in common, and what ``--resume`` makes of them."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from eoslab.cli import names, settings
from eoslab.core.errors import InvalidArgument, StoreError

__all__ = [
    "Beta",
    "Beta1",
    "Beta2",
    "DryRun",
    "Eps",
    "FailOnDivergence",
    "Json",
    "Out",
    "Quiet",
    "Resume",
    "Verbose",
    "option",
    "unchanged",
    "with_steps",
    "writable",
]


def option(name: str, metavar: str, help: str, *extra: str, **more: Any) -> Any:
    """An option with our name for its environment variable."""
    return typer.Option(
        f"--{name}", *extra, metavar=metavar, help=help, envvar=settings.env_name(name), show_envvar=False, **more
    )


# settings of optimizers
Beta = Annotated[str | None, option("beta", "X", "Momentum of heavy-ball, nesterov, ema.")]
Beta1 = Annotated[str | None, option("beta1", "X", "First decay of adam.")]
Beta2 = Annotated[str | None, option("beta2", "X", "Second decay of adam and rmsprop.")]
Eps = Annotated[str | None, option("eps", "X", "Added to the root in adam and rmsprop.")]

# how a run is made, kept and told
Out = Annotated[
    str | None, typer.Option("--out", "--store", metavar="DIR", help="Folder of the store  [default: ./runs].")
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Continue a stored run.", autocompletion=names.runs),
]
FailOnDivergence = Annotated[bool, typer.Option("--fail-on-divergence", help="Exit with 3 when a run diverges.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan with time and memory; run nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no hints.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="More: settings, events, times.")]


def unchanged(options: Mapping[str, Any], sources: Mapping[str, str], also: set[str] | frozenset[str]) -> None:
    """Refuse a flag that would change what ``--resume`` goes on with; ``also`` may be given besides the usual."""
    free = {"steps", "out", "resume", "fail_on_divergence", "dry_run", "as_json", "quiet", "verbose"} | also
    for name, source in sources.items():
        if source == "flag" and name not in free:
            raise InvalidArgument(
                name, options[name], "nothing: --resume goes on with the settings of the run",
                "start a new run to change a setting",
            )  # fmt: skip


def with_steps(command: str, total: int) -> str:
    """The command that makes the longer run at once.

    >>> with_steps("eoslab run --lr 2 --steps 10", 20)
    'eoslab run --lr 2 --steps 20'
    """
    words = shlex.split(command)
    if "--steps" in words[:-1]:
        words[words.index("--steps") + 1] = str(total)
    return shlex.join(words)


def writable(folder: Path) -> None:
    """Refuse a store that cannot be written before the run rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as e:
        raise StoreError(
            f"the run store {str(folder)!r} cannot be written: {e.strerror}",
            "choose another folder with --out or $EOSLAB_RUNS",
        ) from None
