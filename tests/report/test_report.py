"""The report: complete in itself, safe, the same for the same runs, small."""

from __future__ import annotations

import base64
import gzip
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from eoslab.core.errors import InvalidArgument, StoreError
from eoslab.plots.reading import Run
from eoslab.report import report
from eoslab.report.settings import differing, settings
from eoslab.report.svg import inline

HOSTILE = "<script>alert(1)</script>&\"'"
VOID = {"meta", "img", "br", "link"}


class Outline(HTMLParser):
    """What a browser sees: elements, attributes, text; complains of elements that do not close."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text, self.ids = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def outline(path):
    found = Outline()
    found.feed(path.read_text(encoding="utf-8"))
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory, cycles, stable, diverged, inputs):
    folder = tmp_path_factory.mktemp("report")
    given = {
        "one": ([cycles], ["a run"]), "inputs": ([inputs], ["five inputs"]), "hostile": ([diverged], [HOSTILE]),
        "several": ([stable, diverged], ["calm", HOSTILE]), "mixed": ([stable, inputs], ["two inputs", "five"]),
    }  # fmt: skip
    return {
        name: report(runs, folder / f"{name}.html", names=names, commands=[f"eoslab run  # {name}"] * len(runs))
        for name, (runs, names) in given.items()
    }


@pytest.mark.parametrize("name", ["one", "inputs", "hostile", "several", "mixed"])
def test_nothing_is_asked_from_outside(pages, name):
    page = outline(pages[name])
    text = pages[name].read_text(encoding="utf-8")
    assert "script" not in page.tags
    for tag, attribute, value in page.attributes:
        if attribute in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            assert value.startswith(("data:", "#")), (tag, value)
        assert not attribute.startswith("on"), attribute
    assert not re.search(r"url\((?!#)|@import|@font-face", text)
    # namespaces are names, not addresses
    assert set(re.findall(r"https?://[^\s\"'<)]*", text)) <= {"http://www.w3.org/1999/xlink"}
    policy = next(v for t, a, v in page.attributes if t == "meta" and a == "content" and "default-src" in v)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert pages[name].stat().st_size < 1_000_000


@pytest.mark.parametrize("name", ["hostile", "several"])
def test_names_are_text_wherever_they_stand(pages, name):
    page = outline(pages[name])
    assert "<script" not in pages[name].read_text(encoding="utf-8")
    assert any(HOSTILE in text for text in page.text)


def test_identifiers_are_unique_and_references_have_a_target(pages):
    for path in pages.values():
        page = outline(path)
        assert len(page.ids) == len(set(page.ids))
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(page.ids)


def test_the_verdict_comes_first_and_the_order_is_kept(pages):
    text = pages["one"].read_text(encoding="utf-8")
    order = [
        'class="verdict"', "<dl>", "Figure 1.", "<h2>Method", "<h2>Settings", "<h2>Environment", "<h2>Reproduce",
        "eoslab run  # one", "<h2>Data",
    ]  # fmt: skip
    places = [text.index(mark) for mark in order]
    assert places == sorted(places)
    assert "Edge of stability: above 2/η = 1.01" in text[places[0] : places[1]]


def test_a_comparison_shows_what_differs_first(pages):
    text = pages["several"].read_text(encoding="utf-8")
    assert text.index("What differs") < text.index("<h2>Numbers") < text.index("Figure 1.")
    assert "step size η" in text[text.index("What differs") : text.index("<h2>Numbers")]


def test_the_same_runs_give_the_same_bytes(pages, diverged, tmp_path):
    again = report([diverged], tmp_path / "a.html", names=[HOSTILE], commands=["eoslab run  # hostile"])
    assert again.read_bytes() == pages["hostile"].read_bytes()


def test_every_picture_is_described_and_has_its_numbers(pages):
    page = outline(pages["one"])
    drawings = [v for t, a, v in page.attributes if t == "svg" and a == "aria-label"]
    assert len(drawings) == page.tags.count("svg") > 0
    assert all("Edge of stability" in text for text in drawings)
    assert page.tags.count("figure") == page.tags.count("details")


def test_runs_of_different_models_share_no_axes(pages):
    text = "".join(outline(pages["mixed"]).text)
    assert "on shared axes" not in text
    assert "on shared axes" in "".join(outline(pages["several"]).text)


def test_a_run_on_data_shows_its_directions(pages):
    text = "".join(outline(pages["inputs"]).text)
    assert "Directions:" in text
    assert "Phase portrait" not in text


def test_the_data_can_be_taken_out_again(pages, cycles):
    link = re.search(r'href="data:application/gzip;base64,([^"]+)"', pages["one"].read_text(encoding="utf-8"))[1]
    head, *lines = gzip.decompress(base64.b64decode(link)).decode().splitlines()
    names = head.split(",")
    table = np.genfromtxt(io.StringIO("\n".join(lines)), delimiter=",", usecols=range(len(names) - 1))
    step = table[:, 0].astype(int)
    assert step[0] == 0
    assert step[-1] == 4000
    for name in ("loss", "sharpness"):
        column = table[:, names.index(name)]
        assert (column == cycles[name].values[step]).all()
        assert column.max() == cycles[name].values.max()


def test_settings_that_differ_from_their_default_come_first(cycles, stable):
    rows = settings(Run(cycles))
    changed = [s.name for s in rows if s.differs]
    assert [s.name for s in rows[: len(changed)]] == changed
    assert {"lambda2", "lr", "steps", "start"} <= set(changed)
    assert "lambda1" not in changed
    assert dict(differing([Run(cycles), Run(stable)]))["lr"] == ["1.98", "0.5"]


def test_a_drawing_with_too_many_points_is_a_picture():
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(2, 1))
    drawing.subplots().plot(np.random.default_rng(0).normal(size=30_000), linewidth=0.2)
    assert inline(drawing, "p", "noise").startswith(
        '<img class="plot double" alt="noise" src="data:image/png;base64,'
    )


def test_many_long_runs_stay_below_a_megabyte(inputs, tmp_path):
    path = report([inputs] * 9, tmp_path / "many.html")
    assert path.stat().st_size < 1_000_000
    outline(path)


def test_wrong_use_is_refused(cycles, diverged, tmp_path):
    with pytest.raises(InvalidArgument, match="no run"):
        report([], tmp_path / "a.html")
    with pytest.raises(InvalidArgument, match="names"):
        report([cycles], tmp_path / "a.html", names=["a", "b"])
    with pytest.raises(StoreError):
        report([diverged], tmp_path / "absent" / "a.html")
    assert list(tmp_path.iterdir()) == []
