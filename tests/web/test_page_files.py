"""The files of the page: nothing that only one browser knows, no line that does not fit on a screen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import eoslab

ROOT = Path(__file__).resolve().parents[2]
STATIC = Path(eoslab.__file__).parent / "web" / "static"
OWN = sorted(
    path
    for path in STATIC.rglob("*")
    if path.suffix in (".js", ".css", ".html") and STATIC / "vendor" not in path.parents
)
#: As a property, value, selector or at-rule: -webkit-mask, :-moz-focusring, @-ms-viewport, -apple-system.
IN_CSS = r"(?<![\w-])-(?:webkit|moz|ms|o|khtml|apple|epub)-[a-z]"
#: As a member or global: webkitRequestFullscreen, mozHidden, MSStream, style.WebkitMask, onwebkitfullscreenchange.
IN_JS = r"(?<![A-Za-z])(?:[wW]eb[kK]it|[mM]oz|MS)[A-Z]\w+|\.ms[A-Z]\w+|\bonwebkit[a-z]+"
PREFIXED = re.compile(f"{IN_CSS}|{IN_JS}")


def prefixed(text: str) -> list[str]:
    """Every vendor-prefixed feature in a text, with its line."""
    lines = enumerate(text.splitlines(), 1)
    return [f"line {n}: {line.strip()[:80]}" for n, line in lines if PREFIXED.search(line)]


@pytest.mark.parametrize(
    "text",
    [
        "p { -webkit-line-clamp: 2; }",
        "background: -moz-element(#a);",
        "a:-moz-focusring {}",
        "@-ms-viewport {}",
        "font-family: -apple-system",
        "element.style.webkitMask = x",
        "document.mozHidden",
        "element.msMatchesSelector(x)",
        "new WebKitCSSMatrix()",
        "element.onwebkitfullscreenchange = f",
        "window.MSStream",
        "el.webkitRequestFullscreen()",
    ],
)
def test_vendor_prefixes_are_seen(text):
    assert prefixed(text)


@pytest.mark.parametrize(
    "text",
    ["grid-auto-flow: dense", "const msPassed = ms + 1", "p-ms-2", "a - o - b", "opacity: 1", "MOST", "object"],
)
def test_other_words_are_no_vendor_prefixes(text):
    assert prefixed(text) == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_page_uses_no_vendor_prefixed_feature(path):
    assert prefixed(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_lines_fit_on_a_screen(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [n for n, line in enumerate(lines, 1) if len(line) > 120] == []


@pytest.mark.parametrize("path", [p for p in OWN if p.suffix == ".js"], ids=lambda path: path.name)
def test_every_module_says_what_it_is(path):
    assert re.match(r"// [A-Z].*\.\n", path.read_text(encoding="utf-8"))


def test_tools_come_from_the_public_registry_with_a_checksum():
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed
    for name, package in installed.items():
        assert package["resolved"].startswith("https://registry.npmjs.org/"), name
        assert package["integrity"].startswith("sha512-"), name
