"""What the commands about networks share: PyTorch, the options that describe a network, the rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from eoslab.cli import parse
from eoslab.core.errors import InvalidArgument, MissingPackage, UnknownName

__all__ = ["RULE_OPTIONS", "described", "networks", "rule_of"]

#: Options that set a setting of an optimizer, where it has one of that name.
RULE_OPTIONS = ("beta", "beta1", "beta2", "eps", "rho", "weight_decay")


def networks() -> Any:
    """The package :mod:`eoslab.nn`; raises :class:`~eoslab.core.errors.MissingPackage` without PyTorch."""
    try:
        import torch  # noqa: F401
    except ImportError as e:
        raise MissingPackage("networks need PyTorch, which is not installed", "pip install 'eoslab[torch]'") from e
    import eoslab.nn

    return eoslab.nn


def described(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a network and its data, as :func:`eoslab.nn.recipes.build` takes them."""
    settings: dict[str, Any] = {}
    if options.get("module"):
        path, colon, name = str(options["module"]).rpartition(":")
        if not (colon and path):
            path, name = str(options["module"]), "build"
        if not Path(path).expanduser().is_file():
            raise InvalidArgument("module", options["module"], "file.py:function", f"there is no file {path}")
        # a run is resumed from another folder as well
        settings["module"] = f"{Path(path).expanduser().resolve()}:{name}"
    else:
        settings["arch"] = options["arch"]
        if options.get("hidden"):
            settings["hidden"] = [parse.steps("hidden", w.strip(), 1) for w in str(options["hidden"]).split(",")]
        if options.get("act"):
            settings["act"] = options["act"]
    settings["data"] = _dataset(str(options["data"]), settings)
    if options.get("samples"):
        settings["samples"] = parse.steps("samples", options["samples"], 1)
    if options.get("data_dir"):
        settings["data_dir"] = str(Path(options["data_dir"]).expanduser().resolve())
    settings["loss"], settings["dtype"] = options["loss"], options["dtype"]
    settings["seed"] = parse.steps("seed", options["seed"])
    if options.get("chunk"):
        settings["chunk"] = parse.steps("chunk", options["chunk"], 1)
    return settings


def _dataset(text: str, settings: dict[str, Any]) -> str:
    """``cifar10-5k`` is the first 5,000 samples of ``cifar10``."""
    name, dash, size = text.rpartition("-")
    if dash and size.endswith("k") and size[:-1].isdigit():
        settings["samples"] = 1000 * int(size[:-1])
        return name
    return text


def rule_of(options: Mapping[str, Any], given: set[str], lr: float) -> Any:
    """The update rule; an option given as a flag is refused where the rule has no such setting."""
    rules = networks().rules.RULES
    name = options["optimizer"]
    if name not in rules:
        raise UnknownName("optimizer", name, rules)
    known = [f.name for f in fields(rules[name])]
    values = {}
    for key in RULE_OPTIONS:
        if options.get(key) is None:
            continue
        if key in known:
            values[key] = parse.number(key, options[key])
        elif key in given:
            raise InvalidArgument(key, options[key], f"a setting of {name!r}: {', '.join(known)}")
    return rules[name](lr=lr, **values)
