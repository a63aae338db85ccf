"""``eoslab check``: what every statement of the theory says about one case, and whether it is so."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from eoslab.cli import names, output
from eoslab.cli.figure import figure_format
from eoslab.cli.parse import number, numbers
from eoslab.cli.parse import steps as whole_number
from eoslab.cli.problem import Finish, WrongUsage
from eoslab.cli.runs import Json, Quiet, StoreDir, opened
from eoslab.core.errors import InvalidArgument

__all__ = ["register"]

HELP = """Say what the theory guarantees and predicts for one parameter set or stored run, and what happened.

The run is made until its future is proved (Theorem 5.1 or 5.3) or --steps. Exit code 1 if a proved statement is
contradicted.
"""
DEFAULTS = {"lambda1": "1", "lambda2": "1/250", "b": "1", "lr": "2.4", "init": "0.3,0.001,0.1"}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP)
    def check(
        run: Annotated[
            str | None,
            typer.Argument(
                metavar="[RUN]", help="A stored run, instead of parameters.", autocompletion=names.runs
            ),
        ] = None,
        lambda1: Annotated[
            str | None, typer.Option(help="Variance of the irrelevant input.  [default: 1]")
        ] = None,
        lambda2: Annotated[
            str | None, typer.Option(help="Variance of the relevant input.  [default: 1/250]")
        ] = None,
        b: Annotated[str | None, typer.Option(help="Teacher coefficient.  [default: 1]")] = None,
        lr: Annotated[str | None, typer.Option(help="Learning rate η.  [default: 2.4]")] = None,
        init: Annotated[
            str | None, typer.Option(help="Start: alpha,beta1,beta2.  [default: 0.3,0.001,0.1]")
        ] = None,
        steps: Annotated[str, typer.Option(help="Follow the run for at most so many steps.")] = "1000000",
        only: Annotated[
            str | None, typer.Option(metavar="IDS", help="Only these statements, e.g. 3.2,4.6'.")
        ] = None,
        everything: Annotated[
            bool, typer.Option("--all", help="Show also the statements that do not apply here.")
        ] = False,
        file: Annotated[
            str | None,
            typer.Option(
                "--output", "-o", metavar="FILE", help="Draw bounds and laws on the run: FILE.pdf, .svg or .png."
            ),
        ] = None,
        store: StoreDir = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        if file is not None:
            figure_format(file)
        from eoslab.results.settled import settled_trajectory
        from eoslab.theory.check import check as findings_of

        given = {"lambda1": lambda1, "lambda2": lambda2, "b": b, "lr": lr, "init": init}
        limit = whole_number("steps", steps, 0)
        if file is not None and run is None and limit == 0:
            raise WrongUsage("--output needs a run to draw on", "--steps 0", help="let it make steps")
        if run is not None:
            asked = [name for name, text in given.items() if text is not None]
            if asked:
                raise WrongUsage(
                    f"RUN and --{asked[0]} do not go together", f"--{asked[0]}", help="give one of them"
                )
            ds, model, rule, w0, limit = _stored(store, run)
        else:
            model, rule, w0 = _asked({k: v if v is not None else DEFAULTS[k] for k, v in given.items()})
        trajectory = settled_trajectory(model, rule, w0, limit, settle=run is None) if limit else None
        found = findings_of(
            model, rule.lr, w0, trajectory=trajectory, steps=limit,
            floor=getattr(rule, "beta_min", None), cap=rule.projection == "cap",
            only=[x.strip() for x in only.split(",")] if only else None,
        )  # fmt: skip
        done = 0 if trajectory is None else len(trajectory) - 1
        if file is not None:
            from eoslab.plots import save_figure

            save_figure("theory", _run(model, rule, w0, done) if run is None else ds, file, size="double")
        if as_json:
            output.emit([f.as_dict() for f in found])
        else:
            _show(found, done, everything, quiet)
            if file is not None and not quiet:
                output.line(f"wrote {file}")
        raise Finish(1 if any(f.contradiction for f in found) else 0)


def _asked(texts: dict[str, str]) -> tuple[Any, Any, tuple[float, ...]]:
    from eoslab.models.minimalist import Minimalist
    from eoslab.optimizers.gd import GD

    model = Minimalist(*[number(name, texts[name]) for name in ("lambda1", "lambda2", "b")])
    w0 = tuple(numbers("init", texts["init"]))
    if len(w0) != 3:
        raise InvalidArgument("init", texts["init"], "three numbers: alpha,beta1,beta2")
    return model, GD(number("lr", texts["lr"])), w0


def _run(model: Any, rule: Any, w0: tuple[float, ...], steps: int) -> Any:
    from eoslab.results.trajectory import trajectory

    return trajectory(model, rule, list(w0), steps=steps)


def _stored(store: str | None, ref: str) -> tuple[Any, Any, Any, tuple[float, ...], int]:
    from eoslab.results.settled import problem_of_run

    (path,), (ds,) = opened(store, [ref])
    return ds, *problem_of_run(ds, path.stem)


# -- text ------------------------------------------------------------------------------------------------


def _show(found: list[Any], steps: int, everything: bool, quiet: bool) -> None:
    applying = [f for f in found if f.applies]
    rows = []
    for f in found:
        if not f.applies and not everything:
            continue
        title = f"{f.statement.id:5} {f.statement.title}"
        if not f.applies:
            failed = next((h for h in f.hypotheses if not h.holds), None)
            why = "" if failed is None else _short(f"not here: {failed.name}{_by(failed.margin)}")
            rows.append((title, f.status, why, "", "", "–"))
            continue
        mark = {True: output.green("✓"), False: output.red("✗"), None: "–"}[f.consistent]
        names_of = [n for n in f.predicted if f.measured.get(n) is not None] or list(f.predicted)[:1]
        for i, name in enumerate(names_of):
            predicted, measured = f.predicted[name], f.measured.get(name)
            cells = (name.replace("_", " "), _quantity(predicted), _quantity(measured))
            rows.append((title, f.status, *cells, mark) if i == 0 else ("", "", *cells, ""))
        if not names_of:
            rows.append((title, f.status, f.note, "", "", mark))
    for text in output.table(("statement", "status", "quantity", "predicted", "measured", ""), rows):
        output.line(text)
    bad = [f for f in found if f.contradiction]
    failed_laws = [f for f in applying if f.status != "proved" and f.consistent is False and not f.contradiction]
    output.line()
    output.line(
        f"{len(applying)} of {len(found)} statements apply to this case of {output.number(steps)} steps; "
        f"{len(bad)} contradicted" + (f", {len(failed_laws)} observed laws fail here" if failed_laws else "")
    )
    for f in bad:
        output.line(output.red(f"contradiction: {f.statement.id} {f.statement.title}") + f"  {f.note}")
        output.line(
            "  a proved statement fails on these numbers: please report them, this is a bug until shown otherwise"
        )
    if not quiet and not everything and len(applying) < len(found):
        output.note("next: eoslab check --all … shows why the others do not apply")


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _by(margin: float | None) -> str:
    return "" if margin is None or not math.isfinite(margin) else f" fails by {abs(margin):.3g}"


def _quantity(x: Any) -> str:
    if x is None:
        return "–"
    if isinstance(x, tuple):
        return f"[{_quantity(x[0])}, {_quantity(x[1])}]"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == int(x) and abs(x) < 1e7:
        return str(int(x))
    return f"{x:.5g}"
