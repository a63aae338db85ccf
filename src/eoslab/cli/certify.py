"""``eoslab certify``: prove in ball arithmetic what one parameter set does, or replay a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eoslab.cli import output
from eoslab.cli.parse import steps as whole_number
from eoslab.cli.problem import Finish, WrongUsage
from eoslab.cli.progress import Progress
from eoslab.cli.runs import Json, Quiet

__all__ = ["register"]

HELP = """Prove what gradient descent does from one start, in ball arithmetic.

Decimals and fractions are exact rationals. Exit code 0 for PROVED and REFUTED, 5 for UNDECIDED, 1 for a replay
that fails.
"""
#: What a verdict means, for people.
SENTENCES = {
    "converges": "gradient descent converges to a minimiser with ηλ1α² in the enclosure",
    "diverges": "gradient descent diverges",
    "no-stable-minimiser": "no minimiser has sharpness ≤ 2/η",
    "sharpness-bound": "the sharpness never exceeds (2+δ)/η, and gradient descent converges",
}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP)
    def certify(
        lambda1: Annotated[str, typer.Option(help="Variance of the irrelevant input.")] = "1",
        lambda2: Annotated[str, typer.Option(help="Variance of the relevant input.")] = "1/250",
        b: Annotated[str, typer.Option(help="Teacher coefficient.")] = "1",
        lr: Annotated[str, typer.Option(help="Learning rate η.")] = "2.4",
        init: Annotated[str, typer.Option(help="Start: alpha,beta1,beta2.")] = "0.3,0.001,0.1",
        prove: Annotated[
            str | None,
            typer.Option(
                metavar="NAME",
                help="converges, diverges, no-stable-minimiser or sharpness-bound; the strongest if not given.",
            ),
        ] = None,
        delta: Annotated[
            str | None, typer.Option(help="Ask for S ≤ (2+δ)/η with this δ, else the smallest is found.")
        ] = None,
        max_steps: Annotated[str, typer.Option(help="Give up after so many steps.")] = "1000000",
        max_bits: Annotated[str, typer.Option(help="Give up at this precision.")] = "16384",
        replay: Annotated[
            str | None,
            typer.Option(metavar="FILE", help="Recompute a certificate by the second implementation."),
        ] = None,
        file: Annotated[
            str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the certificate to this file.")
        ] = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        if replay is not None:
            if file is not None:
                raise WrongUsage("--replay and --output do not go together", "--output", help="replay alone")
            raise Finish(_replay(replay, as_json, quiet))
        from eoslab.certify import certificate_json, exit_code, save
        from eoslab.certify import certify as decide

        with Progress("certifying", quiet) as progress:
            limit = whole_number("max-steps", max_steps)
            cert = decide(
                lambda1, lambda2, b, lr, init, prove, delta,
                max_steps=limit, max_bits=whole_number("max-bits", max_bits, 128),
                progress=lambda step, radius: progress(step, limit),
            )  # fmt: skip
        if file is not None:
            save(cert, Path(file))
        shown = certificate_json(cert)
        if as_json:
            output.emit(shown)
            if cert.reason:
                output.note(cert.reason)
        else:
            colour = output.green if cert.verdict == "PROVED" else output.red if cert.verdict == "REFUTED" else str
            how = {"PROVED": "", "REFUTED": "it is not so that ", "UNDECIDED": "whether "}[cert.verdict]
            output.line(f"{colour(cert.verdict)}  {how}{SENTENCES[cert.statement]}")
            if cert.reason:
                output.line(f"  because     {cert.reason}")
            if shown["enclosure"] is not None:
                output.line(f"  ηλ1α∞²      in [{', '.join(shown['enclosure'])}]")
            if shown["delta"] is not None:
                output.line(f"  δ           {shown['delta']}")
            output.line(
                f"  decided     at step {cert.step} with {cert.bits} bits in {output.seconds(shown['seconds'])}"
            )
            if file is not None:
                output.line(f"  certificate {file}   → eoslab certify --replay {file}")
        raise Finish(exit_code(cert))


def _replay(path: str, as_json: bool, quiet: bool) -> int:
    from eoslab.certify import certificate_json, exit_code, replay_file

    def announce(expected: float) -> None:
        if not quiet:
            output.note(f"replaying in interval arithmetic, about {output.seconds(expected)}")

    cert, result = replay_file(path, announce=announce)
    if as_json:
        shown = {"verdict": None, "replay": "failed", "failures": list(result.failures)}
        output.emit(shown if cert is None else certificate_json(cert, result))
    elif result.ok and cert is not None:
        output.line(f"{output.green('confirmed')}  {cert.verdict}: {SENTENCES[cert.statement]}")
        output.line(f"  by          {result.bits}-bit intervals in {output.seconds(result.seconds)}")
    else:
        output.line(output.red("the certificate does not hold"))
        for failure in result.failures:
            output.line(f"  {failure}")
    return exit_code(cert, result)
