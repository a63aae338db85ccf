"""The explorer as a reader uses it, in Chromium. Waiting is for drawn frames, never for time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is in the extra 'dev'")

from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
AXE = Path(__file__).with_name("axe.min.js")
DARK = pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
DIVERGES = "/?v=1&lr=3&lambda2=0.001&init=3,0.5,0.1&steps=500"


def opened(page, path="/"):
    page.goto(path)
    page.locator('body:not([data-frame="0"])').wait_for()
    return page


def lr(page):
    return float(page.locator("body").get_attribute("data-lr"))


def test_opens_with_a_verdict_and_the_interval_of_the_theory(page):
    opened(page)
    expect(page.locator("#verdict")).to_contain_text("Edge of stability")
    expect(page.locator("#theory")).to_contain_text("inside")


def test_slider_by_keyboard_changes_plot_and_link(page):
    opened(page)
    slider = page.get_by_role("slider", name="Learning rate η", exact=True)
    slider.focus()
    slider.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"[?&]lr=2\.4[1-9]"))
    expect(page.locator("body")).to_have_attribute("data-lr", re.compile(r"2\.4[1-9]"))
    assert lr(page) > 2.4


def test_fraction_and_wrong_number(page):
    opened(page)
    field = page.get_by_role("textbox", name="Learning rate η, number")
    field.fill("2/1.6")
    expect(page.locator("body")).to_have_attribute("data-lr", "1.25")
    field.fill("fast")
    expect(page.locator("#f-lr-e")).to_contain_text("A number is needed")
    assert lr(page) == 1.25


def test_link_restores_the_run_and_names_what_is_wrong_in_it(page):
    opened(page, "/?v=1&lr=1.5&lambda2=0.01&steps=x&colour=red")
    assert lr(page) == 1.5
    expect(page.locator("#banner")).to_contain_text("colour")
    expect(page.locator("#banner")).to_contain_text("steps=x")


def test_stable_run_suggests_a_larger_step(page):
    opened(page, "/?v=1&lr=1.5")
    expect(page.locator("#verdict")).to_contain_text("Stable")
    page.locator("#suggestion a").click()
    expect(page.locator("#verdict")).to_contain_text("Edge of stability")


def test_divergence_is_said(page):
    opened(page, DIVERGES)
    expect(page.locator("#verdict")).to_contain_text("Diverged at step")
    expect(page.locator("#suggestion")).to_contain_text("Lower η")


@DARK
def test_sharpness_is_on_the_canvas(page):
    opened(page)
    count = page.locator("#fig-sharp canvas").evaluate(
        """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
        for (let i = 0; i < d.length; i += 4) if (d[i] < 110 && d[i + 2] > d[i] + 60 && d[i + 3] > 200) n++;
        return n; }"""
    )
    assert count > 100


def test_click_on_the_map_opens_that_trajectory_and_back_returns(page):
    opened(page)
    cells = page.locator("#mini[data-ready] canvas")
    cells.wait_for()
    box = cells.bounding_box()
    cells.click(position={"x": 60 + 0.1 * box["width"], "y": 0.5 * box["height"]})
    expect(page.locator("#verdict")).to_contain_text("Stable")
    page.go_back()
    expect(page.locator("#verdict")).to_contain_text("Edge of stability")


def test_map_by_keyboard(page):
    opened(page, "/?v=1&view=map")
    page.locator("#map[data-ready]").wait_for()
    cells = page.locator("#map canvas")
    cells.focus()
    for _ in range(4):
        cells.press("Shift+ArrowLeft")
    expect(page.locator("#map-hover")).to_contain_text("stable")
    cells.press("Enter")
    expect(page.locator("#verdict")).to_contain_text("Stable")
    expect(page.locator("#fig-loss")).to_be_visible()


def test_pin_survives_the_link(page):
    opened(page)
    page.get_by_role("button", name="Pin this run").click()
    page.locator("#preset").select_option("stable")
    expect(page).to_have_url(re.compile("pin="))
    expect(page.locator("#verdict")).to_contain_text("Stable")
    page.reload()
    expect(page.locator("#pins li")).to_have_count(1)


def test_every_model_is_chosen_without_an_error(page):
    opened(page)
    names = page.locator("#f-model option").evaluate_all("os => os.map(o => o.value)")
    for name in names:
        before = page.locator("body").get_attribute("data-frame")
        page.locator("#f-model").select_option(name)
        if name != "minimalist":
            # the first run with a model compiles its kernel
            page.locator(f'body:not([data-frame="{before}"])').wait_for(timeout=60_000)
        assert page.locator("body").get_attribute("data-error") is None


def test_tour_has_ten_steps(page):
    opened(page, "/?v=1&view=learn")
    seen = set()
    for number in range(1, 11):
        expect(page.locator("#tour-count")).to_have_text(f"Step {number} of 10")
        seen.add(page.locator("#tour-title").inner_text())
        if number < 10:
            page.get_by_role("button", name="Next").click()
    assert len(seen) == 10
    expect(page.locator("#verdict")).to_contain_text("Diverged")


def test_no_runs_is_said_with_the_command(page):
    opened(page, "/?v=1&view=runs")
    expect(page.locator("#runs-empty")).to_contain_text("Start one: eoslab run")


def test_lost_connection_is_said_and_mended(page):
    sockets = []
    page.route_web_socket(re.compile("/ws$"), lambda ws: (sockets.append(ws), ws.connect_to_server())[0])
    opened(page)
    sockets[0].close()
    expect(page.locator("#banner")).to_contain_text("Lost the connection")
    expect(page.locator("#banner")).to_be_hidden()


def test_copy_command(page):
    opened(page, "/?v=1&lr=1.5")
    page.locator("#export summary").click()
    page.get_by_role("button", name="Copy command").click()
    expect(page.locator("#said")).to_have_text("Command copied.")
    assert page.evaluate("navigator.clipboard.readText()").startswith("eoslab run --lambda1 1.0")


def test_narrow_and_enlarged_page_has_no_sideways_scroll(page):
    # 640 px is a 1280 px window at 200 %
    for width in (640, 400):
        page.set_viewport_size({"width": width, "height": 800})
        opened(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@DARK
@pytest.mark.parametrize("view", ["explore", "map", "runs", "learn"])
def test_no_serious_finding_of_axe(page, view):
    opened(page, f"/?v=1&view={view}")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    serious = [
        (v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert serious == []
