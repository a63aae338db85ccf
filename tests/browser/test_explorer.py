"""The explorer as a reader uses it, in Chromium. Waiting is for drawn frames, never for time."""

from __future__ import annotations

import json
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
    expect(page.locator("#theory")).to_contain_text("step 77 to 689")
    expect(page.locator("#theory td.yes")).to_have_count(1)


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


#: Pixels of a canvas within a part of it (fractions from the left and from the top) that are not its background.
INK = """(c, [x0, y0, x1, y1]) => { const w = c.width, h = c.height;
const d = c.getContext('2d').getImageData(x0 * w, y0 * h, (x1 - x0) * w, (y1 - y0) * h).data; let n = 0;
for (let i = 3; i < d.length; i += 4) if (d[i] > 100) n++; return n; }"""


@DARK
@pytest.mark.parametrize("scale", ["", "&scale=linear"])
def test_divergence_is_said_hatched_and_has_numbers_on_its_axes(page, scale):
    opened(page, DIVERGES + scale)
    expect(page.locator("#verdict")).to_contain_text("Diverged at step")
    expect(page.locator("#suggestion")).to_contain_text("Lower η")
    for figure in ("#fig-loss", "#fig-sharp"):
        canvas = page.locator(f"{figure} canvas")
        # the numbers left of the axis, and the hatch where there is no run any more
        assert canvas.evaluate(INK, [0, 0.02, 0.1, 0.85]) > 30
        assert canvas.evaluate(INK, [0.6, 0.2, 0.9, 0.5]) > 300


def test_refused_value_is_said_under_its_field_and_the_last_plot_stays(page):
    opened(page)
    page.get_by_role("textbox", name="Learning rate η, number").fill("-1")
    expect(page.locator("#f-lr-e")).to_contain_text("lr")
    expect(page.locator("body")).to_have_attribute("data-error", "lr")
    assert lr(page) == 2.4
    expect(page.locator("#verdict")).to_contain_text("Edge of stability")


def test_late_first_answer_is_explained_over_empty_axes(page):
    held = []

    def late(ws):
        server = ws.connect_to_server()
        server.on_message(lambda message: held.append((ws, message)))

    page.route_web_socket(re.compile("/ws$"), late)
    page.goto("/")
    expect(page.locator(".wait").first).to_contain_text("Compiling the kernel")
    while not held:  # the server is itself late on a machine that does other things
        page.wait_for_timeout(50)
    ws, message = held[0]
    ws.send(message)
    expect(page.locator(".wait")).to_have_count(0)
    expect(page.locator("#verdict")).to_contain_text("Edge of stability")


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


def test_textbook_preset_shows_theory_beside_the_run(page):
    opened(page)
    groups = page.locator("#preset optgroup").evaluate_all("gs => gs.map(g => [g.label, g.children.length])")
    assert groups == [["What can happen", 5], ["Textbook sets of the theory", 9], ["Real data", 1]]
    page.locator("#preset").select_option("M1")
    expect(page.locator("#theory tbody tr")).to_have_count(3)
    expect(page.locator("#theory td.yes")).to_have_count(3)
    expect(page.locator("#theory")).to_contain_text("step 78 to 174")


def test_curves_are_drawn_on_request_and_kept_in_the_link(page):
    opened(page, "/?v=1&lr=1.98&lambda2=0.001&init=1,0.01,0.1&steps=200")
    expect(page.locator("#curves")).to_have_attribute("data-drawn", "")
    for name in ("gradient flow", "constrained trajectory", "predicted dynamics"):
        page.get_by_role("checkbox", name=name).check()
    everything = page.locator('#curves[data-drawn="flow stable-set predicted"]')
    everything.wait_for()
    expect(page).to_have_url(re.compile("over=flow%2Cstable-set%2Cpredicted"))
    page.reload()
    everything.wait_for()
    # another run takes them away until its own have come
    page.get_by_role("textbox", name="Learning rate η, number").fill("0.9")
    expect(page.locator("#curve-notes")).to_contain_text("No predicted dynamics: a run that stays below 2/η")
    expect(page.locator("#curves")).to_have_attribute("data-drawn", "flow")


def test_model_and_optimizer_decide_which_curves_there_are(page):
    opened(page)
    page.locator("#f-optimizer").select_option("heavy-ball")
    expect(page.locator("#curve-boxes")).to_contain_text("nothing, for this model and optimizer")
    page.locator("#f-optimizer").select_option("gd")
    expect(page.locator("#curve-boxes input")).to_have_count(3)


def test_time_axis_is_in_the_link(page):
    opened(page)
    page.locator("#x-unit").select_option("time")
    expect(page).to_have_url(re.compile("xunit=time"))
    opened(page, "/?v=1&xunit=time&xscale=log")
    expect(page.locator("#x-unit")).to_have_value("time")
    expect(page.locator("#x-axis")).to_have_value("log")


def test_link_of_an_older_version_keeps_its_defaults(page):
    def later(route):
        answer = route.fetch()
        catalogue = answer.json()
        table = json.loads(json.dumps(catalogue["defaults"]["1"]))
        table["models"]["minimalist"]["lr"] = 1.7
        route.fulfill(
            response=answer,
            json=catalogue | {"version_of_links": 2, "defaults": catalogue["defaults"] | {"2": table}},
        )

    page.route("**/api/catalogue", later)
    opened(page, "/?v=1&steps=400")
    assert lr(page) == 2.4
    # written anew, the link says what today's defaults no longer do
    page.locator("#f-steps-n").fill("401")
    expect(page).to_have_url(re.compile(r"v=2&lr=2\.4&steps=401"))
    opened(page, "/?v=2&steps=400")
    assert lr(page) == 1.7
    opened(page, "/?v=9&steps=400")
    assert lr(page) == 1.7
    expect(page.locator("#banner")).to_contain_text("v=9")


def test_link_about_a_model_without_kept_defaults_omits_nothing(page):
    def plugged_in(route):
        answer = route.fetch()
        catalogue = answer.json()
        catalogue["defaults"]["1"]["unversioned"] = ["uv"]
        route.fulfill(response=answer, json=catalogue)

    page.route("**/api/catalogue", plugged_in)
    opened(page, "/?v=1&model=uv&steps=50")
    page.locator("#f-steps-n").fill("51")
    expect(page).to_have_url(re.compile(r"v=1&model=uv&lr=0\.6&steps=51&init=2%2C0\.1&x=1&y=1"))


def test_map_shows_the_boundaries_and_says_its_steps(page):
    opened(page, "/?v=1&view=map&steps=4000")
    page.locator("#map[data-ready]").wait_for()
    expect(page.locator("#map-note")).to_contain_text("192 × 128 cells of 4000 steps each, as in Explore")
    expect(page.locator("#map-theory-legend")).to_contain_text("no stable minimiser")
    shown = page.locator("#map canvas").screenshot()
    page.get_by_role("checkbox", name="theory").uncheck()
    expect(page.locator("#map-theory-legend")).to_be_hidden()
    expect(page).to_have_url(re.compile("theory=off"))
    assert page.locator("#map canvas").screenshot() != shown


def test_small_map_computes_the_steps_of_the_trajectory(page):
    asked = []
    page.on("request", lambda r: asked.append(r.url) if "/api/diagram" in r.url else None)
    opened(page, "/?v=1&steps=25000")
    page.locator("#mini[data-ready]").wait_for()
    assert [re.search("steps=([0-9]+)", url)[1] for url in asked] == ["25000"]


def test_map_is_cancelled_and_goes_on_where_it_was_asked_again(page):
    opened(page, "/?v=1&view=map&steps=60000&lambda1=1.01")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    expect(page.locator("#map-progress")).to_have_js_property("value", 0)
    assert page.locator("#map").get_attribute("data-ready") is None
    page.locator("#f-steps-n").fill("300")
    page.locator("#map[data-ready]").wait_for()
    expect(page.locator("#map-note")).to_contain_text("of 300 steps")


def test_files_leave_by_the_menu(page, tmp_path):
    opened(page, "/?v=1&steps=60")
    page.locator("#export summary").click()
    for entry, name, begins in (
        ("Data, CSV", "eoslab-run.csv", b"#"),
        ("Figure, SVG", "eoslab-loss-sharpness.svg", b"<?xml"),
        ("Figure, matplotlib code", "eoslab-loss-sharpness.py", b'"""'),
    ):
        with page.expect_download() as download:
            page.get_by_role("button", name=entry, exact=True).click()
        assert download.value.suggested_filename == name
        assert Path(download.value.path()).read_bytes().startswith(begins)
    page.get_by_role("button", name="Copy BibTeX").click()
    expect(page.locator("#said")).to_have_text("BibTeX copied.")
    assert "@software{eoslab" in page.evaluate("navigator.clipboard.readText()")


def test_figure_that_the_run_does_not_have_is_said(page):
    page.may_refuse = True
    opened(page, "/?v=1&steps=60&lr=0.5")
    page.locator("#export summary").click()
    page.locator("#figure-name").select_option("stable-set")
    page.get_by_role("button", name="Figure, SVG", exact=True).click()
    expect(page.locator("#banner")).to_contain_text("stays below 2/η")


def test_narrow_page_has_the_plots_near_its_controls(page):
    page.set_viewport_size({"width": 700, "height": 900})
    opened(page)
    assert page.locator("#fig-loss").bounding_box()["y"] < 650
    folds = page.locator(".fold")
    assert folds.evaluate_all("fs => fs.map(f => f.open)") == [False, False]
    folds.first.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("slider", name="Variance λ₁ of the irrelevant input", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    opened(page)
    assert folds.evaluate_all("fs => fs.map(f => f.open)") == [True, True]


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
    expect(page.locator("#verdict")).to_contain_text("Two-cycle")


def test_link_to_a_step_of_the_tour_without_settings_shows_its_run(page):
    opened(page, "/?v=1&view=learn&tour=9")
    expect(page.locator("#tour-title")).to_have_text("When it diverges")
    expect(page.locator("#verdict")).to_contain_text("Diverged at step 215")


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
