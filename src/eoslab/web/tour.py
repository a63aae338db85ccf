"""Ten steps through the phenomenon: a setting, two or three sentences, and something to break.

Every sentence is checked against the engine in tests/web/test_tour.py, under the key of its step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["TOUR", "Step", "listed"]


@dataclass(frozen=True)
class Step:
    """A title, what differs from the defaults, what is to be seen, and what the reader can break."""

    title: str
    asked: Mapping[str, Any]
    text: str
    attempt: str


CYCLES = {"lr": 1.98, "lambda2": 0.001, "init": [1, 0.01, 0.1], "steps": 4000}

TOUR: Final[dict[str, Step]] = {
    "quadratic": Step(
        "A quadratic, below and above 2/η",
        {"model": "quadratic", "lr": 1.9, "steps": 300},
        "On a quadratic the sharpness never changes. Below 2/η every step shrinks w₁, with a sign that "
        "alternates once η·S is above 1; above 2/η every step enlarges it, and nothing brings it back.",
        "Type 2.05 for η, then 0.9. Then look for the value at which it turns: exactly 2/λ₁.",
    ),
    "sharpening": Step(
        "Progressive sharpening",
        {"lr": 0.9},
        "With two layers the sharpness is no constant: while the loss falls, α grows, and the sharpness λ₁α² with "
        "it. This step size is small, so that training ends before the dotted line is reached.",
        "Raise η: the dotted line comes down, and between 1.9 and 2 it meets the curve.",
    ),
    "crossing": Step(
        "Crossing the edge",
        {},
        "With a larger η the sharpness reaches 2/η while there is still loss to remove. From that step on β₁, "
        "which is irrelevant to the task, grows by a factor at every step, with alternating sign.",
        "Compare the step of the crossing with the interval that the theory gives from the start alone.",
    ),
    "stabilization": Step(
        "Self-stabilization",
        CYCLES,
        "The oscillation acts back: each step takes the share ηλ₁β₁² off α, so the sharpness falls below the line "
        "and the oscillation shrinks again. Then sharpening resumes: twelve excursions until the run settles.",
        "Make β₁ at the start ten times smaller, twice: the excursions become fewer and higher.",
    ),
    "loss": Step(
        "Why the loss falls although it oscillates",
        CYCLES,
        "The loss is the sum of an oscillatory part, which goes up and down with β₁, and a convergent part, the "
        "task. The convergent part falls from each excursion to the next, and takes the total with it.",
        "Set the loss to linear, then switch on the stable set: its loss is the curve underneath.",
    ),
    "gfs": Step(
        "GFS sharpness",
        {"lr": 0.5, "lambda2": 0.001, "init": [1.99, 0.001, 0.1], "steps": 6000},
        "The dashed line is the sharpness at which gradient flow would end if it took over now. Gradient descent "
        "only ever lowers it here, and once it is below 2/η it stays there: the run can settle.",
        "Move the scrubber to step 1740, where the dashed line passes 2/η; the last excursion is just over.",
    ),
    "irrelevant": Step(
        "What the irrelevant feature does",
        {"init": [0.3, 0, 0.1]},
        "With β₁ = 0 exactly nothing oscillates: α walks over the edge and stays on the far side, at a minimiser "
        "sharper than 2/η that the least disturbance would leave. So the irrelevant input is what finds the edge.",
        "Give β₁ any other value, even 1e-100: the run comes back below 2/η.",
    ),
    "larger": Step(
        "Why a larger η stops helping",
        {"lr": 1.8},
        "Below the edge twice the η is half the steps: a loss of 1e-6 takes 1446 steps at η = 0.6, 723 at 1.2, "
        "482 here. Beyond the edge the oscillation spends the gain: at η = 2.4 it takes 976.",
        "Pin this run, then type 2.4 for η.",
    ),
    "divergence": Step(
        "When it diverges",
        {"lr": 4.2, "steps": 4000},
        "A larger η means a lower edge, reached when more of the task is left; what is left drives the "
        "excursions. At η = 4.2 the first of them does not come back.",
        "Lower η to 3.6: the run survives, in three excursions. The phase map shows the border.",
    ),
    "network": Step(
        "What a network does",
        {"model": "digits"},
        "A linear network on 1797 images of digits, even or odd, has the same loss with 61 directions instead of "
        "two. It sharpens and crosses 2/η at step 557, but does not settle: it ends in a two-cycle across "
        "the edge.",
        "Lower η to 0.5: it stays stable. A network with nonlinearities: eoslab train --preset digits.",
    ),
}  # fmt: skip


def listed() -> list[dict[str, Any]]:
    """The steps for the page."""
    return [{"key": key, **asdict(step), "asked": dict(step.asked)} for key, step in TOUR.items()]
