"""Start-up times of the command line, as a user waits for them.

    python benchmarks/startup.py

Aims: ``eoslab --help`` under 0.25 s, a subcommand's help under 0.4 s, ``eoslab run`` of 10^4 steps at most twice
``python -c 'import numba, xarray, zarr'`` from the second start on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

from timing import median_seconds, row

ENTRY = [sys.executable, "-c", "import sys; from eoslab.cli import main; sys.exit(main())"]


def command(*words: str):  # type: ignore[no-untyped-def]
    return lambda: subprocess.run([*ENTRY, *words], check=True, capture_output=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        bare = lambda: subprocess.run([sys.executable, "-c", ""], check=True)  # noqa: E731
        imports = lambda: subprocess.run([sys.executable, "-c", "import numba, xarray, zarr"], check=True)  # noqa: E731
        times = median_seconds(
            bare, imports, command("--help"), command("run", "--help"), command("runs", "list", "--out", out),
            command("run", "--steps", "10000", "--out", out, "--json"), repeats=5,
        )  # fmt: skip
    labels = ["python -c ''", "python -c 'import numba, xarray, zarr'", "eoslab --help", "eoslab run --help"]
    labels += ["eoslab runs list", "eoslab run --steps 10000"]
    aims = ["", "", "under 0.25 s", "under 0.4 s", "", f"{times[-1] / times[1]:.2f} × the imports, at most 2"]
    for label, seconds, aim in zip(labels, times, aims, strict=True):
        row(label, f"{seconds:.3f} s", aim)


if __name__ == "__main__":
    main()
