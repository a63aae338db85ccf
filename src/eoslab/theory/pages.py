"""A page of the documentation for each statement, written from the values themselves.

``python -m eoslab.theory.pages`` writes docs/theory/statements.md and docs/theory/statements/ID.md anew (or those
under the folder that is given). A page has the statement, its hypotheses with what is known about their
necessity, and a live example: numbers that :func:`~eoslab.theory.check.check` computes for a parameter set to
which the statement applies.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from eoslab.models.minimalist import Minimalist
from eoslab.theory.check import STATEMENTS, check
from eoslab.theory.endings import catapult_step
from eoslab.theory.orbit import orbit
from eoslab.theory.statement import Finding, Quantity, Statement

__all__ = ["EXAMPLES", "Example", "example_of", "file_name", "page", "pages", "write"]


@dataclass(frozen=True)
class Example:
    """A parameter set with the number of steps that its numbers are about (fewer if the run diverges)."""

    words: str
    lambda2: str
    lr: str
    w0: str
    steps: int
    floor: float | None = None
    cap: bool = False

    @cached_property
    def found(self) -> Mapping[str, Finding]:
        """Every statement on this example."""
        (lambda2, lr), w0 = (_value(x) for x in (self.lambda2, self.lr)), tuple(map(_value, self.w0.split(",")))
        start = (w0[0], w0[1], w0[2])
        run = orbit(1.0, lambda2, lr, start, self.steps, floor=self.floor, cap=self.cap, settle=False)
        all_of_them = check(Minimalist(1.0, lambda2), lr, start, trajectory=run, floor=self.floor, cap=self.cap)
        return {f.statement.id: f for f in all_of_them}

    @property
    def title(self) -> str:
        """The example in words and numbers."""
        kind = "" if self.floor is None else f", |β1| floored at {self.floor:g}"
        kind += ", α capped at α_e" if self.cap else ""
        start = self.w0.replace(",", ", ")
        return (
            f"{self.words}: λ1 = 1, λ2 = {self.lambda2}, η = {self.lr}, θ0 = ({start}){kind}; {self.steps} steps"
        )

    @property
    def command(self) -> str:
        """The command that shows the same, for plain descent."""
        return f"eoslab check --lambda1 1 --lambda2 {self.lambda2} --lr {self.lr} --init {self.w0}"


#: The examples in the order in which they are tried; names are those of docs/theory/examples.md.
EXAMPLES = (
    Example("Set M4", "1/1000", "2", "0.98,0.001,0.93", 8000),
    Example("Below the edge", "1/100", "1/2", "0.6,0.001,0.5", 2000),
    Example("Set S1", "1/300", "25/8", "0.75,0.001,0.8", 3000),
    Example("Several cycles", "1/1000", "1.98", "1,0.01,0.1", 4000),
    Example("Floored", "1/10000", "2/1.44", "1.18,0.001,0.75", 12000, floor=1e-3),
    Example("Capped", "1/1000", "1.98", "1,0.0001,0.1", 3000, cap=True),
    Example("Divergent", "1/100", "2", "1.2,1.6,0.5", 200),
)


def _value(text: str) -> float:
    above, slash, below = text.partition("/")
    return float(above) / float(below) if slash else float(above)


def example_of(s: Statement) -> Example | None:
    """The first example to which a statement applies with something to compare, else to which it applies."""
    applying = [x for x in EXAMPLES if x.found[s.id].applies]
    telling = [x for x in applying if x.found[s.id].consistent is not None]
    return next(iter(telling or applying), None)


def file_name(s: Statement) -> str:
    """The name of a statement's page: 4.6' is 4.6-prime.md."""
    return s.id.replace("'", "-prime") + ".md"


def page(s: Statement) -> str:
    """One statement in Markdown, with the numbers of its example."""
    proof = s.reference.removeprefix("docs/theory/")
    lines = [
        f"# {s.id} {s.title}", "",
        f"*{s.status}* · [proof and discussion](../{proof}) · [all statements](../statements.md)", "", s.text, "",
    ]  # fmt: skip
    if s.hypotheses:
        lines += ["| hypothesis | in words | without it |", "|---|---|---|"]
        lines += [_row(a.name, a.text, a.needed) for a in s.hypotheses] + [""]
    example = example_of(s)
    if example is None:
        return "\n".join([*lines, *_catapult()])
    f = example.found[s.id]
    lines += ["## Example", "", example.title + ".", ""]
    if example.floor is None and not example.cap:
        lines += ["```", f"{example.command} --only {_quoted(s.id)}", "```", ""]
    if f.hypotheses:
        lines += ["| hypothesis | holds by |", "|---|---|"]
        lines += [_row(h.name, "" if h.margin is None else _number(h.margin)) for h in f.hypotheses] + [""]
    if f.predicted or f.measured:
        lines += ["| quantity | predicted | measured |", "|---|---|---|"]
        names = [*f.predicted, *(n for n in f.measured if n not in f.predicted)]
        lines += [
            _row(n.replace("_", " "), *(_number(x.get(n)) for x in (f.predicted, f.measured))) for n in names
        ]
        lines += [""]
    verdict = {True: "Consistent.", False: "The law fails here.", None: "Nothing to compare with."}[f.consistent]
    return "\n".join([*lines, verdict + (f" ({f.note})" if f.note else ""), ""])


def _catapult() -> list[str]:
    """Theorem 5.4 is about λ2 = 0, where there is no model to learn: three orbits of its map (s, w)."""
    lines = ["## Example", "", "λ2 = 0, from s0 = 2.5 and w0 = Σ0 − s0, at most 2000 steps.", ""]
    lines += ["| Σ0 | predicted | P = sw at the end | Σ at the end | steps |", "|---|---|---|---|---|"]
    for sigma, predicted in ((3.9, "converges"), (3.99, "converges"), (4.01, "diverges")):
        s, w, steps = 2.5, sigma - 2.5, 0
        while 1e-30 < s * w and s + w < 1e6 and steps < 2000:
            (s, w), steps = catapult_step(s, w), steps + 1
        lines.append(_row(f"{sigma:g}", predicted, _number(s * w), _number(s + w), str(steps)))
    return [*lines, ""]


def index() -> str:
    """The table of all statements."""
    lines = [
        "# Statements",
        "",
        "Each page has the statement, its hypotheses with what happens without them, and a live example. Written "
        "from the values in `eoslab.theory` by `python -m eoslab.theory.pages`.",
        "",
        "| | statement | standing | example |",
        "|---|---|---|---|",
    ]
    for s in STATEMENTS.values():
        example = example_of(s)
        words = "λ2 = 0" if example is None else example.words
        lines.append(_row(s.id, f"[{s.title}](statements/{file_name(s)})", s.status, words))
    return "\n".join([*lines, ""])


def pages() -> Iterator[tuple[str, str]]:
    """(file name relative to docs/theory, text) of every page."""
    yield "statements.md", index()
    for s in STATEMENTS.values():
        yield f"statements/{file_name(s)}", page(s)


def write(folder: Path) -> None:
    """Write every page below ``folder`` and remove pages of statements that are no more."""
    (folder / "statements").mkdir(parents=True, exist_ok=True)
    written = set()
    for name, text in pages():
        (folder / name).write_text(text, encoding="utf-8")
        written.add(folder / name)
    for path in (folder / "statements").glob("*.md"):
        if path not in written:
            path.unlink()


def _row(*cells: str) -> str:
    return " ".join(["|", " | ".join(x.replace("|", "\\|") for x in cells), "|"])


def _quoted(id: str) -> str:
    return f'"{id}"' if "'" in id else id


def _number(x: Quantity) -> str:
    if x is None:
        return "–"
    if isinstance(x, tuple):
        return f"[{x[0]:.4g}, {x[1]:.4g}]"
    # Defects of identities are rounding noise: their size is what matters.
    return f"{x:.4g}" if abs(x) > 1e-12 or x == 0 else "< 1e-12"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/theory"))
