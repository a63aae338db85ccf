"""What was run, with what, where: the attributes of a data set, and the way back from them to objects."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab import __version__
from eoslab.core import catalog
from eoslab.core.errors import DamagedRun, EoslabError
from eoslab.results.store import FORMAT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["attributes", "parameters", "rebuild", "stamp"]


def attributes(model: Any, rule: Any, outcome: str, run: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a new data set: format, versions, platform, and ``parameters`` as JSON.

    ``run`` holds the settings that are neither the model's nor the optimizer's: start, steps, record_every.
    Numbers are written with as many digits as give the same float64 back.
    """
    import numba

    return {
        "format": FORMAT,
        "eoslab_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model.name,
        "optimizer": rule.name,
        "parameters": json.dumps(
            {"model": plain(model.settings), "optimizer": plain(rule.settings), "run": plain(run)}
        ),
        "seed": getattr(rule, "seed", None),
        "loss_convention": getattr(model, "loss_convention", "exact risk ½E(y − f)²"),
        "dtype": "float64",
        "versions": json.dumps(
            {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
        ),
        "platform": platform.platform(),
        "complete": outcome != "interrupted",
    }


def stamp(
    ds: xr.Dataset,
    *,
    command: str | None = None,
    typed: Mapping[str, str] | None = None,
    seed: int | None = None,
    sources: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """The data set with what only the caller knows; what is None stays as it is.

    ``command`` is the command line that reproduces the run; ``typed`` the settings as they were typed
    ('2/150', '0.10'), kept beside the numbers under the key ``typed`` of ``parameters``; ``seed`` the seed of
    a random start; ``sources`` where each setting came from (flag, environment, file, default).
    """
    new: dict[str, Any] = {}
    if command is not None:
        new["command"] = command
    if typed is not None:
        new["parameters"] = json.dumps(parameters(ds) | {"typed": dict(typed)})
    if seed is not None:
        new["seed"] = int(seed)
    if sources is not None:
        new["sources"] = json.dumps(dict(sources))
    return ds.assign_attrs(new)


def parameters(ds: xr.Dataset) -> dict[str, Any]:
    """The settings by group: ``model``, ``optimizer``, ``run``, and ``typed`` where it is known."""
    try:
        groups = json.loads(ds.attrs["parameters"])
    except (KeyError, TypeError, ValueError):
        raise DamagedRun("the data set does not say with which parameters it was run") from None
    assert isinstance(groups, dict)
    return groups


def rebuild(ds: xr.Dataset) -> tuple[Any, Any]:
    """The model and the rule of a run, equal to those that made it.

    Raises :class:`~eoslab.core.errors.UnknownName` for a model or rule that this installation lacks, and
    :class:`~eoslab.core.errors.DamagedRun` where the stored settings do not fit it.

    >>> import eoslab
    >>> ds = eoslab.trajectory(eoslab.models.Minimalist(lambda2=0.01), eoslab.optimizers.GD(lr=0.5), steps=10)
    >>> rebuild(ds)
    (Minimalist(lambda1=1.0, lambda2=0.01, b=1.0), GD(lr=0.5))
    """
    groups = parameters(ds)
    model = _made(catalog.find("eoslab.models", ds.attrs.get("model", ""), "model"), groups, "model", ds)
    rule = _made(_rule_class(ds.attrs.get("optimizer", "")), groups, "optimizer", ds)
    if "sample_x" in ds:
        # a model of data is its moments; the sample itself is kept where mini-batches are drawn from it
        object.__setattr__(model, "sample", (ds["sample_x"].values, ds["sample_y"].values))
    return model, rule


def _rule_class(name: str) -> Any:
    """The class of an optimizer or of a dynamics built on one."""
    from eoslab import dynamics

    for item in vars(dynamics).values():
        if hasattr(item, "from_settings") and item.name == name:
            return item
    return catalog.find("eoslab.optimizers", name, "optimizer")


def _made(cls: Any, groups: dict[str, Any], kind: str, ds: xr.Dataset) -> Any:
    settings = groups.get(kind, {})
    try:
        return cls.from_settings(settings) if hasattr(cls, "from_settings") else cls(**settings)
    except (KeyError, TypeError, EoslabError) as error:
        raise DamagedRun(
            f"the stored settings of {kind} {cls.name!r} do not fit this version of eoslab: {error}",
            f"It was written by eoslab {ds.attrs.get('eoslab_version', '?')}",
        ) from error


def plain(value: Any) -> Any:
    """Settings as JSON knows them: arrays and tuples as lists, NumPy numbers as numbers."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value
