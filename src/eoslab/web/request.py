"""What a page may ask for: a flat mapping with the names of the command's options, checked and bounded.

The same mapping is the query of a link, the message over the WebSocket and, spelled out, a command.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from eoslab.core import catalog
from eoslab.core.errors import InvalidArgument, whole
from eoslab.results.grid import parse_value

__all__ = ["DEFAULT_LR", "DEFAULT_STEPS", "MAX_STEPS", "OPTION_OF", "Request", "catalogue", "models", "parse"]

#: The start of ``eoslab run`` without options.
DEFAULT_LR, DEFAULT_STEPS = 2.4, 3000
#: Longer runs are for the command line: a page has no use for more points than it has pixels.
MAX_STEPS = 200_000
#: Largest magnitude of any parameter. Beyond it there is nothing to see but overflow.
LARGEST = 1e9
#: Settings that the command line calls otherwise.
OPTION_OF = {"beta_min": "floor"}
#: What a request may hold besides parameters.
PLAIN = ("model", "optimizer", "lr", "init", "steps")
#: Learning rates at which the default start of a model shows something.
START_LR = {"minimalist": DEFAULT_LR, "uv": 0.6, "quadratic": 1.5, "berthier": 0.05, "scalar-product": 0.2}


@dataclass(frozen=True)
class Request:
    """One trajectory: everything that it depends on."""

    model: Any
    rule: Any
    w0: tuple[float, ...]
    steps: int

    def run(self) -> Any:
        """The labelled trajectory."""
        from eoslab.results.trajectory import trajectory

        return trajectory(self.model, self.rule, self.w0, steps=self.steps)

    @property
    def command(self) -> str:
        """The same run on the command line."""
        words = ["eoslab run"]
        if self.model.name != "minimalist":
            words.append(f"--model {self.model.name}")
        for name, value in self.model.settings.items():
            plain = name in ("lambda1", "lambda2", "b")
            words.append(f"--{name} {value!r}" if plain else f"--param {name}={value!r}")
        if self.rule.name != "gd":
            words.append(f"--optimizer {self.rule.name}")
        words += [f"--{OPTION_OF.get(n, n).replace('_', '-')} {v!r}" for n, v in self.rule.settings.items()]
        words.append(f"--init={','.join(map(repr, self.w0))} --steps {self.steps}")
        return " ".join(words)

    @property
    def python(self) -> str:
        """The same run in Python."""
        model, rule = (
            f"{type(x).__name__}({', '.join(f'{k}={v!r}' for k, v in x.settings.items())})"
            for x in (self.model, self.rule)
        )
        head = "import eoslab\n"
        rule_home = "eoslab.optimizers"
        if not hasattr(__import__("eoslab").optimizers, type(self.rule).__name__):
            head += f"from {type(self.rule).__module__} import {type(self.rule).__name__}\n"
            rule_home = ""
        rule = f"{rule_home}.{rule}" if rule_home else rule
        return (
            f"{head}\nds = eoslab.trajectory(\n    eoslab.models.{model},\n    {rule},\n"
            f"    {list(self.w0)!r},\n    steps={self.steps},\n)\n"
        )


def models() -> dict[str, Any]:
    """Models with controls: a handful of numbers each. Models of data are not chosen by sliders."""
    return {
        name: item
        for name, item in catalog.plugins("eoslab.models").items()
        if isinstance(getattr(item, "params", None), tuple) and all(f.default is not MISSING for f in fields(item))
    }


def catalogue() -> dict[str, Any]:
    """What there is to choose from, for the page's controls."""
    found: dict[str, Any] = {"models": {}, "optimizers": {}, "max_steps": MAX_STEPS, "steps": DEFAULT_STEPS}
    for name, item in models().items():
        found["models"][name] = {
            "about": (inspect.getdoc(item) or "").split("\n")[0],
            "settings": {f.name: f.default for f in fields(item)},
            "params": list(item.params),
            "start": list(item.default_w0),
            "lr": START_LR.get(name, 0.3),
        }
    for name, item in catalog.plugins("eoslab.optimizers").items():
        found["optimizers"][name] = {
            "about": (inspect.getdoc(item) or "").split("\n")[0],
            "settings": {OPTION_OF.get(f.name, f.name): f.default for f in fields(item) if f.name != "lr"},
            "models": list(getattr(item, "models", None) or found["models"]),
        }
    return found


def parse(asked: Mapping[str, Any]) -> Request:
    """The request that a message or a query describes; keys that mean nothing here are ignored.

    Raises :class:`~eoslab.core.errors.InvalidArgument` or UnknownName, with the name of the field.
    """
    name = str(asked.get("model", "minimalist"))
    kinds = models()
    if name not in kinds:
        catalog.find("eoslab.models", name, "model")
        raise InvalidArgument("model", name, f"one of {', '.join(kinds)}")
    rule_kind = catalog.find("eoslab.optimizers", str(asked.get("optimizer", "gd")), "optimizer")
    allowed = getattr(rule_kind, "models", None)
    if allowed is not None and name not in allowed:
        raise InvalidArgument("optimizer", rule_kind.name, f"an optimizer that is defined for the model {name}")
    kind = kinds[name]
    model = kind(**{f.name: _number(asked, f.name, f.default) for f in fields(kind)})
    settings = {
        f.name: _number(asked, OPTION_OF.get(f.name, f.name), f.default)
        for f in fields(rule_kind)
        if f.name != "lr"
    }
    rule = rule_kind(lr=_number(asked, "lr", START_LR.get(name, 0.3)), **settings)
    steps = whole("steps", _number(asked, "steps", DEFAULT_STEPS), 1)
    if steps > MAX_STEPS:
        raise InvalidArgument("steps", steps, f"at most {MAX_STEPS}; for longer runs take eoslab run")
    return Request(model, rule, _start(asked, kind), steps)


def _number(asked: Mapping[str, Any], name: str, default: Any) -> float:
    value = asked.get(name, default)
    if isinstance(value, str) and len(value) < 64:
        value = parse_value(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(name, repr(value)[:40], "a number, or a fraction like 2/150")
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise InvalidArgument(name, value, f"a number of magnitude at most {LARGEST:g}")
    return float(value)


def _start(asked: Mapping[str, Any], kind: Any) -> tuple[float, ...]:
    init = asked.get("init", kind.default_w0)
    if isinstance(init, str):
        init = init[:400].split(",")
    if not isinstance(init, (list, tuple)) or len(init) != len(kind.params):
        raise InvalidArgument("init", repr(init)[:60], f"{len(kind.params)} numbers: {', '.join(kind.params)}")
    return tuple(_number({name: x}, name, 0.0) for name, x in zip(kind.params, init, strict=True))
