"""A trajectory as one binary message: uint32 length of the header, JSON padded to 4 bytes, float32 rows.

float32 is for drawing; data files come from the server in float64.
"""

from __future__ import annotations

import json
import math
import struct
import time
from typing import Any

import numpy as np

from eoslab.core.errors import EoslabError
from eoslab.core.vocabulary import title
from eoslab.plots.reading import Run
from eoslab.plots.thinning import extremes
from eoslab.results.summary import verdict_sentence
from eoslab.web.request import Request
from eoslab.web.verdict import attempt, beside, edge_at

__all__ = ["error_frame", "frame", "of_dataset", "pack"]

#: Runs up to this many steps are sent whole; of longer ones a column of pixels gets its extremes.
WHOLE = 20_000


def pack(header: dict[str, Any], rows: np.ndarray) -> bytes:
    """The message.

    >>> message = pack({"id": 1}, np.zeros((2, 3)))
    >>> len(message) % 4, len(message)
    (0, 48)
    """
    n = rows.shape[1] if rows.ndim == 2 else 0
    text = json.dumps({**header, "n": n}, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    with np.errstate(over="ignore"):
        body = np.ascontiguousarray(rows, dtype="<f4").tobytes()
    return struct.pack("<I", len(text)) + text + body


def error_frame(id: Any, error: EoslabError) -> bytes:
    """What is wrong with a request, and with which field."""
    field = getattr(error, "argument", "") or getattr(error, "name", "")
    said = {"field": str(field), "message": str(error), "code": error.code}
    return pack({"id": id, "error": said, "rows": []}, np.empty((0, 0)))


def frame(request: Request, id: Any = 0, width: int = 900, log_x: bool = False) -> bytes:
    """Compute a trajectory and pack it with its verdict, what theory says about it, and what to try."""
    began = time.perf_counter()
    ds = request.run()
    took = time.perf_counter() - began
    header = {"id": id, "ms": round(1e3 * took, 2), "command": request.command, "python": request.python}
    more = {"theory": beside(request, ds), "edge_at": edge_at(request), "attempt": attempt(request, ds)}
    return of_dataset(ds, header | more, width, log_x)


def of_dataset(ds: Any, header: dict[str, Any], width: int = 900, log_x: bool = False) -> bytes:
    """A computed or stored run as a message."""
    run = Run(ds)
    diverged = run.diverged_at
    # the row of the divergence holds no numbers; the page draws its end from ``diverged``
    n = len(run.step) - (1 if diverged is not None else 0)
    columns = {"step": run.step[:n].astype(float)}
    if run.is_flow:
        columns["time"] = run.time[:n]
    for name in ("loss", "loss_osc", "loss_conv"):
        columns[name] = run.series(name)[:n] if name in ds else np.full(n, np.nan)
    columns["sharpness"] = run.sharpness[:n]
    columns["gfs_sharpness"] = run.series("gfs_sharpness")[:n] if run.has("gfs_sharpness") else np.full(n, np.nan)
    for name in run.params[:4]:
        columns[f"w:{name}"] = run.param(name)[:n]
    rows = np.stack(list(columns.values()))
    if n > WHOLE:
        bins = int(np.clip(width, 100, 4000))
        kept = [extremes(columns["step"], columns[k], bins, log_x) for k in ("loss", "loss_osc", "sharpness")]
        rows = rows[:, np.unique(np.concatenate(kept))]
    outcome, regime, last = run.word("outcome"), run.word("regime"), max(n - 1, 0)
    facts = {
        "rows": list(columns),
        "params": run.params[:4],
        "steps": int(run.scalar("steps")),
        "lr": _finite(run.lr),
        "threshold": _finite(run.threshold),
        "threshold_name": run.threshold_name if math.isfinite(run.threshold) else "",
        "sharpness_label": run.sharpness_label,
        "outcome": outcome,
        "regime": regime,
        "regime_title": title(regime),
        "verdict": verdict_sentence(ds),
        "diverged": diverged,
        "first_crossing": run.first_crossing,
        "excursions": int(run.scalar("excursions", 0)),
        "ratio": _finite(float(run.sharpness[last]) / run.threshold) if n else None,
        "max_ratio": _finite(run.scalar("max_eta_sharpness") / run.scalar("threshold")),
        "gfs_start": _finite(float(columns["gfs_sharpness"][0])) if n else None,
        "phases": [[title(s.phase), s.start, s.stop] for s in run.segments()],
    }
    return pack(header | facts, rows)


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None
