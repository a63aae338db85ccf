"""The view Runs with runs in it: filter, overlay, differences, time, and what cannot be read."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("playwright", reason="playwright is in the extra 'dev'")

from playwright.sync_api import expect

import eoslab
from eoslab.results.journal import Journal
from eoslab.results.store import Store

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Ids of runs by what they are; the store is beside them."""
    store = Store(tmp_path_factory.mktemp("several") / "runs")
    model, rules = eoslab.models.Minimalist(), eoslab.optimizers
    given = {
        "gd": (rules.GD(2.4), 300),
        "small": (rules.GD(0.6), 400),
        "momentum": (rules.HeavyBall(lr=0.6, beta=0.9), 300),
    }
    ids = {name: store.save(eoslab.trajectory(model, rule, steps=n)).id for name, (rule, n) in given.items()}
    for _ in range(7):
        store.save(eoslab.trajectory(model, rules.GD(1.0), steps=20))
    newer = store.save(eoslab.trajectory(model, rules.GD(1.0), steps=20))
    head = json.loads((newer.path / "zarr.json").read_text(encoding="utf-8"))
    head["attributes"] |= {"format": 3, "eoslab_version": "0.9"}
    (newer.path / "zarr.json").write_text(json.dumps(head), encoding="utf-8")
    journal = Journal(store.find(ids["small"]), {"step": 0, "steps": 10})
    journal.point({"step": 1})
    journal.close()
    return ids | {"newer": newer.id, "folder": store.root.parent}


@pytest.fixture(scope="module")
def server(browser, explorer, runs):
    with explorer(runs["folder"]) as address:
        yield address


def opened(page, query=""):
    page.goto(f"/?v=1&view=runs{query}")
    page.locator("#runs-table table").wait_for()
    return page


def drawn(page, number):
    expect(page.locator("body")).to_have_attribute("data-overlay", str(number))


def inks(page, figure, *colours):
    """How many pixels have each colour, give or take what smoothing does."""
    return page.locator(f"#{figure} canvas").evaluate(
        """(c, colours) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const n = colours.map(() => 0);
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) colours.forEach((k, j) => {
          if (Math.abs(d[i] - k[0]) + Math.abs(d[i + 1] - k[1]) + Math.abs(d[i + 2] - k[2]) < 40) n[j]++; });
        return n; }""",
        [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours],
    )


def test_the_ratio_is_that_to_the_threshold_of_each_optimizer(page, runs):
    opened(page)
    heads = page.locator("#runs-table th").all_text_contents()
    assert "max ηS/τ" in heads
    for name, tau in (("gd", 2.0), ("momentum", 3.8)):
        row = page.locator("#runs-table tr", has_text=runs[name])
        text = row.locator("td").nth(heads.index("max ηS/τ") + 1).text_content()
        ds = Store(runs["folder"] / "runs").open(runs[name])
        assert float(ds["threshold"]) == pytest.approx(tau)
        assert float(text) == pytest.approx(float(ds["max_eta_sharpness"]) / tau, rel=1e-3)


def test_the_filter_takes_every_word(page, runs):
    opened(page)
    expect(page.locator("#runs-count")).to_have_text("11 of 11 runs")
    page.get_by_role("searchbox", name="Filter").fill("heavy minimalist")
    expect(page.locator("#runs-count")).to_have_text("1 of 11 runs")
    expect(page.locator("#runs-table tbody tr")).to_contain_text(runs["momentum"])
    page.get_by_role("searchbox", name="Filter").fill("heavy nothing")
    expect(page.locator("#runs-count")).to_have_text("0 of 11 runs")


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_runs_lie_over_one_another_each_with_its_threshold(page, runs):
    opened(page)
    for name in ("gd", "momentum"):
        page.get_by_label(f"Show {runs[name]}").check()
    drawn(page, 2)
    expect(page).to_have_url(re.compile(f"runs={runs['gd']}%2C{runs['momentum']}"))
    differs = page.locator("#runs-diff")
    expect(differs).to_contain_text("optimizer")
    expect(differs).to_contain_text("threshold τ")
    assert differs.bounding_box()["y"] < page.locator("#fig-rloss").bounding_box()["y"]
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    first, second = ("#4DA3D9", "#FF8A3D") if dark else ("#0072B2", "#D55E00")
    for figure in ("fig-rloss", "fig-rsharp"):
        assert min(inks(page, figure, first, second)) > 50, "one colour a run"
    # the thresholds are 0.833 and 6.33, and dotted: where no line is, there are dots of the second colour
    page.get_by_label(f"Show {runs['gd']}").uncheck()
    drawn(page, 1)


def test_at_most_eight_are_chosen(page, runs):
    opened(page)
    boxes = page.locator("#runs-table input[type=checkbox]")
    for i in range(8):
        boxes.nth(i).check()
    drawn(page, 8)
    assert boxes.nth(8).is_disabled()
    boxes.nth(0).uncheck()
    expect(boxes.nth(8)).to_be_enabled()


def test_over_time_the_axis_is_eta_times_the_step(page, runs):
    opened(page, f"&runs={runs['gd']},{runs['small']}")
    drawn(page, 2)
    assert float(page.locator("body").get_attribute("data-overlay-end")) == 400
    page.locator("#runs-x").select_option("time")
    expect(page.locator("body")).to_have_attribute("data-overlay-end", re.compile("^7(20|19.9)"))
    expect(page).to_have_url(re.compile("xunit=time"))
    expect(page.locator("#runs-axis")).to_have_text("over time η·t")


def test_a_run_of_a_newer_format_says_what_to_do(page, runs):
    opened(page)
    row = page.locator("#runs-table tr", has_text=runs["newer"])
    expect(row).to_contain_text("Written by eoslab 0.9 (format 3); this is")
    expect(row).to_contain_text("Update to open it")
    assert row.locator("input, button").count() == 0


def test_a_run_opens_under_the_sliders_live_and_as_a_report(page, runs):
    opened(page)
    page.get_by_role("button", name=f"Open {runs['momentum']} in the explorer").click()
    expect(page.locator("body")).to_have_attribute("data-lr", "0.6")
    expect(page).to_have_url(re.compile("optimizer=heavy-ball"))
    page.go_back()
    page.get_by_role("button", name=f"Follow {runs['small']}").click()
    expect(page).to_have_url(re.compile(f"view=live&run={runs['small']}"))
    page.go_back()
    link = page.get_by_role("link", name=f"Report about {runs['gd']}")
    assert link.get_attribute("href") == f"/api/runs/{runs['gd']}/report"
