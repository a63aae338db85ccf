"""The view Live: a run that grows while it is looked at, every state it can be in, and a server that goes away."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is in the extra 'dev'")

from playwright.sync_api import expect

from eoslab.results.journal import JOURNAL, STALLED, Journal
from eoslab.results.store import Store
from eoslab.web.request import parse

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
AXE = Path(__file__).with_name("axe.min.js")
START = {"step": 0, "steps": 1000, "model": "mlp", "optimizer": "gd", "lr": 0.05, "threshold": 2.0, "every": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def server(browser, explorer, folder):
    with explorer(folder) as address:
        yield address


@pytest.fixture(scope="module")
def tiny():
    return parse({"steps": 3}).run()


@pytest.fixture
def run(folder, tiny):
    """A stored run to keep a journal in."""
    return Store(folder / "runs").save(tiny)


def row(step, **more):
    s = 40 * min(1, step / 50)
    return {
        "step": step, "loss": 0.99**step, "eta_sharpness": 0.05 * s, "lr": 0.05, "eigenvalues": [s, 0.5 * s],
        "eig_bound": [1.0, 1.0], "eig_converged": [1.0, 1.0], **more,
    }  # fmt: skip


def write(journal, steps, **more):
    for step in steps:
        journal.point(row(step, **more))
    journal.flush()


def opened(page, run):
    page.goto(f"/live/{run.id}")
    expect(page).to_have_url(re.compile("view=live"))
    return page


def state(page, word):
    expect(page.locator("body")).to_have_attribute("data-live-state", word)
    return expect(page.locator("#live-state"))


def points(page, number):
    expect(page.locator("body")).to_have_attribute("data-live-points", str(number))


def listed_steps(page):
    """The steps of the data table, newest first."""
    cells = page.locator("#live-table tbody td:first-child").all_text_contents()
    return [int(text.replace(",", "")) for text in cells]


def blue(page, figure):
    """Pixels of the sharpness colour."""
    return page.locator(f"#{figure} canvas").evaluate(
        """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
        for (let i = 0; i < d.length; i += 4) if (d[i] < 110 && d[i + 2] > d[i] + 60 && d[i + 3] > 200) n++;
        return n; }"""
    )


def test_the_view_grows_while_the_run_does(page, run):
    journal = Journal(run.path, START)
    opened(page, run)
    state(page, "waiting").to_contain_text("Waiting for the first step")
    write(journal, range(20))
    points(page, 20)
    state(page, "running").to_contain_text("Running")
    before = blue(page, "fig-lsharp")
    for first in range(20, 100, 20):
        write(journal, range(first, first + 20))
    journal.event("crossing-up", 51, 2.0)
    points(page, 100)
    assert blue(page, "fig-lsharp") != before
    for figure in ("fig-lsharp", "fig-lloss", "fig-leigs", "fig-lratio"):
        assert blue(page, figure) > 50
    expect(page.locator("#live-numbers")).to_contain_text("step 99 of 1,000")
    expect(page.locator("#live-numbers")).to_contain_text("ηS/2 1")
    journal.flush()
    expect(page.locator("#live-events")).to_contain_text("step 51: crosses the threshold upwards")
    journal.end("converged", 99, verdict="Edge of stability: settled.")
    state(page, "finished").to_contain_text("Edge of stability: settled.")
    journal.close()


def test_a_pause_of_drawing_does_not_pause_the_run(page, run):
    journal = Journal(run.path, START)
    write(journal, range(10))
    opened(page, run)
    points(page, 10)
    page.get_by_role("button", name="Pause drawing").click()
    write(journal, range(10, 30))
    expect(page.locator("#live-numbers")).to_contain_text("step 29")
    expect(page.locator("#live-numbers")).to_contain_text("drawing paused")
    points(page, 10)
    page.get_by_role("button", name="Pause drawing").click()
    points(page, 30)
    journal.close()


def test_a_silent_run_is_stalled_and_a_killed_one_is_known_at_once(page, run):
    journal = Journal(run.path, START)
    write(journal, range(10))
    past = time.time() - STALLED - 10
    os.utime(run.path / JOURNAL, (past, past))
    opened(page, run)
    state(page, "stalled").to_contain_text("No point for 4")
    write(journal, range(10, 12))
    state(page, "running")
    journal.close()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lines = (run.path / JOURNAL).read_text(encoding="utf-8").splitlines()
    again = json.loads(lines[0]) | {"pid": ended.pid, "step": 12}
    with (run.path / JOURNAL).open("a", encoding="utf-8") as file:
        file.write(json.dumps(again) + "\n" + json.dumps(row(12)) + "\n")
    if os.name == "posix":
        state(page, "stalled").to_contain_text("gone without a word")
        expect(page.locator("#live-help")).to_contain_text(f"eoslab train --resume {run.id}")
        page.locator("#live-copy").click()
        assert page.evaluate("navigator.clipboard.readText()") == f"eoslab train --resume {run.id}"


def test_a_failed_run_shows_the_end_of_its_log(page, run):
    journal = Journal(run.path, START)
    write(journal, range(5))
    opened(page, run)
    points(page, 5)
    try:
        raise RuntimeError("<b>out of memory</b>")
    except RuntimeError as error:
        journal.failed(error, 4)
    state(page, "failed").to_contain_text("Failed at step 4")
    expect(page.locator("#live-error")).to_contain_text("RuntimeError: <b>out of memory</b>")
    journal.close()


def test_a_stopped_run_that_goes_on_makes_its_last_steps_anew(page, run):
    journal = Journal(run.path, START)
    write(journal, range(60))
    journal.end("interrupted", 59)
    journal.close()
    opened(page, run)
    state(page, "stopped").to_contain_text("Stopped at step 59")
    page.locator("#live-table-box summary").click()
    points(page, 60)
    journal = Journal(run.path, START | {"step": 50})
    write(journal, range(50, 80))
    points(page, 80)
    state(page, "running")
    assert listed_steps(page) == list(range(79, -1, -1))
    journal.close()


def test_failed_and_unsure_measurements_are_seen(page, run):
    journal = Journal(run.path, START)
    write(journal, range(200))
    write(journal, range(200, 400), eta_sharpness=float("nan"), eigenvalues=[float("nan")] * 2)
    write(journal, range(400, 600), eig_converged=[0.0, 0.0])
    opened(page, run)
    points(page, 600)
    inks = page.locator("#fig-lsharp canvas").evaluate(
        """c => { const x = c.getContext('2d'), u = c.width, h = c.height;
        const count = (a, b, is) => { const d = x.getImageData(a * u, 0, (b - a) * u, h).data; let n = 0;
          for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 100 && is(d[i], d[i + 2])) n++; return n; };
        const blue = (r, b) => r < 110 && b > r + 60, red = (r, b) => r > 150 && b < 110;
        const parts = [[0.45, 0.58, blue], [0.75, 0.9, blue], [0.75, 0.9, red], [0.15, 0.3, red]];
        return parts.map((part) => count(...part)); }"""
    )
    assert inks[0] == 0, "nothing is drawn where nothing was measured"
    assert inks[1] > 50
    assert inks[2] > 50, "what did not converge is marked"
    assert inks[3] == 0
    journal.close()


def test_without_a_journal_there_is_a_sentence(page, run, folder):
    opened(page, run)
    expect(page.locator("#live-state")).to_contain_text("keeps no journal")
    page.goto("/?v=1&view=live&run=ffff")
    expect(page.locator("#live-state")).to_contain_text("There is no run ffff")


def test_an_empty_store_says_how_to_begin(browser, explorer, tmp_path):
    with explorer(tmp_path) as address:
        context = browser.new_context(base_url=address)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
        page = context.new_page()
        page.goto("/?v=1&view=live")
        expect(page.locator("#live-state")).to_contain_text("No run with a journal in runs yet")
        page.locator("#live-copy").click()
        expect(page.locator("#said")).to_contain_text("copied")
        assert page.evaluate("navigator.clipboard.readText()") == "eoslab train --live"
        context.close()


def test_a_server_that_comes_back_is_followed_without_gap_or_double(browser, explorer, run, folder):
    journal = Journal(run.path, START)
    write(journal, range(100))
    context = browser.new_context()
    page = context.new_page()
    with explorer(folder) as address:
        page.goto(f"{address}/live/{run.id}")
        page.locator("#live-table-box summary").wait_for()
        page.locator("#live-table-box summary").click()
        points(page, 100)
    state(page, "lost").to_contain_text("Lost the connection")
    write(journal, range(100, 130))
    with explorer(folder, int(address.rpartition(":")[2])):
        points(page, 130)
        state(page, "running")
        write(journal, range(130, 150))
        points(page, 150)
        assert listed_steps(page) == list(range(149, -1, -1))
    context.close()
    journal.close()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_axe_finds_nothing_serious(page, run):
    journal = Journal(run.path, START)
    write(journal, range(60))
    journal.event("crossing-up", 51, 2.0)
    journal.end("failed", 59, error=["Traceback", "ValueError"])
    journal.close()
    opened(page, run)
    state(page, "failed")
    points(page, 60)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found if v["impact"] in ("serious", "critical")] == []
