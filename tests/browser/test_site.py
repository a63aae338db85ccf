"""The exported site through a plain web server: the tour, the runs, no request elsewhere, no error."""

from __future__ import annotations

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is in the extra 'dev'")

from playwright.sync_api import expect

import eoslab
from eoslab.results.store import Store
from eoslab.web.site import PARTS, export
from eoslab.web.tour import TOUR

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
AXE = Path(__file__).with_name("axe.min.js")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    store, model = Store(folder / "runs"), eoslab.models.Minimalist()
    for lr in (2.4, 1.0):
        store.save(eoslab.trajectory(model, eoslab.optimizers.GD(lr), steps=300))
    return export(folder / "site", store, store.list())


@pytest.fixture(scope="module")
def server(browser, site):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site.folder)) as plain:
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{plain.server_port}"
        plain.shutdown()


def test_the_tour_goes_through_all_its_steps(page):
    page.goto("/")
    for number, step in enumerate(TOUR.values(), 1):
        expect(page.locator("#tour-count")).to_have_text(f"Step {number} of {len(TOUR)}")
        expect(page.locator("#tour-title")).to_have_text(step.title)
        expect(page.locator("body")).to_have_attribute("data-frame", str(number))
        assert len(page.locator("#verdict").text_content()) > 20
        if number < len(TOUR):
            page.locator("#tour-next").click()
    expect(page).to_have_url(re.compile(f"tour={len(TOUR)}"))


def test_what_needs_the_engine_is_not_there(page):
    page.goto("/")
    expect(page.locator("body")).to_have_attribute("data-frame", "1")
    expect(page.locator("#views button:visible")).to_have_text(["Runs", "Learn"])
    for absent in ("#controls", "#fig-mini", "#export", "#pin", "#curves"):
        expect(page.locator(absent)).to_be_hidden()
    page.goto("/?v=1&view=map")
    expect(page.locator("body")).to_have_attribute("data-view", "learn")


def test_runs_lie_over_one_another(page, site):
    page.goto("/?v=1&view=runs")
    for id in site.runs:
        page.get_by_label(f"Show {id}").check()
    expect(page.locator("body")).to_have_attribute("data-overlay", "2")
    expect(page.locator("#runs-diff")).to_contain_text("optimizer lr")
    assert page.locator("#runs-table button:visible, #runs-table a").count() == 0


@pytest.mark.parametrize("view", ["learn", "runs"])
def test_axe_finds_nothing_serious(page, view):
    page.goto(f"/?v=1&view={view}")
    expect(page.locator("body")).to_have_attribute("data-view", view)
    page.locator("#runs-table table" if view == "runs" else 'body[data-frame="1"]').wait_for()
    found = page.evaluate("async (axe) => { (0, eval)(axe); return (await window.axe.run()).violations; }",
                          AXE.read_text(encoding="utf-8"))  # fmt: skip
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


def test_the_site_holds_its_parts_and_no_path_of_this_machine(site):
    assert sorted(path.name for path in site.folder.iterdir()) == sorted(PARTS)
    for path in (site.folder / "data").rglob("*.json"):
        assert str(site.folder.parent) not in path.read_text(encoding="utf-8")
    page = (site.folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r'(href|src)="/', page)
