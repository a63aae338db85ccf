"""The list of statements as a page of the documentation, written from the values themselves.

``python -m eoslab.theory.pages > docs/theory/statements.md`` writes it anew. Each entry has the statement, its
hypotheses with what is known about their necessity, and the numbers of one live example.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from eoslab.models.minimalist import Minimalist
from eoslab.theory.check import STATEMENTS, check
from eoslab.theory.statement import Finding, Quantity, Statement

__all__ = ["entry", "page"]

#: The example of the page: set M4 of docs/theory/examples.md, to T2 and beyond.
EXAMPLE = (Minimalist(1.0, 0.001), 2.0, (0.98, 1e-3, 0.93))
STEPS = 8000


def entry(s: Statement, found: Finding | None = None) -> str:
    """One statement in Markdown, with the numbers of a finding if there is one."""
    link = s.reference.removeprefix("docs/theory/")
    lines = [f"## {s.id} {s.title}", "", f"*{s.status}*, [proof and discussion]({link})", "", s.text, ""]
    if s.hypotheses:
        lines += ["| hypothesis | in words | without it |", "|---|---|---|"]
        lines += [
            " | ".join(("", *(_cell(x) for x in (a.name, a.text, a.needed)), "")).strip() for a in s.hypotheses
        ]
        lines += [""]
    if found is not None and found.applies and found.predicted:
        lines += ["| example | predicted | measured |", "|---|---|---|"]
        names = [*found.predicted, *(n for n in found.measured if n not in found.predicted)]
        lines += [f"| {n} | {_number(found.predicted.get(n))} | {_number(found.measured.get(n))} |" for n in names]
        lines += [""]
    elif found is not None and not found.applies:
        failing = ", ".join(h.name for h in found.hypotheses if not h.holds)
        lines += [f"Does not apply to the example: {failing}.", ""]
    return "\n".join(lines)


def page(findings: Iterable[Finding] = ()) -> str:
    """All statements in Markdown."""
    found = {f.statement.id: f for f in findings}
    model, lr, w0 = EXAMPLE
    start = ", ".join(f"{x:g}" for x in w0)
    head = [
        "# Statements",
        "",
        "Written from the values in `eoslab.theory` (`python -m eoslab.theory.pages`). The example is "
        f"λ1 = {model.lambda1:g}, λ2 = {model.lambda2:g}, b = {model.b:g}, η = {lr:g}, θ0 = ({start}).",
        "",
    ]
    return "\n".join(head) + "\n" + "\n".join(entry(s, found.get(s.id)) for s in STATEMENTS.values())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _number(x: Quantity) -> str:
    if x is None:
        return "–"
    if isinstance(x, tuple):
        return f"[{x[0]:.4g}, {x[1]:.4g}]"
    # Defects of identities are rounding noise: their size is what matters.
    return f"{x:.4g}" if abs(x) > 1e-12 or x == 0 else "< 1e-12"


if __name__ == "__main__":
    model, lr, w0 = EXAMPLE
    from eoslab.theory.orbit import orbit

    run = orbit(model.lambda1, model.lambda2, lr, w0, STEPS, b=model.b, settle=False)
    sys.stdout.write(page(check(model, lr, w0, trajectory=run)))
