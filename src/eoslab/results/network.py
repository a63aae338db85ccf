"""The run of a network as a labelled data set: the one schema, with measurements that may be missing at a step.

Rows are every step; what was not measured there is NaN, and ``measured`` says so. Crossings, peaks, outcome and
regime come from the classifier that judges every other run, folded over the measured steps. No torch here: the
loop that makes the rows is in :mod:`eoslab.nn.run`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from eoslab.core.vocabulary import EVENTS, OUTCOMES, PHASES, REGIMES
from eoslab.kernels.compiler import shared_kernel
from eoslab.results.provenance import attributes
from eoslab.theory import classifier

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["KIND", "Description", "EventFold", "Rows", "brief", "dataset"]

#: Attribute ``kind`` of such a data set.
KIND = "network"
#: Columns over steps, and over steps and eigenvalues, that every run has; probes add theirs.
STEPWISE = ("loss", "grad_norm", "sharpness", "eta_sharpness", "matvecs")
EIGENWISE = ("eigenvalues", "eig_residual", "eig_bound", "eig_converged")
UNITS = {
    "sharpness": "λmax(∇²L)",
    "eta_sharpness": "η·λmax(P⁻¹∇²L), dimensionless",
    "grad_norm": "‖∇L‖",
    "edge": "largest stable λmax(∇²L) at this gradient norm",
    "matvecs": "Hessian-vector products with single vectors",
    "eigenvalues": "largest eigenvalues of P⁻¹∇²L",
    "eig_residual": "‖Hu − θu‖",
    "eig_bound": "half width of the interval that holds the eigenvalue",
}


@dataclass
class Rows:
    """What was recorded, step by step: a list per column, the same length each."""

    eigs: int
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a step; columns that it lacks get NaN, columns that are new are NaN at the steps before."""
        length = len(self)
        for name in row:
            self.columns.setdefault(name, [np.nan] * length)
        for name, values in self.columns.items():
            values.append(row.get(name, np.nan))

    def drop_last(self) -> None:
        """Forget the newest step."""
        for values in self.columns.values():
            values.pop()

    def __len__(self) -> int:
        return len(self.columns.get("step", ()))

    def array(self, name: str) -> np.ndarray:
        """A column as (steps,) or, where an entry is a vector, (steps, eigs)."""
        values = self.columns[name]
        if any(np.ndim(v) for v in values):
            out = np.full((len(values), self.eigs), np.nan)
            for i, v in enumerate(values):
                out[i, : np.size(v)] = v
            return out
        return np.array(values)

    @classmethod
    def of(cls, ds: xr.Dataset) -> Rows:
        """The rows of a data set, to go on with them."""
        names = json.loads(ds.attrs["columns"])
        columns = {name: list(ds[name].values) for name in names}
        return cls(ds.sizes["eig"], {"step": ds["step"].values.tolist(), **columns})


@dataclass(frozen=True)
class Description:
    """What is the same at every step of a run.

    ``model`` and ``rule`` are the names and settings for the provenance; ``run`` the rest of it.
    """

    model: str
    model_settings: Mapping[str, Any]
    rule: str
    rule_settings: Mapping[str, Any]
    lr: float
    threshold: float | None
    reason: str = ""
    dtype: str = "float64"
    device: str = "cpu"
    seed: int | None = None
    loss_convention: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


def dataset(
    rows: Rows,
    about: Description,
    *,
    outcome: str = "running",
    recent: Sequence[np.ndarray] = (),
    notes: Sequence[str] = (),
    timing: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """The labelled data set of what was recorded so far.

    ``outcome`` is 'running' where the asked steps are made, 'interrupted' or 'diverged'; the classifier makes the
    first more precise from the last three points ``recent`` (oldest first). ``timing`` goes into attributes: it
    is the only thing in which a resumed run differs from an uninterrupted one.
    """
    import xarray as xr

    arrays = {name: rows.array(name) for name in rows.columns if name != "step"}
    step = np.array(rows.columns["step"], dtype=np.int64)
    diverged = outcome == "diverged"
    fold = _folded(step, arrays["eta_sharpness"], about.threshold)
    events = fold.events + ([(classifier.DIVERGENCE, int(step[-1]), np.nan)] if diverged else [])
    code = classifier.DIVERGED if diverged else _ending(arrays["loss"], recent, step, fold.crossings)
    regime = list(REGIMES)[classifier.regime_of(code, code == classifier.CONVERGED, fold.crossings)]
    measured = np.isfinite(arrays["eta_sharpness"])
    if (about.threshold is None or not measured.any()) and not diverged:
        regime = "no-threshold"
    kinds = list(EVENTS)
    data: dict[str, Any] = {}
    for name, values in arrays.items():
        dims = ("step", "eig") if name in EIGENWISE or values.ndim == 2 else "step"
        if values.ndim == 1 and dims != "step":
            # nothing was measured at all
            values = np.full((len(step), rows.eigs), np.nan)
        data[name] = (dims, _typed(name, values), {"units": _unit(name, about)} if _unit(name, about) else {})
    data |= {
        "phase": ("step", _phases(step, fold), {"flag_values": list(range(len(PHASES))),
                                               "flag_meanings": " ".join(PHASES)}),
        "measured": ("step", measured),
        "event_kind": ("event", np.array([kinds[e[0]] for e in events], dtype="<U16")),
        "event_step": ("event", np.array([e[1] for e in events], dtype=np.int64)),
        "event_value": ("event", np.array([e[2] for e in events], dtype=float)),
        "outcome": ((), outcome if outcome in ("interrupted", "failed") else list(OUTCOMES)[code]),
        "regime": ((), regime),
        "threshold": ((), np.nan if about.threshold is None else about.threshold,
                      {"reason": about.reason} if about.reason else {}),
        "lr": ((), about.lr),
        "T1": ((), -1),
        "T2": ((), -1),
        "steps": ((), int(step[-1])),
        "max_eta_sharpness": ((), float(np.max(arrays["eta_sharpness"][measured])) if measured.any() else np.nan),
        "excursions": ((), int(fold.crossings[2] + fold.crossings[1])),
    }  # fmt: skip
    ds = xr.Dataset(data, coords={"step": step, "time": ("step", step * about.lr), "eig": np.arange(rows.eigs)})
    model = SimpleNamespace(name=about.model, settings=about.model_settings, loss_convention=about.loss_convention)
    rule = SimpleNamespace(name=about.rule, settings=about.rule_settings, seed=about.seed)
    ds.attrs = attributes(model, rule, outcome, about.run)
    ds.attrs |= {
        "kind": KIND,
        "dtype": about.dtype,
        "device": about.device,
        "record_every": 1,
        "classifier": json.dumps([int(c) for c in fold.crossings]),
        "columns": json.dumps(list(arrays)),
        "timing": json.dumps(dict(timing or {})),
    }
    ds.attrs["versions"] = json.dumps(json.loads(ds.attrs["versions"]) | dict(about.versions))
    if notes:
        ds.attrs["notes"] = json.dumps(list(notes))
    return ds


def brief(ds: xr.Dataset) -> dict[str, Any]:
    """What a run comes to, as plain JSON values (None where there is nothing to say).

    ``first_crossing`` is the first measured step with η·S_eff at or above the threshold,
    ``mean_ratio_second_half`` the mean of η·S_eff over the threshold at the measured steps from the middle on,
    ``final`` the last step with S_eff as ``sharpness``; ``hvp_total`` and ``hvp_per_step`` count products with
    single vectors; ``cost_in_gradient_steps`` is the mean extra CPU time a step, of the thread that trains, in
    plain steps of this run.
    """
    step, eta = ds["step"].values, ds["eta_sharpness"].values
    threshold, lr, last = float(ds["threshold"]), float(ds["lr"]), ds.sizes["step"] - 1
    with np.errstate(invalid="ignore"):
        above = np.flatnonzero(eta >= threshold)
    late = eta[np.isfinite(eta) & (2 * step >= int(ds["steps"]))] / threshold
    products = ds["matvecs"].values
    timing = json.loads(ds.attrs.get("timing") or "{}")
    plain = timing.get("gradient_seconds", 0.0)
    final = {
        "step": int(step[last]),
        "loss": _number(ds["loss"][last]),
        "sharpness": _number(eta[last] / lr),
        "ratio": _number(eta[last] / threshold),
    }
    if "eig_bound" in ds:
        final["sharpness_bound"] = _number(ds["eig_bound"].values[last, 0])
        final["eigenvalues"] = [_number(v) for v in ds["eigenvalues"].values[last]]
    if "accuracy" in ds:
        final["accuracy"] = _number(ds["accuracy"][last])
    return {
        "outcome": str(ds["outcome"].values),
        "regime": str(ds["regime"].values),
        "threshold": _number(threshold),
        "first_crossing": int(step[above[0]]) if len(above) else None,
        "mean_ratio_second_half": _number(late.mean()) if len(late) else None,
        "final": final,
        "hvp_total": int(products.sum()),
        "hvp_per_step": float(products.sum() / len(products)),
        "cost_in_gradient_steps": (timing["cpu_seconds"] - plain) / plain if plain > 0 else None,
        "seconds": timing.get("seconds"),
    }


class EventFold:
    """The classifier over measured steps as they come, by the same compiled fold as any other run.

    Feeding a run in pieces gives what feeding it whole gives.
    """

    def __init__(self, threshold: float | None) -> None:
        self.threshold = threshold
        self.crossings = classifier.NO_CROSSINGS
        self._extreme, self._extreme_at, self._before = 0.0, -1, math.nan

    def feed(self, step: np.ndarray, eta: np.ndarray) -> list[tuple[int, int, float]]:
        """The events (code, step, value) at these steps, NaN being 'not measured'; a rule without a threshold has
        none."""
        rows = np.flatnonzero(np.isfinite(eta))
        events: list[tuple[int, int, float]] = []
        if self.threshold is None or len(rows) == 0:
            return events
        fold = shared_kernel().fold
        # the fold numbers its rows from a first step on, so each stretch without a gap is one call
        for part in np.split(rows, np.flatnonzero(np.diff(step[rows]) != 1) + 1):
            n = len(part)
            kinds, steps, values = np.empty(3 * n, np.int8), np.empty(3 * n, np.int64), np.empty(3 * n)
            self.crossings, self._extreme, self._extreme_at, used = fold(
                self.crossings, self._extreme, self._extreme_at, eta[part] >= self.threshold, eta[part],
                self._before, n, int(step[part[0]]), kinds, steps, values,
            )  # fmt: skip
            self._before = float(eta[part[-1]])
            events += zip(kinds[:used].tolist(), steps[:used].tolist(), values[:used].tolist(), strict=True)
        return events


# -- parts ------------------------------------------------------------------------------------------------


def _number(x: Any) -> float | None:
    return float(x) if np.isfinite(float(x)) else None


def _unit(name: str, about: Description) -> str:
    return about.loss_convention if name == "loss" else about.units.get(name) or UNITS.get(name, "")


def _typed(name: str, values: np.ndarray) -> np.ndarray:
    """Counts and truth values as such; there they are 0 and False where nothing was measured."""
    if name == "matvecs":
        return np.nan_to_num(values.astype(float)).astype(np.int64)
    if name == "eig_converged":
        return np.nan_to_num(values.astype(float)).astype(bool)
    return values.astype(float)


@dataclass(frozen=True)
class _Fold:
    """The classifier after all measured steps."""

    crossings: classifier.Crossings
    events: list[tuple[int, int, float]]
    top: int


def _folded(step: np.ndarray, eta: np.ndarray, threshold: float | None) -> _Fold:
    """Crossings and events of the measured steps, and the step of the largest η·S_eff (−1 without any)."""
    rows = np.flatnonzero(np.isfinite(eta))
    top = int(step[rows[np.argmax(eta[rows])]]) if len(rows) else -1
    fold = EventFold(threshold)
    events = fold.feed(step, eta)
    return _Fold(fold.crossings, events, top)


def _ending(
    loss: np.ndarray, recent: Sequence[np.ndarray], step: np.ndarray, crossings: classifier.Crossings
) -> int:
    """The classifier's code for how a run that did not diverge has ended. The least loss is taken to be 0."""
    excess = float(loss[-1]) / float(loss[0]) if loss[0] > 0 else np.inf
    w = [np.asarray(x, dtype=float) for x in recent]
    size = float(np.abs(w[-1]).max()) if w else 1.0
    once, twice = (float(np.abs(w[-1] - w[-1 - i]).max()) if len(w) > i else np.inf for i in (1, 2))
    return classifier.outcome_of(excess, size, once, twice, crossings[0] == 1, int(step[-1]), crossings)


def _phases(step: np.ndarray, fold: _Fold) -> np.ndarray:
    """Sharpening up to the first crossing, the edge up to the last step above the threshold, then convergence
    (without a crossing: from the largest η·S_eff on)."""
    _, started, ups, _, first_up, _, last_down, _ = fold.crossings
    if fold.top < 0:
        return np.full(len(step), classifier.TRANSIENT, np.int8)
    if ups == 0 and started != 1:
        return np.where(step <= fold.top, classifier.PS, classifier.FINAL).astype(np.int8)
    begin = 0 if started == 1 else first_up
    end = last_down if fold.crossings[0] == 0 else np.iinfo(np.int64).max
    phase = np.where(step < begin, classifier.PS, np.where(step < end, classifier.EOS, classifier.FINAL))
    return phase.astype(np.int8)
