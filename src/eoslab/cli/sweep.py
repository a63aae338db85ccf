"""``eoslab sweep``: models or networks over ranges and lists, stored and resumable, here or on a Dask cluster."""

from __future__ import annotations

import contextlib
import json as js
import logging
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eoslab.cli import parse
from eoslab.cli.problem import Finish
from eoslab.core import catalog
from eoslab.core.errors import InvalidArgument

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["grid_of", "register", "sweep"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=HELP, epilog=EXAMPLES)(sweep)


HELP = """Run every cell of a grid of parameters and write the map: of models, or with --arch of networks.

A sweep of networks takes the options of eoslab train, and each of them may be a list a|b|c (numbers also a range
lo:hi:n or lo:hi:n:log)."""

EXAMPLES = """Examples:

eoslab sweep --lr 1:4:200 --ratio 1e-4:0.5:200:log --init 0.3,1e-3,0.1 -o map.zarr

eoslab sweep --arch mlp --lr '2/40|2/60' --hidden '64,64|128,128' --seed '0|1' --steps 600 -o nets.zarr"""

#: Without a terminal, one line of progress per so many seconds.
INTERVAL = 10.0
LINES = {"cells": "{:,}", "cells_of_the_result": "{:,}", "steps_total": "{:,}", "seconds": "{:.3g} s"}
#: Options of a sweep of models alone, with the values that are as good as none.
OF_MODELS: dict[str, Any] = {
    "ratio": None, "init": None, "axis": (), "state": (), "model": "minimalist", "spectrum": None, "target": None,
    "scale": "none", "refine": 0,
}  # fmt: skip
#: Failed cells whose reason is printed.
SHOWN = 5

Text = str | None


def networks(help: str) -> Any:
    """An option of a sweep of networks."""
    return typer.Option(metavar="A|B", help=f"Networks: {help}")


def sweep(
    ctx: typer.Context,
    lr: Annotated[Text, typer.Option(help="Learning rates: lo:hi:n, lo:hi:n:log or a|b|c.")] = None,
    ratio: Annotated[Text, typer.Option(help="λ2/λ1, a range or a list.")] = None,
    init: Annotated[Text, typer.Option(help="Starts, e.g. 0.3,1e-3,0.1|0.5,1e-3,0.1.")] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=RANGE: alpha_e, k, lambda1, b, alpha_0, a setting of the optimizer; of inputs "
            "exponent, d, n, noise, irrelevant, decay, …"
        ),
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="c0=…,s0=…,w0=…: the start by c0, ηλ1α0², ηλ1β1² (positive roots).")
    ] = None,
    model: Annotated[str, typer.Option(help="A minimalist model.")] = "minimalist",
    spectrum: Annotated[
        Text,
        typer.Option(
            help="Inputs of the d-input model: power:d:exponent, two-level:d:heavy:level, spiked:d:spikes:spike, "
            "or a file of variances."
        ),
    ] = None,
    data: Annotated[
        Text, typer.Option(help="The d-input model of a data set: digits, or a file; networks: their data.")
    ] = None,
    target: Annotated[Text, typer.Option(help="The column to predict, with --data.")] = None,
    scale: Annotated[str, typer.Option(help="none, standard or max, with --data.")] = "none",
    optimizer: Annotated[Text, typer.Option(help="An update rule; networks: also several.")] = None,
    arch: Annotated[Text, networks("mlp, deep-linear, cnn, vgg, resnet, vit, gpt, chebyshev.")] = None,
    module: Annotated[Text, networks("FILE:NAME, a function that returns yours.")] = None,
    preset: Annotated[Text, networks("named sets of options (eoslab list presets).")] = None,
    hidden: Annotated[Text, networks("widths of the hidden layers, e.g. '64,64|128,128'.")] = None,
    act: Annotated[Text, networks("tanh, relu, gelu, elu, silu, softplus, linear.")] = None,
    data_dir: Annotated[Text, networks("folder of CIFAR-10, MNIST, Fashion-MNIST.")] = None,
    loss: Annotated[Text, networks("mse or ce.")] = None,
    beta: Annotated[Text, networks("momentum of heavy-ball, nesterov, ema.")] = None,
    beta1: Annotated[Text, networks("first decay of adam.")] = None,
    beta2: Annotated[Text, networks("second decay of adam and rmsprop.")] = None,
    eps: Annotated[Text, networks("added to the root in adam and rmsprop.")] = None,
    rho: Annotated[Text, networks("radius of sam.")] = None,
    weight_decay: Annotated[Text, networks("decoupled decay of adamw.")] = None,
    batch: Annotated[Text, networks("sizes of mini-batches.")] = None,
    chunk: Annotated[Text, networks("samples at once, where memory is short.")] = None,
    eigs: Annotated[Text, networks("largest eigenvalues to follow.")] = None,
    every: Annotated[Text, networks("measure every N-th step.")] = None,
    dense: Annotated[Text, networks("and each step above 1 − X times the threshold.")] = None,
    tol: Annotated[Text, networks("relative error of the eigenvalues.")] = None,
    probes: Annotated[Text, networks("measure more; what they measure is not kept.")] = None,
    dtype: Annotated[Text, networks("float64 or float32.")] = None,
    until_loss: Annotated[Text, networks("stop early at this loss.")] = None,
    steps: Annotated[
        Text, typer.Option(help="Updates of every cell  [default: 2000; networks: 3000].", show_default=False)
    ] = None,
    design: Annotated[str, typer.Option(help="grid, list, random or sobol.")] = "grid",
    cells: Annotated[int | None, typer.Option(help="Cells of a random or Sobol design.")] = None,
    samples: Annotated[Text, typer.Option(help="The same as --cells; networks: the first N samples.")] = None,
    seed: Annotated[
        Text, typer.Option(help="Seed of a random or Sobol design; networks: of weights, data and batches.")
    ] = None,
    refine: Annotated[int, typer.Option(help="Halve ranges K times where neighbouring regimes differ.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes of a local Dask cluster (default: threads; networks: one cell at a time)."),
    ] = None,
    scheduler: Annotated[Text, typer.Option(help="Address of a Dask scheduler.")] = None,
    output: Annotated[Text, typer.Option("--output", "-o", help="The Zarr store of the map.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue or extend a store that is there.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it would cost.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run every cell of a grid and write the map."""
    from eoslab.cli import sweep_networks
    from eoslab.results import sweep as library

    typed = {name: value for name, value in ctx.params.items() if value is not None}
    mine = {name: typed[name] for name in (*sweep_networks.WORDS, *sweep_networks.NUMBERS) if name in typed}
    of_models = {name: typed[name] for name, none in OF_MODELS.items() if typed.get(name, none) not in (none, [])}
    trained = sweep_networks.asked(mine, of_models)
    if trained:
        made = sweep_networks.plan(mine, steps, design, cells)
    else:
        grid = grid_of({"lr": lr, "ratio": ratio, "init": init}, axis or [], state or [])
        inputs = _inputs(spectrum, data, target, scale)
        kind = catalog.find("eoslab.models", model, "model") if inputs is None else inputs
        made = library.plan(
            kind, catalog.find("eoslab.optimizers", optimizer or "gd", "optimizer"), grid,
            steps=parse.steps("steps", steps or "2000"), design=design, samples=_cells(cells, samples),
            seed=parse.steps("seed", seed or "0"),
        )  # fmt: skip
    if dry_run:
        _say(_cost(made, workers, refine), json)
        return
    before = _there(output, library)
    with _stopping() as stop, _client(workers, scheduler) as client:
        began = time.perf_counter()
        ds = library.carry_out(
            made, store=output, resume=resume, client=client, workers=1 if trained else None, refine=refine,
            progress=None if quiet else _progress(), stop=stop,
        )  # fmt: skip
        seconds = time.perf_counter() - began
    report = summary(ds, seconds, before, library)
    if trained:
        from eoslab.nn.sweeps import failures

        report["failures"] = failures(ds)
    _say(report, json)
    if report["outcome"] == "interrupted":
        what = "run the same command to continue" if output else "with -o FILE the same command would continue"
        print(f"interrupted: {what}", file=sys.stderr)  # noqa: T201
        raise Finish(130)
    if output and not json and not quiet:
        figure = "network-grid" if trained else "phase-map"
        print(f"{output}      next: eoslab figure {figure} {output} -o {figure}.png", file=sys.stderr)  # noqa: T201


def _cells(cells: int | None, samples: str | None) -> int | None:
    """The cells of a random design, by either of two names."""
    if cells is not None and samples is not None:
        raise InvalidArgument("samples", samples, "nothing beside --cells", "for models they are the same")
    return cells if samples is None else parse.steps("samples", samples, 1)


def _inputs(spectrum: str | None, data: str | None, target: str | None, scale: str) -> Any:
    """The family of input distributions that the options name; None for a model of the catalogue."""
    from eoslab.results.inputs import DataInputs, parse_spectrum

    if spectrum is not None and data is not None:
        raise InvalidArgument("spectrum", spectrum, "nothing beside --data", "the data brings its own spectrum")
    for name, value, default in (("target", target, None), ("scale", scale, "none")):
        if data is None and value != default:
            raise InvalidArgument(name, value, "--data with it")
    if data is not None:
        return DataInputs(source=data, target=target, scale=scale)
    return None if spectrum is None else parse_spectrum(spectrum)


def grid_of(named: dict[str, str | None], axes: list[str], states: list[str]) -> dict[str, str]:
    """The axes that the options describe, by name.

    >>> grid_of({"lr": "1:4:3", "init": None}, ["k=10:100:2:log"], ["c0=0,s0=0.5,w0=1e-4"])
    {'lr': '1:4:3', 'k': '10:100:2:log', 'c0': '0', 's0': '0.5', 'w0': '1e-4'}
    """
    grid = {name: spec for name, spec in named.items() if spec is not None}
    # a comma separates assignments only where another name follows
    parts = [*axes, *(part for state in states for part in re.split(r",(?=\s*[a-z]\w*=)", state))]
    for part in parts:
        name, equals, spec = part.partition("=")
        name = name.strip()
        if not equals or not name or not spec:
            raise InvalidArgument("axis", repr(part), "NAME=RANGE", "e.g. --axis k=10:1e4:400:log")
        if name in grid:
            raise InvalidArgument("axis", name, "each axis once")
        grid[name] = spec
    if not grid:
        raise InvalidArgument("sweep", "no axis", "at least one", "e.g. --lr 1:4:200 --ratio 1e-4:0.5:200:log")
    return grid


def summary(ds: xr.Dataset, seconds: float, before: tuple[int, int], library: Any) -> dict[str, Any]:
    """Counts per regime and outcome, and what was done how fast (cells that were there already do not count)."""
    found = library.counts(ds)
    measured = ds["measured"].values
    total = int(ds["steps"].values[measured].sum(dtype="int64"))
    new = max(total - before[1], 0)
    return {
        "regimes": found["regime"],
        "outcomes": found["outcome"],
        "cells": int(measured.size),
        "cells_computed": max(int(measured.sum()) - before[0], 0),
        "steps_total": total,
        "seconds": seconds,
        "steps_per_second": new / seconds,
        "outcome": "interrupted" if "interrupted" in found["outcome"] else "complete",
    }


def _there(output: str | None, library: Any) -> tuple[int, int]:
    """Cells and steps that a store holds already."""
    from pathlib import Path

    if output is None or not Path(output).exists():
        return 0, 0
    from eoslab.core.errors import EoslabError

    try:
        ds = library.open_sweep(output)
    except EoslabError:
        return 0, 0  # the store's own check says what is wrong with it
    measured = ds["measured"].values
    return int(measured.sum()), int(ds["steps"].values[measured].sum(dtype="int64"))


def _cost(made: Any, workers: int | None, refine: int) -> dict[str, Any]:
    """What would be done. Of a refinement only the first grid is known beforehand, and what the result holds."""
    from eoslab.results.pools import cores
    from eoslab.results.refine import finest

    trained = hasattr(made.problem, "worker_bytes")
    width = workers or (1 if trained else cores())
    held = (finest(made.layout, refine).cells if refine else made.layout.cells) * made.row_bytes
    about = {
        "cells": made.layout.cells,
        **({"cells_of_the_result": held // made.row_bytes} if refine else {}),
        "steps_total": made.steps_total,
        "seconds": made.seconds(min(width, made.layout.cells)),
        "workers": width,
        "memory_bytes": held + (width * made.problem.worker_bytes(made.layout) if trained else 0),
        "disk_bytes": held,
        "dims": dict(zip(made.layout.dims, made.layout.shape, strict=True)),
    }
    return about if trained else {**about, "compiled": made.problem.lanes or made.problem.diagonal}


def _say(report: dict[str, Any], json: bool) -> None:
    if json:
        print(js.dumps(report))  # noqa: T201
        return
    for name, value in report.items():
        if name in ("regimes", "outcomes") and value:
            print("  ".join(f"{word} {n:,}" for word, n in value.items()))  # noqa: T201
        elif name in LINES:
            print(f"{name.replace('_', ' ')}: {LINES[name].format(value)}")  # noqa: T201
        elif name.endswith("bytes"):
            print(f"{name.removesuffix('_bytes')}: at most {value / 1e6:.3g} MB")  # noqa: T201
        elif name == "failures":
            for cell in value[:SHOWN]:
                at = " ".join(f"{key}={text}" for key, text in cell.items() if key != "reason")
                print(f"failed: {at}: {cell['reason']}")  # noqa: T201
            if len(value) > SHOWN:
                print(f"failed: and {len(value) - SHOWN} more, see the variable 'reason'")  # noqa: T201


def _progress() -> Callable[[int, int], None]:
    """A line on stderr: overwritten on a terminal, one per ten seconds elsewhere."""
    began = said = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if now - said < (0.2 if terminal else INTERVAL) and not (terminal and done == total and now - began > 1.0):
            return
        said = now
        left = (now - began) * (total - done) / max(done, 1)
        text = f"{done:,} of {total:,} cells, {100 * done // max(total, 1)} %, {left:.0f} s left"
        print(f"\r{text} " if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)  # noqa: T201

    return show


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl-C as a question that the sweep asks between units; a second one ends the process as usual."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, previous)

    previous = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, handle)
    except ValueError:  # not in the main thread: whoever started the thread handles Ctrl-C
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """A client of the named scheduler, or of a cluster of local processes; None for threads of this process."""
    if scheduler is None and workers is None:
        yield None
        return
    if scheduler is not None and workers is not None:
        raise InvalidArgument(
            "workers", workers, "nothing beside --scheduler", "the cluster brings its own workers"
        )
    if workers is not None and workers < 1:
        raise InvalidArgument("workers", workers, "a whole number ≥ 1")
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InvalidArgument(
            "workers" if workers else "scheduler", workers or scheduler, "Dask to be installed",
            "pip install 'eoslab[dask]', or leave the option out: threads use all cores",
        ) from None  # fmt: skip
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError) as e:
            raise InvalidArgument("scheduler", scheduler, "the address of a running scheduler", str(e)) from None
        with client:
            yield client
        return
    with (
        # workers that are told to end in the middle of a cell would complain in great length
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
