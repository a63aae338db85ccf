"""The whole page by keyboard alone: every view is reached, everything in it takes the focus and shows it, nothing
holds it."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright", reason="playwright is in the extra 'dev'")

from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

#: Views by the words of their buttons, and what each must let the keyboard reach.
VIEWS = {
    "Explore": ["Copy link", "Reset", "Learning rate η", "Pin this run", "log"],
    "Phase map": ["Copy link", "Learning rate η", "x", "show"],
    "Live": ["Read again"],
    "Runs": ["Filter", "Read again"],
    "Learn": ["Next", "Learning rate η"],
}
#: What has the focus: its name, whether it can be seen, whether it shows that it has the focus.
FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  const words = e.labels && e.labels[0] ? e.labels[0].textContent : e.textContent;
  const label = e.getAttribute("aria-label") || words;
  return {
    name: label.trim().slice(0, 60), tag: e.tagName, seen: box.width > 0 && box.height > 0,
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
    inside: box.bottom > 0 && box.top < innerHeight,
  };
}"""
MOST = 150


def tab_to(page, name):
    """Press Tab until the element of that name has the focus."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at and at["name"] == name:
            return at
    raise AssertionError(f"{name!r} is not reached by Tab")


def round_trip(page):
    """Everything that takes the focus, from where it is, past the end of the page, and back to it."""
    start = page.evaluate(FOCUSED)
    found = [start]
    for _ in range(MOST):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at == start:
            return found
        if at is not None:  # beyond the last element is the browser itself
            found.append(at)
    raise AssertionError(f"the focus does not come back: {[at['name'] for at in found[-5:]]}")


def walk_through(page, view):
    """Go to a view by keyboard, and once around: what it must offer is reached, and seen when it has the focus."""
    page.goto("/")
    page.locator('body:not([data-frame="0"])').wait_for()
    tab_to(page, view)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=view, exact=True)).to_have_attribute("aria-current", "page")
    expect(page.locator("main, #main").first).to_be_visible()
    found = round_trip(page)
    names = [at["name"] for at in found]
    for wanted in VIEWS[view]:
        assert any(name.startswith(wanted) for name in names), (wanted, names)
    for at in found:
        assert at["seen"], at
        assert at["ring"], at
        assert at["inside"], at
    # the other views stay within reach
    assert set(VIEWS) <= set(names)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_reached_and_left_by_keyboard(page, view):
    walk_through(page, view)


@pytest.mark.parametrize("view", ["Live", "Runs"])
def test_a_view_that_waits_for_its_list_of_runs_holds_no_focus_on_nothing(page, view):
    page.route("**/api/runs*", lambda route: None)
    walk_through(page, view)


def test_a_run_is_changed_pinned_scrubbed_and_mapped_without_a_mouse(page):
    page.goto("/")
    page.locator('body:not([data-frame="0"])').wait_for()
    page.keyboard.press("/")
    assert page.evaluate(FOCUSED)["name"].startswith("Learning rate η")
    page.keyboard.press("Control+a")
    page.keyboard.type("2/0.9")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"lr=2(\.2|%2F0\.9|/0\.9)"))
    page.keyboard.press("Tab")
    page.keyboard.press("p")
    expect(page.locator("#pins li")).to_have_count(1)
    at = page.locator("#readout").text_content()
    page.keyboard.press("[")
    expect(page.locator("#readout")).not_to_have_text(at)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("m")
    expect(page.get_by_role("button", name="Phase map", exact=True)).to_have_attribute("aria-current", "page")
    tab_to(page, "Explore")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Explore", exact=True)).to_have_attribute("aria-current", "page")
