"""A map against the theory: boundaries over its dimensions, and how far prediction and observation agree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eoslab.core.vocabulary import OUTCOMES, REGIMES
from eoslab.results.cells import Problem
from eoslab.results.grid import parse_value
from eoslab.theory.boundaries import BOUNDARIES, flow_like, no_minimiser

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BOUNDARIES", "Overlay", "agreement", "boundary", "contradictions", "problem_of"]


@dataclass(frozen=True)
class Overlay:
    """η, (λ1, λ2, b) and (α, β1, β2) of every cell of a map, and which cells have a start."""

    dims: tuple[str, ...]
    lr: np.ndarray
    p: tuple[np.ndarray, ...]
    w: tuple[np.ndarray, ...]
    exists: np.ndarray


def problem_of(ds: xr.Dataset) -> Overlay | None:
    """The theory's data for a map of gradient descent on the two-input model; None for any other map."""
    from eoslab.models.minimalist import Minimalist
    from eoslab.optimizers.gd import GD

    try:
        fixed = json.loads(ds.attrs["parameters"])
        names = tuple(json.loads(ds.attrs["axes"]))
        if fixed["model"]["name"] != "minimalist" or fixed["optimizer"]["name"] != "gd":
            return None
        model = {k: float(v) for k, v in fixed["model"].items() if k != "name"}
        rule = {k: float(v) for k, v in fixed["optimizer"].items() if k != "name"}
    except (KeyError, TypeError, ValueError):
        return None
    if fixed["w0"] == "function":
        return None
    dims = tuple(str(d) for d in ds["regime"].dims)
    shape = ds["regime"].shape
    columns = {}
    for name in names:
        coordinate = ds[name].broadcast_like(ds["regime"]).transpose(*dims).values.ravel()
        if coordinate.dtype.kind != "f":
            parsed = np.empty(coordinate.size, dtype=object)
            parsed[:] = [parse_value(str(label)) for label in coordinate]
            coordinate = parsed
        columns[name] = coordinate
    problem = Problem(Minimalist(**model), GD(**rule) if rule else GD, fixed["w0"], fixed["steps"], names)
    w0, h, p, exists, _ = problem.arrays(columns)

    def shaped(array: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(array[:, i].reshape(shape) for i in range(array.shape[1]))

    return Overlay(dims, h[:, 0].reshape(shape), shaped(p), shaped(w0), exists.reshape(shape))


def boundary(name: str, cells: Overlay) -> xr.DataArray:
    """The level function of a boundary over the dimensions of the map; NaN where there is no start."""
    import xarray as xr

    level = BOUNDARIES[name](cells.lr, cells.p, cells.w)
    return xr.DataArray(np.where(cells.exists, level, np.nan), dims=cells.dims)


def agreement(ds: xr.Dataset, cells: Overlay) -> float | None:
    """The share of cells in which λ1A(c0) > 2/η says rightly whether the threshold is crossed.

    A leading-order law, observed and not proved. Counted are cells that start below the threshold; those whose
    steps ended below it before they converged are undecided and left out, as are cells that were not computed.
    None where no cell is left.
    """
    stable, running = list(REGIMES).index("stable"), list(OUTCOMES).index("running")
    started_above = (ds["excursions"].values > 0) & (ds["first_crossing"].values < 0)
    crossed = ds["first_crossing"].values >= 0
    undecided = (ds["outcome"].values == running) & (ds["regime"].values == stable)
    counted = ds["measured"].values & (ds["regime"].values >= 0) & ~undecided & ~started_above & cells.exists
    if not counted.any():
        return None
    predicted = BOUNDARIES["edge"](cells.lr, cells.p, cells.w) > 0
    return float((predicted == crossed)[counted].mean())


def contradictions(ds: xr.Dataset, cells: Overlay) -> dict[str, np.ndarray]:
    """Cells in which a theorem's hypotheses hold and its conclusion does not; all False if the theory holds.

    ``thm-3.3``: gradient descent converges without reaching the edge, so the regime is stable. ``prop-0.3``: no
    minimiser is stable, so the run does not settle at one below the threshold. Of cells that were inferred only
    the regime is known: the first has to be stable, the second says nothing.
    """
    regimes, outcomes = list(REGIMES), list(OUTCOMES)
    regime, outcome = ds["regime"].values, ds["outcome"].values
    flow = flow_like(cells.lr, cells.p, cells.w) & cells.exists
    ended = np.isin(outcome, [outcomes.index(x) for x in ("converged", "running", "inferred")])
    nowhere = (no_minimiser(cells.lr, cells.p, cells.w) > 1e-9) & cells.exists
    return {
        "thm-3.3": flow & ~((regime == regimes.index("stable")) & ended),
        "prop-0.3": nowhere & (outcome == outcomes.index("converged")),
    }
