"""``eoslab train``: a network at the edge, measured while it trains, stored, with its verdict."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from eoslab.cli import names, output, parse, settings
from eoslab.cli.network import described, networks, rule_of
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
from eoslab.cli.run import report_text
from eoslab.core.errors import InvalidArgument, UnknownName

__all__ = ["DEFAULTS", "TrainPlan", "execute", "make", "register"]

DEFAULTS: dict[str, Any] = {
    "arch": "mlp",
    "hidden": "64,64",
    "act": "tanh",
    "data": "digits",
    "samples": None,
    "data_dir": None,
    "module": None,
    "loss": "mse",
    "optimizer": "gd",
    "beta": None,
    "beta1": None,
    "beta2": None,
    "eps": None,
    "rho": None,
    "weight_decay": None,
    "lr": "2/40",
    "steps": "3000",
    "eigs": "2",
    "every": "1",
    "dense": "0",
    "tol": "1e-3",
    "probes": None,
    "dtype": "float64",
    "seed": "0",
    "batch": None,
    "chunk": None,
    "until_loss": None,
    "checkpoint_every": "500",
}
#: Options with a default that another choice of architecture replaces by its own.
OF_MLP = ("hidden", "act")

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
        if resume is not None:
            _resume(options, sources)
        else:
            _train(options, sources)


def _presets(incomplete: str) -> list[str]:
    from eoslab.cli.presets import PRESETS

    return names.starting(list(PRESETS), incomplete)


# -- the plan ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainPlan:
    """Everything that one run needs, and how to say it again."""

    settings: dict[str, Any]
    rule: Any
    steps: int
    probes: list[Any]
    batch: int | None
    checkpoint_every: int
    live: bool
    until_loss: float | None
    command: str
    sources: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)

    @property
    def experiment(self) -> Any:
        """The run that is asked for, without its storage."""
        return networks().Experiment(
            self.settings, self.rule, self.steps, tuple(self.probes), self.batch, self.until_loss
        )

    @property
    def model(self) -> str:
        """What the run is called by."""
        return str(self.settings.get("arch") or "module")


def make(options: Mapping[str, Any], sources: Mapping[str, str]) -> list[TrainPlan]:
    """The plans that the options of ``eoslab train`` describe, one a learning rate."""
    networks()
    options, sources = _with_preset(options, sources)
    given = {name for name, source in sources.items() if source == "flag"}
    if options["module"]:
        for name in ("arch", "hidden", "act"):
            if name in given:
                raise InvalidArgument(name, options[name], "nothing: --module brings its own network")
    elif options["arch"] != DEFAULTS["arch"]:
        options |= {name: None for name in OF_MLP if sources.get(name, "default") == "default"}
    described_as = described(options)
    steps = parse.steps("steps", options["steps"], 1)
    batch = parse.steps("batch", options["batch"], 1) if options["batch"] else None
    probes = _probes(options)
    until = parse.number("until_loss", options["until_loss"]) if options["until_loss"] else None
    every = parse.steps("checkpoint_every", options["checkpoint_every"], 1)
    texts = [text.strip() for text in str(options["lr"]).split(",")]
    values = parse.numbers("lr", str(options["lr"]))
    if options.get("flow"):
        # a run is told by what it measures
        options["probes"] = ",".join(p.name + f"={p.every}" for p in probes[1:])
    typed = {
        name.replace("_", "-"): str(options[name])
        for name in DEFAULTS
        if options[name] is not None and (options[name] != DEFAULTS[name] or name in ("lr", "steps", "seed"))
    }
    used = {k: v for k, v in sources.items() if k in DEFAULTS and options.get(k) is not None}
    plans = []
    for text, lr in zip(texts, values, strict=True):
        rule = rule_of(options, given, lr)
        words = [word for name, value in (typed | {"lr": text}).items() for word in (f"--{name}", value)]
        command = "eoslab train " + shlex.join(words)
        plans.append(
            TrainPlan(
                described_as,
                rule,
                steps,
                probes,
                batch,
                every,
                bool(options["live"]),
                until,
                command,
                used,
                typed | {"lr": text},
            )
        )
    return plans


def _with_preset(options: Mapping[str, Any], sources: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The options with those of the preset in place of defaults."""
    from eoslab.cli.presets import PRESETS

    options, sources = dict(options), dict(sources)
    name = options.get("preset")
    if not name:
        return options, sources
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    values: dict[str, Any] = {key.replace("-", "_"): value for key, value in PRESETS[name].options.items()}
    own = {key for key in ("optimizer", "lr") if sources.get(key, "default") != "default"}
    if own == {"optimizer"} and options["optimizer"] != values["optimizer"]:
        # the learning rate of a preset belongs to its optimizer
        expected = f"--lr with it: the preset's {values['lr']} is for {values['optimizer']}"
        raise InvalidArgument("optimizer", options["optimizer"], expected)
    for key, value in values.items():
        if sources.get(key, "default") == "default":
            options[key], sources[key] = value, f"preset {name}"
    return options, sources


def _probes(options: Mapping[str, Any]) -> list[Any]:
    """The eigenvalues, and what else was asked for."""
    from eoslab.core import catalog
    from eoslab.probes import TopEigenvalues

    found: list[Any] = [
        TopEigenvalues(
            k=parse.steps("eigs", options["eigs"], 1),
            every=parse.steps("every", options["every"], 1),
            tol=parse.number("tol", options["tol"]),
            dense=parse.number("dense", options["dense"]),
            seed=parse.steps("seed", options["seed"]),
        )
    ]
    asked = [item.strip() for item in (options["probes"] or "").split(",")]
    if options.get("flow") and not any(item.partition("=")[0] == "flow-distance" for item in asked):
        asked.append(f"flow-distance={max(10, found[0].every)}")
    for item in asked:
        name, _, often = item.partition("=")
        if not name or name == "top-eigenvalues":
            continue
        cls = catalog.find("eoslab.probes", name, "probe")
        more: dict[str, Any] = {"every": parse.steps("probes", often, 1)} if often else {}
        if options["batch"] and "batch" in cls.__dataclass_fields__:
            more["batch"] = parse.steps("batch", options["batch"], 1)
        found.append(cls(**more))
    return found


# -- the two ways to train ----------------------------------------------------------------------------------


def _train(options: dict[str, Any], sources: dict[str, str]) -> None:
    nn = networks()
    plans = make(options, sources)
    objective = nn.recipes.build(plans[0].settings)
    if options["dry_run"]:
        _print_plans([_describe(plan, objective) for plan in plans], options["as_json"])
        return
    from eoslab.results.store import Store

    store = Store(settings.store_root(options["out"]))
    writable(store.root)
    results: list[dict[str, Any]] = []
    with Stop() as stop:
        for plan in plans:
            run = execute(plan, objective, store, stop, options["quiet"])
            results.append(_result(options, run, many=len(plans) > 1))
            if stop():
                break
        _finish(options, results, stop)


def execute(plan: TrainPlan, objective: Any, store: Any, stop: Stop, quiet: bool, replace: Any = None) -> Any:
    """Train a plan with progress and Ctrl-C; returns the run, which is stored (in place of ``replace``)."""
    from eoslab.results.provenance import stamp

    run = plan.experiment.begin(
        objective, store=store, stored=replace, checkpoint_every=plan.checkpoint_every, live=plan.live,
        label=lambda ds: stamp(ds, command=plan.command, typed=plan.typed, sources=plan.sources),
    )  # fmt: skip
    if not quiet:
        output.note(_introduction(plan, run))
    _go(run, plan.steps, stop, quiet)
    return run


def _go(run: Any, steps: int, stop: Stop, quiet: bool) -> None:
    """Advance a run with its numbers beside the progress."""
    from eoslab.nn import OutOfMemory

    with Progress("training", quiet) as progress:
        said = quiet or not run.live

        def observe(line: Mapping[str, Any]) -> None:
            nonlocal said
            if not said:
                said = True
                output.note(f"live view: eoslab explore {_ref(run)}   (in another terminal)")
            progress.detail = _detail(line, progress.detail)

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


def _detail(line: Mapping[str, Any], before: str) -> str:
    """Loss, sharpness and its ratio to the threshold; the sharpness as last measured."""
    text = f"loss {output.number(line['loss'], 3)}"
    eta, lr, tau = line["eta_sharpness"], line["lr"], line["threshold"]
    if not math.isfinite(eta):
        _, mark, rest = before.partition("   ")
        return text + mark + rest
    text += f"   sharpness {output.number(eta / lr)}"
    return text + (f"   η·S/{tau:.4g} {eta / tau:.3f}" if tau else "")


def _introduction(plan: TrainPlan, run: Any) -> str:
    tau, lr = run.threshold.value, plan.rule.lr
    edge = f" ({tau:.4g}/η = {output.number(tau / lr)})" if tau is not None else ""
    return (
        f"training {plan.model} · {output.number(run.objective.samples)} examples of {plan.settings['data']} · "
        f"{output.number(run.objective.n)} parameters · {plan.rule.name} · η = {output.number(lr)}{edge}"
    )


def _resume(options: dict[str, Any], sources: dict[str, str]) -> None:
    unchanged(options, sources, {"live", "checkpoint_every", "until_loss"})
    nn = networks()
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
    run = nn.run.resumed(ds, stored)
    run.checkpoint_every = parse.steps("checkpoint_every", options["checkpoint_every"], 1)
    run.live = bool(options["live"])
    keep = run.label
    command = with_steps(str(ds.attrs.get("command", "")), total)
    run.label = lambda new: keep(new).assign_attrs(command=command)
    if options["dry_run"]:
        _print_plans([{"run": str(path), "steps_made": made, "steps": total}], options["as_json"])
        return
    run.until_loss = parse.number("until_loss", options["until_loss"]) if options["until_loss"] else None
    with Stop() as stop:
        _go(run, total, stop, options["quiet"])
        _finish(options, [_result(options, run, many=False)], stop)


# -- what is printed ----------------------------------------------------------------------------------------


def _result(options: dict[str, Any], run: Any, many: bool) -> dict[str, Any]:
    """The record of a finished run; its text is printed at once."""
    from eoslab.results.network import brief
    from eoslab.results.summary import summary

    ds = run.dataset()
    facts = brief(ds)
    record = {"run": str(run.stored.path), "id": run.stored.id, "lr": float(ds["lr"]), **facts,
              "steps": int(ds["steps"])}  # fmt: skip
    if options["as_json"]:
        return record
    if many:
        output.line(output.bold(f"η = {output.number(record['lr'])}"))
    for text in report_text(ds, summary(ds)):
        output.line(text)
    for text in _lines(ds, facts):
        output.line(f"  {text}")
    if options["verbose"]:
        for name, value in json.loads(ds.attrs["parameters"])["model"].items():
            output.line(f"  {name:<17} {value}")
        for note in run.objective.notes:
            output.line(f"  note              {note}")
        events = zip(ds["event_step"].values, ds["event_kind"].values, ds["event_value"].values, strict=True)
        for step, kind, value in list(events)[:20]:
            output.line(f"    step {int(step):<10} {kind!s:<16} {output.number(float(value))}")
    took = output.seconds(facts["seconds"] or 0.0)
    made = f"{output.number(record['steps'])} steps in {took}"
    output.line(f"saved {output.green(run.stored.id)}  {run.stored.path}      {output.dim(made)}")
    return record


def _lines(ds: Any, facts: dict[str, Any]) -> list[str]:
    """Second half, accuracy, evidence and price of the measurement, convention of the loss."""
    lines = []
    mean = facts["mean_ratio_second_half"]
    if mean is not None:
        lines.append(f"second half       mean ratio to the threshold {mean:.3f}")
    accuracy = facts["final"].get("accuracy")
    if accuracy is not None:
        lines.append(f"accuracy          {100 * accuracy:.1f} % of the training samples")
    if facts["hvp_total"]:
        bad = int((~ds["eig_converged"].values[ds["measured"].values]).any(axis=1).sum())
        bound = facts["final"].get("sharpness_bound")
        sure = f", last sharpness ± {output.number(bound, 2)}" if bound is not None else ""
        doubt = f"; {bad} steps not within tol" if bad else ""
        cost = facts["cost_in_gradient_steps"]
        # the time is that of all that is measured
        more = ", with the other probes" if len(json.loads(ds.attrs["parameters"])["run"]["probes"]) > 2 else " ="
        price = f"{more} {cost:.1f} plain steps" if cost is not None else ""
        lines.append(f"measuring         {facts['hvp_per_step']:.1f} products a step{price}{sure}{doubt}")
    lines += _flow_lines(ds)
    lines.append(f"loss              {ds.attrs['loss_convention']}")
    return lines


def _flow_lines(ds: Any) -> list[str]:
    """Where the gradient flow beside the run is, and what the flows from its points came to."""
    lines = []
    number = output.number
    for name, word in (("flow_distance", "gradient flow"), ("gfs_reached", "GFS sharpness")):
        if name not in ds:
            continue
        at = [i for i, value in enumerate(ds[name].values.tolist()) if math.isfinite(value)]
        if not at:
            lines.append(f"{word:<17} not followed: its budget was spent at the first measurement")
            continue
        row = ds.isel(step=at[-1])
        if name == "flow_distance":
            sharp = f", its sharpness {number(float(row['flow_sharpness']))}" if "flow_sharpness" in ds else ""
            place = f"at distance {number(float(row[name]), 3)} at time {number(float(row['time']))}"
            lines.append(f"{word:<17} {place}{sharp}, loss {number(float(row['flow_loss']), 3)}")
            if at[-1] < ds.sizes["step"] - 1 and str(ds["outcome"].values) != "diverged":
                lines.append(f"{'':<17} lost at step {int(row['step'])}: it needed more gradients than allowed")
        else:
            done = int(sum(ds["gfs_converged"].values[at]))
            last = float(row["gfs_sharpness"])
            text = number(last) if math.isfinite(last) else f"not reached ({number(float(row[name]))} so far)"
            lines.append(f"{word:<17} {text} at step {int(row['step'])}; {done} of {len(at)} flows converged")
    return lines


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


def _describe(plan: TrainPlan, objective: Any) -> dict[str, Any]:
    """The plan as one record, with an estimate from a few gradients."""
    from eoslab.cli import memory

    w, times = objective.w0, []
    for _ in range(5):  # the first one also prepares; a busy machine makes some of them long
        began = time.perf_counter()
        objective.loss_and_grad(w)
        times.append(time.perf_counter() - began)
    one = min(times)
    top = plan.probes[0]
    beside = _flow_cost(plan, objective)
    # a few products of two gradients each where eigenvalues are measured
    extra = 4.0 * (top.k if top.k == 1 else 2 + top.k) / top.every
    return {
        "model": plan.model,
        "settings": plan.settings,
        "parameters": objective.n,
        "samples": objective.samples,
        "optimizer": plan.rule.name,
        "optimizer_settings": {"lr": plan.rule.lr, **plan.rule.settings},
        "threshold": plan.rule.threshold.value if plan.batch is None else None,
        "steps": plan.steps,
        "probes": [f"{p.name}={p.every}" for p in plan.probes],
        "flow_gradients": beside,
        "memory_bytes": plan.experiment.memory(objective),
        "memory_available_bytes": memory.available(),
        "seconds_estimate": plan.steps * one * (1 + extra) + beside * one,
        "command": plan.command,
    }


def _flow_cost(plan: TrainPlan, objective: Any) -> int:
    """Gradients that integrating gradient flows takes: of a run's flow as its first stretches take them (the start
    is its steepest part), of the flows to their solutions the most that they may."""
    from eoslab.flows.stabilized import FlowState, advance

    total = 0.0
    for probe in plan.probes:
        measurements = plan.steps // probe.every + 1
        if probe.name == "flow-distance":
            flow, lr = FlowState(objective.w0.astype(float)), plan.rule.lr
            for stretch in range(1, min(3, measurements) + 1):
                before = flow
                flow, _ = advance(objective, flow, stretch * probe.every * lr, rtol=probe.rtol, gradients=2000)
            once = flow.gradients - before.gradients + 2 * (flow.products - before.products)
            total += flow.gradients + once * measurements
        elif probe.name == "gfs":
            total += probe.most * measurements
    return round(total)


def _print_plans(plans: list[dict[str, Any]], as_json: bool) -> None:
    from eoslab.cli.run import print_plan

    if as_json:
        output.emit({"plan": plans[0]} if len(plans) == 1 else {"plans": plans})
        return
    for plan in plans:
        print_plan(plan, False)
