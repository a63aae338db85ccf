"""Sweeps of networks: every cell is a run of :mod:`eoslab.nn.run`, with its verdict, its numbers and its curves.

A cell is computed on one thread of PyTorch and of the linear algebra of NumPy. So its numbers do not depend on how
many workers share the sweep, and are to the last bit those of the same run alone on one thread
(``OMP_NUM_THREADS=1 eoslab train …``): another number of threads adds in another order.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from eoslab.core.errors import BadData, EoslabError, InvalidArgument
from eoslab.core.vocabulary import OUTCOMES, REGIMES
from eoslab.nn.experiment import Experiment
from eoslab.results.grid import Layout, label, lay_out
from eoslab.results.network import brief
from eoslab.results.sweep import Plan, carry_out, design_name
from eoslab.results.table import Column, Columns, Stop, Stopped, Table

if TYPE_CHECKING:
    import os

    import xarray as xr

__all__ = ["COLUMNS", "NetworkCells", "failures", "one_thread", "plan", "row", "sweep"]

#: The columns of a cell. Seconds and the cost in gradient steps are measured times; all else is reproducible.
COLUMNS: dict[str, Column] = {
    "outcome": Column("int8", list(OUTCOMES).index("failed"), "how the run ended"),
    "regime": Column("int8", -1, "regime; -1 where there was no run"),
    "reason": Column("<U200", "", "why a cell failed, or has no threshold"),
    "steps": Column("int32", 0, "updates done; the step of the divergence for a run that diverged"),
    "learning_rate": Column("float64", np.nan, "learning rate η"),
    "threshold": Column("float64", np.nan, "what η·λmax(P⁻¹∇²L) is compared with; NaN: there is none"),
    "first_crossing": Column("int32", -1, "first measured step at or above the threshold (-1: none)"),
    "mean_ratio_second_half": Column("float64", np.nan, "mean ratio to the threshold in the second half"),
    "max_ratio": Column("float64", np.nan, "largest ratio to the threshold"),
    "final_loss": Column("float64", np.nan, "loss after the last step; NaN: diverged"),
    "final_accuracy": Column("float64", np.nan, "accuracy on the training samples after the last step"),
    "final_sharpness": Column("float64", np.nan, "λmax(P⁻¹∇²L) after the last step"),
    "hvp_per_step": Column("float64", np.nan, "Hessian-vector products a step"),
    "cost_in_gradient_steps": Column("float64", np.nan, "CPU time of measuring, in plain steps of the run"),
    "seconds": Column("float64", np.nan, "time of the run"),
    "loss": Column("float64", np.nan, "loss", ("step",)),
    "sharpness": Column("float64", np.nan, "λmax(P⁻¹∇²L); NaN: not measured there", ("step",)),
    "ratio": Column("float64", np.nan, "η·λmax(P⁻¹∇²L) over the threshold", ("step",)),
}
#: What a dry run spends on steps of each kind of network, in seconds and in steps.
PROBE_SECONDS, PROBE_STEPS = 2.0, 40
#: The generator of PyTorch and its number of threads belong to the process: one cell at a time in each.
_ALONE = threading.Lock()

Make = Callable[..., Experiment]


def sweep(
    experiment: Make,
    grid: Mapping[str, Any],
    *,
    design: str = "grid",
    samples: int | None = None,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
    store: str | os.PathLike[str] | None = None,
    resume: bool = True,
    client: Any = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> xr.Dataset:
    """Train the network of every cell of ``grid``; returns verdicts, numbers and curves over the swept dimensions.

    ``experiment`` is a function of the swept parameters that describes one run
    (:class:`~eoslab.nn.experiment.Experiment`); all of them have one number of steps. ``grid``, ``design``,
    ``samples``, ``seed``, ``store``, ``resume`` and ``stop`` are those of :func:`eoslab.sweep`; ``about`` is what
    is fixed, for the record. Without a Dask ``client`` cells are trained one after the other in this process.

    Variables: those of :data:`COLUMNS`. A cell that diverges, or whose network cannot be built or trained, is
    labelled (``outcome``, ``reason``); none is missing. What takes part in a kill is computed again.

    Raises :class:`~eoslab.core.errors.InvalidArgument` or UnknownName where a value of the grid has no cell that
    can be built, :class:`~eoslab.core.errors.StoreError` for a store that cannot be continued or written.

    >>> from eoslab.nn import Experiment
    >>> from eoslab.optimizers import GD
    >>> def small(lr, seed):
    ...     return Experiment({"data": "digits", "samples": 50, "hidden": [4], "seed": int(seed)}, GD(lr), steps=5)
    >>> ds = sweep(small, {"lr": "2/40|2/60", "seed": "0|1|2"})
    >>> dict(ds.sizes), float(ds.threshold[0, 0])
    ({'lr': 2, 'seed': 3, 'step': 6}, 2.0)
    """
    made = plan(experiment, grid, design=design, samples=samples, seed=seed, about=about)
    return carry_out(made, store=store, resume=resume, client=client, workers=1, progress=progress, stop=stop)


def plan(
    experiment: Make,
    grid: Mapping[str, Any],
    *,
    design: str = "grid",
    samples: int | None = None,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
) -> Plan:
    """Check the arguments of :func:`sweep` and say what it would do; builds a network for every value."""
    layout = lay_out(grid, design, samples, seed)
    for axis in layout.axes:
        if axis.name in (*COLUMNS, "step", "measured", "cell"):
            raise InvalidArgument("grid", axis.name, "another name for this axis", "so is a result of every cell")
    described = [experiment(**cell) for cell in _parameters(layout)]
    steps = sorted({made.steps for made in described})
    if len(steps) != 1:
        raise InvalidArgument("steps", f"{steps[0]} … {steps[-1]}", "one number of steps for all cells")
    _check(layout, described)
    files = sorted({str(made.settings["module"]) for made in described if made.settings.get("module")})
    cells = NetworkCells(experiment, steps[0], dict(about or {}), tuple(files))
    return Plan(cells, layout, design_name(design, seed))


@dataclass(frozen=True)
class NetworkCells:
    """What computes the cells of a sweep of networks (a :class:`~eoslab.results.table.Cells`)."""

    experiment: Make
    steps: int
    about: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    #: A cell is a run: as long as a task should be, and what a kill may lose.
    chunk = at_once = 1

    @property
    def table(self) -> Table:
        """The columns of a cell."""
        return Table(COLUMNS, {"step": np.arange(self.steps + 1)})

    def compute(self, columns: Columns, stop: Stop | None = None) -> Columns:
        """The results of cells with these parameters."""
        n = len(next(iter(columns.values())))
        out = self.table.blank(n)
        for i in range(n):
            cell = {name: _plain(values[i]) for name, values in columns.items()}
            for name, value in self._row(cell, stop).items():
                out[name][i] = value
        return out

    def _row(self, cell: Mapping[str, Any], stop: Stop | None) -> dict[str, Any]:
        with one_thread():
            try:
                made = self.experiment(**cell)
                run = made.begin(made.build())
                run.go(self.steps, stop=stop)
            except Exception as e:  # whatever a network or its code raises is the cell's outcome
                return {"reason": _reason(e)}
        if run.outcome == "interrupted":
            raise Stopped
        return row(run.dataset(), self.steps)

    def seconds(self, layout: Layout) -> float:
        """Predicted time on one core, from some first steps of every kind of network in the sweep."""
        kinds: dict[str, list[Experiment]] = {}
        for cell in _parameters(layout):
            made = self.experiment(**cell)
            kinds.setdefault(_kind(made), []).append(made)
        return sum(len(alike) * _seconds(alike[0]) for alike in kinds.values())

    def worker_bytes(self, layout: Layout) -> int:
        """Memory of a worker at the peak, roughly."""
        kinds = {_kind(made): made for made in (self.experiment(**cell) for cell in _parameters(layout))}
        return max(made.memory(made.build()) for made in kinds.values())

    def describe(self) -> dict[str, Any]:
        """What is fixed, for the record."""
        model = {"name": "network", **{k: v for k, v in self.about.items() if v is not None}}
        return {"model": model, "steps": self.steps, "torch": torch.__version__}

    def digest(self) -> str:
        """A digest of the code that computes a cell: of networks and their curvature, and of the user's files."""
        import eoslab.curvature
        import eoslab.nn
        import eoslab.probes

        digest = hashlib.sha256(inspect.getsource(brief).encode())
        for package in (eoslab.nn, eoslab.curvature, eoslab.probes):
            for file in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
                digest.update(file.read_bytes())
        for spec in self.files:
            digest.update(Path(spec.rpartition(":")[0] or spec).read_bytes())
        kind = self.experiment if inspect.isroutine(self.experiment) else type(self.experiment)
        with contextlib.suppress(OSError, TypeError):
            digest.update(inspect.getsource(kind).encode())
        return digest.hexdigest()[:16]


def row(ds: xr.Dataset, steps: int) -> dict[str, Any]:
    """The columns of a run."""
    facts = brief(ds)
    final, made = facts["final"], ds.sizes["step"]
    threshold = np.nan if facts["threshold"] is None else facts["threshold"]
    ratio = ds["eta_sharpness"].values / threshold
    # as the run has it; with a preconditioner, or a shift, what is compared with the threshold
    plain = ds["sharpness"].values
    sharpness = plain if np.isfinite(plain).any() else ds["eta_sharpness"].values / float(ds["lr"])
    found = {
        "outcome": list(OUTCOMES).index(facts["outcome"]),
        "regime": list(REGIMES).index(facts["regime"]),
        "reason": str(ds["threshold"].attrs.get("reason", ""))[:200],
        "steps": int(ds["steps"]),
        "learning_rate": float(ds["lr"]),
        "threshold": threshold,
        "first_crossing": -1 if facts["first_crossing"] is None else facts["first_crossing"],
        "mean_ratio_second_half": facts["mean_ratio_second_half"],
        "max_ratio": float(np.nanmax(ratio)) if np.isfinite(ratio).any() else np.nan,
        "final_loss": final["loss"],
        "final_accuracy": final.get("accuracy"),
        "final_sharpness": final["sharpness"],
        **{name: facts[name] for name in ("hvp_per_step", "cost_in_gradient_steps", "seconds")},
    }
    curves = {"loss": ds["loss"].values, "sharpness": sharpness, "ratio": ratio}
    rest = np.full(steps + 1 - made, np.nan)
    return {name: np.nan if value is None else value for name, value in found.items()} | {
        name: np.concatenate([values, rest]) for name, values in curves.items()
    }


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for PyTorch and for NumPy's linear algebra, and nobody else in here meanwhile."""
    with _ALONE, threadpool_limits(1):
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


# -- parts --------------------------------------------------------------------------------------------------


def _parameters(layout: Layout) -> Iterator[dict[str, Any]]:
    """The parameters of every cell."""
    columns = layout.columns(np.arange(layout.cells))
    for i in range(layout.cells):
        yield {name: _plain(values[i]) for name, values in columns.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _kind(made: Experiment) -> str:
    """Runs of one kind cost the same a step: they differ in seed and settings of the rule alone."""
    settings = {name: value for name, value in made.settings.items() if name != "seed"}
    probes = [replace(probe, seed=0) if hasattr(probe, "seed") else probe for probe in made.probes]
    return json.dumps([settings, type(made.rule).__name__, made.batch, [repr(probe) for probe in probes]])


def _check(layout: Layout, described: list[Experiment]) -> None:
    """Refuse a value none of whose cells can be built; what fails in some of its cells is a result."""
    tried: dict[str, EoslabError | None] = {}
    for axis in layout.axes:
        if axis.name == "seed":
            continue
        best: dict[Any, EoslabError | None] = {}
        for cell, made in zip(_parameters(layout), described, strict=True):
            value = cell[axis.name]
            if value in best and best[value] is None:
                continue
            kind = _kind(made)
            if kind not in tried:
                tried[kind] = _trial(made)
            best[value] = tried[kind]
        for error in best.values():
            if error is not None:
                raise error


def _trial(made: Experiment) -> EoslabError | None:
    """What is wrong with a run, before its first step."""
    try:
        with one_thread():
            made.begin(made.build())
    except EoslabError as e:
        return e
    except Exception as e:  # a module of the user's may raise anything
        return BadData(f"the network cannot be built: {_reason(e)}", "try it alone with eoslab train")
    return None


def _seconds(made: Experiment) -> float:
    """Predicted time of a run: building it, and the mean of some first steps."""
    with one_thread():
        began = time.perf_counter()
        run = made.begin(made.build())
        built = time.perf_counter()
        times = [built]
        enough = min(PROBE_STEPS, made.steps)
        run.go(
            made.steps,
            stop=lambda: len(times) > 2 and (len(times) > enough or times[-1] - built > PROBE_SECONDS),
            progress=lambda done, total: times.append(time.perf_counter()),
        )
    # the first measurement starts from nothing
    mean = (times[-1] - times[1]) / (len(times) - 2) if len(times) > 2 else times[-1] - built
    return built - began + (made.steps + 1) * mean


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines() or [""]
    kind = "" if isinstance(error, EoslabError) else f"{type(error).__name__}: "
    return f"{kind}{text[0]}"[:200]


def failures(ds: xr.Dataset) -> list[dict[str, Any]]:
    """The cells without a run: their parameters as typed, and the reason."""
    failed = np.argwhere((ds["outcome"].values == list(OUTCOMES).index("failed")) & ds["measured"].values)
    axes = json.loads(ds.attrs["axes"])
    found = []
    for at in failed:
        cell = ds.isel(dict(zip(ds["outcome"].dims, at, strict=True)))
        parameters = {name: label(_plain(cell[name].values[()])) for name in axes}
        found.append({**parameters, "reason": str(cell["reason"].values)})
    return found
