"""Real input: a data set by name or file becomes (X, y).

``digits`` is scikit-learn's copy of the UCI digits, in the package, no download. Files: CSV (with a header),
NPY (2-d), NPZ (arrays X and y, or one 2-d array), Parquet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eoslab.core.errors import BadData, InvalidArgument, UnknownName, suggest

__all__ = ["SCALES", "load"]

SCALES = ("none", "standard", "max")
SUFFIXES = (".csv", ".npy", ".npz", ".parquet")


def load(
    source: str, target: str | None = None, scale: str = "none"
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """X of shape (n, d), y of shape (n,), and a description (source, target, sizes, constant columns).

    ``source`` is "digits" or a file. ``target`` is "parity" (±1 for even/odd) or "digit" for digits, else the
    name or number of the column to predict. ``scale``: "none", "standard" (columns to unit variance) or "max"
    (columns divided by their largest magnitude); constant columns stay as they are and are counted.

    Raises BadData for a file that cannot be read, is not numeric, or holds missing values, naming the columns;
    UnknownName for a target that is not there.
    """
    if scale not in SCALES:
        raise UnknownName("scale", scale, SCALES)
    X, y, columns, name = _digits(target) if source == "digits" else _file(Path(source), target)
    for label, values in (("target", y[:, None]), ("column", X)):
        bad = (~np.isfinite(values)).sum(axis=0)
        if bad.any():
            first = int(np.argmax(bad > 0))
            where = repr(name) if label == "target" else repr(columns[first])
            raise BadData(
                f"{label} {where} of {source} holds {int(bad[first])} missing or infinite values",
                "remove or impute these rows",
            )
    constant = np.ptp(X, axis=0) == 0
    if constant.all():
        raise BadData(f"every input column of {source} is constant", "nothing can be learnt from them")
    if np.ptp(y) == 0:
        raise BadData(f"target {name!r} of {source} is constant", "nothing is to be learnt; choose another column")
    if scale != "none":
        size = X.std(axis=0) if scale == "standard" else np.abs(X).max(axis=0)
        X = X / np.where(constant | (size == 0), 1.0, size)
    about = {
        "source": source, "target": name, "scale": scale, "samples": len(X), "inputs": X.shape[1],
        "constant_columns": int(constant.sum()),
    }  # fmt: skip
    return X, y, about


def _digits(target: str | None) -> tuple[np.ndarray, np.ndarray, list[str], str]:
    from sklearn.datasets import load_digits

    name = target or "parity"
    if name not in ("parity", "digit"):
        raise UnknownName("target", name, ("parity", "digit"))
    digits = load_digits()
    label = digits.target.astype(float)
    y = np.where(digits.target % 2 == 0, 1.0, -1.0) if name == "parity" else label
    return digits.data / 16.0, y, [f"pixel {i}" for i in range(64)], name


def _file(path: Path, target: str | None) -> tuple[np.ndarray, np.ndarray, list[str], str]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        near = suggest(str(path), ["digits"])
        help = f"did you mean {near!r}?" if near else f"known: digits, or a file ending in {', '.join(SUFFIXES)}"
        raise BadData(f"cannot tell what data {str(path)!r} is", help)
    if not path.is_file():
        raise BadData(f"no file {str(path)!r}", "check the path")
    try:
        table, columns = _read(path, suffix)
    except BadData:
        raise
    except Exception as e:
        # whatever a reader raises on a malformed file is said in one sentence
        reason = str(e).strip().splitlines() or [type(e).__name__]
        raise BadData(
            f"cannot read {str(path)!r}: {reason[0]}", f"expected a well-formed {suffix[1:]} file"
        ) from None
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 2:
        raise BadData(
            f"{str(path)!r} holds an array of shape {table.shape}", "expected rows of samples: inputs and a target"
        )
    at = _target_column(path, columns, target)
    keep = [i for i in range(table.shape[1]) if i != at]
    return table[:, keep], table[:, at], [columns[i] for i in keep], columns[at]


def _target_column(path: Path, columns: list[str], target: str | None) -> int:
    if target is None:
        raise InvalidArgument(
            "target", "nothing", "the column to predict", f"columns of {path.name}: {', '.join(columns[:12])}"
        )
    if target in columns:
        return columns.index(target)
    try:
        at = int(target)
    except ValueError:
        raise UnknownName("target", target, columns) from None
    if not -len(columns) <= at < len(columns):
        raise InvalidArgument("target", target, f"a column number below {len(columns)}")
    return at % len(columns)


def _read(path: Path, suffix: str) -> tuple[np.ndarray, list[str]]:
    if suffix in (".csv", ".parquet"):
        import pandas as pd

        frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
        text = [str(c) for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]
        if text:
            raise BadData(
                f"columns of {str(path)!r} that are not numbers: {', '.join(text[:8])}", "encode or remove them"
            )
        return frame.to_numpy(dtype=float), [str(c) for c in frame.columns]
    loaded = np.load(path, allow_pickle=False)
    if suffix == ".npz":
        if "X" in loaded and "y" in loaded:
            X, y = np.asarray(loaded["X"], dtype=float), np.asarray(loaded["y"], dtype=float)
            if X.ndim != 2 or y.shape != (len(X),):
                raise BadData(f"{str(path)!r}: X has shape {X.shape} and y {y.shape}", "expected (n, d) and (n,)")
            return np.column_stack([X, y]), [*map(str, range(X.shape[1])), "y"]
        names = list(loaded)
        if len(names) != 1:
            raise BadData(f"{str(path)!r} holds arrays {', '.join(names)}", "expected X and y, or one table")
        loaded = loaded[names[0]]
    if loaded.dtype.kind not in "fiub":
        raise BadData(f"{str(path)!r} holds {loaded.dtype}", "expected numbers")
    table = loaded.astype(float)
    return table, [str(i) for i in range(table.shape[1] if table.ndim == 2 else 0)]
