"""Make the pictures of the README: ``python docs/images/make.py``. The same bytes each time."""

from __future__ import annotations

from pathlib import Path

import eoslab
from eoslab.plots import draw, render


def main() -> None:
    """The signature figure at the setting 'several cycles' (docs/theory §12)."""
    model = eoslab.models.Minimalist(lambda1=1.0, lambda2=1e-3, b=1.0)
    run = eoslab.trajectory(model, eoslab.optimizers.GD(lr=1.98), w0=[1.0, 0.01, 0.1], steps=5000)
    # 180 dpi: sharp on a screen of twice the usual density, and light enough for a page that many load
    picture = render(draw("loss-sharpness", run, size="double"), "png", size="double", dpi=180)
    path = Path(__file__).with_name("edge-of-stability.png")
    path.write_bytes(picture)
    print(path)


if __name__ == "__main__":
    main()
