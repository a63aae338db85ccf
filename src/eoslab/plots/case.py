"""A stored run as the theory reads it."""

from __future__ import annotations

from collections.abc import Mapping

from eoslab.plots.reading import Run
from eoslab.results.settled import problem_of_run, settled_trajectory
from eoslab.theory.check import check, context
from eoslab.theory.context import Context
from eoslab.theory.statement import Finding

__all__ = ["case", "findings"]


def case(run: Run) -> Context:
    """The parameters, the start and every step of a run of gradient descent on the two-input model.

    The steps are made again from the start (a stored run may hold every hundredth one). Raises InvalidArgument
    for any other kind of run.
    """
    model, rule, w0, steps = problem_of_run(run.ds, run.name)
    made = settled_trajectory(model, rule, w0, steps, settle=False)
    floor = getattr(rule, "beta_min", None)
    return context(model, rule.lr, w0, trajectory=made, floor=floor, cap=rule.projection == "cap")


def findings(run: Run, c: Context, *ids: str) -> Mapping[str, Finding]:
    """The statements with these ids that apply to the run, by id."""
    model, rule, w0, _ = problem_of_run(run.ds, run.name)
    found = check(model, rule.lr, w0, trajectory=c.trajectory, floor=c.floor, cap=c.cap, only=ids)
    return {f.statement.id: f for f in found if f.applies}
