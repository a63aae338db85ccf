"""The page: verdict, numbers, figures, method, settings, environment, command, data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from eoslab import __version__, plots
from eoslab.core.errors import InvalidArgument
from eoslab.core.vocabulary import title as title_of
from eoslab.plots.reading import Run, words
from eoslab.plots.text import number_text, step_text
from eoslab.report import data
from eoslab.report.settings import differing, environment, method, settings, warnings
from eoslab.report.svg import colour_variables, inline
from eoslab.report.verdict import final_index, key_numbers, sentence

__all__ = ["page"]

#: Nothing may be fetched, run or framed: what is read is in this file.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

#: Figures of one run in the order of the report; the ones that a run cannot have are left out.
SINGLE = ("loss-sharpness", "loss-split", "gfs")
SYMBOLS = {
    "lambda1": "λ1", "lambda2": "λ2", "lr": "step size η", "beta_min": "floor β_min", "start": "start w0",
    "b": "teacher b", "alpha": "α", "beta1": "β1", "beta2": "β2",
}  # fmt: skip


def page(runs: Sequence[Run], commands: Sequence[str], title: str | None = None) -> str:
    """The whole file as text."""
    name = title or (runs[0].name if len(runs) == 1 else "Comparison of " + ", ".join(run.name for run in runs))
    body = _one(runs[0], commands[0], name) if len(runs) == 1 else _several(runs, commands, name)
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    colours = (
        f":root{{{colour_variables(False)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{colour_variables(True)}}}}}"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="eoslab {escape(__version__)}">\n'
        f"<title>{escape(name)}</title>\n<style>\n{style}{colours}\n</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n<footer>Written by eoslab {escape(__version__)}. This file is complete: it needs no network "
        "and no script.</footer>\n</main>\n</body>\n</html>\n"
    )


def _one(run: Run, command: str, name: str) -> str:
    figures = "\n".join(_figures(run, SINGLE, "f"))
    return "\n".join(
        [
            "<header>", f"<h1>{escape(name)}</h1>", f'<p class="verdict">{escape(sentence(run))}</p>', "</header>",
            _warnings([run]), _key_list(run), figures,
            "<h2>Method</h2>", *(f"<p>{escape(line)}</p>" for line in method(run)),
            "<h2>Settings</h2>", _settings_table(run),
            "<h2>Environment</h2>", _pairs(environment(run)),
            "<h2>Reproduce</h2>", _command(command), "<h2>Data</h2>", _download(run, data.BUDGET, 0),
        ]
    )  # fmt: skip


def _several(runs: Sequence[Run], commands: Sequence[str], name: str) -> str:
    """Difference of the settings first, then numbers side by side, shared axes, and each run on its own."""
    parts = [f"<header>\n<h1>{escape(name)}</h1>"]
    parts += [f'<p class="verdict">{len(runs)} runs. {escape(_contrast(runs))}</p>', "</header>", _warnings(runs)]
    rows = differing(list(runs))
    parts.append("<h2>What differs</h2>")
    heads = [run.name for run in runs]
    parts.append(
        _table(["setting", *heads], [[SYMBOLS.get(n, n), *v] for n, v in rows])
        if rows
        else "<p>The settings of these runs are the same.</p>"
    )
    parts += ["<h2>Numbers</h2>", _side_by_side(runs)]
    if len(runs) <= plots.FIGURES["eta-sweep"].max_runs if "eta-sweep" in plots.FIGURES else False:
        drawing = plots.draw("eta-sweep", [r.ds for r in runs], names=heads, size="double")
        alt = "Loss and sharpness of all runs, each with its own threshold."
        parts.append(_figure(1, inline(drawing, "s", alt), "Loss and sharpness of the runs on shared axes.", ""))
    share = data.BUDGET // len(runs)
    for i, (run, command) in enumerate(zip(runs, commands, strict=True)):
        parts += [f"<h2>{escape(run.name)}</h2>", f"<p>{escape(sentence(run))}</p>"]
        parts += _figures(run, SINGLE[:1] if len(runs) <= 6 else (), f"r{i}", first=i + 2)
        parts += ["<h3>Reproduce</h3>", _command(command), _download(run, share, i)]
    parts += ["<h2>Method</h2>"]
    lines = dict.fromkeys(line for run in runs for line in method(run))
    parts += [f"<p>{escape(line)}</p>" for line in lines]
    parts += ["<h2>Environment</h2>", _pairs(environment(runs[0]))]
    return "\n".join(parts)


def _contrast(runs: Sequence[Run]) -> str:
    """How many runs are in which regime."""
    counts: dict[str, int] = {}
    for run in runs:
        regime = title_of(run.word("regime"))
        counts[regime] = counts.get(regime, 0) + 1
    return "; ".join(f"{title.capitalize()}: {n}" for title, n in counts.items()) + "."


# -- parts ----------------------------------------------------------------------------------------------------


def _warnings(runs: Sequence[Run]) -> str:
    lines = [(run.name + ": " if len(runs) > 1 else "") + line for run in runs for line in warnings(run)]
    if not lines:
        return ""
    return '<div class="warn" role="note">' + "".join(f"<p>{escape(line)}</p>" for line in lines) + "</div>"


def _key_list(run: Run) -> str:
    rows = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>\n" for k, v in key_numbers(run))
    return f"<dl>\n{rows}</dl>"


def _side_by_side(runs: Sequence[Run]) -> str:
    tables = [dict(key_numbers(run)) for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    return _table(["", *(r.name for r in runs)], [[n, *(t.get(n, "–") for t in tables)] for n in names])


def _figures(run: Run, names: Iterable[str], prefix: str, first: int = 1) -> list[str]:
    parts = []
    for name in names:
        if name not in plots.FIGURES:
            continue
        try:
            drawing = plots.draw(name, run.ds, names=[run.name], size="double")
        except InvalidArgument:
            # the figure is of another kind of run: a d-input run has no phase portrait
            continue
        number = first + len(parts)
        what = plots.FIGURES[name]
        text = f"{what.title}. {sentence(run)}"
        numbers = _numbers(run) if number == first else ""
        parts.append(_figure(number, inline(drawing, f"{prefix}{number}", text), _caption(name), numbers))
    return parts


def _caption(name: str) -> str:
    what = plots.FIGURES[name]
    return f"{what.title}: {what.description}."


def _figure(number: int, drawing: str, caption: str, numbers: str) -> str:
    table = f"<details><summary>Numbers of figure {number}</summary>{numbers}</details>" if numbers else ""
    return (
        f'<figure>\n<div class="scroll">{drawing}</div>\n'
        f"<figcaption><b>Figure {number}.</b> {escape(caption)}</figcaption>\n{table}</figure>"
    )


def _numbers(run: Run) -> str:
    """A dozen rows of the run: its start, its events, its end, and some between."""
    last = final_index(run)
    chosen = {0, last, *np.linspace(0, last, 9).astype(int).tolist()}
    for event in run.events[:6]:
        chosen.add(min(int(np.searchsorted(run.step, event.step)), last))
    columns: dict[str, Any] = {"loss": run.series("loss"), run.sharpness_label: run.sharpness}
    if np.isfinite(run.threshold):
        columns[f"sharpness over {run.threshold_name}"] = run.sharpness / run.threshold
    if run.has("gfs_sharpness"):
        columns["GFS sharpness"] = run.series("gfs_sharpness")
    phase = words(run.ds["phase"]) if "phase" in run.ds else None
    rows = []
    for i in sorted(chosen):
        row = [step_text(run.step[i]), *(number_text(v[i], 4) for v in columns.values())]
        rows.append(row + ([title_of(phase[i])] if phase else []))
    return _table(["step", *columns, *(["phase"] if phase else [])], rows, words_last=phase is not None)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], words_last: bool = False) -> str:
    def cell(tag: str, text: str, last: bool) -> str:
        kind = ' class="word"' if last and words_last else ""
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{kind}>{escape(text)}</{tag}>"

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(cell(tag, c, i == len(cells) - 1) for i, c in enumerate(cells)) + "</tr>\n"

    body = "".join(line("td", row) for row in rows)
    table = f'<table class="numbers"><thead>{line("th", heads)}</thead><tbody>{body}</tbody></table>'
    # a table may be wider than a phone; it scrolls, and the keyboard reaches it
    return f'<div class="wide" tabindex="0" role="region" aria-label="table">{table}</div>'


def _settings_table(run: Run) -> str:
    rows = ""
    for s in settings(run):
        changed = ' class="changed"' if s.differs else ""
        default = f"default {s.default}" if s.differs else ("default" if s.default else "")
        rows += (
            f'<tr{changed}><th scope="row">{escape(SYMBOLS.get(s.name, s.name))}</th><td>{escape(s.value)}</td>'
            f'<td class="default">{escape(default)}</td></tr>\n'
        )
    return f"<table><tbody>\n{rows}</tbody></table>"


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>\n' for k, v in rows)
    return f"<table><tbody>\n{body}</tbody></table>"


def _command(command: str) -> str:
    return (
        f"<pre>{escape(command)}</pre>" if command else "<p>The run did not record the command that made it.</p>"
    )


def _download(run: Run, budget: int, number: int) -> str:
    link, rows, total = data.download(run, budget)
    file = f"eoslab-run-{number + 1}.csv.gz"
    what = f"all {step_text(total)} rows" if rows == total else (
        f"{step_text(rows)} of {step_text(total)} rows, with every extreme of loss and sharpness at that resolution; "
        "the stored run holds the others"
    )  # fmt: skip
    return f'<p><a download="{file}" href="{link}">{file}</a> (CSV, gzipped; {escape(what)}).</p>'
