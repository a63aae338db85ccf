"""The report with charts, opened from disk without a network: complete, silent, and whole without scripts."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import struct

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is in the extra 'dev'")

from playwright.sync_api import expect

import eoslab
from eoslab.plots.reading import Run
from eoslab.report import interactive, page, report

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
#: Bytes that the charts of a report may add.
MOST = 150_000


@pytest.fixture(scope="module")
def runs():
    return [
        eoslab.trajectory(eoslab.models.Minimalist(), eoslab.optimizers.GD(lr), steps=3000) for lr in (2.4, 2.6)
    ]


@pytest.fixture(scope="module")
def files(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("charts")
    with pytest.MonkeyPatch.context() as patch:
        # the drawings of other figures take long and have no charts
        patch.setattr(page, "SINGLE", ("loss-sharpness",))
        return {
            "plain": report(runs[:1], folder / "plain.html"),
            "one": report(runs[:1], folder / "one.html", interactive=True),
            "two": report(runs, folder / "two.html", names=["<script>", "b"], interactive=True),
        }


@pytest.fixture
def opened(browser, files):
    contexts, said = [], []

    def open_file(name, **options):
        context = browser.new_context(viewport={"width": 900, "height": 1100}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: said.append(m.text))
        page.on("pageerror", lambda e: said.append(str(e)))
        page.on("request", lambda r: None if r.url == files[name].as_uri() else said.append(r.url))
        page.goto(files[name].as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert said == [], "no request and no word to the console"


def step_in_the_middle(page):
    """The step that the readout names when the pointer is in the middle of the first chart."""
    box = page.locator(".chart .u-over").first.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 40)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    said = page.locator(".chart output").text_content()
    return int(re.search(r"step ([\d,]+)", said)[1].replace(",", "")), said


def test_charts_replace_the_drawing_and_say_values(opened, runs):
    page = opened("one")
    expect(page.locator(".chart[data-ready]")).to_be_visible()
    expect(page.locator(".drawn").first).to_be_hidden()
    step, said = step_in_the_middle(page)
    assert abs(step - 1500) < 10
    value = float(re.search(r"sharpness ([\d.]+)", said)[1])
    assert value == pytest.approx(float(runs[0]["sharpness"].sel(step=step)), rel=1e-3)


def test_dragging_zooms_and_the_button_returns(opened):
    page = opened("one")
    expect(page.locator(".chart[data-ready]")).to_be_visible()
    box = page.locator(".chart .u-over").first.bounding_box()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    assert abs(step_in_the_middle(page)[0] - 600) < 20
    page.get_by_role("button", name="Whole run").click()
    assert abs(step_in_the_middle(page)[0] - 1500) < 10


def test_without_scripts_and_in_print_the_drawings_stay(opened):
    page = opened("one", java_script_enabled=False)
    expect(page.locator(".drawn svg").first).to_be_visible()
    expect(page.locator(".chart")).to_be_hidden()
    page = opened("one")
    expect(page.locator(".chart[data-ready]")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".drawn svg").first).to_be_visible()
    expect(page.locator(".chart")).to_be_hidden()


def test_names_of_runs_are_text_in_a_comparison(opened):
    page = opened("two")
    expect(page.locator(".chart .key", has_text="<script>")).to_have_count(2)


def test_the_policy_admits_these_scripts_and_nothing_else(files):
    text = files["one"].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'")
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.S)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert re.search(r"script-src ([^;]+)", policy)[1].split() == [f"'sha256-{d}'" for d in digests]
    assert "<script" not in files["plain"].read_text(encoding="utf-8")


def test_charts_weigh_less_than_they_may_and_keep_every_spike(files, runs):
    assert files["one"].stat().st_size - files["plain"].stat().st_size < MOST
    rng = np.random.default_rng(0)
    noisy = runs[0].copy(deep=True)
    noisy["sharpness"] = ("step", rng.normal(0.8, 0.1, noisy.sizes["step"]))
    noisy["sharpness"][1234] = 2.0
    noisy["eta_sharpness"] = noisy["sharpness"] * noisy["lr"]
    noisy["loss"] = ("step", rng.random(noisy.sizes["step"]))
    several = interactive.chart([Run(noisy, "a")] * 4)
    assert len(several) + sum(map(len, (interactive.head(), interactive.scripts()))) < MOST
    raw = gzip.decompress(
        base64.b64decode(re.search(r'data-packed="([^"]+)"', interactive.chart([Run(noisy)]))[1])
    )
    (length,) = struct.unpack_from("<I", raw)
    head = json.loads(raw[4 : 4 + length])
    n, columns = head["runs"][0]["n"], head["runs"][0]["columns"]
    table = np.frombuffer(raw, "<f4", count=n * columns, offset=4 + length).reshape(columns, n)
    at = {line["name"]: line["column"] for panel in head["panels"] for line in panel["lines"]}
    assert table[at["sharpness"], table[0] == 1234] == 2.0
    # 14 bits of the mantissa are kept
    kept = Run(noisy).series("loss")[table[0].astype(int)]
    assert np.allclose(table[at["loss"]], kept, rtol=2.0**-14)


def test_the_same_runs_give_the_same_chart(runs):
    assert interactive.chart([Run(ds) for ds in runs]) == interactive.chart([Run(ds) for ds in runs])
