"""What happened in a run, in one sentence and in a dozen numbers."""

from __future__ import annotations

import numpy as np

from eoslab.core.vocabulary import title
from eoslab.plots.reading import Run
from eoslab.plots.text import number_text, step_text
from eoslab.results.network import brief
from eoslab.results.summary import verdict_sentence

__all__ = ["final_index", "key_numbers", "sentence", "steps_at_edge"]


def final_index(run: Run) -> int:
    """The last row with finite numbers."""
    fine = np.flatnonzero(np.isfinite(run.series("loss")))
    return int(fine[-1]) if len(fine) else 0


def steps_at_edge(run: Run) -> tuple[int, int | None] | None:
    """First and last step above the threshold after the first crossing (None: never; still above)."""
    if run.first_crossing is None:
        return None
    downs = [e.step for e in run.events if e.kind == "crossing-down"]
    above = run.sharpness[final_index(run)] >= run.threshold or not downs
    return run.first_crossing, None if above or run.word("outcome") == "period-2" else downs[-1] - 1


def sentence(run: Run) -> str:
    """The verdict of the run as a sentence with its full stop."""
    return verdict_sentence(run.ds).rstrip(".") + "."


def key_numbers(run: Run) -> list[tuple[str, str]]:
    """Label and value of what a reader asks first."""
    last, loss = final_index(run), run.series("loss")
    rows = [("regime", title(run.word("regime"))), ("outcome", title(run.word("outcome")))]
    rows.append(("steps", step_text(run.scalar("steps", float(run.step[-1])))))
    if np.isfinite(run.lr):
        rows.append(("step size η", number_text(run.lr, 5)))
    if np.isfinite(run.threshold):
        rows += _against_threshold(run)
    rows.append(("first loss", number_text(loss[0])))
    if run.diverged_at is None:
        rows.append(("final loss", number_text(loss[last])))
        rows.append((f"final {run.sharpness_label}", number_text(run.sharpness[last], 4)))
        if np.isfinite(run.threshold):
            rows.append(("final ratio to the threshold", number_text(run.sharpness[last] / run.threshold, 5)))
    if run.is_network:
        rows += _of_network(run)
    if run.has("gfs_sharpness"):
        flow = run.series("gfs_sharpness")
        end = "" if run.diverged_at is not None else f" → {number_text(flow[last], 4)}"
        rows.append(("GFS sharpness", number_text(flow[0], 4) + end))
    for name, meaning in (("T1", "α reaches the edge"), ("T2", "β2 passes its edge value")):
        if run.scalar(name, -1) >= 0:
            rows.append((f"{name}, {meaning}", f"step {step_text(run.scalar(name))}"))
    return rows


def _of_network(run: Run) -> list[tuple[str, str]]:
    """The second half, accuracy, and what the measurements cost."""
    facts = brief(run.ds)
    rows = []
    if facts["mean_ratio_second_half"] is not None:
        rows.append(("mean ratio, second half", number_text(facts["mean_ratio_second_half"], 4)))
    if (share := facts["final"].get("accuracy")) is not None:
        rows.append(("accuracy on the training samples", f"{100 * share:.1f} %"))
    if facts["hvp_total"]:
        rows.append(("Hessian-vector products a step", number_text(facts["hvp_per_step"])))
    return rows


def _against_threshold(run: Run) -> list[tuple[str, str]]:
    """When the run is above its threshold and how far."""
    rows = [(f"threshold {run.threshold_name}", number_text(run.threshold, 4))]
    above = bool(run.sharpness[0] > run.threshold)
    first = "starts above" if above else "never"
    crossing = run.first_crossing
    rows.append(("first crossing", first if crossing is None else f"step {step_text(crossing)}"))
    if edge := steps_at_edge(run):
        rows.append(("at the edge", f"{step_text(edge[0])}–{'end' if edge[1] is None else step_text(edge[1])}"))
    if run.diverged_at is None:
        ratio = run.scalar("max_eta_sharpness") / run.scalar("threshold")
        rows.append(("largest ratio to the threshold", number_text(ratio, 4)))
    return rows
