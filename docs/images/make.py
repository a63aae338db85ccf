"""Make the pictures of the documentation: ``python docs/images/make.py``. The same bytes each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import eoslab
from eoslab.plots import draw, render


def main() -> None:
    """The signature figure at the setting 'several cycles' (docs/theory §12), and the theory on its set M4."""
    model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3, b=1.0)
    run = eoslab.trajectory(model, eoslab.optimizers.GD(lr=1.98), w0=[1.0, 0.01, 0.1], steps=5000)
    write("edge-of-stability.png", "loss-sharpness", run)
    run = eoslab.trajectory(model, eoslab.optimizers.GD(lr=2.0), w0=[0.98, 1e-3, 0.93], steps=6144)
    write("theory.png", "theory", run)


def write(file: str, figure: str, run: Any) -> None:
    """180 dpi: sharp on a screen of twice the usual density, and light enough for a page that many load."""
    path = Path(__file__).with_name(file)
    path.write_bytes(render(draw(figure, run, size="double"), "png", size="double", dpi=180))
    print(path)


if __name__ == "__main__":
    main()
