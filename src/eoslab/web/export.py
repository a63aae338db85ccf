"""What leaves the page as a file: figures, the scripts that draw them, data, a reference."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eoslab import __version__
from eoslab.core.errors import UnknownName
from eoslab.plots import FIGURES, FORMATS
from eoslab.web.request import Request

__all__ = ["DATA", "TYPES", "Figure", "bibtex", "data", "script"]

TYPES = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
DATA = {"csv": "text/csv; charset=utf-8", "npz": "application/octet-stream"}
SIZES = ("single", "double", "slide")


@dataclass(frozen=True)
class Figure:
    """A figure of the catalogue of ``eoslab figure``, a format and a size.

    Raises UnknownName for what is none of them.
    """

    name: str
    kind: str
    size: str

    def __post_init__(self) -> None:
        for field, value, known in (
            ("name", self.name, [n for n, f in FIGURES.items() if f.of == "runs" and f.min_runs == 1]),
            ("format", self.kind, FORMATS),
            ("size", self.size, SIZES),
        ):
            if value not in known:
                raise UnknownName(field, value, known)

    @property
    def file_name(self) -> str:
        """The name under which a browser keeps it."""
        return f"eoslab-{self.name}.{self.kind}"

    @property
    def script_name(self) -> str:
        """The name of the script that draws it."""
        return f"eoslab-{self.name}.py"

    def draw(self, ds: Any) -> bytes:
        """The file."""
        from eoslab.plots import draw, render

        return render(draw(self.name, ds, size=self.size), self.kind, size=self.size)


def script(request: Request, figure: Figure) -> str:
    """Python that runs the model again and draws the figure with matplotlib, byte for byte the exported one."""
    head, _, body = request.python.partition("\n\n")
    plain, *rest = head.splitlines()
    imports = "\n".join([plain, *sorted([*rest, "from eoslab.plots import draw, render"])])
    return f'''"""{FIGURES[figure.name].title} of: {request.command}

Made by the explorer of eoslab {__version__}. ``figure`` is a matplotlib Figure: change what you like before it is
written, e.g. ``figure.axes[0].set_title("…")``.
"""

from pathlib import Path

{imports}

{body}
figure = draw("{figure.name}", ds, size="{figure.size}")
Path("{figure.file_name}").write_bytes(render(figure, "{figure.kind}", size="{figure.size}"))
'''


def data(ds: Any, kind: str) -> bytes:
    """A run as CSV or NPZ, float64, with its parameters and the version that made it."""
    from eoslab.results.export import WRITERS

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        WRITERS[kind](ds, path, "of the explorer")
        return path.read_bytes()


def bibtex() -> str:
    """The toolkit, and the paper whose model it implements (as in CITATION.cff)."""
    return f"""@software{{eoslab,
  author  = {{{{the eoslab developers}}}},
  title   = {{{{eoslab}}: the laboratory for training at the edge of stability}},
  version = {{{__version__}}},
  license = {{MIT}},
}}

@article{{liu2025minimalist,
  author  = {{Liu and Zhang and Du and Zhao}},
  title   = {{A Minimalist Example of Edge-of-Stability and Progressive Sharpening}},
  journal = {{arXiv preprint arXiv:2503.02809}},
  year    = {{2025}},
  url     = {{https://arxiv.org/abs/2503.02809}},
}}
"""
