"""What a page may ask for: a flat mapping with the names of the command's options, checked and bounded.

The same mapping is the query of a link, the message over the WebSocket and, spelled out, a command.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any

from eoslab.core import catalog
from eoslab.core.errors import InvalidArgument, whole
from eoslab.plots import FIGURES
from eoslab.results.grid import parse_value
from eoslab.web import presets, tour
from eoslab.web.datasets import Digits
from eoslab.web.defaults import TABLES, VERSION, table

__all__ = ["MAX_STEPS", "OPTION_OF", "Request", "catalogue", "models", "parse"]

#: Longer runs are for the command line: a page has no use for more points than it has pixels.
MAX_STEPS = 200_000
#: Largest magnitude of any parameter. Beyond it there is nothing to see but overflow.
LARGEST = 1e9
#: Settings that the command line calls otherwise.
OPTION_OF = {"beta_min": "floor"}
#: Figures that the run of a model can have; what a run lacks is said when it is asked for.
EXPORTED = (
    "loss-sharpness", "loss-split", "gfs", "gfs-phases", "phase-portrait", "displacement", "stable-set", "phases",
    "theory", "directions",
)  # fmt: skip
#: The learning rate of a model that no table of defaults knows: one that was plugged in.
OTHER_LR = 0.3


@dataclass(frozen=True)
class Request:
    """One trajectory: everything that it depends on.

    ``chosen`` is what the controls set: a model of the catalogue, or a data set whose model and start follow from
    ``given``, the start as typed.
    """

    chosen: Any
    rule: Any
    given: tuple[float, ...]
    steps: int

    @property
    def of_data(self) -> bool:
        """Whether the model was made from data."""
        return isinstance(self.chosen, Digits)

    @property
    def model(self) -> Any:
        """The model that runs."""
        return self.chosen.model if self.of_data else self.chosen

    @cached_property
    def w0(self) -> tuple[float, ...]:
        """The point at which it starts."""
        w0: tuple[float, ...] = self.chosen.start(self.given) if self.of_data else self.given
        return w0

    def run(self) -> Any:
        """The labelled trajectory."""
        from eoslab.results.trajectory import trajectory

        return trajectory(self.model, self.rule, self.w0, steps=self.steps)

    @property
    def command(self) -> str:
        """The same run on the command line."""
        words = ["eoslab run"]
        if self.of_data:
            words += self.chosen.words
        elif self.chosen.name != table()["model"]:
            words.append(f"--model {self.chosen.name}")
        for name, value in self.chosen.settings.items():
            plain = name in ("lambda1", "lambda2", "b")
            words.append(f"--{name} {value!r}" if plain else f"--param {name}={value!r}")
        if self.rule.name != table()["optimizer"]:
            words.append(f"--optimizer {self.rule.name}")
        words += [f"--{OPTION_OF.get(n, n).replace('_', '-')} {v!r}" for n, v in self.rule.settings.items()]
        words.append(f"--init={','.join(map(repr, self.given))} --steps {self.steps}")
        return " ".join(words)

    @property
    def python(self) -> str:
        """The same run in Python."""
        imports, before, model = ["import eoslab"], "", f"eoslab.models.{_call(self.chosen)}"
        start = repr(list(self.given))
        if self.of_data:
            more, before, draw = self.chosen.code
            imports.append(more)
            model, start = "model", draw.format(*map(repr, self.given))
            before += "\n"
        rule = f"eoslab.optimizers.{_call(self.rule)}"
        if not hasattr(__import__("eoslab").optimizers, type(self.rule).__name__):
            imports.append(f"from {type(self.rule).__module__} import {type(self.rule).__name__}")
            rule = _call(self.rule)
        head = "\n".join(imports)
        return (
            f"{head}\n\n{before}ds = eoslab.trajectory(\n    {model},\n    {rule},\n"
            f"    {start},\n    steps={self.steps},\n)\n"
        )


def _call(item: Any) -> str:
    return f"{type(item).__name__}({', '.join(f'{k}={v!r}' for k, v in item.settings.items())})"


def models() -> dict[str, Any]:
    """Models with controls: a handful of numbers each, or a data set with a start."""
    found = {
        name: item
        for name, item in catalog.plugins("eoslab.models").items()
        if isinstance(getattr(item, "params", None), tuple) and all(f.default is not MISSING for f in fields(item))
    }
    return found | {Digits.name: Digits}


def catalogue() -> dict[str, Any]:
    """What there is to choose from, for the page's controls, its presets and its tour."""
    from eoslab.web.maps import axes_of
    from eoslab.web.overlays import offered

    rules = catalog.plugins("eoslab.optimizers")
    kinds = models()
    return {
        "models": {
            name: {
                "about": _about(item),
                "settings": [f.name for f in fields(item)],
                "params": list(item.params),
                "axes": axes_of(name),
                "optimizers": [r for r, rule in rules.items() if name in (getattr(rule, "models", None) or kinds)],
            }
            for name, item in kinds.items()
        },
        "optimizers": {
            name: {
                "about": _about(item),
                "settings": [OPTION_OF.get(f.name, f.name) for f in fields(item) if f.name != "lr"],
            }
            for name, item in rules.items()
        },
        "overlays": {name: {r: offered(item, rule) for r, rule in rules.items()} for name, item in kinds.items()},
        "defaults": {version: completed(version) for version in TABLES},
        "version_of_links": VERSION,
        "max_steps": MAX_STEPS,
        "presets": presets.listed(),
        "tour": tour.listed(),
        "figures": [{"name": f.name, "title": f.title} for f in FIGURES.values() if f.name in EXPORTED],
    }


def completed(version: Any = VERSION, tables: Mapping[int, dict[str, Any]] = TABLES) -> dict[str, Any]:
    """The defaults of a version of links, with what was plugged in since as it is today.

    ``unversioned`` names the models and optimizers that no table holds: links about them omit nothing.
    """
    known = table(version, tables)
    plain = {
        name: {
            "lr": OTHER_LR,
            "settings": {f.name: f.default for f in fields(item)},
            "start": list(item.default_w0),
        }
        for name, item in models().items()
    }
    rules = {
        name: {OPTION_OF.get(f.name, f.name): f.default for f in fields(item) if f.name != "lr"}
        for name, item in catalog.plugins("eoslab.optimizers").items()
    }
    return {
        **known,
        "models": plain | known["models"],
        "optimizers": rules | known["optimizers"],
        "unversioned": sorted((plain.keys() - known["models"]) | (rules.keys() - known["optimizers"])),
    }


def _about(item: Any) -> str:
    return (inspect.getdoc(item) or "").split("\n")[0].replace("``", "")


def parse(asked: Mapping[str, Any], tables: Mapping[int, dict[str, Any]] = TABLES) -> Request:
    """The request that a message or a query describes; keys that mean nothing here are ignored.

    ``v`` says which defaults stand for keys that are absent (today's without it). Raises
    :class:`~eoslab.core.errors.InvalidArgument` or UnknownName, with the name of the field.
    """
    defaults = completed(asked.get("v", max(tables)), tables)
    name = str(asked.get("model", defaults["model"]))
    kinds = models()
    if name not in kinds:
        catalog.find("eoslab.models", name, "model")
        raise InvalidArgument("model", name, f"one of {', '.join(kinds)}")
    rule_name = str(asked.get("optimizer", defaults["optimizer"]))
    rule_kind = catalog.find("eoslab.optimizers", rule_name, "optimizer")
    allowed = getattr(rule_kind, "models", None)
    if allowed is not None and name not in allowed:
        raise InvalidArgument("optimizer", rule_kind.name, f"an optimizer that is defined for the model {name}")
    kind, own, of_rule = kinds[name], defaults["models"][name], defaults["optimizers"][rule_name]
    chosen = kind(**{f.name: _number(asked, f.name, own["settings"][f.name]) for f in fields(kind)})
    options = {f.name: OPTION_OF.get(f.name, f.name) for f in fields(rule_kind) if f.name != "lr"}
    settings = {field: _number(asked, option, of_rule[option]) for field, option in options.items()}
    rule = rule_kind(lr=_number(asked, "lr", own["lr"]), **settings)
    steps = whole("steps", _number(asked, "steps", defaults["steps"]), 1)
    if steps > MAX_STEPS:
        raise InvalidArgument("steps", steps, f"at most {MAX_STEPS}; for longer runs take eoslab run")
    return Request(chosen, rule, _start(asked, kind, own["start"]), steps)


def _number(asked: Mapping[str, Any], name: str, default: Any) -> float:
    value = asked.get(name, default)
    if isinstance(value, str) and len(value) < 64:
        value = parse_value(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(name, repr(value)[:40], "a number, or a fraction like 2/150")
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise InvalidArgument(name, value, f"a number of magnitude at most {LARGEST:g}")
    return float(value)


def _start(asked: Mapping[str, Any], kind: Any, default: Any) -> tuple[float, ...]:
    init = asked.get("init", default)
    if isinstance(init, str):
        init = init[:400].split(",")
    if not isinstance(init, (list, tuple)) or len(init) != len(kind.params):
        raise InvalidArgument("init", repr(init)[:60], f"{len(kind.params)} numbers: {', '.join(kind.params)}")
    start = tuple(_number({name: x}, name, 0.0) for name, x in zip(kind.params, init, strict=True))
    if "sd" in kind.params and start[kind.params.index("sd")] < 0:
        raise InvalidArgument("init", start, "a spread ≥ 0 after alpha")
    return start
