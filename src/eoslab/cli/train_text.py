"""What ``eoslab train`` says: before it trains, while it does, and at the end."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from eoslab.cli import output
from eoslab.cli.run import print_plan, report_text
from eoslab.cli.train_plan import TrainPlan
from eoslab.core.vocabulary import title

__all__ = ["Telling", "introduction", "print_plans", "result"]

#: The heights of a sparkline, and how many of them are shown.
BARS, WIDTH = "▁▂▃▄▅▆▇█", 12


class Telling:
    """The line beneath the progress: loss, sharpness, its ratio to the threshold and how it came there.

    The sharpness is that of the last measurement. A run is called progressive sharpening until it first reaches
    its threshold, and at the edge of stability from then on.
    """

    def __init__(self) -> None:
        self.ratios: list[float] = []
        self.measured = ""

    def __call__(self, line: Mapping[str, Any]) -> str:
        """The text for the newest row of a run."""
        eta, lr, tau = line["eta_sharpness"], line["lr"], line["threshold"]
        if math.isfinite(eta):
            self.measured = f"   sharpness {output.number(eta / lr)}"
            if tau:
                self.ratios.append(eta / tau)
                phase = "eos" if max(self.ratios) >= 1 else "ps"
                self.measured += f"   η·S/{tau:.4g} {eta / tau:.3f} {sparkline(self.ratios)}   {title(phase)}"
        return f"loss {output.number(line['loss'], 3)}{self.measured}"


def sparkline(values: list[float]) -> str:
    """The largest of each of a few equal stretches, low to high.

    >>> sparkline([0.0, 1.0, 2.0, 3.0])
    '▁▃▆█'
    """
    width = min(WIDTH, len(values))
    tops = [max(values[i * len(values) // width : (i + 1) * len(values) // width]) for i in range(width)]
    low, high = min(tops), max(tops)
    if high <= low:
        return BARS[0] * width
    return "".join(BARS[round((top - low) / (high - low) * (len(BARS) - 1))] for top in tops)


def introduction(plan: TrainPlan, run: Any) -> str:
    tau, lr = run.threshold.value, plan.rule.lr
    edge = f" ({tau:.4g}/η = {output.number(tau / lr)})" if tau is not None else ""
    return (
        f"training {plan.model} · {output.number(run.objective.samples)} examples of {plan.settings['data']} · "
        f"{output.number(run.objective.n)} parameters · {plan.rule.name} · η = {output.number(lr)}{edge}"
    )


def result(options: dict[str, Any], run: Any, many: bool) -> dict[str, Any]:
    """The record of a finished run; its text is printed at once."""
    from eoslab.results.network import brief
    from eoslab.results.summary import summary

    ds = run.dataset()
    facts = brief(ds)
    record = {"run": str(run.stored.path), "id": run.stored.id, "lr": float(ds["lr"]), **facts,
              "steps": int(ds["steps"])}  # fmt: skip
    if options["as_json"]:
        return record
    if many:
        output.line(output.bold(f"η = {output.number(record['lr'])}"))
    for text in report_text(ds, summary(ds)):
        output.line(text)
    for text in _lines(ds, facts):
        output.line(f"  {text}")
    if options["verbose"]:
        for name, value in json.loads(ds.attrs["parameters"])["model"].items():
            output.line(f"  {name:<17} {value}")
        for note in run.objective.notes:
            output.line(f"  note              {note}")
        events = zip(ds["event_step"].values, ds["event_kind"].values, ds["event_value"].values, strict=True)
        for step, kind, value in list(events)[:20]:
            output.line(f"    step {int(step):<10} {kind!s:<16} {output.number(float(value))}")
    took = output.seconds(facts["seconds"] or 0.0)
    made = f"{output.number(record['steps'])} steps in {took}"
    output.line(f"saved {output.green(run.stored.id)}  {run.stored.path}      {output.dim(made)}")
    return record


def _lines(ds: Any, facts: dict[str, Any]) -> list[str]:
    """Second half, accuracy, evidence and price of the measurement, convention of the loss."""
    lines = []
    mean = facts["mean_ratio_second_half"]
    if mean is not None:
        lines.append(f"second half       mean ratio to the threshold {mean:.3f}")
    accuracy = facts["final"].get("accuracy")
    if accuracy is not None:
        lines.append(f"accuracy          {100 * accuracy:.1f} % of the training samples")
    if facts["hvp_total"]:
        bad = int((~ds["eig_converged"].values[ds["measured"].values]).any(axis=1).sum())
        bound = facts["final"].get("sharpness_bound")
        sure = f", last sharpness ± {output.number(bound, 2)}" if bound is not None else ""
        doubt = f"; {bad} steps not within tol" if bad else ""
        cost = facts["cost_in_gradient_steps"]
        # the time is that of all that is measured
        more = ", with the other probes" if len(json.loads(ds.attrs["parameters"])["run"]["probes"]) > 2 else " ="
        price = f"{more} {cost:.1f} plain steps" if cost is not None else ""
        lines.append(f"measuring         {facts['hvp_per_step']:.1f} products a step{price}{sure}{doubt}")
    lines += _flow_lines(ds)
    lines.append(f"loss              {ds.attrs['loss_convention']}")
    return lines


def _flow_lines(ds: Any) -> list[str]:
    """Where the gradient flow beside the run is, and what the flows from its points came to."""
    lines = []
    number = output.number
    for name, word in (("flow_distance", "gradient flow"), ("gfs_reached", "GFS flows")):
        if name not in ds:
            continue
        at = [i for i, value in enumerate(ds[name].values.tolist()) if math.isfinite(value)]
        if not at:
            lines.append(f"{word:<17} not followed: its budget was spent at the first measurement")
            continue
        row = ds.isel(step=at[-1])
        if name == "flow_distance":
            sharp = f", its sharpness {number(float(row['flow_sharpness']))}" if "flow_sharpness" in ds else ""
            place = f"at distance {number(float(row[name]), 3)} at time {number(float(row['time']))}"
            lines.append(f"{word:<17} {place}{sharp}, loss {number(float(row['flow_loss']), 3)}")
            if at[-1] < ds.sizes["step"] - 1 and str(ds["outcome"].values) != "diverged":
                lines.append(f"{'':<17} lost at step {int(row['step'])}: it needed more gradients than allowed")
        else:
            done = int(sum(ds["gfs_converged"].values[at]))
            last = float(row["gfs_sharpness"])
            text = number(last) if math.isfinite(last) else f"not at its end, {number(float(row[name]))} so far"
            last_step = f"sharpness from step {int(row['step'])}: {text}"
            lines.append(f"{word:<17} {done} of {len(at)} came to their solution; {last_step}")
    return lines


def print_plans(plans: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        output.emit({"plan": plans[0]} if len(plans) == 1 else {"plans": plans})
        return
    for plan in plans:
        print_plan(plan, False)
