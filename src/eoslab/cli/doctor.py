"""``eoslab doctor``: does this installation work, and what would a bug report need to say."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer

from eoslab.cli import memory, output, settings
from eoslab.cli.problem import Finish
from eoslab.cli.runs import Json

__all__ = ["CHECKS", "register"]

REQUIRED = ("numpy", "scipy", "numba", "xarray", "zarr", "h5netcdf", "pyarrow", "python-flint", "mpmath",
            "matplotlib", "scikit-learn", "rich", "typer")  # fmt: skip
OPTIONAL = {"torch": "networks (pip install 'eoslab[torch]')", "dask": "clusters (pip install 'eoslab[dask]')"}


class Failed(Exception):
    """A check that failed: what is wrong."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help="Check the installation; exit 1 if it is broken.")
    def doctor(as_json: Json = False) -> None:
        results: list[dict[str, Any]] = []
        for name, check in CHECKS.items():
            ok, text = _result(check)
            results.append({"check": name, "ok": ok, "found": text})
            if not as_json:
                mark = output.green("✓") if ok else output.red("✗")
                output.line(f"{mark} {name:<12} {text}")
        failed = [r["check"] for r in results if not r["ok"]]
        if as_json:
            output.emit({"ok": not failed, "checks": results})
        elif failed:
            output.line(f"{len(failed)} of {len(results)} checks failed: {', '.join(failed)}")
        else:
            output.line("everything works")
        if failed:
            raise Finish(1)


def _result(check: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, check()
    except Failed as e:
        return False, str(e)
    except Exception as e:
        # a doctor reports what it meets, whatever it is
        return False, f"{type(e).__name__}: {e}"


def _eoslab() -> str:
    from eoslab import __version__

    return f"{__version__} in {Path(__file__).resolve().parents[1]}"


def _python() -> str:
    return f"{platform.python_version()} in {sys.prefix}, {platform.platform()}"


def _packages() -> str:
    found, missing = [], []
    for name in REQUIRED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise Failed(f"missing: {', '.join(missing)}  (pip install eoslab)")
    return output.columns(found, 100, 15)


def _extras() -> str:
    parts = []
    for name, use in OPTIONAL.items():
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"no {name}: for {use}")
    return "; ".join(parts)


def _kernels() -> str:
    import eoslab

    began = time.perf_counter()
    model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3, b=1.0)
    ds = eoslab.trajectory(model, eoslab.optimizers.GD(lr=2.0), [0.95, 1e-3, 0.9], steps=1000)
    # the entry time of this reference run is known to 50 digits and far from a tie
    if int(ds["T1"]) != 306:
        raise Failed(f"the reference run enters the edge at step {int(ds['T1'])} instead of 306")
    return f"reference run as expected, ready in {output.seconds(time.perf_counter() - began)}"


def _cache() -> str:
    from eoslab.kernels.compiler import cache_dir

    folder = Path(cache_dir())
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(nearest, os.W_OK):
        raise Failed(f"{folder} cannot be written: kernels are compiled anew at every start")
    return f"{folder}"


def _store() -> str:
    from eoslab.results.store import Store

    root = Path(Store(settings.store_root(None)).root)
    nearest = next(p for p in (root, *root.absolute().parents) if p.exists())
    if not os.access(nearest, os.W_OK):
        raise Failed(f"{root} cannot be written; choose another with --out or EOSLAB_RUNS")
    runs = Store(root).list()
    damaged = [run.id for run in runs if run.problem]
    free = output.size(shutil.disk_usage(nearest).free)
    if damaged:
        raise Failed(f"{root}: {len(damaged)} of {len(runs)} runs cannot be read (eoslab runs verify)")
    return f"{root}, {len(runs)} run{'s' * (len(runs) != 1)}, {free} free"


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    there = memory.available()
    return f"{cores} cores" + (f", {output.size(there)} of memory available" if there is not None else "")


def _settings() -> str:
    known = [name for name in os.environ if name.startswith("EOSLAB_")]
    file = f"{settings.FILE} found" if Path(settings.FILE).is_file() else f"no {settings.FILE} here"
    return f"{file}; environment: {', '.join(sorted(known)) or 'nothing set'}"


CHECKS: dict[str, Callable[[], str]] = {
    "eoslab": _eoslab,
    "Python": _python,
    "packages": _packages,
    "extras": _extras,
    "kernels": _kernels,
    "kernel cache": _cache,
    "run store": _store,
    "machine": _machine,
    "settings": _settings,
}
