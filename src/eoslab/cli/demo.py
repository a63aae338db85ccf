"""``eoslab demo``: the edge of stability on one screen, and a report of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from eoslab.cli import output
from eoslab.cli.plan import DEFAULTS, Plan, make
from eoslab.cli.problem import Finish
from eoslab.cli.progress import Stop
from eoslab.cli.run import execute, labelled, oscillating
from eoslab.cli.runs import Json

__all__ = ["CASES", "Case", "register"]


@dataclass(frozen=True, eq=False)
class Case:
    """One run of the demonstration: its name in the report and the options of ``eoslab run``."""

    name: str
    options: Mapping[str, str]

    def plan(self) -> Plan:
        """The plan of the run."""
        return make({**DEFAULTS, **self.options}, {})


CYCLES = Case("several cycles", {"lambda2": "0.001", "lr": "1.98", "init": "1,0.01,0.1", "steps": "4000"})
THEORY = Case("set S5", {"lambda2": "0.001", "lr": "2", "init": "0.95,0.001,0.9", "steps": "8000"})
DIGITS = {"data": "digits", "target": "parity", "init": "0.3,0.02", "steps": "3000"}
SMALL = Case("digits, η = 1", {**DIGITS, "lr": "1"})
LARGE = Case("digits, η = 2", {**DIGITS, "lr": "2"})
CASES = (CYCLES, THEORY, SMALL, LARGE)
#: The options of ``eoslab train`` for the network, where PyTorch is installed.
NETWORK = {"hidden": "64,64", "samples": "300", "lr": "2/10", "steps": "500", "eigs": "1"}
NETWORK_NAME = "a tanh network on digits"

INTRODUCTION = """\
Gradient descent with learning rate η is stable only where the sharpness S, the largest eigenvalue of
the Hessian of the loss, is below 2/η. Yet training raises S until it arrives there, and then does not
fall apart: it lives at this edge. Below: how, what theory knows in advance, and the same on real data."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="See the edge of stability in a minute; ends with a report.")
    def demo(
        out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder of runs and report.")]
        = "demo",
        open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open the report on a desktop.")] = True,
        as_json: Json = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    ) -> None:  # fmt: skip
        began = time.perf_counter()
        folder = Path(out)
        say = (lambda text="": None) if as_json else output.line
        say(output.bold("The edge of stability"))
        say(INTRODUCTION)
        done: dict[Case, Any] = {}
        stored: dict[Case, Any] = {}
        for case in CASES:
            done[case], stored[case], plan = _run(case, folder, quiet)
            for text in SECTIONS[case](done[case], plan):
                say(text)
        datasets = {case.name: ds for case, ds in done.items()}
        commands = [case.plan().command for case in done]
        ids = {case.name: {"id": stored[case].id, "run": str(stored[case].path)} for case in CASES}
        if find_spec("torch") is None:
            say(f"\n{output.bold('4  A network')}\n   measured the same way: pip install 'eoslab[torch]'")
        else:
            network, kept, command = _network(folder, quiet)
            datasets[NETWORK_NAME] = network
            commands.append(command)
            ids[NETWORK_NAME] = {"id": kept.id, "run": str(kept.path)}
            for text in _network_text(network, command):
                say(text)
        report = _report(datasets, commands, folder)
        took = time.perf_counter() - began
        if as_json:
            theory = dict(zip(("T1_theory", "T1_measured"), _entry(done[THEORY], THEORY.plan()), strict=True))
            output.emit({"report": str(report), "runs": ids, **theory, "seconds": took})
            return
        say()
        say(f"{output.bold('report')}  {report.resolve()}")
        size = output.size(report.stat().st_size)
        say(f"        {size}, all {len(datasets)} runs with figures; opens without a network")
        say(f"runs    eoslab runs list --store {folder / 'runs'}")
        say(f"yours   eoslab run --lr 2.2      eoslab run --help      {output.dim(output.seconds(took))}")
        if open_it and _has_desktop():
            import webbrowser

            webbrowser.open(report.resolve().as_uri())


def _run(case: Case, folder: Path, quiet: bool) -> tuple[Any, Any, Plan]:
    """Run a case and keep it; a repeated demonstration replaces its runs instead of piling them up."""
    from eoslab.results.store import Store

    plan = case.plan()
    with Stop() as stop:
        ds, _ = execute(plan, stop, quiet=quiet, text=case.name)
        if stop():
            output.note("the demonstration was interrupted; its finished runs are kept")
            raise Finish(stop.exit_code)
    ds = labelled(ds, plan)
    store = Store(folder / "runs")
    same = [run for run in store.list() if run.command == plan.command]
    if same:
        return ds, store.update(same[0].path, ds), plan
    return ds, store.save(ds, command=plan.command), plan


def _network(folder: Path, quiet: bool) -> tuple[Any, Any, str]:
    """Train the network and keep its run in place of that of an earlier demonstration."""
    from eoslab.cli import train
    from eoslab.results.store import Store, StoredRun

    (plan,) = train.make({**train.DEFAULTS, "preset": None, "live": False, **NETWORK}, {})
    store = Store(folder / "runs")
    same = [StoredRun(run.id, run.path) for run in store.list() if run.command == plan.command]
    with Stop() as stop:
        objective = train.networks().recipes.build(plan.settings)
        run = train.execute(plan, objective, store, stop, quiet, replace=same[0] if same else None)
        if stop():
            output.note("the demonstration was interrupted; its runs are kept")
            raise Finish(stop.exit_code)
    return run.dataset(), run.stored, plan.command


def _network_text(ds: Any, command: str) -> list[str]:
    from eoslab.results.network import brief

    facts, ratio = brief(ds), _ratio(ds)
    loss = [output.number(float(ds["loss"][i]), 2) for i in (0, -1)]
    crossing = facts["first_crossing"]
    return [
        "", output.bold("4  A network"), f"   {output.dim(command)}",
        f"   64-64-64-10 tanh on {json.loads(ds.attrs['parameters'])['model']['samples']} of these images. "
        "No formula gives S here: it is measured at every step",
        f"   with an error bound, by {facts['hvp_per_step']:.1f} Hessian-vector products a step.",
        f"   {_spark(ratio, float(ratio.min()), float(ratio.max()))}",
        f"   η·S/2 rises from {ratio[0]:.3f}, passes 1 at step {crossing}, reaches {ratio.max():.3f} and stays",
        f"   at the edge: {facts['mean_ratio_second_half']:.3f} in the mean of the second half, the loss falling "
        f"({loss[0]} → {loss[1]}).",
    ]  # fmt: skip


def _report(done: Mapping[str, Any], commands: list[str], folder: Path) -> Path:
    import eoslab.report

    path = folder / "report.html"
    eoslab.report.report(
        list(done.values()), path, commands=commands, names=list(done),
        title="The edge of stability: a demonstration",
    )  # fmt: skip
    return path


# -- what each run shows ----------------------------------------------------------------------------------


def _head(number: int, title: str, plan: Plan) -> list[str]:
    return ["", f"{output.bold(f'{number}  {title}')}", f"   {output.dim(plan.command)}"]


def _cycles(ds: Any, plan: Plan) -> list[str]:
    ratio = _ratio(ds)
    until = _events(ds, "crossing-down")[-1]
    shown = ratio[: until + until // 10]
    return [
        *_head(1, "Three parameters are enough", plan),
        "   S grows until it passes 2/η; then β1 oscillates and grows, and that pushes S back below 2/η.",
        f"   It happens {int(ds['excursions'])} times, until no fuel is left, while the loss falls all the same "
        f"({output.number(float(ds['loss'][0]), 2)} → {output.number(float(ds['loss'][-1]), 2)}):",
        f"   {_spark(shown, 0.995, float(shown.max()))}",
        f"   η·S/2 at steps 0 to {len(shown)}; passes 1 first at step {_events(ds, 'crossing-up')[0]}, at most "
        f"{ratio.max():.3f}, in the end {ratio[-1]:.4f}",
    ]


def _theory(ds: Any, plan: Plan) -> list[str]:
    (low, high), measured = _entry(ds, plan)
    return [
        *_head(2, "Known in advance", plan),
        f"   Theorem 3.2, from the start alone: the edge is reached between steps {low:.0f} and {high:.0f}.",
        f"   Measured: step {measured}, {'inside' if low <= measured <= high else 'OUTSIDE'} the interval.",
    ]


def _entry(ds: Any, plan: Plan) -> tuple[tuple[float, float], int]:
    """The interval of Theorem 3.2 for T1 in whole steps, and T1 as measured."""
    import math

    from eoslab.theory.sharpening import entry

    model, lr = plan.model, plan.rule.lr
    alpha, beta1, beta2 = plan.w0
    bounds = entry(alpha, beta1, beta2, lr * model.lambda2, lr * model.lambda1).T1
    assert bounds is not None
    # both ends are computed in float64: a bound that is a whole number must not lose it to rounding
    return (math.ceil(bounds[0] * (1 - 1e-12)), math.floor(bounds[1] * (1 + 1e-12))), int(ds["T1"])


def _small(ds: Any, plan: Plan) -> list[str]:
    images = output.number(plan.data["samples"])
    return [
        *_head(3, "Real data", plan),
        f"   {images} images of handwritten digits, target even or odd, a linear network of width one:",
        f"   its loss is exactly the same model, with {plan.model.d} directions instead of two.",
        f"   η = 1:  S {_life(ds)}",
    ]


def _large(ds: Any, plan: Plan) -> list[str]:
    return [
        f"   η = 2:  S {_life(ds)}",
        "           Every second step alone would look calm.",
        f"   Which directions oscillate at η = 2? {_moving(ds)}:",
        "   not the irrelevant ones only, as in the model with three parameters; the target itself is moving.",
    ]


def _life(ds: Any) -> str:
    """First crossing, overshoot, and between which values the last two steps lie."""
    ratio = _ratio(ds)
    low, high = sorted(ratio[-2:])
    end = f"{'ends in a lasting two-cycle' if high > 1.1 * low else 'then hovers'}, η·S/2 = {low:.3f} ↔ {high:.3f}"
    return f"passes 2/η at step {_events(ds, 'crossing-up')[0]}, overshoots to {ratio.max():.2f}·2/η, {end}."


def _moving(ds: Any) -> str:
    moving, share = oscillating(ds)
    return f"{len(moving)} of {len(ds['relevance'])} measured, carrying {100 * share:.0f} % of what can be learnt"


def _ratio(ds: Any) -> Any:
    """η·S_eff over the threshold, at every step."""
    return ds["eta_sharpness"].values / float(ds["threshold"])


def _events(ds: Any, kind: str) -> list[int]:
    """The steps of the events of a kind."""
    return [int(step) for step in ds["event_step"].values[ds["event_kind"].values == kind]]


SECTIONS = {CYCLES: _cycles, THEORY: _theory, SMALL: _small, LARGE: _large}


def _spark(values: Any, low: float, high: float, width: int = 60) -> str:
    """A line of blocks: the largest value in each of ``width`` stretches."""
    import numpy as np

    levels = "▁▂▃▄▅▆▇█"
    tops = [float(np.nanmax(part)) for part in np.array_split(np.asarray(values), width)]
    return "".join(levels[int(min(max((t - low) / (high - low), 0), 0.999) * len(levels))] for t in tops)


def _has_desktop() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
