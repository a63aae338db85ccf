"""``eoslab runs …``: what is stored. Listing reads attributes only and imports no arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eoslab.cli import names, output, settings
from eoslab.cli.options import Json
from eoslab.cli.problem import Finish
from eoslab.core.errors import EoslabError, UnknownName

__all__ = ["Json", "Quiet", "Run", "Runs", "StoreDir", "opened", "register"]

FORMATS = {"csv": ".csv", "npz": ".npz", "netcdf": ".nc"}

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Id, unique prefix or path of a run.", autocompletion=names.runs)
]
Runs = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Ids, unique prefixes or paths.", autocompletion=names.runs)
]
StoreDir = Annotated[
    str | None,
    typer.Option(
        "--store", "--out", metavar="DIR", help="Folder of the store  [default: ./runs].",
        envvar="EOSLAB_RUNS", show_envvar=False,
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No hints.")]


def open_store(folder: str | None) -> Any:
    """The store that a command means."""
    from eoslab.results.store import Store

    return Store(settings.store_root(folder))


def opened(folder: str | None, refs: list[str]) -> tuple[list[Any], list[Any]]:
    """Paths and data sets of stored runs."""
    from eoslab.results.store import open_run

    store = open_store(folder)
    paths = [store.find(ref) for ref in refs]
    return paths, [open_run(path) for path in paths]


def register(app: typer.Typer) -> None:
    """Add the group."""
    from eoslab.cli.app import group

    runs = group("Look after stored runs.")
    app.add_typer(runs, name="runs")

    @runs.command("list", help="List the stored runs, oldest first.")
    def list_(store: StoreDir = None, as_json: Json = False) -> None:
        found = open_store(store)
        if as_json:
            output.emit({"store": str(found.root), "runs": [_record(run) for run in found.list()]})
            return
        rows = found.list()
        if not rows:
            output.note(f"No runs in {found.root} yet. Start one: eoslab run")
            return
        for text in _listing(rows):
            output.line(text)

    @runs.command(help="Show one run: verdict, key numbers, settings and where each came from.")
    def show(run: Run, store: StoreDir = None, as_json: Json = False) -> None:
        from eoslab.cli.run import report_text
        from eoslab.results.summary import summary

        (path,), (ds,) = opened(store, [run])
        facts = summary(ds)
        attributes = {k: _parsed(v) for k, v in ds.attrs.items()}
        if as_json:
            output.emit({"run": str(path), "id": _id(path), **facts, "attributes": attributes})
            return
        output.line(f"{output.bold(_id(path))}  {path}")
        for text in report_text(ds, facts):
            output.line(text)
        for text in _settings_text(attributes):
            output.line(text)

    @runs.command(help="Compare two runs: settings that differ, then results.")
    def diff(
        a: Annotated[str, typer.Argument(metavar="A", autocompletion=names.runs)],
        b: Annotated[str, typer.Argument(metavar="B", autocompletion=names.runs)],
        store: StoreDir = None,
        as_json: Json = False,
    ) -> None:
        found = open_store(store)
        lines = found.diff(a, b)
        ids = [_id(found.find(a)), _id(found.find(b))]
        if as_json:
            rows = [{"kind": x.kind, "name": x.name, "a": x.a, "b": x.b} for x in lines]
            output.emit({"a": ids[0], "b": ids[1], "differences": rows})
            return
        if not lines:
            output.line(f"{ids[0]} and {ids[1]} have the same settings and results")
            return
        ordered = sorted(lines, key=lambda x: x.kind != "setting")
        for text in output.table(["", *ids], [[x.name, _cell(x.a), _cell(x.b)] for x in ordered]):
            output.line(text)

    @runs.command(help="Write a run as CSV, NPZ or netCDF.")
    def export(
        run: Run,
        file: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="File to write.")],
        format: Annotated[
            str | None,
            typer.Option("--format", metavar="NAME", help="csv, npz or netcdf  [default: by the suffix]."),
        ] = None,
        store: StoreDir = None,
        as_json: Json = False,
    ) -> None:
        if format is None:
            by_suffix = {suffix: name for name, suffix in FORMATS.items()}
            format = by_suffix.get(Path(file).suffix.lower(), Path(file).suffix.lstrip("."))
        if format not in FORMATS:
            raise UnknownName("format", format, FORMATS)
        path = open_store(store).export(run, format, Path(file)) or Path(file)
        if as_json:
            output.emit({"file": str(path), "format": format})
        else:
            output.line(f"wrote {path}")

    @runs.command(help="Remove runs for good.")
    def rm(run: Runs, store: StoreDir = None, as_json: Json = False) -> None:
        found = open_store(store)
        # all names are looked up before the first is removed: a typo removes nothing
        paths = [found.find(ref) for ref in run]
        for path in paths:
            found.remove(path)
            if not as_json:
                output.line(f"removed {_id(path)}")
        if as_json:
            output.emit({"removed": [_id(path) for path in paths]})

    @runs.command(help="Check stored runs against their digests; exit 4 where something is wrong.")
    def verify(
        run: Annotated[list[str] | None, typer.Argument(metavar="[RUN...]", autocompletion=names.runs)] = None,
        store: StoreDir = None,
        as_json: Json = False,
    ) -> None:
        found = open_store(store)
        refs: list[Any] = list(run) if run else [info.path for info in found.list()]
        report = []
        for ref in refs:
            path = found.find(ref)
            report.append({"id": _id(path), "path": str(path), "problems": _problems(found, path)})
        if as_json:
            output.emit({"runs": report})
        for item in [] if as_json else report:
            state = output.red("damaged") if item["problems"] else output.green("sound")
            output.line(f"{item['id']}  {state}")
            for problem in item["problems"]:
                output.line(f"  {problem}")
        if any(item["problems"] for item in report):
            raise Finish(4)


def _problems(store: Any, path: Any) -> list[str]:
    try:
        return [str(problem) for problem in store.verify(path)]
    except EoslabError as e:
        return [e.message]


def _listing(rows: list[Any]) -> list[str]:
    head = ["id", "created", "model", "optimizer", "η", "steps", "class", "outcome", "final loss", "max ηS/τ"]
    lines = []
    problems = []
    for run in rows:
        if run.problem:
            problems.append(f"{output.red(run.id)}  {run.problem}")
            continue
        tau, top = run.threshold, run.max_eta_sharpness
        ratio = f"{top / tau:.3f}" if tau and top is not None else "–"
        lines.append(
            [run.id, run.created[:16].replace("T", " "), run.model, run.optimizer, output.number(run.lr),
             output.number(run.steps), run.regime, _outcome(run), output.number(run.final_loss, 3), ratio]
        )  # fmt: skip
    return [*output.table(head, lines, right=(4, 5, 8, 9)), *problems] if lines else problems


def _outcome(run: Any) -> str:
    """How the run ended, or that it is going on."""
    status = run.live
    if status is None or status.state in ("finished", "failed"):
        return str(status.outcome if status and status.state == "failed" else run.outcome)
    return f"{status.state} at {output.number(status.step)}" if status.step is not None else str(status.state)


def _record(run: Any) -> dict[str, Any]:
    status = run.live if not run.problem else None
    return {
        "id": run.id,
        "path": str(run.path),
        "created": run.created,
        "model": run.model,
        "optimizer": run.optimizer,
        "parameters": run.parameters,
        **run.summary,
        "command": run.command or None,
        "live": status.state if status else None,
        "problem": run.problem or None,
    }


def _settings_text(attributes: dict[str, Any]) -> list[str]:
    """Settings as typed, each with where it came from; then provenance."""
    sources = attributes.get("sources") or {}
    parameters = attributes.get("parameters") or {}
    typed = parameters.get("typed", {})
    lines = [output.dim("settings")]
    lines += [f"  {part:<16} {attributes.get(part, '')}" for part in ("model", "optimizer")]
    for part in ("model", "optimizer", "run"):
        for name, value in parameters.get(part, {}).items():
            option = OPTION.get(name, name)
            text = typed.get(option.replace("_", "-")) or _cell(value)
            lines.append(f"  {option.replace('_', '-'):<16} {text:<24} {sources.get(option, '')}".rstrip())
    lines += [
        f"  {key.replace('_', ' '):<16} {_cell(attributes[key])}"
        for key in ("data", "seed", "command", "created", "eoslab_version", "dtype", "platform", "versions")
        if attributes.get(key) not in (None, "")
    ]
    return lines


#: Settings whose option has another name.
OPTION = {"beta_min": "floor", "w0": "init", "start": "init"}


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "–" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return output.number(value, 6)
    if isinstance(value, list):
        return ", ".join(_cell(v) for v in value[:4]) + (f", … ({len(value)})" if len(value) > 4 else "")
    if isinstance(value, dict):
        return ", ".join(f"{k} {_cell(v)}" for k, v in value.items())
    return str(value)


def _parsed(value: Any) -> Any:
    """Attributes that hold JSON, as values."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _id(path: Any) -> str:
    return Path(path).name.removesuffix(".zarr")
