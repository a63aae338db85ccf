"""Bifurcation and chaos: last iterates over a parameter, periods, largest Lyapunov exponents, basins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.catalog import find
from eoslab.core.errors import InvalidArgument, whole
from eoslab.results.cells import NO_START, Problem
from eoslab.results.grid import parse_value
from eoslab.results.inputs import SPECTRA
from eoslab.results.sweep import Plan, plan, sweep

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["basins", "bifurcation", "bifurcation_of", "lyapunov"]


def bifurcation(
    model: Any, rule: Any, grid: Mapping[str, Any], *, steps: int, keep: int = 128, w0: Any = None
) -> xr.Dataset:
    """The last ``keep`` iterates after ``steps`` updates, for every value of one swept parameter.

    Dims: the parameter, ``last``, ``param``. Variables ``w``, ``eta_sharpness`` (η·S_eff), ``period`` (least
    q ≤ 64 after which the state returns, 0: none, as in ``sweep``), ``steps`` (fewer where the run diverged; its
    iterates are NaN), ``lyapunov`` where the rule has one (:func:`lyapunov`).

    >>> import eoslab
    >>> from eoslab.results.bifurcation import bifurcation
    >>> ds = bifurcation(eoslab.models.Minimalist(lambda2=0.01), eoslab.optimizers.GD, {"lr": "0.5|1"},
    ...                  steps=5000, keep=4)
    >>> ds.period.values.tolist()
    [1, 1]
    """
    made = _one_axis(model, rule, grid, steps, w0)
    from eoslab.kernels.compiler import orbits_kernel

    keep = whole("keep", keep, 1)
    problem, layout, axis = made.problem, made.layout, made.layout.axes[0]
    start, h, p, _, threshold = problem.arrays(layout.columns(np.arange(layout.cells)))
    n, params = layout.cells, problem.model.params
    w, eta = np.full((n, keep, len(params)), np.nan), np.full((n, keep), np.nan)
    period, done = np.zeros(n, np.int64), np.zeros(n, np.int64)
    orbits_kernel(problem.model, problem.rule).last_iterates(start, steps, keep, h, p, w, eta, period, done)
    diverged = done < steps + keep
    w[diverged], eta[diverged], period[diverged] = np.nan, np.nan, 0
    import xarray as xr

    ds = xr.Dataset(
        {
            "w": ((axis.name, "last", "param"), w),
            "eta_sharpness": ((axis.name, "last"), eta, {"units": "λmax(P⁻¹∇²L), dimensionless"}),
            "period": (axis.name, period.astype(np.int32)),
            "steps": (axis.name, done),
            "diverged": (axis.name, diverged),
            "threshold": (axis.name, threshold),
        },
        coords={axis.name: axis.coordinate, "param": np.array(params, dtype=str)},
        attrs={**made.identity, "keep": keep},
    )
    if _has_tangent(problem.rule):
        ds["lyapunov"] = lyapunov(model, rule, grid, steps=steps, w0=w0)["lyapunov"]
    return ds


def bifurcation_of(ds: xr.Dataset, *, keep: int = 128) -> xr.Dataset:
    """The bifurcation diagram along the axis of a one-dimensional sweep (its model, rule, start and steps)."""
    fixed = json.loads(ds.attrs["parameters"])
    axes = [str(name) for name in ds["regime"].dims if ds.sizes[name] > 1]
    if len(axes) != 1:
        raise InvalidArgument(
            "map", f"axes {', '.join(map(str, ds['regime'].dims))}", "a map that varies along one axis",
            "e.g. eoslab sweep --lr 1:4:800 --steps 5000 -o line.zarr",
        )  # fmt: skip
    model, rule = fixed["model"], fixed["optimizer"]
    if model["name"] in (*SPECTRA, "given", "data", "minimalist-d"):
        raise InvalidArgument(
            "map", f"a map of the d-input model ({model['name']})", "a map of a model with a few parameters",
            "the map has the period and η·S of every cell: eoslab figure phase-map MAP --quantity period",
        )  # fmt: skip
    # an axis with one value is a setting
    for name in (str(name) for name in ds["regime"].dims if ds.sizes[name] == 1):
        value = ds[name].values[0]
        if name == "init":
            fixed["w0"] = list(parse_value(str(value)))
        elif name == "ratio":
            model["lambda2"] = float(value) * float(model["lambda1"])
        elif name in model:
            model[name] = value
        else:
            rule[name] = value
    if fixed["w0"] == "function":
        raise InvalidArgument(
            "map", "starts computed by a function", "a map made by the command or with fixed starts"
        )
    made = []
    for package, kind in (("eoslab.models", "model"), ("eoslab.optimizers", "optimizer")):
        plugin = find(package, fixed[kind]["name"], kind)
        given = {name: float(value) for name, value in fixed[kind].items() if name != "name"}
        # a rule without its learning rate is a family, the sweep's axis completes it
        made.append(plugin(**given) if kind == "model" or "lr" in given else plugin)
    grid = {axes[0]: ds[axes[0]].values.tolist()}
    return bifurcation(*made, grid, steps=int(fixed["steps"]), keep=keep, w0=fixed["w0"])


def lyapunov(
    model: Any, rule: Any, grid: Mapping[str, Any], *, steps: int, skip: int | None = None, w0: Any = None
) -> xr.Dataset:
    """Largest Lyapunov exponent (per step, natural logarithm) over ``steps`` updates after ``skip``.

    ``skip`` is half of the steps unless given. By the exact tangent map, so for rules whose update is linear in
    gradient and memory (gradient descent and momentum). Positive: chaos; 0: a valley of minimisers or a drift;
    negative: an isolated attractor. NaN where the run diverges.
    """
    problem_steps = whole("steps", steps, 1)
    made = plan(model, rule, grid, steps=problem_steps, w0=w0)
    _refuse_singles(made.problem)
    if not _has_tangent(made.problem.rule):
        raise InvalidArgument(
            "optimizer", made.problem.rule.name, "gradient descent or momentum",
            "the tangent map of an adaptive or projected rule is not the linear one",
        )  # fmt: skip
    from eoslab.kernels.compiler import orbits_kernel

    skip = steps // 2 if skip is None else whole("skip", skip)
    layout = made.layout
    start, h, p, exists, _ = made.problem.arrays(layout.columns(np.arange(layout.cells)))
    out = np.full(layout.cells, np.nan)
    run = np.flatnonzero(exists)
    found = np.empty(len(run))
    orbits_kernel(made.problem.model, made.problem.rule).lyapunov(start[run], skip, steps, h[run], p[run], found)
    out[run] = found
    import xarray as xr

    return xr.Dataset(
        {"lyapunov": (layout.dims, out.reshape(layout.shape), {"units": "1/step", "skip": skip})},
        coords=layout.coords(),
        attrs=made.identity,
    )


def basins(model: Any, rule: Any, grid: Mapping[str, Any], *, steps: int, **options: Any) -> xr.Dataset:
    """A sweep over starts, with the attractor that each of them ends in.

    ``grid`` has axes of the start (``alpha_0``, ``beta1_0`` …, ``init``, or the state c0, s0, w0). Adds the
    variable ``basin``: the period of the attractor (1: a minimiser or at rest), 0 where none was reached within
    ``steps``, −1 where the run diverges, −2 where there is no such start.
    """
    params = getattr(model, "params", ())
    starts = {"init", "c0", "s0", "w0", *(f"{name}_0" for name in params)}
    if not starts & set(grid):
        raise InvalidArgument("grid", ", ".join(grid), "an axis of the start", f"such as {params[0]}_0 or init")
    ds = sweep(model, rule, grid, steps=steps, **options)
    words = ds["outcome"].attrs["flag_meanings"].split()
    outcome = ds["outcome"].values
    basin = ds["period"].values.astype(np.int8)
    basin[outcome == words.index("diverged")] = -1
    basin[outcome == NO_START] = -2
    ds["basin"] = (
        ds["outcome"].dims,
        basin,
        {"long_name": "period of the attractor; -1 diverges, -2 no such start"},
    )
    return ds


def _one_axis(model: Any, rule: Any, grid: Mapping[str, Any], steps: int, w0: Any) -> Plan:
    if len(grid) != 1:
        raise InvalidArgument("grid", f"{len(grid)} axes", "one", "a bifurcation diagram has one parameter")
    made = plan(model, rule, grid, steps=whole("steps", steps, 1), w0=w0)
    _refuse_singles(made.problem)
    return made


def _refuse_singles(problem: Problem) -> None:
    if not problem.lanes:
        raise InvalidArgument(
            "model", getattr(problem.model, "name", problem.model), "a model and a rule with plain formulas"
        )


def _has_tangent(rule: Any) -> bool:
    return bool(rule.linear) and not rule.adaptive and not rule.projection
