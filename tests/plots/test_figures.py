"""Figures by their properties: panels, labels, heights, colours; never by their pixels."""

from __future__ import annotations

import re
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Drawing

from eoslab.core.errors import InvalidArgument, StoreError, UnknownName
from eoslab.plots import FIGURES, draw, save_figure
from eoslab.plots.displacement import two_cycle
from eoslab.plots.phases import cycle
from eoslab.plots.reading import Run, words
from eoslab.plots.style import CONVERGENT, DARK, DESCENT, OSCILLATORY, RUNS, SIZES

PANELS = {
    "loss-sharpness": 2, "eta-sweep": 2, "phases": 3, "gd-vs-flow": 3, "directions": 3, "theory": 3,
    "stable-set": 4, "gfs-phases": 3,
}  # fmt: skip


def datasets_for(name, cycles, inputs, flow):
    return {"gd-vs-flow": [cycles, flow], "directions": [inputs]}.get(name, [cycles])


def texts(ax):
    return [t.get_text() for t in ax.texts]


def marked(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


# maps have figures of their own kind of data, tested with the sweeps
RUN_FIGURES = [name for name, figure in FIGURES.items() if figure.of == "runs"]


@pytest.mark.parametrize("name", RUN_FIGURES)
def test_every_figure_draws_on_given_axes_and_returns_them(name, cycles, inputs, flow):
    function, runs = FIGURES[name].function, datasets_for(name, cycles, inputs, flow)
    own = Drawing(layout="constrained").subplots(PANELS.get(name, 1), squeeze=False).ravel()
    drawn = function(*runs, ax=own)
    assert list(np.ravel(drawn)) == list(own)
    assert all(ax.get_ylabel() for ax in own)
    assert len(draw(name, runs).axes) == PANELS.get(name, 1)


def test_no_figure_changes_matplotlibs_settings(cycles, inputs, flow, tmp_path):
    before = dict(mpl.rcParams)
    for name in RUN_FIGURES:
        draw(name, datasets_for(name, cycles, inputs, flow), size="slide")
    save_figure("gfs", cycles, tmp_path / "a.svg", size="slide")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_the_same_run_gives_the_same_bytes(kind, cycles, tmp_path):
    files = [save_figure("loss-sharpness", cycles, tmp_path / f"{i}.{kind}").read_bytes() for i in range(2)]
    assert files[0] == files[1]
    assert not re.search(rb"CreationDate|ModDate|<dc:date>|tEXtSoftware", files[0])


def test_pdf_has_no_type_3_fonts(cycles, tmp_path):
    data = save_figure("loss-sharpness", cycles, tmp_path / "a.pdf").read_bytes()
    assert b"/Type3" not in data
    assert b"/CIDFontType2" in data or b"/TrueType" in data


@pytest.mark.parametrize("size", SIZES)
def test_a_png_has_the_width_of_its_page(size, cycles, tmp_path):
    data = save_figure("loss-sharpness", cycles, tmp_path / "a.png", size=size).read_bytes()
    assert int.from_bytes(data[16:20], "big") == 300 * SIZES[size].width


def test_two_over_eta_is_a_dotted_line_at_its_height_with_its_value(cycles):
    _, sharp = draw("loss-sharpness", cycles).axes
    (line,) = marked(sharp, "threshold")
    assert list(line.get_ydata()) == pytest.approx([2 / 1.98] * 2)
    assert line.get_linestyle() != "-"
    assert "2/η = 1.01" in texts(sharp)
    low, high = sharp.get_ylim()
    assert low < 2 / 1.98 < high


def test_momentum_has_its_own_threshold():
    import eoslab

    run = eoslab.trajectory(
        eoslab.models.Minimalist(), eoslab.optimizers.HeavyBall(lr=0.5, beta=0.9), [0.3, 1e-3, 0.1], steps=100
    )
    _, sharp = draw("loss-sharpness", run).axes
    assert "3.8/η = 7.6" in texts(sharp)
    assert marked(sharp, "threshold")[0].get_ydata()[0] == pytest.approx(7.6)


def test_phases_are_named_and_the_first_crossing_is_marked(cycles):
    loss, sharp = draw("loss-sharpness", cycles, size="double").axes
    assert {"progressive sharpening", "edge of stability", "monotone convergence"} <= set(texts(loss))
    assert marked(sharp, "crossing")[0].get_xdata()[0] == 41
    assert "crosses at step 41" in texts(sharp)
    assert len(marked(loss, "phase-eos")) == len(marked(sharp, "phase-eos")) == 1


def test_time_is_eta_times_steps(cycles):
    _, sharp = draw("loss-sharpness", cycles, x="time").axes
    assert marked(sharp, "crossing")[0].get_xdata()[0] == pytest.approx(41 * 1.98)
    assert sharp.get_xlabel() == r"time $\eta t$"


def test_colours_mean_the_same_everywhere(cycles):
    (ax,) = draw("loss-split", cycles).axes
    colors = {line.get_label(): to_hex(line.get_color()).upper() for line in ax.lines}
    assert colors == {"loss": DESCENT, "oscillatory": OSCILLATORY, "convergent": CONVERGENT}


def test_lines_have_three_to_one_contrast_on_light_and_dark():
    def luminance(color):
        part = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        part = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return part @ [0.2126, 0.7152, 0.0722]

    def contrast(a, b):
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    assert all(contrast(color, "#FFFFFF") >= 3 for color in RUNS)
    assert all(contrast(DARK[color], DARK["#FFFFFF"]) >= 3 for color in RUNS)


def test_several_runs_have_a_threshold_each_in_their_colour(cycles, stable):
    loss, sharp = draw("eta-sweep", [cycles, stable]).axes
    found = {to_hex(m.get_color()).upper(): m.get_ydata()[0] for m in marked(sharp, "threshold")}
    assert found == {RUNS[0]: pytest.approx(2 / 1.98), RUNS[1]: pytest.approx(4.0)}
    assert [t.get_text() for t in loss.get_legend().get_texts()] == ["η = 2/1.01", "η = 2/4"]


def test_divergence_is_said_and_cut(diverged, cycles):
    loss, sharp = draw("loss-sharpness", diverged).axes
    assert any(t.startswith("diverged at step") for t in texts(loss))
    assert marked(sharp, "diverged")
    assert np.isfinite(sharp.get_ylim()).all()
    assert sharp.get_ylim()[1] <= 3 * float(diverged.sharpness[0])
    for name in ("loss-split", "gfs", "phase-portrait", "displacement", "phases", "eigenvalues"):
        draw(name, diverged).canvas.draw()
    # beside a run that stays finite it does not set the scale
    assert draw("eta-sweep", [cycles, diverged]).axes[1].get_ylim()[1] < 5


def test_a_spike_of_one_step_in_a_long_run_is_drawn():
    import xarray as xr

    n = 200_000
    sharpness = np.ones(n)
    sharpness[123_457] = 1.7
    ds = xr.Dataset(
        {"loss": ("step", np.full(n, 0.1)), "sharpness": ("step", sharpness), "lr": 1.0, "threshold": 2.0},
        coords={"step": np.arange(n), "time": ("step", np.arange(float(n)))},
    )
    line = draw("loss-sharpness", ds).axes[1].lines[0]
    assert len(line.get_xdata()) <= 2 * SIZES["single"].bins + 2
    assert line.get_ydata().max() == 1.7
    assert line.get_xdata()[np.argmax(line.get_ydata())] == 123_457


def test_a_gap_in_the_measurements_stays_a_gap():
    import xarray as xr

    sharpness = np.linspace(1, 1.5, 50)
    sharpness[20:30] = np.nan
    ds = xr.Dataset(
        {"loss": ("step", np.full(50, 0.1)), "sharpness": ("step", sharpness), "lr": 1.0, "threshold": 2.0},
        coords={"step": np.arange(50), "time": ("step", np.arange(50.0))},
    )
    assert np.isnan(draw("loss-sharpness", ds).axes[1].lines[0].get_ydata()).sum() == 10


def test_below_the_floor_the_loss_has_a_gap():
    import eoslab
    from eoslab.optimizers import GD

    run = eoslab.trajectory(eoslab.models.Minimalist(), GD(lr=2.4), [0.3, 1e-3, 0.1], steps=3000)
    assert float(run.loss.min()) < 1e-30
    loss = draw("loss-sharpness", run).axes[0]
    assert loss.get_ylim()[0] >= 1e-16
    drawn = loss.lines[0].get_ydata()
    assert np.nanmin(drawn) >= 1e-16


def test_a_run_that_jumps_to_and_fro_is_two_lines(inputs, cycles):
    assert str(inputs.outcome.values) == "period-2"
    _, sharp = draw("loss-sharpness", inputs).axes
    even, odd = (line for line in sharp.lines if line.get_gid() is None)
    assert set(even.get_xdata() % 2) == {0}
    assert set(odd.get_xdata() % 2) == {1}
    assert not Run(cycles).alternates(cycles.sharpness.values)


def test_phase_portrait_shows_parities_edge_start_and_end(cycles):
    (ax,) = draw("phase-portrait", cycles).axes
    (edge,) = marked(ax, "threshold")
    assert edge.get_xdata()[0] == pytest.approx(np.sqrt(2 / 1.98))
    even, odd = (line for line in ax.lines if line.get_label() in ("even steps", "odd steps"))
    # at the edge β1 changes its sign every step
    assert np.median(even.get_ydata()) * np.median(odd.get_ydata()) < 0
    start = next(line for line in ax.lines if line.get_label() == "start")
    assert (start.get_xdata()[0], start.get_ydata()[0]) == (1.0, 0.01)


def test_the_amplitude_of_the_two_cycle_is_a_fixed_point_of_two_steps():
    """Prop 4.10: at α = α_e and β1 = β1* two steps with frozen β2 return to the start."""
    import eoslab
    from eoslab.optimizers import GD

    lr, lambda2, b = 1.5, 1e-3, 2.0
    model = eoslab.models.Minimalist(lambda1=1.0, lambda2=lambda2, b=b)
    alpha, beta2 = np.sqrt(2 / lr), 0.8 * b / np.sqrt(2 / lr)
    run = eoslab.trajectory(model, GD(lr=lr), [alpha, 1e-3, beta2], steps=1)
    (amplitude, _) = two_cycle(Run(run))
    w = np.array([alpha, amplitude, beta2])
    step = model.grad(w) * lr
    assert step[0] == pytest.approx(0, abs=1e-15)
    assert w[1] - step[1] == pytest.approx(-amplitude, rel=1e-14)


def test_one_cycle_has_its_four_stages_in_order(cycles, stable):
    found = cycle(Run(cycles))
    assert list(found.bounds) == sorted(found.bounds)
    s, beta1, edge = cycles.sharpness.values, np.abs(cycles.w.sel(param="beta1").values), 2 / 1.98
    assert s[found.trough] < edge < s[found.peak]
    assert s[found.crossing - 1] <= edge < s[found.crossing]
    # blow-up: |β1| grows; return: it shrinks
    assert beta1[found.peak] > beta1[found.crossing]
    assert beta1[found.end] < beta1[found.fall]
    assert cycle(Run(stable)) is None


def test_eigenvalues_are_those_of_the_hessian(cycles):
    (ax,) = draw("eigenvalues", cycles).axes
    top = next(line for line in ax.lines if line.get_label() == r"$\mu_1$")
    expected = np.interp(top.get_xdata(), cycles.step, cycles.sharpness)
    # the kernel's closed form against LAPACK: rounding of numbers near 1
    assert np.allclose(top.get_ydata(), expected, rtol=1e-12)


def test_descent_and_flow_begin_together_and_part_at_the_edge(cycles, flow):
    for order in ([cycles, flow], [flow, cycles]):
        _, sharp, distance = draw("gd-vs-flow", order).axes
        assert {to_hex(line.get_color()).upper() for line in sharp.lines[:2]} == {DESCENT, CONVERGENT}
        gap = distance.lines[0].get_ydata()
        assert np.nanmax(gap) == gap[~np.isnan(gap)][-1] or np.nanmax(gap) > 0.1
    assert distance.get_xlabel() == r"time $\eta t$"


def test_d_input_runs_are_refused_by_name_where_a_figure_needs_beta1(inputs, cycles):
    for name in ("phase-portrait", "displacement", "phases"):
        with pytest.raises(InvalidArgument, match="directions"):
            draw(name, inputs)
    with pytest.raises(InvalidArgument, match="phase-portrait"):
        draw("directions", cycles)


def test_directions_that_oscillate_are_coloured(inputs):
    spectrum, _, amplitude = draw("directions", inputs).axes
    moving = next(line for line in amplitude.lines if line.get_label() == "oscillates")
    assert to_hex(moving.get_color()).upper() == OSCILLATORY
    assert moving.get_ydata().min() >= 0.1 * float(inputs.oscillation.max())
    heights = np.concatenate([line.get_ydata() for line in spectrum.lines])
    assert sorted(heights) == pytest.approx(sorted(inputs.lambdas.values))


def test_wrong_use_is_refused(cycles, tmp_path):
    with pytest.raises(UnknownName, match="loss-sharpness"):
        draw("loss-sharpnes", cycles)
    with pytest.raises(InvalidArgument, match="2 runs"):
        draw("loss-sharpness", [cycles, cycles])
    with pytest.raises(InvalidArgument, match="pdf"):
        save_figure("gfs", cycles, tmp_path / "a.jpg")
    with pytest.raises(InvalidArgument, match="size"):
        draw("gfs", cycles, size="poster")
    with pytest.raises(InvalidArgument, match="axes"):
        draw("loss-sharpness", cycles, ax=Drawing().subplots())
    with pytest.raises(StoreError):
        save_figure("gfs", cycles, tmp_path / "absent" / "a.pdf")
    assert list(tmp_path.iterdir()) == []


def test_events_are_read_as_text_and_as_codes(cycles):
    coded = cycles.copy()
    names = ["peak", "crossing-up", "dip", "crossing-down"]
    codes = np.array([names.index(str(k)) for k in cycles.event_kind.values], dtype=np.int8)
    meaning = {"flag_values": list(range(len(names))), "flag_meanings": " ".join(names)}
    coded["event_kind"] = ("event", codes, meaning)
    assert words(coded.event_kind) == words(cycles.event_kind)
    assert Run(coded).first_crossing == Run(cycles).first_crossing == 41


def test_the_list_of_figures_costs_no_matplotlib():
    code = (
        "import sys, eoslab.plots as p; print(len(p.FIGURES)); "
        "print([m for m in ('matplotlib', 'numpy', 'xarray') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == [str(len(FIGURES)), "[]"]


@pytest.mark.parametrize(
    ("lr", "start", "steps"),
    [
        (1.0, [0.3, 0.1, 0.1], 0),
        (1e3, [1e150, 1e150, 1e3], 50),
        (0.5, [1.0, 0.0, 1.0], 50),
        (0.5, [0.0, 0.0, 0.0], 50),
    ],
    ids=["no steps", "diverges at once", "starts at a minimum", "starts at the saddle"],
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_degenerate_runs_are_drawn_too(lr, start, steps):
    import eoslab
    from eoslab.optimizers import GD

    run = eoslab.trajectory(eoslab.models.Minimalist(), GD(lr=lr), start, steps=steps)
    for name in ("loss-sharpness", "eta-sweep", "loss-split", "eigenvalues"):
        for options in ({}, {"xscale": "log", "x": "time"}):
            draw(name, run, **options).canvas.draw()
