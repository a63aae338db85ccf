"""Charts that a reader can zoom and read values from: uPlot, a small script, and the data, inside the page.

They take the place of the drawings of loss and sharpness where scripts run; print and readers without scripts
keep the drawings. The page's policy names the digests of the two scripts and admits nothing else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eoslab.core.vocabulary import title
from eoslab.plots.reading import Run
from eoslab.plots.style import BAND, CONVERGENT, DESCENT, INK, RUNS, THIRD
from eoslab.plots.text import number_text
from eoslab.plots.thinning import extremes
from eoslab.report.svg import variable

__all__ = ["BUDGET", "chart", "head", "policy", "scripts"]

#: Bytes of base64 that the data of all charts of a page may take: uPlot, script and data stay below 150 kB.
BUDGET = 80_000
#: Bits of a float32's mantissa that a drawing has no use for; zeroed, they pack to nothing.
SPARE_BITS = 9
#: Above this many times the threshold a line is cut, as in the drawings.
CLIP = 3.0

_HERE = Path(__file__).parent
_VENDOR = _HERE.parent / "web" / "static" / "vendor"


def chart(runs: Sequence[Run], budget: int = BUDGET) -> str:
    """The element of a chart of these runs, hidden until the script fills it."""
    from html import escape

    drawn = [_Drawn(run, i, len(runs) > 1) for i, run in enumerate(runs)]
    packed = ""
    bins = 4000
    while bins >= 50:
        packed = _packed(drawn, bins)
        if len(packed) <= budget:
            break
        bins = min(bins - 10, int(0.9 * bins * budget / len(packed)))
    names = ", ".join(run.name for run in runs)
    label = escape(f"Loss and sharpness of {names}, to zoom", quote=True)
    return f'<div class="chart" role="group" aria-label="{label}" data-packed="{packed}" hidden></div>'


def head() -> str:
    """The style sheet of the charts."""
    style = (_VENDOR / "uPlot.min.css").read_text(encoding="utf-8")
    return f"<style>\n{style}{(_HERE / 'chart.css').read_text(encoding='utf-8')}</style>\n"


def scripts() -> str:
    """The scripts, to stand at the end of the page."""
    return "".join(f"<script>{text}</script>\n" for text in _sources())


def policy() -> str:
    """What the page's policy says about scripts: these two and no others."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in _sources())
    return "script-src " + " ".join(f"'sha256-{digest}'" for digest in digests)


def _sources() -> tuple[str, str]:
    texts = [(folder / name).read_text(encoding="utf-8") for folder, name in
             ((_VENDOR, "uPlot.iife.min.js"), (_HERE, "chart.js"))]  # fmt: skip
    return texts[0].strip(), texts[1].strip()


class _Drawn:
    """A run's columns, and how its lines look."""

    def __init__(self, run: Run, number: int, several: bool) -> None:
        self.run = run
        colour = RUNS[number % len(RUNS)] if several else DESCENT
        name = run.name if several else ""
        #: panel, name, colour, dash, values
        self.lines: list[tuple[int, str, str, list[int], np.ndarray]] = [
            (0, name or "loss", colour, [], run.series("loss")),
            (1, name or run.sharpness_label, colour, [], run.sharpness),
        ]
        if not several:
            if run.has("gfs_sharpness"):
                self.lines.append((1, "GFS sharpness", CONVERGENT, [6, 4], run.series("gfs_sharpness")))
            if run.is_network and run.has("eigenvalues") and not run.preconditioned:
                values = np.asarray(run.ds["eigenvalues"].values, dtype=float)
                if values.shape[1] > 1:
                    self.lines.append((1, "second eigenvalue", THIRD, [8, 3, 2, 3], values[:, 1]))
        self.level_colour = colour if several else INK
        # the row of a divergence holds no numbers
        self.end = len(run.step) - (1 if run.diverged_at is not None else 0)

    def rows(self, bins: int) -> np.ndarray:
        """The rows with the extremes of every line in each of ``bins`` columns."""
        step = self.run.step[: self.end]
        kept = [extremes(step, values[: self.end], bins) for *_, values in self.lines]
        return np.unique(np.concatenate(kept))


def _packed(drawn: Sequence[_Drawn], bins: int) -> str:
    """Length of a JSON head as uint32, the head, then the columns of each run as float32; gzipped, in base64."""
    empty = {"log": False, "ceiling": None}
    panels: list[dict[str, Any]] = [
        {"label": label, "lines": [], "levels": [], **empty} for label in ("loss", "sharpness")
    ]
    calm = [d.run.series("loss") for d in drawn if d.run.diverged_at is None]
    starts = [float(d.run.series("loss")[0]) for d in drawn]
    top = max([float(np.nanmax(v)) for v in calm if np.isfinite(v).any()] or [100 * max(starts)])
    least = min((float(v[v > 0].min()) for d in drawn if (v := d.run.series("loss")[: d.end]).any()), default=top)
    panels[0] |= {"log": least < top / 30, "ceiling": 10 * top if len(calm) < len(drawn) else None}
    tables, blocks = [], []
    for number, d in enumerate(drawn):
        rows = d.rows(bins)
        columns = [d.run.step[rows].astype(float)]
        for panel, name, colour, dash, values in d.lines:
            line = {"run": number, "column": len(columns), "name": name, "colour": variable(colour), "dash": dash}
            panels[panel]["lines"].append(line)
            columns.append(values[rows])
        threshold = d.run.threshold
        if math.isfinite(threshold):
            name = f"{d.run.threshold_name} = {number_text(threshold)}"
            panels[1]["levels"].append(
                {"y": float(f"{threshold:.7g}"), "text": name, "colour": variable(d.level_colour)}
            )
            panels[1]["ceiling"] = max(panels[1]["ceiling"] or 0.0, float(f"{CLIP * threshold:.7g}"))
        tables.append({"n": len(rows), "columns": len(columns)})
        blocks.append(_short(np.stack(columns)))
    one = drawn[0].run if len(drawn) == 1 else None
    bands = [
        {"name": title(s.phase), "from": s.start, "to": s.stop, "colour": variable(BAND[s.phase])}
        for s in (one.segments() if one is not None else [])
    ]
    crossing = one.first_crossing if one is not None else None
    facts = {"panels": panels, "bands": bands, "crossing": crossing, "runs": tables}
    head = json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()
    head += b" " * (-len(head) % 4)
    raw = np.uint32(len(head)).tobytes() + head + b"".join(blocks)
    return base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode()


def _short(columns: np.ndarray) -> bytes:
    """float32 rounded to fewer bits, except the steps, which stay whole numbers."""
    with np.errstate(over="ignore"):
        values = columns.astype("<f4")
    bits = values[1:].view("<u4")
    half = np.uint32(1 << (SPARE_BITS - 1))
    finite = np.isfinite(values[1:])
    bits[finite] = (bits[finite] + half) & np.uint32(~((1 << SPARE_BITS) - 1) & 0xFFFFFFFF)
    return values.tobytes()
