"""``eoslab train``: a network at the edge, measured while it trains, stored, with its verdict."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from eoslab.cli import names, output, parse, settings
from eoslab.cli.network import networks
from eoslab.cli.options import (
    Beta,
    Beta1,
    Beta2,
    DryRun,
    Eps,
    FailOnDivergence,
    Json,
    Out,
    Quiet,
    Resume,
    Verbose,
    option,
    unchanged,
    with_steps,
    writable,
)
from eoslab.cli.problem import Finish
from eoslab.cli.progress import Progress, Stop
from eoslab.cli.together import agreed, together, whole
from eoslab.cli.train_plan import DEFAULTS, TrainPlan, describe, make
from eoslab.cli.train_text import Telling, introduction, print_plans, result
from eoslab.core.errors import InvalidArgument

__all__ = ["DEFAULTS", "TrainPlan", "execute", "make", "register"]

HELP = """Train a network and follow the top Hessian eigenvalues against the optimizer's threshold.

Without options: a small network on scikit-learn's digits. Every step costs a few gradients more."""

EXAMPLES = """Examples:

eoslab train --preset digits

eoslab train --arch mlp --hidden 64,64 --act tanh --data digits --lr 2/40,2/60 --steps 3000 --eigs 2

eoslab train --module net.py:build --optimizer adam --lr 1e-3 --steps 2000 --every 10 --json"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, epilog=EXAMPLES)
    def train(
        ctx: typer.Context,
        arch: Annotated[
            str, option("arch", "NAME", "mlp, deep-linear, cnn, vgg, resnet, vit, gpt, chebyshev.")
        ] = DEFAULTS["arch"],
        hidden: Annotated[str, option("hidden", "N,N,…", "Widths of the hidden layers.")] = DEFAULTS["hidden"],
        act: Annotated[
            str, option("act", "NAME", "tanh, relu, gelu, elu, silu, softplus, linear.")
        ] = DEFAULTS["act"],
        data: Annotated[
            str,
            option("data", "NAME", "digits, chebyshev-5-20, sorting, k-parity, teacher-student, cifar10, mnist, "
                   "fashion-mnist; cifar10-5k is its first 5,000."),
        ] = DEFAULTS["data"],
        samples: Annotated[str | None, option("samples", "N", "The first N samples  [default: all].",
                                              show_default=False)] = None,
        data_dir: Annotated[str | None, option("data-dir", "DIR", "Folder of CIFAR-10, MNIST, Fashion-MNIST.")]
        = None,
        module: Annotated[
            str | None,
            option("module", "FILE:NAME", "Your own: NAME() returns a module, or (module, loss_fn, (X, y))."),
        ] = None,
        loss: Annotated[str, option("loss", "NAME", "mse (mean of ½‖f − y‖²) or ce.")] = DEFAULTS["loss"],
        optimizer: Annotated[
            str,
            option("optimizer", "NAME",
                   "gd, heavy-ball, nesterov, ema, rmsprop, adam, adamw, sam, sign, normalized."),
        ] = DEFAULTS["optimizer"],
        beta: Beta = None,
        beta1: Beta1 = None,
        beta2: Beta2 = None,
        eps: Eps = None,
        rho: Annotated[str | None, option("rho", "X", "Radius of sam.")] = None,
        weight_decay: Annotated[str | None, option("weight-decay", "X", "Decoupled decay of adamw.")] = None,
        lr: Annotated[
            str, option("lr", "X,…", "Learning rate η, also as a fraction: 2/40; several make several runs.")
        ] = DEFAULTS["lr"],
        steps: Annotated[str, option("steps", "N", "Updates to make; with --resume, in all.")] = DEFAULTS["steps"],
        eigs: Annotated[str, option("eigs", "K", "Largest eigenvalues to follow.")] = DEFAULTS["eigs"],
        every: Annotated[
            str, option("every", "N", "Measure every N-th step, the first and the last.")
        ] = DEFAULTS["every"],
        dense: Annotated[
            str, option("dense", "X", "And each step above 1 − X times the threshold; 0 does not.")
        ] = DEFAULTS["dense"],
        tol: Annotated[str, option("tol", "X", "Relative error of the eigenvalues.")] = DEFAULTS["tol"],
        probes: Annotated[
            str | None, option("probes", "NAME,…", "Measure more (eoslab list probes); NAME=N every N steps.")
        ] = None,
        flow: Annotated[
            bool,
            typer.Option("--flow", help="Integrate the gradient flow beside the run (probe flow-distance)."),
        ] = False,
        dtype: Annotated[str, option("dtype", "NAME", "float64 or float32.")] = DEFAULTS["dtype"],
        seed: Annotated[str, option("seed", "N", "Seed of weights, data and batches.")] = DEFAULTS["seed"],
        batch: Annotated[str | None, option("batch", "N", "Mini-batches of this size.")] = None,
        chunk: Annotated[str | None, option("chunk", "N", "Samples at once, where memory is short.")] = None,
        until_loss: Annotated[str | None, option("until-loss", "X", "Stop early at this loss.")] = None,
        preset: Annotated[
            str | None,
            option("preset", "NAME", "A named set of options (eoslab list presets).", autocompletion=_presets),
        ] = None,
        checkpoint_every: Annotated[
            str, option("checkpoint-every", "N", "Steps between checkpoints; a kill loses no more.")
        ] = DEFAULTS["checkpoint_every"],
        live: Annotated[
            bool, typer.Option("--live", help="Keep a journal that eoslab explore shows while the run goes on.")
        ] = False,
        out: Out = None,
        resume: Resume = None,
        fail_on_divergence: FailOnDivergence = False,
        dry_run: DryRun = False,
        as_json: Json = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:  # fmt: skip
        options, sources = dict(ctx.params), settings.sources(ctx)
        with together() as ranks:
            if resume is not None:
                _resume(options, sources, ranks)
            else:
                _train(options, sources, ranks)


def _presets(incomplete: str) -> list[str]:
    from eoslab.cli.presets import PRESETS

    return names.starting(list(PRESETS), incomplete)


# -- the two ways to train ----------------------------------------------------------------------------------


def _train(options: dict[str, Any], sources: dict[str, str], ranks: Any) -> None:
    nn = networks()
    ranks = ranks or nn.ranks.ALONE
    plans = make(options, sources)
    if ranks.world > 1:
        whole(plans[0])
    objective = nn.recipes.build(plans[0].settings, ranks)
    if options["dry_run"]:
        print_plans([describe(plan, objective) for plan in plans], options["as_json"])
        return
    from eoslab.results.store import Store

    store = Store(settings.store_root(options["out"]))
    writable(store.root)
    results: list[dict[str, Any]] = []
    with Stop(patient=ranks.world > 1) as stop:
        for plan in plans:
            run = execute(plan, objective, store, stop, options["quiet"], ranks=ranks)
            if ranks.first:
                results.append(result(options, run, many=len(plans) > 1))
            if agreed(stop, ranks):
                break
        if not ranks.first:
            raise Finish(stop.exit_code if stop() else 0)
        _finish(options, results, stop)


def execute(
    plan: TrainPlan, objective: Any, store: Any, stop: Stop, quiet: bool, replace: Any = None, ranks: Any = None
) -> Any:
    """Train a plan with progress and Ctrl-C; returns the run, which is stored (in place of ``replace``)."""
    from eoslab.results.provenance import stamp

    ranks = networks().ranks.ALONE if ranks is None else ranks
    run = plan.experiment.begin(
        objective, store=store, stored=replace, ranks=ranks,
        checkpoint_every=plan.checkpoint_every, live=plan.live,
        label=lambda ds: stamp(ds, command=plan.command, typed=plan.typed, sources=plan.sources),
    )  # fmt: skip
    if not quiet:
        output.note(introduction(plan, run))
    _go(run, plan.steps, stop, quiet)
    return run


def _go(run: Any, steps: int, stop: Stop, quiet: bool) -> None:
    """Advance a run with its numbers beside the progress."""
    from eoslab.nn import OutOfMemory

    with Progress("training", quiet) as progress:
        telling, said = Telling(), quiet or not run.live

        def observe(line: Mapping[str, Any]) -> None:
            nonlocal said
            if not said and run.stored is not None:
                said = True
                output.note(f"live view: eoslab explore {_ref(run)}   (in another terminal)")
            progress.detail = telling(line)

        run.observer = observe
        try:
            run.go(steps, stop=stop, progress=progress)
        except OutOfMemory as e:
            kept = f"; what was made is in {run.stored.path}" if run.stored is not None else ""
            raise OutOfMemory(f"step {len(run.rows)}: {e.message}{kept}", e.help) from None


def _ref(run: Any) -> str:
    """How another terminal in the same folder calls the run."""
    folder = run.stored.path.parent
    here = folder == Path(settings.store_root(None) or "runs")
    return run.stored.id if here else f"{run.stored.id} --store {shlex.quote(str(folder))}"


def _resume(options: dict[str, Any], sources: dict[str, str], ranks: Any) -> None:
    unchanged(options, sources, {"live", "checkpoint_every", "until_loss"})
    nn = networks()
    ranks = ranks or nn.ranks.ALONE
    from eoslab.results.provenance import parameters
    from eoslab.results.store import Store, StoredRun, open_run

    store = Store(settings.store_root(options["out"]))
    path = store.find(options["resume"])
    ds = open_run(path)
    stored = StoredRun(path.name.removesuffix(".zarr"), path)
    if str(ds["outcome"].values) == "diverged":
        raise InvalidArgument("resume", options["resume"], "a run that has not diverged")
    made, given = int(ds["steps"]), sources["steps"] == "flag"
    total = parse.steps("steps", options["steps"], 1) if given else int(parameters(ds)["run"]["steps"])
    if total <= made:
        raise InvalidArgument(
            "steps" if given else "resume", options["steps"] if given else options["resume"],
            f"more steps in all than the {made} that are made",
            f"eoslab train --resume {options['resume']} --steps {2 * made} doubles them",
        )  # fmt: skip
    run = nn.run.resumed(ds, stored, ranks=ranks)
    run.checkpoint_every = parse.steps("checkpoint_every", options["checkpoint_every"], 1)
    run.live = bool(options["live"])
    keep = run.label
    command = with_steps(str(ds.attrs.get("command", "")), total)
    run.label = lambda new: keep(new).assign_attrs(command=command)
    if options["dry_run"]:
        print_plans([{"run": str(path), "steps_made": made, "steps": total}], options["as_json"])
        return
    run.until_loss = parse.number("until_loss", options["until_loss"]) if options["until_loss"] else None
    with Stop(patient=ranks.world > 1) as stop:
        _go(run, total, stop, options["quiet"])
        agreed(stop, ranks)
        if not ranks.first:
            raise Finish(stop.exit_code if stop() else 0)
        _finish(options, [result(options, run, many=False)], stop)


def _finish(options: dict[str, Any], results: list[dict[str, Any]], stop: Stop) -> None:
    """Print what comes last, then end with the exit code that belongs to what happened."""
    if options["as_json"]:
        output.emit(results[0] if len(results) == 1 and "," not in str(options["lr"]) else {"runs": results})
    elif not options["quiet"] and not stop():
        ids = " ".join(r["id"] for r in results)
        figure = "loss-sharpness" if len(results) == 1 else "eta-sweep"
        hint = f"next: eoslab report {ids} -o report.html   ·   eoslab figure {figure} {ids} -o figure.pdf"
        output.note(output.paint(hint, "2", sys.stderr))
    if stop():
        last = results[-1]
        if last["outcome"] == "interrupted":
            output.note(f"interrupted at step {last['steps']}. Go on: eoslab train --resume {last['id']}")
        raise Finish(stop.exit_code)
    if options["fail_on_divergence"] and any(r["outcome"] == "diverged" for r in results):
        raise Finish(3)
