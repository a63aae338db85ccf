"""A stored run as a table of the page shows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

__all__ = ["record"]

KEYS = (
    *("id", "created", "model", "optimizer", "parameters", "outcome", "regime", "lr", "steps", "final_loss"),
    *("threshold", "max_eta_sharpness", "verdict", "problem"),
)


def record(run: Any) -> dict[str, Any]:
    """The row of a :class:`eoslab.results.store.RunInfo`; ``live`` is its state by its journal, if any."""
    status = run.live if not run.problem else None
    more = {"seed": run.attributes.get("seed"), "live": asdict(status) if status else None}
    return {key: getattr(run, key) for key in KEYS} | more
