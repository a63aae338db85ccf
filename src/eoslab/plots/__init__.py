"""Figures, one function each: data sets in, axes out.

Importing this package costs nothing: matplotlib is loaded when the first figure is drawn.

>>> list(FIGURES)[0]
'loss-sharpness'
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eoslab.core.errors import InvalidArgument, StoreError, UnknownName

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["FIGURES", "FORMATS", "Figure", "draw", "render", "save_figure"]

FORMATS = ("pdf", "svg", "png")


@dataclass(frozen=True)
class Figure:
    """A figure of the catalogue: its name, what it shows, and what it takes: so many runs, or a kind of sweep."""

    name: str
    title: str
    description: str
    min_runs: int = 1
    max_runs: int = 1
    of: str = "runs"

    @property
    def function(self) -> Callable[..., Any]:
        """The drawing function; the module of the same name is imported on first use."""
        module = self.name.replace("-", "_")
        function: Callable[..., Any] = getattr(import_module(f"eoslab.plots.{module}"), module)
        return function


_CATALOGUE = (
    Figure("loss-sharpness", "Loss and sharpness", "loss over sharpness, with 2/η, phases and first crossing"),
    Figure("eta-sweep", "Several runs", "loss and sharpness of several runs, each with its own 2/η", 1, 8),
    Figure("loss-split", "The parts of the loss", "oscillatory and convergent part of the loss"),
    Figure("gfs", "GFS sharpness", "sharpness, and the sharpness that gradient flow would end at"),
    Figure("gfs-phases", "GFS sharpness by phase", "where and why GFS sharpness falls, phase by phase"),
    Figure("phase-portrait", "Phase portrait", "α and β1 at even and odd steps, the edge and the stable set"),
    Figure("displacement", "Displacement", "β1 at even and odd steps, and the two-cycle it turns around"),
    Figure("stable-set", "Stable set", "around θ†: displacement, sharpness, distance, observed and predicted"),
    Figure("phases", "Phases and stages", "sharpness with the phases, and the four stages of one cycle"),
    Figure("eigenvalues", "Eigenvalues", "the largest eigenvalues of the Hessian"),
    Figure("gd-vs-flow", "Descent and flow", "a run and its gradient flow at equal time, with the distance", 1, 2),
    Figure("theory", "Theory and run", "bounds and laws that apply, on the run: T1, sharpness, loss, θ†"),
    Figure("directions", "Directions", "variance, share of the learnable part and oscillation of d inputs"),
    Figure("phase-map", "Phase map", "regimes of a sweep, with the boundaries of the theory", of="map"),
    Figure(
        "network-grid",
        "Grid of networks",
        "loss and sharpness of a sweep of networks, by column and colour",
        of="networks",
    ),
    Figure("bifurcation", "Bifurcation diagram", "last iterates along a sweep with one axis", of="map"),
)
#: Every figure by name.
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _CATALOGUE}


def draw(name: str, datasets: xr.Dataset | Iterable[xr.Dataset], *, ax: Any = None, **options: Any) -> Drawing:
    """Draw the figure ``name`` of one or several runs; returns the matplotlib figure.

    Options: ``size`` 'single' (3.25 in), 'double' (6.75 in) or 'slide'; ``x`` 'step' or 'time'; ``xscale``,
    ``yscale`` (of the loss) 'linear' or 'log'; ``names`` of the runs; ``usetex``. ``ax`` draws on given axes
    (as many as the figure has panels).

    Raises UnknownName for a figure that does not exist, InvalidArgument for the wrong number or kind of runs.
    """
    if name not in FIGURES:
        raise UnknownName("figure", name, FIGURES)
    figure = FIGURES[name]
    runs = _listed(datasets)
    if not figure.min_runs <= len(runs) <= figure.max_runs:
        few = (
            f"{figure.min_runs}" if figure.min_runs == figure.max_runs else f"{figure.min_runs}–{figure.max_runs}"
        )
        raise InvalidArgument("runs", f"{len(runs)} runs", f"{few} for the figure {name!r}")
    if figure.of == "networks":
        return _draw_networks(figure, runs[0], **options)
    if figure.of == "map":
        return _draw_map(figure, runs[0], ax, **options)
    axes = figure.function(*runs, ax=ax, **options)
    first = axes[0] if isinstance(axes, Sequence) else axes
    drawing: Drawing = first.figure
    return drawing


def _draw_map(
    figure: Figure, ds: xr.Dataset, ax: Any, size: str = "single", usetex: bool = False, **more: Any
) -> Any:
    """Maps have their own axes and no time; the page and the style are those of the other figures."""
    from matplotlib.figure import Figure as Page

    from eoslab.plots.style import SIZES, styled

    if figure.name == "bifurcation" and "step" in ds.dims:
        raise InvalidArgument(
            "sweep", "a sweep of networks", "one of models, along one axis", "networks are drawn by network-grid"
        )
    if figure.name == "bifurcation" and "period" in ds and "last" not in ds.dims:
        from eoslab.results.bifurcation import bifurcation_of

        ds = bifurcation_of(ds)
    with styled(size, usetex):
        if ax is None:
            width = SIZES[size].width
            ax = Page(figsize=(width, 0.62 * width), layout="constrained").add_subplot()
        figure.function(ds, ax=ax, **more)
    return ax.figure


def _draw_networks(figure: Figure, ds: xr.Dataset, size: str = "single", usetex: bool = False, **more: Any) -> Any:
    """A grid has as many axes as its dimension has values; it has no time."""
    from eoslab.plots.style import styled

    with styled(size, usetex):
        return figure.function(ds, size=size, **more)[0].figure


def save_figure(
    name: str,
    datasets: xr.Dataset | Iterable[xr.Dataset],
    path: str | os.PathLike[str],
    *,
    size: str = "single",
    usetex: bool = False,
    **options: Any,
) -> Path:
    """Draw a figure and write it as PDF, SVG or PNG (300 dpi), by the ending of ``path``.

    The same runs give the same bytes: files carry no date and no random identifiers. Takes the options of
    :func:`draw`. Raises InvalidArgument for another ending, StoreError if the file cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InvalidArgument("path", repr(str(path)), f"a name that ends in .{', .'.join(FORMATS)}")
    data = render(draw(name, datasets, size=size, usetex=usetex, **options), kind, size=size, usetex=usetex)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"cannot write {target}: {error.strerror}") from error
    return target


def render(drawing: Drawing, kind: str, *, size: str = "single", usetex: bool = False, dpi: float = 300) -> bytes:
    """A drawn figure as the bytes of a file, without date or creator's address."""
    import io

    import matplotlib

    from eoslab.plots.style import styled

    none = {
        "pdf": {"CreationDate": None, "ModDate": None, "Creator": "eoslab", "Producer": None},
        "svg": {"Date": None, "Creator": "eoslab", "Format": None, "Type": None},
        "png": {"Software": None},
    }[kind]
    buffer = io.BytesIO()
    with styled(size, usetex):
        if drawing.get_layout_engine() is not None:
            # the layout has made room for everything, so the page keeps its exact width
            matplotlib.rcParams["savefig.bbox"] = "standard"
        drawing.savefig(buffer, format=kind, metadata=none, dpi=dpi)
    return buffer.getvalue()


def _listed(datasets: xr.Dataset | Iterable[xr.Dataset]) -> list[xr.Dataset]:
    # a Dataset is itself iterable (over its names), so it is asked for first
    return [datasets] if hasattr(datasets, "data_vars") else list(datasets)  # type: ignore[list-item, arg-type]
