"""``eoslab explain CODE``: what an error means, why it is one, and what helps."""

from __future__ import annotations

from typing import Annotated

import typer

from eoslab.cli import output
from eoslab.core.errors import UnknownName

__all__ = ["TEXTS", "register"]

#: Code → title and text. Every class of error has one (a test compares).
TEXTS: dict[str, tuple[str, str]] = {
    "E100": (
        "something failed",
        """Something went wrong that has no code of its own; the message says what. If it looks like a mistake
of eoslab's, `eoslab doctor` tests the installation and prints what a report should contain.""",
    ),
    "E101": (
        "a value has no meaning here",
        """An option or argument was understood, but its value cannot be used: not a number, not finite, of the
wrong sign, too many or too few of them, or not meant for the chosen model or optimizer.

Learning rates and variances have to be positive and finite. Numbers may be written as fractions
(--lr 2/150) and lists with commas (--init 0.3,0.001,0.1; a leading minus is fine). --init takes one
number per parameter of the model, or alpha0[,SD] with --data.""",
    ),
    "E102": (
        "unknown name",
        """A model, optimizer, figure, command or setting of this name is not known. `eoslab list models`,
`list optimizers`, `list probes` and `list figures` show what there is; `eoslab --help` shows the
commands.""",
    ),
    "E103": (
        "the data cannot be used",
        """A data file could not be read as a table of finite numbers with the requested target column.
Accepted are CSV (with a header), NPY and Parquet files, and the name `digits`. Rows with missing
values are not dropped silently: remove or fill them. Constant columns carry no information:
they are counted and left out, unless nothing else is there.""",
    ),
    "E104": (
        "wrong usage",
        """The command line could not be understood: an unknown option, a missing or superfluous word. `eoslab
COMMAND --help` shows what a command takes.""",
    ),
    "E105": (
        "interrupted",
        """The first Ctrl-C ends a run after the steps at hand: it is stored as `interrupted`, and the message
says how to go on (`eoslab run --resume RUN`). A second Ctrl-C, or one before the first step, ends
at once and stores nothing. Runs that were stored before are never touched.""",
    ),
    "E106": (
        "a package is missing",
        """What was asked for needs a package that is not installed. Networks need PyTorch, which is large and
therefore not part of a plain installation: pip install 'eoslab[torch]'. Everything else works without it.""",
    ),
    "E111": (
        "the loss is not a function of the weights",
        """Two evaluations of the loss at the same weights differ, so it has no Hessian: dropout is active, batch
normalization in training mode sees other batches, or the data are shuffled. Call module.eval(), set the
dropout probability to 0, or give the data in a fixed order.""",
    ),
    "E112": (
        "third derivatives cannot be trusted",
        """PyTorch's fused normalization layers (and some other operations) give silently wrong third derivatives.
They were compared with differences of second derivatives and disagree, also with the layers written out.
Use float64, or write the layer with plain arithmetic.""",
    ),
    "E113": (
        "no threshold is known for this optimizer",
        """The stability threshold of an optimizer follows from its update rule; for this class, or one of its
settings, none has been derived here. 2/η is right for plain gradient descent only and is not assumed.""",
    ),
    "E114": (
        "memory does not suffice",
        """Where memory runs out the samples are taken in smaller and smaller chunks, which changes the result by
rounding alone. Here one sample at a time was still too much: what is left are the parameters, their graph and
the vectors of the eigenvalue iteration. Use float32, fewer eigenvalues (--eigs), or a smaller network.""",
    ),
    "E201": (
        "run not found",
        """No stored run has this id, unique prefix or path. `eoslab runs list` shows the runs of the store,
which is ./runs unless --store, $EOSLAB_RUNS or `runs = "…"` in eoslab.toml says otherwise. A prefix
that fits several runs is not guessed.""",
    ),
    "E202": (
        "damaged or foreign run",
        """The directory is not a run that eoslab wrote, is incomplete, was changed, or was written by a newer
version. `eoslab runs verify RUN` lists what is wrong. Stored runs are created by one rename, so a
crash never leaves a half-written run under its final name.""",
    ),
    "E203": (
        "could not write or read",
        """The operating system refused: disk full, no permission, a missing folder, another writer. Nothing
that was stored before is lost. Choose another store with --out or $EOSLAB_RUNS, or free space.""",
    ),
}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Explain an error code.")
    def explain(
        code: Annotated[
            str, typer.Argument(metavar="CODE", autocompletion=_codes, help="As in error[E102].")
        ] = "",
    ) -> None:
        if not code:
            for key, (title, _) in TEXTS.items():
                output.line(f"{key}  {title}")
            return
        key = code.strip("[]").upper()
        if key not in TEXTS:
            raise UnknownName("error code", code, TEXTS)
        title, text = TEXTS[key]
        output.line(output.bold(f"{key}: {title}"))
        output.line(text)


def _codes(incomplete: str) -> list[str]:
    return [key for key in TEXTS if key.startswith(incomplete.upper())]
