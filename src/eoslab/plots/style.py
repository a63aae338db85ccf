"""The palette and the page sizes: what a colour means is the same in every figure, report and screen.

Line colours have a contrast of at least 3:1 on white; sky blue and orange do not and serve as fills only.
``DARK`` pairs every colour with the one that takes its place on a dark page.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = [
    "BAND",
    "CONVERGENT",
    "DARK",
    "DESCENT",
    "INK",
    "MUTED",
    "OSCILLATORY",
    "RUNS",
    "RUN_DASHES",
    "SIZES",
    "SOFT",
    "THIRD",
    "Size",
    "styled",
]

#: Gradient descent itself: total loss, sharpness, points of the phase portrait.
DESCENT: Final = "#0072B2"
#: The oscillatory part.
OSCILLATORY: Final = "#D55E00"
#: The convergent part, gradient flow, GFS sharpness.
CONVERGENT: Final = "#00805D"
#: A second eigenvalue, a third series. Never beside CONVERGENT without different dashes (protanopia).
THIRD: Final = "#A8487F"
#: Text, thresholds (dotted) and predictions (dashed).
INK: Final = "#1B1F24"
#: Marks that stand back: the stable set, guide lines.
MUTED: Final = "#6E7781"
#: Words that stand back: small type needs more contrast than marks do.
SOFT: Final = "#57606A"

#: One colour per run where several share the axes.
RUNS: Final = (DESCENT, OSCILLATORY, CONVERGENT, THIRD, SOFT, "#8A6A00", "#5B4FC0", INK)

#: Beyond three colours the dashes differ too: green and purple are one colour to some eyes.
RUN_DASHES: Final = ("-", "-", "-", (0, (6, 1.5)), "-", (0, (6, 1.5)), (0, (6, 1.5)), (0, (3, 1.5)))

#: Fill of the phase bands (drawn at 8–15 % opacity, always labelled too).
BAND: Final = {"transient": MUTED, "ps": "#56B4E9", "eos": "#E69F00", "final": CONVERGENT}

#: Light colour → colour of the same meaning on a dark page.
DARK: Final = {
    DESCENT: "#4DA3D9",
    OSCILLATORY: "#FF8A3D",
    CONVERGENT: "#2FBF94",
    THIRD: "#E08CBB",
    INK: "#E6EDF3",
    MUTED: "#8B949E",
    SOFT: "#A3ADB8",
    "#8A6A00": "#D3AE3B",
    "#5B4FC0": "#A79FF0",
    "#FFFFFF": "#14171B",
}


class Size:
    """A page format: width in inches and by how much type and lines grow."""

    def __init__(self, width: float, scale: float = 1.0) -> None:
        self.width, self.scale = width, scale

    @property
    def bins(self) -> int:
        """Columns into which a long series is decimated: 200 an inch, finer than lines are thick."""
        return int(200 * self.width)


SIZES: Final = {"single": Size(3.25), "double": Size(6.75), "slide": Size(10.0, 1.6)}

_SCALED = (
    *("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"),
    *("axes.linewidth", "lines.linewidth", "lines.markersize", "xtick.major.width", "ytick.major.width"),
    *("xtick.major.size", "ytick.major.size", "xtick.minor.size", "ytick.minor.size", "figure.titlesize"),
)
# matplotlib's settings are global: the explorer draws in worker threads, so one figure at a time
_LOCK = threading.RLock()


@contextmanager
def styled(size: str = "single", usetex: bool = False) -> Iterator[None]:
    """Matplotlib's settings for the duration of a block; they are restored afterwards."""
    import matplotlib as mpl

    with _LOCK, mpl.rc_context(fname=Path(__file__).with_name("eoslab.mplstyle")):
        scale = SIZES[size].scale
        if scale != 1:
            mpl.rcParams.update({key: mpl.rcParams[key] * scale for key in _SCALED})
        if usetex:
            mpl.rcParams.update({"text.usetex": True, "font.family": "serif"})
        yield
