"""A stored run as figures and reports read it: names for its words, its threshold, its events, its phases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eoslab.core.errors import InvalidArgument
from eoslab.plots.text import number_text

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Event", "Run", "Segment", "words"]

Floats = NDArray[np.float64]


def words(variable: Any) -> list[str]:
    """The words of a variable that holds them as text or as integer codes with ``flag_meanings``."""
    values = np.atleast_1d(variable.values)
    if values.dtype.kind not in "iu":
        return [str(v) for v in values]
    meanings = str(variable.attrs["flag_meanings"]).split()
    codes = list(np.atleast_1d(variable.attrs.get("flag_values", range(len(meanings)))))
    return [meanings[codes.index(v)] for v in values]


@dataclass(frozen=True)
class Event:
    """Something that happened at a step."""

    kind: str
    step: int
    value: float


@dataclass(frozen=True)
class Segment:
    """A stretch of one phase, from its first step to the first step of the next."""

    phase: str
    start: float
    stop: float


@dataclass(frozen=True)
class Run:
    """A data set of the schema, with the questions that drawings ask of it."""

    ds: xr.Dataset
    name: str = ""

    @cached_property
    def step(self) -> NDArray[np.int64]:
        return np.asarray(self.ds["step"].values)

    @cached_property
    def time(self) -> Floats:
        """Σ lr; a gradient flow has nothing else."""
        return np.asarray(self.ds["time"].values, dtype=float)

    def x(self, axis: str) -> Floats:
        """The horizontal positions of the rows: ``step`` or ``time``."""
        return self.time if axis == "time" else self.step.astype(float)

    def at(self, step: float, axis: str) -> float:
        """The horizontal position of a step."""
        return float(np.interp(step, self.step, self.time)) if axis == "time" else float(step)

    def has(self, name: str) -> bool:
        return name in self.ds and bool(np.isfinite(self.ds[name].values).any())

    def series(self, name: str) -> Floats:
        """A variable over steps, NaN where it was not measured."""
        if name not in self.ds:
            raise InvalidArgument("run", f"a run without {name!r}", f"a run that recorded {name!r}")
        return np.asarray(self.ds[name].values, dtype=float)

    def param(self, name: str) -> Floats:
        """A component of w over steps."""
        if name not in self.params:
            raise InvalidArgument(
                "run",
                f"a run of {self.model_name} with the parameters {', '.join(self.params[:3])} …",
                f"a run that has {name}",
                "this figure is of the two-input model; for d inputs draw 'directions'",
            )
        return np.asarray(self.ds["w"].sel(param=name).values, dtype=float)

    @cached_property
    def params(self) -> list[str]:
        return [str(p) for p in self.ds["param"].values] if "param" in self.ds.coords else []

    def scalar(self, name: str, default: float = np.nan) -> float:
        return float(self.ds[name].values) if name in self.ds else default

    def word(self, name: str, default: str = "") -> str:
        return words(self.ds[name])[0] if name in self.ds else default

    # -- the threshold ------------------------------------------------------------------------------------

    @property
    def lr(self) -> float:
        return self.scalar("lr")

    @property
    def is_flow(self) -> bool:
        """Whether this is a gradient flow: it has a time but no step size."""
        return "flow" in self.optimizer or not np.isfinite(self.lr)

    @property
    def threshold(self) -> float:
        """The threshold in units of sharpness, threshold/η; NaN where the rule has none."""
        return self.scalar("threshold") / self.lr if not self.is_flow else np.nan

    @cached_property
    def edge(self) -> Floats | None:
        """The threshold step by step, in units of sharpness, of a rule whose own moves (SAM); else None."""
        return self.series("edge") if self.has("edge") else None

    @property
    def threshold_label(self) -> str:
        """'2/η = 0.833' for gradient descent."""
        return f"{self.threshold_name} = {number_text(self.threshold)}"

    @property
    def threshold_name(self) -> str:
        """'2/η' for gradient descent, '3.8/η' for heavy ball at 0.9 …"""
        return f"{self.scalar('threshold'):.4g}/η"

    @property
    def eta_label(self) -> str:
        """'η = 2/0.833': the threshold can be read off, as papers write it."""
        return f"η = {self.scalar('threshold'):.4g}/{number_text(self.threshold)}"

    @cached_property
    def sharpness(self) -> Floats:
        """What is compared with the threshold: λmax of the (preconditioned) Hessian."""
        return self.series("eta_sharpness") / self.lr if self.preconditioned else self.series("sharpness")

    @cached_property
    def preconditioned(self) -> bool:
        """Whether the optimizer compares P⁻¹H instead of H with its threshold."""
        if "eta_sharpness" not in self.ds or self.is_flow or self.edge is not None:
            return False
        plain, eta = self.series("sharpness") * self.lr, self.series("eta_sharpness")
        fine = np.isfinite(plain) & np.isfinite(eta)
        if not fine.any():
            # a network whose rule has a preconditioner measures nothing else
            return bool(np.isfinite(eta).any())
        return not np.allclose(plain[fine], eta[fine], rtol=1e-6, atol=0)

    @property
    def sharpness_label(self) -> str:
        return "preconditioned sharpness" if self.preconditioned else "sharpness"

    def alternates(self, values: Any) -> bool:
        """Whether a series jumps to and fro every step for most of the run, visibly: its line would be a block."""
        step, y = self.step, np.asarray(values, dtype=float)
        middle = np.flatnonzero((np.diff(step)[1:] == 1) & (np.diff(step)[:-1] == 1)) + 1
        if len(middle) < 200 or not np.isfinite(y).any():
            return False
        with np.errstate(invalid="ignore", over="ignore"):
            before, after = y[middle] - y[middle - 1], y[middle + 1] - y[middle]
            turns = before * after < 0
            size = np.minimum(np.abs(before), np.abs(after))
            height = np.nanmax(y) - np.nanmin(y)
        return bool(np.count_nonzero(turns & (size > 0.005 * height)) > 0.25 * len(middle))

    # -- what happened ------------------------------------------------------------------------------------

    @cached_property
    def events(self) -> list[Event]:
        if "event_kind" not in self.ds or self.ds["event_kind"].size == 0:
            return []
        rows = zip(
            words(self.ds["event_kind"]), self.ds["event_step"].values, self.ds["event_value"].values, strict=True
        )
        return [Event(kind, int(step), float(value)) for kind, step, value in rows]

    def event(self, kind: str) -> Event | None:
        """The first event of a kind."""
        return next((e for e in self.events if e.kind == kind), None)

    @property
    def diverged_at(self) -> int | None:
        """The first step with a number that is not finite."""
        event = self.event("divergence")
        return event.step if event else None

    @property
    def first_crossing(self) -> int | None:
        """The first step above the threshold."""
        event = self.event("crossing-up")
        return event.step if event else None

    def segments(self, resolution: float = 0.004) -> list[Segment]:
        """The phases in order; stretches shorter than ``resolution`` of the run join the one before."""
        if "phase" not in self.ds or len(self.step) < 2 or self.is_flow:
            return []
        phases = self.ds["phase"].values
        end = len(phases) - (1 if self.diverged_at is not None else 0)
        last = float(self.step[end - 1] if self.diverged_at is None else self.diverged_at)
        shortest = resolution * (last - float(self.step[0]))
        cuts = [0, *(np.flatnonzero(phases[1:end] != phases[: end - 1]) + 1).tolist(), end]
        found: list[Segment] = []
        for name, (a, b) in zip(words(self.ds["phase"][cuts[:-1]]), pairwise(cuts), strict=True):
            segment = Segment(name, float(self.step[a]), float(self.step[b]) if b < end else last)
            short = segment.stop - segment.start < shortest
            if found and (segment.phase == found[-1].phase or short):
                found[-1] = Segment(found[-1].phase, found[-1].start, segment.stop)
            else:
                found.append(segment)
        return found

    # -- provenance ---------------------------------------------------------------------------------------

    @property
    def is_network(self) -> bool:
        """Whether this is the run of a network: weights in a checkpoint, measurements that may be missing."""
        return bool(self.ds.attrs.get("kind") == "network")

    @property
    def model_name(self) -> str:
        return str(self.ds.attrs.get("model", ""))

    @property
    def optimizer(self) -> str:
        return str(self.ds.attrs.get("optimizer", ""))

    @cached_property
    def parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ds.attrs.get("parameters", "{}"))
        return found

    @cached_property
    def model(self) -> Any:
        """The model rebuilt from the run's parameters, or None if this installation cannot."""
        from eoslab.core import catalog
        from eoslab.core.errors import EoslabError

        try:
            return catalog.find("eoslab.models", self.model_name, "model")(**self.parameters.get("model", {}))
        except (EoslabError, TypeError):
            return None
