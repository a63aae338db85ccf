"""From typed options to what the library needs: a model, a rule, a start; and the command that repeats it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from eoslab.cli import memory, output, parse
from eoslab.core import catalog
from eoslab.core.errors import InvalidArgument, UnknownName

__all__ = ["DEFAULTS", "Plan", "fits", "make"]

#: ``eoslab run`` without options: a run that sharpens, crosses the edge, bursts and settles.
DEFAULTS: dict[str, Any] = {
    "model": "minimalist",
    "lambda1": "1",
    "lambda2": "0.004",
    "b": "1",
    "param": [],
    "lr": "2.4",
    "init": None,
    "steps": "3000",
    "optimizer": "gd",
    "beta": None,
    "beta1": None,
    "beta2": None,
    "eps": None,
    "floor": None,
    "data": None,
    "target": None,
    "scale": "none",
    "batch": None,
    "seed": "0",
    "record_every": "1",
}
#: Options that set a parameter of a model or a setting of an optimizer, where it has one of that name.
MODEL_OPTIONS = ("lambda1", "lambda2", "b")
RULE_OPTIONS = {"beta": "beta", "beta1": "beta1", "beta2": "beta2", "eps": "eps", "floor": "beta_min"}
#: Measured on one core of 2026: time per step stored, decimated, and per parameter beyond three.
STEP_SECONDS = (1.0e-6, 3e-7, 1.5e-7)


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs, and how to say it again."""

    model: Any
    rule: Any
    w0: Any
    steps: int
    record_every: int = 1
    seed: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    sources: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that will be stored at most."""
        return memory.rows_of(self.steps, self.record_every)

    @property
    def bytes(self) -> float:
        """Memory at the peak."""
        return memory.needed(self.rows, len(self.model.params))

    @property
    def seconds(self) -> float:
        """A rough estimate of the time, without the first compilation of a kernel."""
        stored, decimated, each = STEP_SECONDS
        return self.steps * (
            (stored if self.record_every == 1 else decimated) + each * (len(self.model.params) - 3)
        )

    def describe(self) -> dict[str, Any]:
        """The plan as one record."""
        return {
            "model": self.model.name,
            "parameters": {k: output.plain(v) for k, v in self.model.settings.items()},
            "data": self.data or None,
            "optimizer": self.rule.name,
            "settings": {k: output.plain(v) for k, v in self.rule.settings.items()},
            "threshold": self.rule.threshold.value,
            "start": [float(x) for x in self.w0],
            "steps": self.steps,
            "record_every": self.record_every,
            "stored_steps_at_most": self.rows,
            "memory_bytes": round(self.bytes),
            "memory_available_bytes": memory.available(),
            "seconds_estimate": self.seconds,
            "command": self.command,
        }


def fits(steps: int, record_every: int, parameters: int) -> None:
    """Refuse a run that memory cannot hold."""
    rows, there = memory.rows_of(steps, record_every), memory.available()
    bytes = memory.needed(rows, parameters)
    if there is None or bytes <= 0.8 * there:
        return
    room = max(0.5 * there - memory.BASE, 1e6)
    every = max(2, math.ceil(4 * steps * (bytes - memory.BASE) / rows / room))
    raise InvalidArgument(
        "steps", steps,
        f"what fits in memory: {output.number(rows)} stored steps need {output.size(bytes)}, "
        f"{output.size(there)} are available",
        f"store fewer of them: --record-every {_round_up(every)} keeps all events and peaks",
    )  # fmt: skip


def make(options: Mapping[str, Any], sources: Mapping[str, str]) -> Plan:
    """The plan that the options of ``eoslab run`` describe.

    Only an option given as a flag is refused where the model or optimizer has no such setting: a file or an
    environment may serve many commands.
    """
    given = {name for name, source in sources.items() if source == "flag"}
    words: list[str] = []
    steps = parse.steps("steps", options["steps"], 1)
    every = parse.steps("record_every", options["record_every"], 1)
    seed = parse.steps("seed", options["seed"])
    data: dict[str, Any] = {}
    if options["data"]:
        model, data = _model_from_data(options, given, words)
    else:
        model = _model(options, given, words)
    rule = _rule(options, given, words)
    w0 = _start(options, model, seed, words)
    words += ["--steps", str(steps)]
    if every != 1:
        words += ["--record-every", str(every)]
    if options["data"]:
        words += ["--seed", str(seed)]
    if options["batch"]:
        rule = _mini_batch(options, rule, seed, words)
    used = {
        k: v for k, v in sources.items() if k == "init" or (k in DEFAULTS and options.get(k) not in (None, []))
    }
    typed = {word[2:]: text for word, text in pairwise(words) if word.startswith("--")}
    return Plan(model, rule, w0, steps, every, seed, data, "eoslab run " + shlex.join(words), used, typed)


def _model(options: Mapping[str, Any], given: set[str], words: list[str]) -> Any:
    for name in ("target", "scale", "batch"):
        if name in given:
            raise InvalidArgument(name, options[name], "--data with it", "only a run on data has one")
    cls = catalog.find("eoslab.models", options["model"], "model")
    known = {f.name: str(f.type) for f in fields(cls) if str(f.type).startswith(("float", "int", "tuple[float"))}
    values: dict[str, Any] = {}
    for name in MODEL_OPTIONS:
        if name in known:
            values[name] = options[name]
        elif name in given:
            raise InvalidArgument(name, options[name], f"a parameter of model {cls.name!r}: {', '.join(known)}")
    for text in options["param"]:
        key, value = parse.pair("param", text)
        if key not in known:
            raise UnknownName(f"parameter of {cls.name}", key, known, "param")
        values[key] = value
    if options["model"] != "minimalist":
        words += ["--model", options["model"]]
    for key, value in values.items():
        words += [f"--{key}", value] if key in MODEL_OPTIONS else ["--param", f"{key}={value}"]
    return cls(**{key: _value(key, text, known[key]) for key, text in values.items()})


def _value(name: str, text: str, kind: str) -> Any:
    if kind.startswith("tuple"):
        return tuple(parse.numbers(name, text))
    return parse.steps(name, text) if kind.startswith("int") else parse.number(name, text)


def _model_from_data(options: Mapping[str, Any], given: set[str], words: list[str]) -> tuple[Any, dict[str, Any]]:
    for name in (*MODEL_OPTIONS, "param"):
        if name in given:
            raise InvalidArgument(name, options[name], "nothing: with --data the model comes from the data")
    if "model" in given and not options["model"].startswith("minimalist"):
        raise InvalidArgument("model", options["model"], "minimalist: --data makes its d-input form")
    from eoslab.models.minimalist_d import MinimalistD
    from eoslab.results.data import load

    target = options["target"] or ("parity" if options["data"] == "digits" else "")
    X, y, about = load(options["data"], target or None, options["scale"])
    words += ["--data", options["data"], "--target", target]
    if options["scale"] != "none":
        words += ["--scale", options["scale"]]
    return MinimalistD.from_data(X, y), about


def _rule(options: Mapping[str, Any], given: set[str], words: list[str]) -> Any:
    cls = catalog.find("eoslab.optimizers", options["optimizer"], "optimizer")
    known = {f.name for f in fields(cls)}
    values = {"lr": options["lr"]}
    flags = {"lr": "lr"}
    for option, setting in RULE_OPTIONS.items():
        if options[option] is None:
            continue
        if setting in known:
            values[setting], flags[setting] = options[option], option
        elif option in given:
            has = [o for o, s in RULE_OPTIONS.items() if s in known]
            raise InvalidArgument(
                option, options[option], f"an option of optimizer {cls.name!r}",
                f"{cls.name} takes --lr" + "".join(f", --{o}" for o in has),
            )  # fmt: skip
    if options["optimizer"] != "gd":
        words += ["--optimizer", options["optimizer"]]
    for key, text in values.items():
        words += [f"--{flags[key]}", text]
    return cls(**{key: parse.number(flags[key], text) for key, text in values.items()})


def _start(options: Mapping[str, Any], model: Any, seed: int, words: list[str]) -> Any:
    n = len(model.params)
    text = options["init"]
    if not options["data"]:
        w0 = parse.numbers("init", text) if text else list(model.default_w0)
        if len(w0) != n:
            raise InvalidArgument(
                "init", f"{len(w0)} number{'s' * (len(w0) != 1)}", f"{n}: {', '.join(model.params[:6])}"
            )
        words += ["--init", text or ",".join(f"{x!r}" for x in w0)]
        return w0
    text = text or "0.3,0.02"
    words += ["--init", text]
    w0 = parse.numbers("init", text)
    if len(w0) == n:
        return w0
    if len(w0) > 2:
        raise InvalidArgument("init", f"{len(w0)} numbers", f"alpha0[,SD], or all {n} numbers")
    alpha0, sd = w0[0], w0[1] if len(w0) == 2 else 0.02
    if sd < 0:
        raise InvalidArgument("init", sd, "a standard deviation ≥ 0 after alpha0")
    return list(model.random_start(alpha0, sd, seed))


def _mini_batch(options: Mapping[str, Any], rule: Any, seed: int, words: list[str]) -> Any:
    from eoslab.dynamics import MiniBatch

    size = parse.steps("batch", options["batch"], 1)
    words += ["--batch", str(size)]
    return MiniBatch(rule, size, seed)


def _round_up(n: int) -> int:
    """To one leading digit, upwards."""
    scale = int(10 ** (len(str(n)) - 1))
    return -(-n // scale) * scale
