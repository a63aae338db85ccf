"""``eoslab train`` as one of several processes that torchrun has started: who speaks, and stopping together."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eoslab.cli.network import networks
from eoslab.cli.problem import Finish
from eoslab.cli.progress import Stop
from eoslab.cli.train_plan import TrainPlan
from eoslab.core.errors import EoslabError, InvalidArgument

__all__ = ["agreed", "speaking", "together", "whole"]


@contextmanager
def together() -> Iterator[Any]:
    """The processes that torchrun has started; those but the first say nothing, unless they fail alone."""
    if int(os.environ.get("WORLD_SIZE") or 1) == 1:
        yield None
        return
    networks()
    from eoslab.nn.ranks import joined

    with joined() as ranks, speaking(ranks.first):
        try:
            yield ranks
        except RuntimeError as e:
            if not LOST.search(str(e)):
                raise
            raise EoslabError(
                "another process of this training has ended",
                "its own message says why; what was made up to the last checkpoint can be resumed",
            ) from None


#: What gloo says when it cannot reach a process any more.
LOST = re.compile(r"gloo|connection (closed|reset|refused)|timed out", re.IGNORECASE)


@contextmanager
def speaking(aloud: bool) -> Iterator[None]:
    """Without output, unless aloud; an error that the others cannot know of is raised and said all the same."""
    if aloud:
        yield
        return
    said = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            yield
        except EoslabError as e:
            if e.exit_code == 2:  # a wrong word is wrong for all, and the first process says so
                raise Finish(2) from None
            raise
        finally:
            sys.stdout, sys.stderr = said


def agreed(stop: Stop, ranks: Any) -> bool:
    """Whether any process was asked to stop; then all were."""
    asked = bool(ranks.any(stop()))
    if asked and not stop():
        stop.signum = signal.SIGINT
    return asked


def whole(plan: TrainPlan) -> None:
    """Refuse what draws some of the samples where several processes share them."""
    if plan.batch is not None:
        raise InvalidArgument("batch", plan.batch, "nothing: mini-batches are for one process, not for torchrun")
    for probe in plan.probes:
        if hasattr(probe, "batch"):
            raise InvalidArgument("probes", probe.name, "a probe of all samples: it draws some, on one process")
