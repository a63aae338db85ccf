"""``eoslab run``: one trajectory, stored, with its verdict."""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from eoslab.cli import names, output, parse, settings
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
from eoslab.cli.plan import DEFAULTS, Plan, fits, make
from eoslab.cli.problem import Finish
from eoslab.cli.progress import Progress, Stop
from eoslab.cli.startup import UNNEEDED, without
from eoslab.core.errors import InvalidArgument, StoreError

__all__ = ["data_text", "execute", "labelled", "oscillating", "oscillation_text", "register", "report_text"]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, epilog=EXAMPLES)
    def run(
        ctx: typer.Context,
        model: Annotated[
            str, option("model", "NAME", "Model (eoslab list models).", autocompletion=_models)
        ] = DEFAULTS["model"],
        lambda1: Annotated[str, option("lambda1", "X", "Variance of the irrelevant input.")] = DEFAULTS["lambda1"],
        lambda2: Annotated[str, option("lambda2", "X", "Variance of the relevant input.")] = DEFAULTS["lambda2"],
        b: Annotated[str, option("b", "X", "Teacher coefficient, y = b·x2.")] = DEFAULTS["b"],
        param: Annotated[
            list[str] | None, option("param", "KEY=VALUE", "A parameter of another model; repeatable.")
        ] = None,
        lr: Annotated[str, option("lr", "X", "Learning rate η, also as a fraction: 2/150.")] = DEFAULTS["lr"],
        init: Annotated[
            str | None,
            option(
                "init",
                "X,X,…",
                "Start, one number per parameter  [default: 0.3,0.001,0.1]; with --data "
                "alpha0[,SD]  [default: 0.3,0.02].",
                show_default=False,
            ),
        ] = None,
        steps: Annotated[str, option("steps", "N", "Updates to make; with --resume, in all.")] = DEFAULTS["steps"],
        optimizer: Annotated[
            str,
            option(
                "optimizer",
                "NAME",
                "gd, gd-floor, gd-cap, heavy-ball, nesterov, ema, rmsprop, adam.",
                autocompletion=_optimizers,
            ),
        ] = DEFAULTS["optimizer"],
        beta: Beta = None,
        beta1: Beta1 = None,
        beta2: Beta2 = None,
        eps: Eps = None,
        floor: Annotated[str | None, option("floor", "X", "Floor on |β1| of gd-floor.")] = None,
        data: Annotated[
            str | None, option("data", "digits|FILE", "Run on data: its exact d-input model (CSV, NPY, Parquet).")
        ] = None,
        target: Annotated[
            str | None, option("target", "NAME", "Column to predict; for digits parity or digit.")
        ] = None,
        scale: Annotated[str, option("scale", "NAME", "Scaling of the inputs: none, standard or max.")] = DEFAULTS[
            "scale"
        ],
        batch: Annotated[str | None, option("batch", "N", "Mini-batches of this size, with --data.")] = None,
        seed: Annotated[str, option("seed", "N", "Seed of the start and the batches.")] = DEFAULTS["seed"],
        record_every: Annotated[
            str, option("record-every", "K", "Store every K-th step; peaks and events are kept in any case.")
        ] = DEFAULTS["record_every"],
        at: Annotated[str | None, option("at", "N,N,…", "Also print the rows of these steps.")] = None,
        out: Out = None,
        resume: Resume = None,
        fail_on_divergence: FailOnDivergence = False,
        dry_run: DryRun = False,
        as_json: Json = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        options = dict(ctx.params, param=param or [])
        sources = settings.sources(ctx)
        if resume is not None:
            _resume(options, sources)
        else:
            _run(options, sources)


HELP = """Run one trajectory, store it, say what happened.

Without options: the minimalist model at a setting that reaches the edge of stability."""

EXAMPLES = """Examples:

eoslab run --lr 2 --lambda2 0.001 --init 0.95,0.001,0.9 --steps 8000

eoslab run --data digits --target parity --lr 1 --steps 3000 --json"""


def _models(incomplete: str) -> list[str]:
    return names.starting(names.models(), incomplete)


def _optimizers(incomplete: str) -> list[str]:
    return names.starting(names.optimizers(), incomplete)


# -- the two ways to run --------------------------------------------------------------------------------


def _run(options: dict[str, Any], sources: dict[str, str]) -> None:
    plan = make(options, sources)
    at = _at(options["at"], plan.steps, 1)
    if options["dry_run"]:
        print_plan(plan.describe(), options["as_json"])
        return
    fits(plan.steps, plan.record_every, len(plan.model.params))
    from eoslab.results.store import Store

    store = Store(settings.store_root(options["out"]))
    writable(store.root)
    with Stop() as stop:
        if options["verbose"]:
            output.note(f"running {plan.command.removeprefix('eoslab run ')}   (Ctrl-C stops and saves)")
        ds, took = execute(plan, stop, quiet=options["quiet"], keep=at)
        stop.saving = True
        ds = labelled(ds, plan)
        with _refuge(ds, plan.command):
            stored = store.save(ds, command=plan.command, sources=plan.sources)
        _finish(options, ds, stored, took, at, stop, plan)


def _resume(options: dict[str, Any], sources: dict[str, str]) -> None:
    from eoslab.results.resume import resume
    from eoslab.results.store import Store, open_run

    began = time.perf_counter()
    unchanged(options, sources, {"at"})
    store = Store(settings.store_root(options["out"]))
    path = store.find(options["resume"])
    ds = open_run(path)
    if ds.attrs.get("kind") == "network":
        raise InvalidArgument(
            "resume", options["resume"], "the run of a model",
            f"a network goes on with: eoslab train --resume {options['resume']}",
        )  # fmt: skip
    made, asked = int(ds["steps"]), _asked(ds)
    if str(ds["outcome"].values) == "diverged":
        raise InvalidArgument("resume", options["resume"], "a run that has not diverged")
    given = sources["steps"] == "flag"
    total = parse.steps("steps", options["steps"], 1) if given else asked
    if total <= made:
        raise InvalidArgument(
            "steps" if given else "resume",
            options["steps"] if given else options["resume"],
            f"more steps in all than the {made} that are made",
            f"eoslab run --resume {options['resume']} --steps {2 * made} doubles them",
        )  # fmt: skip
    every = int(ds.attrs.get("record_every", 1))
    at = _at(options["at"], total, every)
    if options["dry_run"]:
        print_plan(
            {"run": str(path), "steps_made": made, "steps": total, "record_every": every}, options["as_json"]
        )
        return
    fits(total, every, ds.sizes["param"])
    with Stop() as stop:
        with Progress("running", options["quiet"]) as progress:
            ds = resume(ds, total, stop=stop, progress=progress)
        took = time.perf_counter() - began
        stop.saving = True
        ds.attrs["command"] = with_steps(ds.attrs.get("command", ""), total)
        with _refuge(ds, ds.attrs["command"]):
            stored = store.update(path, ds)
        _finish(options, ds, stored, took, at, stop)


@contextmanager
def _refuge(ds: Any, command: str) -> Iterator[None]:
    """Keep a finished run elsewhere when its store fails: it may have taken hours."""
    try:
        yield
    except StoreError as e:
        from eoslab.results.store import Store

        kept = Store(tempfile.mkdtemp(prefix="eoslab-")).save(ds, command=command)
        raise StoreError(e.message, f"the run was kept in {kept.path}; move it where there is space") from None


def _asked(ds: Any) -> int:
    """The number of updates that a run was asked for."""
    from eoslab.results.provenance import parameters

    return int(parameters(ds).get("run", {}).get("steps", ds["steps"]))


def execute(
    plan: Plan, stop: Stop, *, quiet: bool = False, text: str = "running", keep: Sequence[int] = ()
) -> tuple[Any, float]:
    """The trajectory of a plan, with progress and Ctrl-C, and the seconds that it took."""
    import eoslab

    with Progress(text, quiet) as progress:
        words = "preparing the kernel (compiled once for each model and optimizer)"
        # one step loads or compiles what the run needs, so that the seconds are those of the run
        with progress.waiting(words), without(*UNNEEDED):
            eoslab.trajectory(plan.model, plan.rule, plan.w0, steps=1)
        began = time.perf_counter()
        ds = eoslab.trajectory(
            plan.model, plan.rule, plan.w0, steps=plan.steps, record_every=plan.record_every, keep=keep,
            stop=stop, progress=progress,
        )  # fmt: skip
        return ds, time.perf_counter() - began


def labelled(ds: Any, plan: Plan) -> Any:
    """The data set with what only the command line knows: the text as typed, the seed, the data."""
    from eoslab.results.provenance import stamp

    ds = stamp(ds, typed=plan.typed, seed=plan.seed)
    return ds.assign_attrs(data=json.dumps(plan.data)) if plan.data else ds


def _finish(
    options: dict[str, Any], ds: Any, stored: Any, took: float, at: list[int], stop: Stop, plan: Any = None
) -> None:
    """Print, then end with the exit code that belongs to what happened."""
    _print(options, ds, stored, took, at, plan)
    outcome = str(ds["outcome"].values)
    if stop():
        if outcome == "interrupted":
            output.note(f"interrupted at step {int(ds['steps'])}. Go on: eoslab run --resume {stored.id}")
        raise Finish(stop.exit_code)
    if options["fail_on_divergence"] and outcome == "diverged":
        raise Finish(3)


# -- what is printed ------------------------------------------------------------------------------------


def _print(options: dict[str, Any], ds: Any, stored: Any, took: float, at: list[int], plan: Any) -> None:
    from eoslab.results.summary import summary

    last = int(ds["step"][-1])
    facts = summary(ds, at=[step for step in at if step <= last])
    if str(ds["outcome"].values) == "diverged":
        # after divergence there are no numbers: the last row, all null, stands for every later step
        rows = facts.setdefault("rows", []) if at else []
        rows += [{**facts["final"], "step": step} for step in at if step > last]
    if options["as_json"]:
        output.emit({"run": str(stored.path), "id": stored.id, "seconds": took, **facts})
        return
    for text in report_text(ds, facts):
        output.line(text)
    for text in data_text(ds):
        output.line(f"  {text}")
    for row in facts.get("rows", []):
        output.line(f"  step {row['step']:<12} {_row_text(row)}")
    if options["verbose"]:
        _details(facts, plan)
    made = f"{output.number(facts['steps'])} steps in {output.seconds(took)}"
    output.line(f"saved {output.green(stored.id)}  {stored.path}      {output.dim(made)}")
    if not options["quiet"]:
        output.note(
            output.paint(
                f"next: eoslab report {stored.id} -o report.html   ·   eoslab runs show {stored.id}",
                "2",
                sys.stderr,
            )
        )


def report_text(ds: Any, facts: dict[str, Any]) -> list[str]:
    """The verdict and the key numbers."""
    from eoslab.results.summary import verdict_sentence

    head, colon, rest = verdict_sentence(ds).partition(": ")
    first, last = facts["initial"], facts["final"]
    tau = facts["threshold"]
    lines = [f"{output.bold(head)}{colon}{rest}"]
    if last["loss"] is None:
        lines.append(f"  largest η·S/{output.number(tau)}   {_ratio(facts)}")
        return lines
    relative = ""
    eta = float(ds["eta_sharpness"][-1])
    if tau is not None:
        relative = f"  ({_eta_name(ds)} = {eta / tau:.3f})"
    loss, sharp = output.number(last["loss"], 3), output.number(last["sharpness"])
    what = "sharpness "
    if last["sharpness"] is None and math.isfinite(eta):
        # a network whose rule has a preconditioner: that of P⁻¹H is what was measured
        what, sharp = "preconditioned", output.number(eta / float(ds["lr"]))
    lines.append(f"  final loss        {loss:<12}  {what} {sharp}{relative}")
    if first["gfs_sharpness"] is not None and last["gfs_sharpness"] is not None:
        top = f"largest {_eta_name(ds)}  {_ratio(facts)}" if tau is not None else ""
        change = f"{output.number(first['gfs_sharpness'])} → {output.number(last['gfs_sharpness'])}"
        lines.append(f"  GFS sharpness     {change:<12}  {top}".rstrip())
    lines += [f"  {text}" for text in underflow_text(facts)]
    return lines


def _eta_name(ds: Any) -> str:
    """η·S/2 for gradient descent; the effective Hessian's ratio where there is a preconditioner."""
    tau = float(ds["threshold"])
    if "edge" in ds:
        return "η(S + ρS²/‖g‖)/2"
    same = bool(float(ds["eta_sharpness"][0]) == float(ds["lr"]) * float(ds["sharpness"][0]))
    return f"η·S/{output.number(tau)}" if same else "λmax(P⁻¹H)/threshold"


def _ratio(facts: dict[str, Any]) -> str:
    tau, top = facts["threshold"], facts["max_eta_sharpness"]
    return "–" if tau is None or top is None else output.number(top / tau)


def underflow_text(facts: dict[str, Any]) -> list[str]:
    """A line where |β1| was below the float64 range."""
    low = [e for e in facts["events"] if e["kind"] in ("beta1-underflow", "beta1-return")]
    if not low:
        return []
    began = low[0]["step"]
    returned = [e for e in low if e["kind"] == "beta1-return"]
    if returned:
        return [
            f"|β1| was below the float64 range from step {began} (least 1e{returned[-1]['value']:.0f}), "
            f"back at step {returned[-1]['step']}"
        ]
    return [f"|β1| is below the float64 range since step {began}"]


def data_text(ds: Any) -> list[str]:
    """The data, its spectrum, which directions carry the target and which oscillate."""
    if "relevance" not in ds:
        return []
    about = json.loads(ds.attrs.get("data") or "{}")
    lambdas = ds["lambdas"].values
    d = len(lambdas)
    span = f"{d} directions, λ from {output.number(float(lambdas.max()))} to {output.number(float(lambdas.min()))}"
    if about:
        sizes = f"{output.number(about['samples'])} samples of {about['inputs']} inputs"
        return [
            f"data              {about['source']}: {sizes}, target {about['target']}; {span}",
            *oscillation_text(ds),
        ]
    return [f"spectrum          {span}", *oscillation_text(ds)]


def oscillation_text(ds: Any) -> list[str]:
    """Which directions oscillate, as measured, and how much of the learnable variance they carry."""
    relevance = ds["relevance"].values
    best = sorted(range(len(relevance)), key=lambda i: -relevance[i])[:3]
    carries = ", ".join(f"{i + 1} ({100 * relevance[i]:.0f} %)" for i in best)
    lines = [f"learnable part    mostly in directions {carries}"]
    moving, share = oscillating(ds)
    if moving:
        which = ", ".join(str(i + 1) for i in moving[:6]) + (", …" if len(moving) > 6 else "")
        word = "direction" if len(moving) == 1 else "directions"
        lines.append(f"oscillating       {word} {which}, with {100 * share:.1f} % of the learnable part")
    return lines


def oscillating(ds: Any) -> tuple[list[int], float]:
    """Directions with a tenth of the largest measured amplitude or more, their share of the learnable part.

    None in a run that never reaches the threshold: what is measured there is the curvature of a smooth descent.
    """
    if str(ds["regime"].values) == "stable":
        return [], 0.0
    amplitude, relevance = ds["oscillation"].values, ds["relevance"].values
    largest = max((float(a) for a in amplitude if a == a), default=0.0)
    moving = [i for i, a in enumerate(amplitude) if largest > 0 and a >= 0.1 * largest]
    return moving, float(sum(relevance[i] for i in moving))


def _row_text(row: dict[str, Any]) -> str:
    number = output.number
    parts = [f"α {number(row['alpha'])}"] if "alpha" in row else []
    parts += [f"{s} {number(row[k], 3)}" for k, s in (("beta1", "β1"), ("beta2", "β2")) if k in row]
    parts += [f"loss {number(row['loss'], 3)}", f"S {number(row['sharpness'])}"]
    return "   ".join(parts)


def _details(facts: dict[str, Any], plan: Any) -> None:
    phases = facts["phases"]
    output.line(f"  outcome {facts['outcome']}, regime {facts['regime']}, T1 {phases['T1']}, T2 {phases['T2']}")
    for event in facts["events"][:20]:
        output.line(f"    step {event['step']:<10} {event['kind']:<16} {output.number(event['value'])}")
    if len(facts["events"]) > 20:
        output.line(f"    … and {len(facts['events']) - 20} more events")
    if plan is not None:
        output.line(f"  again: {plan.command}")
        for name, source in plan.sources.items():
            if source not in ("default", "flag"):
                output.line(f"  {name} from {source}")


def print_plan(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.emit({"plan": plan})
        return
    for key, value in plan.items():
        if value is None or value == {}:
            continue
        output.line(f"  {key.replace('_', ' '):<24} {_plan_value(key, value)}")


def _plan_value(key: str, value: Any) -> str:
    if key.endswith("bytes"):
        return output.size(value)
    if key.startswith("seconds"):
        return f"about {output.seconds(value)}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    return _short(value)


def _short(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(_short(v) for v in value[:4])
        return f"({shown}, … {len(value)} numbers)" if len(value) > 4 else f"({shown})"
    return output.number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _at(text: str | None, steps: int, every: int = 1) -> list[int]:
    """The steps whose rows are wanted; refused before the run rather than after it."""
    if not text:
        return []
    at = [parse.steps("at", part.strip()) for part in text.split(",")]
    for step in at:
        if step > steps:
            raise InvalidArgument("at", step, f"steps of the run, 0 to {steps}")
        if step % every and step != steps:
            raise InvalidArgument("at", step, f"a stored step: a multiple of {every} (--record-every), or {steps}")
    return at
