"""The page: verdict, numbers, figures, method, settings, environment, command, data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from eoslab import __version__, plots
from eoslab.core.errors import InvalidArgument
from eoslab.core.vocabulary import title as title_of
from eoslab.plots.directions import oscillating
from eoslab.plots.phases import STAGES, cycle
from eoslab.plots.reading import Run, words
from eoslab.plots.text import number_text, step_text
from eoslab.report import data
from eoslab.report import interactive as charts
from eoslab.report.settings import differing, environment, method, settings, warnings
from eoslab.report.svg import colour_variables, inline
from eoslab.report.verdict import final_index, key_numbers, sentence

__all__ = ["page"]

#: Nothing may be fetched, run or framed: what is read is in this file.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

#: Bytes for a page's content; with the style sheet it stays below 1 MB and can be mailed.
ROOM = 900_000
#: Up to so many runs each gets wide figures beside the numbers.
FEW = 4
#: Fewer bytes than this are no use as data of a run.
LEAST_DATA = 4_000

#: Figures of one run in the order of the report; the ones that a run cannot have are left out.
SINGLE = (
    *("loss-sharpness", "eigenvalues", "gd-vs-flow", "directions", "loss-split", "phases", "phase-portrait"),
    "gfs",
)
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_PLAIN = str.maketrans(SUPERSCRIPTS, "0123456789−")
SYMBOLS = {
    "lambda1": "λ1", "lambda2": "λ2", "lr": "step size η", "beta_min": "floor β_min", "start": "start w0",
    "b": "teacher b", "lambdas": "variances λᵢ", "v": "teacher vᵢ", "record_every": "recorded every",
    "constant_columns": "constant columns", "alpha": "α", "beta1": "β1", "beta2": "β2",
}  # fmt: skip


def page(runs: Sequence[Run], commands: Sequence[str], title: str | None = None, interactive: bool = False) -> str:
    """The whole file as text; ``interactive`` adds charts in front of the drawings of loss and sharpness."""
    name = title or (runs[0].name if len(runs) == 1 else "Comparison of " + ", ".join(run.name for run in runs))
    make = _one if len(runs) == 1 else _several
    body = make(runs, commands, name, interactive)
    policy, extra, scripts = POLICY, "", ""
    needs = "and no script"
    if interactive:
        policy, extra, scripts = f"{POLICY}; {charts.policy()}", charts.head(), charts.scripts()
        needs = "and nothing beside it; without scripts its figures are drawings"
    wide = ' class="compare"' if len(runs) > 1 else ""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    colours = (
        f":root{{{colour_variables(False)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{colour_variables(True)}}}}}"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="eoslab {escape(__version__)}">\n'
        f"<title>{escape(name)}</title>\n<style>\n{style}{colours}\n</style>\n{extra}</head>\n<body>\n<main{wide}>\n"
        f"{body}\n<footer>Written by eoslab {escape(__version__)}. This file is complete: it needs no network "
        f"{needs}.</footer>\n</main>\n{scripts}</body>\n</html>\n"
    )


def _one(runs: Sequence[Run], commands: Sequence[str], name: str, interactive: bool) -> str:
    (run,), (command,) = runs, commands
    chart = charts.chart(runs) if interactive else ""
    body = "\n".join(
        [
            "<header>", f"<h1>{escape(name)}</h1>", f'<p class="kind">{escape(_kind(run))}</p>',
            f'<p class="verdict">{_text(sentence(run))}</p>', "</header>",
            _warnings([run]), _key_list(run), *_figures(run, SINGLE, "f", chart=chart),
            "<h2>Method</h2>", f"<p>{escape(' '.join(method(run)))}</p>",
            "<h2>Settings</h2>", _settings_table(run),
            "<h2>Environment</h2>", _pairs(environment(run)),
            "<h2>Reproduce</h2>", _command(command), "<h2>Data</h2>",
        ]
    )  # fmt: skip
    return f"{body}\n{_download(run, ROOM - len(body.encode()), 0)}"


def _several(runs: Sequence[Run], commands: Sequence[str], name: str, interactive: bool) -> str:
    """Difference of the settings first, then numbers side by side, shared axes, and each run on its own."""
    heads = [run.name for run in runs]
    parts = [
        "<header>", f"<h1>{escape(name)}</h1>",
        f'<p class="verdict">{len(runs)} runs. {escape(_contrast(runs))}</p>',
        "</header>", _warnings(runs), "<h2>What differs</h2>",
    ]  # fmt: skip
    rows = [[SYMBOLS.get(setting, setting), *values] for setting, values in differing(list(runs))]
    parts.append(_table(["setting", *heads], rows) if rows else "<p>The settings of these runs are the same.</p>")
    parts += ["<h2>Numbers</h2>", _side_by_side(runs)]
    number = 1
    alike = len({run.model_name for run in runs}) == 1
    shared = alike and len(runs) <= plots.FIGURES["eta-sweep"].max_runs
    if shared:
        drawing = plots.draw("eta-sweep", [r.ds for r in runs], names=heads, size="double")
        alt = f"Loss and sharpness of {len(runs)} runs. {_contrast(runs)}"
        caption = "Loss and sharpness of the runs on shared axes; dotted in a run's colour, its own threshold."
        chart = charts.chart(runs) if interactive else ""
        parts.append(_figure(number, inline(drawing, "s", alt), caption, "", chart))
        number += 1
    lines = dict.fromkeys(line for run in runs for line in method(run))
    tail = ["<h2>Method</h2>", f"<p>{escape(' '.join(lines))}</p>"]
    tail += ["<h2>Environment</h2>", _pairs(environment(runs[0]))]
    sections = []
    room = ROOM - sum(len(part.encode()) for part in (*parts, *tail))
    for i, (run, command) in enumerate(zip(runs, commands, strict=True)):
        chart = charts.chart([run], charts.BUDGET // len(runs)) if interactive and not shared else ""
        figure = _fitting(run, f"r{i}", number, 0.75 * room / (len(runs) - i), len(runs) > FEW, chart)
        number += figure.count("<figure>")
        room -= len(figure.encode())
        lead = f"<h2>{escape(run.name)}</h2>\n<p>{_text(sentence(run))}</p>"
        sections.append(f"{lead}\n{figure}\n{_command(command)}")
    share = room // len(runs)
    for i, (run, section) in enumerate(zip(runs, sections, strict=True)):
        parts.append(f"{section}\n{_download(run, share, i)}" if share >= LEAST_DATA else section)
    return "\n".join([*parts, *tail])


def _fitting(run: Run, prefix: str, number: int, room: float, several: bool, chart: str) -> str:
    """The figures of one of several runs, as many and as wide as there is room for."""
    both = ("loss-sharpness", "directions")
    options = [(both, ("double", "single")), (both, ("single",))] if not several else []
    for names, sizes in [*options, (both[:1], ("single",))]:
        text = "\n".join(_figures(run, names, prefix, number, sizes, chart))
        if len(text.encode()) <= room:
            return text
    return ""


def _contrast(runs: Sequence[Run]) -> str:
    """How many runs are in which regime."""
    counts: dict[str, int] = {}
    for run in runs:
        regime = title_of(run.word("regime"))
        counts[regime] = counts.get(regime, 0) + 1
    return "; ".join(f"{title.capitalize()}: {n}" for title, n in counts.items()) + "."


def _kind(run: Run) -> str:
    rule = "gradient descent" if run.optimizer == "gd" else run.optimizer
    eta = f", {run.eta_label}" if np.isfinite(run.threshold) else ""
    if run.is_network:
        data_name = run.parameters.get("model", {}).get("data")
        return f"{rule}{eta}, training {run.model_name}" + (f" on {data_name}" if data_name else "")
    return f"{rule or 'a run'}{eta}, on the {run.model_name} model" if run.model_name else f"{rule}{eta}"


# -- parts ----------------------------------------------------------------------------------------------------


def _warnings(runs: Sequence[Run]) -> str:
    lines = [(run.name + ": " if len(runs) > 1 else "") + line for run in runs for line in warnings(run)]
    if not lines:
        return ""
    return '<div class="warn" role="note">' + "".join(f"<p>{escape(line)}</p>" for line in lines) + "</div>"


def _key_list(run: Run) -> str:
    rows = "".join(f"<div><dt>{escape(k)}</dt><dd>{_text(v)}</dd></div>\n" for k, v in key_numbers(run))
    return f"<dl>\n{rows}</dl>"


def _side_by_side(runs: Sequence[Run]) -> str:
    tables = [dict(key_numbers(run)) for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    return _table(["", *(r.name for r in runs)], [[n, *(t.get(n, "–") for t in tables)] for n in names])


def _figures(
    run: Run,
    names: Iterable[str],
    prefix: str,
    first: int = 1,
    sizes: Sequence[str] = ("double", "single"),
    chart: str = "",
) -> list[str]:
    """Figures with captions and tables; a phone shows the single-column drawing instead of the wide one.

    ``chart`` goes to the figure of loss and sharpness.
    """
    parts = []
    for name in names:
        if name == "phases" and ("beta1" not in run.params or cycle(run) is None):
            continue
        if name == "eigenvalues" and not run.is_network:
            # of a model the other figures say more
            continue
        number, what = first + len(parts), plots.FIGURES[name]
        text = f"{what.title}. {sentence(run)}"
        try:
            drawings = [
                inline(
                    plots.draw(name, run.ds, names=[run.name], size=size), f"{prefix}{number}{size[0]}", text, size
                )
                for size in sizes
            ]
        except InvalidArgument:
            # the figure is of another kind of run: a d-input run has no phase portrait
            continue
        caption = f"{what.title}: {what.description}."
        if name == "loss-sharpness" and run.alternates(run.sharpness):
            caption += " The run jumps to and fro: its even and its odd steps are two lines."
        own = chart if name == "loss-sharpness" else ""
        parts.append(_figure(number, "\n".join(drawings), caption, _numbers(name, run), own))
    return parts


def _figure(number: int, drawing: str, caption: str, numbers: str, chart: str = "") -> str:
    table = f"<details><summary>Numbers of figure {number}</summary>{numbers}</details>" if numbers else ""
    return (
        f'<figure>\n<div class="drawn">{drawing}</div>\n{chart}'
        f"<figcaption><b>Figure {number}.</b> {escape(caption)}</figcaption>\n{table}</figure>"
    )


def _numbers(name: str, run: Run) -> str:
    """The figure as a table, for search and for readers who hear the page."""
    if name == "phases":
        found = cycle(run)
        assert found is not None
        spans = zip(STAGES, pairwise(found.bounds), strict=True)
        rows = [[stage, step_text(a), step_text(b)] for stage, (a, b) in spans]
        return _table(["stage", "from step", "to step"], rows)
    if name == "directions":
        columns = [run.ds[v].values for v in ("lambdas", "relevance", "oscillation")]
        moving = oscillating(run)
        rows = [
            [str(i + 1), *(number_text(float(c[i])) for c in columns), "yes" if moving[i] else "no"]
            for i in range(min(len(moving), 16))
        ]
        return _table(["direction", "λ_i", "relevance", "oscillation", "oscillates"], rows, words_last=True)
    return _rows(run, _columns(name, run))


def _columns(name: str, run: Run) -> dict[str, Any]:
    """The series of a figure by their names in a table."""
    if name == "loss-split":
        parts = {"loss": "loss", "oscillatory": "loss_osc", "convergent": "loss_conv"}
        return {label: run.series(variable) for label, variable in parts.items()}
    if name == "phase-portrait":
        return {"α": run.param("alpha"), "β1": run.param("beta1"), "β2": run.param("beta2")}
    if name == "gd-vs-flow":
        flow = {"loss of the flow": "flow_loss", "its sharpness": "flow_sharpness", "distance": "flow_distance"}
        return {"loss": run.series("loss")} | {k: run.series(v) for k, v in flow.items() if v in run.ds}
    if name == "gfs":
        return {run.sharpness_label: run.sharpness, "GFS sharpness": run.series("gfs_sharpness")}
    if name == "eigenvalues":
        values = np.asarray(run.ds["eigenvalues"].values, dtype=float)
        return {f"μ{i + 1}": values[:, i] for i in range(min(values.shape[1], 5))}
    found = {"loss": run.series("loss"), run.sharpness_label: run.sharpness}
    if run.edge is not None:
        found["sharpness over the edge"] = run.sharpness / run.edge
    elif np.isfinite(run.threshold):
        found[f"sharpness over {run.threshold_name}"] = run.sharpness / run.threshold
    return found


def _rows(run: Run, columns: dict[str, Any]) -> str:
    """A dozen rows of the run: its start, its first events, its end, and some between."""
    last = final_index(run)
    chosen = {0, last, *np.linspace(0, last, 9).astype(int).tolist()}
    for event in run.events[:6]:
        chosen.add(min(int(np.searchsorted(run.step, event.step)), last))
    phase = words(run.ds["phase"]) if "phase" in run.ds and not run.is_flow else None
    rows = []
    for i in sorted(chosen):
        row = [step_text(run.step[i]), *(number_text(float(v[i]), 4) for v in columns.values())]
        rows.append(row + ([title_of(phase[i])] if phase else []))
    return _table(["step", *columns, *(["phase"] if phase else [])], rows, words_last=phase is not None)


def _text(text: str) -> str:
    """Escaped, with powers of ten set as such: fonts draw superscript digits unevenly."""
    return re.sub(
        f"10([{SUPERSCRIPTS}]+)", lambda m: f"10<sup>{m[1].translate(_PLAIN)}</sup>", escape(text, quote=False)
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], words_last: bool = False) -> str:
    def cell(tag: str, text: str, last: bool) -> str:
        kind = ' class="word"' if last and words_last else ""
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{kind}>{_text(text)}</{tag}>"

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


def _download(run: Run, room: int, number: int) -> str:
    link, rows, total = data.download(run, min(data.BUDGET, room))
    file = f"eoslab-run-{number + 1}.csv.gz"
    what = f"all {step_text(total)} rows" if rows == total else (
        f"{step_text(rows)} of {step_text(total)} rows, with every extreme of loss and sharpness at that "
        "resolution; the stored run holds the others"
    )  # fmt: skip
    return f'<p><a download="{file}" href="{link}">{file}</a> (CSV, gzipped; {escape(what)}).</p>'
