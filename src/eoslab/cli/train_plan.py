"""What ``eoslab train`` is asked for: its options as plans, one a learning rate, and what they will cost."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eoslab.cli import parse
from eoslab.cli.network import described, networks, rule_of
from eoslab.core.errors import InvalidArgument, UnknownName

__all__ = ["DEFAULTS", "TrainPlan", "describe", "make"]

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
        every = parse.steps("probes", often, 1) if often else cls().every
        if getattr(cls, "at_eigenvalues", False) and every != 1 and every % found[0].every:
            if often:
                raise InvalidArgument(
                    "probes", item, f"a multiple of {found[0].every} steps (--every) for {name!r}",
                    "it is measured where the eigenvalues are",
                )  # fmt: skip
            every = -(-every // found[0].every) * found[0].every
        more: dict[str, Any] = {"every": every}
        if options["batch"] and "batch" in cls.__dataclass_fields__:
            more["batch"] = parse.steps("batch", options["batch"], 1)
        found.append(cls(**more))
    return found


def describe(plan: TrainPlan, objective: Any) -> dict[str, Any]:
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
