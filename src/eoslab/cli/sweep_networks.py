"""The part of ``eoslab sweep`` that is about networks: which options are lists, and the run of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eoslab.cli import parse, train
from eoslab.cli.network import RULE_OPTIONS, networks
from eoslab.core.errors import InvalidArgument

__all__ = ["NUMBERS", "ONLY_NETWORKS", "WORDS", "Run", "asked", "plan"]

#: Options of ``eoslab train`` that may be lists of words …
WORDS = ("arch", "hidden", "act", "data", "data_dir", "module", "loss", "optimizer", "probes", "dtype", "preset")
#: … and of numbers, also as ranges.
NUMBERS = (
    *("samples", *RULE_OPTIONS, "lr", "eigs", "every", "dense", "tol", "seed", "batch", "chunk", "until_loss"),
)
#: Options of a sweep that mean nothing for models.
ONLY_NETWORKS = tuple(
    name for name in (*WORDS, *NUMBERS) if name not in ("data", "optimizer", "lr", "samples", "seed")
)
#: Options of ``eoslab train`` that a sweep does not have.
OFF = {"live": False, "flow": False}
#: The name of an axis where that of its option is a result: the loss function, and the loss.
AXES = {"loss": "loss_fn"}


@dataclass(frozen=True)
class Run:
    """The run of a cell, as ``eoslab train`` would make it: a function of the swept options."""

    options: Mapping[str, Any]
    sources: Mapping[str, str]

    def __call__(self, **cell: Any) -> Any:
        from eoslab.results.grid import label

        names = {axis: option for option, axis in AXES.items()}
        typed = {names.get(axis, axis): label(value) for axis, value in cell.items()}
        (made,) = train.make({**self.options, **typed}, {**self.sources, **dict.fromkeys(typed, "flag")})
        return made.experiment


def asked(given: Mapping[str, Any], of_models: Mapping[str, Any]) -> bool:
    """Whether the options ask for networks; refuses what belongs to the other kind of sweep.

    ``given`` are the options of networks, ``of_models`` those of models alone, each only where it was typed.
    """
    if "arch" in given or "module" in given or "preset" in given:
        which = next(name for name in ("arch", "module", "preset") if name in given)
        for name, value in of_models.items():
            raise InvalidArgument(
                name, value, f"nothing beside --{which}",
                "it belongs to sweeps of models; a sweep of networks takes the options of eoslab train",
            )  # fmt: skip
        return True
    for name in ONLY_NETWORKS:
        if name in given:
            help = "a sweep of models takes settings of the optimizer as --axis NAME=RANGE"
            raise InvalidArgument(name, given[name], "--arch or --module with it: it belongs to networks", help)
    return False


def plan(given: Mapping[str, Any], steps: str | None, design: str, cells: int | None) -> Any:
    """The plan of the sweep that the typed options describe."""
    networks()
    from eoslab.nn import sweeps
    from eoslab.results.grid import label

    grid: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for name, text in given.items():
        axis = _axis(name, str(text))
        if len(axis.values) > 1:
            grid[AXES.get(name, name)] = axis
        else:
            (value,) = axis.values
            fixed[name] = label(value) if ":" in str(text) and name in NUMBERS else str(text).strip()
    if not grid:
        raise InvalidArgument(
            "sweep", "no option with several values", "at least one",
            "e.g. --lr '2/40|2/60' or --seed 0:4:5; a single network is eoslab train",
        )  # fmt: skip
    if steps is not None:
        fixed["steps"] = steps
    options = {**train.DEFAULTS, "preset": None, **OFF, **fixed}
    sources = dict.fromkeys(fixed, "flag")
    if "optimizer" in grid:
        _settings_of_some(grid["optimizer"].values, fixed)
        # a setting is passed to those of the optimizers that have it
        sources = {name: source for name, source in sources.items() if name not in RULE_OPTIONS}
    about = {name: value for name, value in options.items() if name not in (*OFF, "checkpoint_every", "steps")}
    if "module" in given:
        about |= dict.fromkeys(("arch", "hidden", "act"))  # it brings its own
    for name in grid:
        about.pop({axis: option for option, axis in AXES.items()}.get(name, name))
    return sweeps.plan(Run(options, sources), grid, design=design, samples=cells, about=about)


def _axis(name: str, text: str) -> Any:
    """The values of an option: words as they are typed, numbers with fractions and ranges."""
    from eoslab.results.grid import Axis, checked, parse_axis

    option = name.replace("_", "-")
    if name in WORDS:
        return checked(Axis(option, tuple(part.strip() for part in text.split("|"))))
    if "," in text:
        raise InvalidArgument(name, text, "values separated by |", f"--{option} '{text.replace(',', '|')}'")
    if "|" not in text and ":" not in text:
        return Axis(option, (parse.number(name, text),))
    axis = parse_axis(name, text)
    if not axis.numeric:
        wrong = next(value for value in axis.values if not isinstance(value, float))
        raise InvalidArgument(name, wrong, "numbers: a|b|c, lo:hi:n or lo:hi:n:log")
    return axis


def _settings_of_some(optimizers: tuple[str, ...], fixed: Mapping[str, Any]) -> None:
    """Refuse a setting that none of the optimizers has."""
    from dataclasses import fields

    rules = networks().rules.RULES
    known = {f.name for name in optimizers if name in rules for f in fields(rules[name])}
    for name in RULE_OPTIONS:
        if name in fixed and name not in known:
            raise InvalidArgument(name, fixed[name], f"a setting of one of {', '.join(optimizers)}")
