"""What was run: settings against their defaults, environment, method, warnings."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from eoslab.plots.reading import Run
from eoslab.plots.text import number_text, step_text

__all__ = ["Setting", "differing", "environment", "method", "settings", "warnings"]

#: What `eoslab run` takes where nothing is said.
RUN_DEFAULTS = {"model": "minimalist", "optimizer": "gd", "lr": 2.4, "steps": 3000, "record_every": 1, "seed": 0}


@dataclass(frozen=True)
class Setting:
    """A setting, its value, and its default ('' where it has none)."""

    name: str
    value: str
    default: str

    @property
    def differs(self) -> bool:
        return bool(self.default) and self.value != self.default


def settings(run: Run) -> list[Setting]:
    """All settings, those that differ from their default first."""
    # what a network is like has no default worth telling
    defaults: dict[str, Any] = {} if run.is_network else dict(RUN_DEFAULTS)
    found: dict[str, Any] = {"model": run.model_name, "optimizer": run.optimizer}
    for kind in () if run.is_network else ("model", "optimizer"):
        defaults |= _class_defaults(kind, found[kind])
    for group in ("model", "optimizer", "run"):
        found |= run.parameters.get(group, {})
    found["steps"] = int(run.scalar("steps", float(run.step[-1])))
    if run.params and "w" in run.ds:
        found.setdefault("start", run.ds["w"].values[0].tolist())
    if run.ds.attrs.get("seed") is not None:
        found["seed"] = run.ds.attrs["seed"]
    if data := json.loads(run.ds.attrs.get("data") or "{}"):
        found |= {"data" if k == "source" else k: v for k, v in data.items()}
    rows = [
        Setting(name, _text(value), _text(defaults[name]) if name in defaults else "")
        for name, value in found.items()
    ]
    return sorted(rows, key=lambda s: not s.differs)


def differing(runs: list[Run]) -> list[tuple[str, list[str]]]:
    """The settings in which the runs are not all alike: name and one value a run."""
    tables = [{s.name: s.value for s in settings(run)} for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    rows = [(name, [table.get(name, "–") for table in tables]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def environment(run: Run) -> list[tuple[str, str]]:
    """Versions, machine, time taken, and whatever else the run recorded about itself."""
    attrs = dict(run.ds.attrs)
    rows = [("eoslab", str(attrs.pop("eoslab_version", "not recorded")))]
    rows += [(name, str(version)) for name, version in json.loads(attrs.pop("versions", "{}")).items()]
    for key, label in (
        ("platform", "machine"), ("dtype", "number type"), ("seed", "seed"), ("git", "git state"),
        ("seconds", "wall time"), ("created", "created"), ("format", "format of the run"),
    ):  # fmt: skip
        if attrs.get(key) is not None:
            value = attrs[key]
            rows.append((label, f"{number_text(float(value))} s" if key == "seconds" else str(value)))
    return rows


def method(run: Run) -> list[str]:
    """How the numbers were obtained, in sentences."""
    lines = []
    if convention := run.ds.attrs.get("loss_convention"):
        lines.append(f"Loss: {convention}.")
    if run.preconditioned:
        lines.append("The sharpness compared with the threshold is λmax(P⁻¹H)/η, with the optimizer's P.")
    if "eig_converged" in run.ds:
        measured = np.count_nonzero(run.ds["measured"].values)
        lines.append(
            f"Sharpness: λmax by Lanczos iteration on exact Hessian-vector products at {step_text(measured)} of "
            f"{step_text(len(run.step))} steps, each with residual and error bound."
        )
    else:
        lines.append("Sharpness: λmax of the exact Hessian, from its closed form at every recorded step.")
    if run.is_network and "gfs_converged" in run.ds:
        done = run.series("gfs_converged")
        lines.append(
            "GFS sharpness: λmax at the end of the gradient flow, integrated numerically from the iterate; "
            f"{int(np.nansum(done))} of {np.count_nonzero(np.isfinite(done))} flows came to their solution."
        )
    elif run.has("gfs_sharpness"):
        lines.append("GFS sharpness: closed form, from the quantity that gradient flow conserves.")
    if run.has("flow_distance"):
        error = float(np.nanmax(run.series("flow_error")))
        lines.append(
            "Gradient flow: integrated beside the run by a stabilised Runge–Kutta method with error control; "
            f"its estimated local errors add up to {number_text(error)}."
        )
    every = int(run.ds.attrs.get("record_every", 1))
    kept = "Every step was recorded." if every == 1 else (
        f"One of {every} steps was recorded, with the extremes of loss and sharpness between; "
        "crossings and events were judged at every step."
    )  # fmt: skip
    lines.append(f"Arithmetic: {run.ds.attrs.get('dtype', 'float64')}. {kept}")
    if run.params and "beta1_exponent" in run.ds:
        lines.append("β1 was carried as mantissa and exponent where it left the range of float64.")
    return lines


def warnings(run: Run) -> list[str]:
    """What a reader should know before trusting the numbers."""
    lines = [f"{_capital(note)}." for note in json.loads(run.ds.attrs.get("notes") or "[]")]
    outcome = run.word("outcome")
    if outcome == "interrupted" or not run.ds.attrs.get("complete", True):
        lines.append("The run was interrupted before its last step.")
    if outcome == "metastable":
        lines.append("It ends above the threshold with a dead oscillation: after more steps it would leave.")
    if outcome == "period-2":
        lines.append("It ends in a lasting two-cycle: every second step looks calm, the loss does not converge.")
    if event := run.event("beta1-underflow"):
        back = run.event("beta1-return")
        least = f", down to 10^{back.value:.0f}, and returned at step {step_text(back.step)}" if back else ""
        lines.append(f"|β1| left the range of float64 at step {step_text(event.step)}{least}.")
    if "eig_converged" in run.ds:
        good = run.ds["eig_converged"].values[run.ds["measured"].values]
        if not good.all():
            lines.append(
                f"The eigenvalue solver did not converge at {np.count_nonzero(~good)} of {good.size} points."
            )
    return lines


def _class_defaults(kind: str, name: str) -> dict[str, Any]:
    from eoslab.core import catalog
    from eoslab.core.errors import UnknownName

    try:
        cls = catalog.find(f"eoslab.{kind}s", name, kind)
    except UnknownName:
        return {}
    found = {f.name: f.default for f in fields(cls) if f.default is not MISSING}
    # the start of a model of variable size is a property of the instance
    if kind == "model" and isinstance(getattr(cls, "default_w0", None), tuple):
        found["start"] = list(cls.default_w0)
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        if len(value) > 6:
            return f"{len(value)} numbers, {number_text(value[0])} to {number_text(value[-1])}"
        return ", ".join(_text(v) for v in value)
    if isinstance(value, dict) and all(isinstance(v, dict) for v in value.values()):
        # probes by name with their settings
        return "; ".join(f"{k} ({', '.join(f'{a} {_text(b)}' for a, b in v.items())})" for k, v in value.items())
    return json.dumps(value, sort_keys=True)
