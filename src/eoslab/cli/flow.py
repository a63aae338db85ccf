"""``eoslab flow RUN``: the gradient flow beside a stored run, from the same start over the same time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from eoslab.cli import output
from eoslab.cli.parse import number, steps
from eoslab.cli.progress import Progress, Stop
from eoslab.cli.runs import Json, Quiet, Run, StoreDir, open_store, opened
from eoslab.core.errors import InvalidArgument

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Integrate the gradient flow from a run's start, over the run's time η·steps, and store it.")
    def flow(
        run: Run,
        time: Annotated[
            str | None, typer.Option(metavar="T", help="Time span, instead of that of the run.")
        ] = None,
        points: Annotated[str, typer.Option(help="Stored points.")] = "2000",
        method: Annotated[str, typer.Option(help="Integrator of SciPy: LSODA, Radau, BDF, …")] = "LSODA",
        store: StoreDir = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        import eoslab
        from eoslab.results.provenance import rebuild
        from eoslab.results.summary import summary

        (path,), (ds,) = opened(store, [run])
        if ds.attrs.get("kind") == "network":
            raise InvalidArgument(
                "run", run, "the run of a model",
                "a network's weights are not kept step by step, so its flow is integrated while it trains: "
                "eoslab train … --flow",
            )  # fmt: skip
        model, _ = rebuild(ds)
        span = float(ds["time"][-1]) if time is None else number("time", time)
        rule = eoslab.dynamics.GradientFlow(time=span, method=method)
        with Stop() as stop, Progress("integrating", quiet) as progress:
            made = eoslab.trajectory(
                model, rule, ds["w"].values[0], steps=steps("points", points, 1), stop=stop, progress=progress
            )
        stored = open_store(store).save(made, command=f"eoslab flow {path.stem} --time {span!r}")
        drift = float(made["conserved_drift"].max()) if "conserved_drift" in made else None
        if as_json:
            output.emit({"run": str(stored.path), "id": stored.id, "conserved_drift": drift, **summary(made)})
            return
        _print(made, span, drift)
        output.line(f"saved {output.green(stored.id)}  {stored.path}")
        if not quiet:
            output.note(f"next: eoslab figure gd-vs-flow {path.stem} {stored.id} -o figure.pdf")


def _print(ds: Any, span: float, drift: float | None) -> None:
    last = ds.isel(step=-1)
    text = f"gradient flow to time {span:.6g}: {ds['outcome'].item()}, loss {output.number(float(last['loss']))}, "
    output.line(text + f"sharpness {output.number(float(last['sharpness']))}")
    if drift is not None:
        output.line(f"  conserved quantity kept to {drift:.1e}")
    if ds.attrs.get("failure"):
        output.line(f"  {ds.attrs['failure']}")
