"""A browser and a server of our own: no plug-in, no download."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import eoslab

CHROMIUM = os.environ.get("EOSLAB_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


#: Milliseconds to wait for anything the page does.
PATIENCE = 120_000


@pytest.fixture(scope="session")
def browser():
    required = os.environ.get("EOSLAB_REQUIRE_BROWSER") == "1"
    if not required and not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM} (EOSLAB_CHROMIUM names another place)")
    if not required:
        pytest.importorskip("playwright", reason="playwright is in the extra 'dev'")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as pw:
        chromium = pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def explorer(folder, port=0):
    """A server of the runs in ``folder``/runs, and its address."""
    env = {k: v for k, v in os.environ.items() if k != "EOSLAB_RUNS"}
    env["PYTHONPATH"] = str(Path(eoslab.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "eoslab", "explore", "--no-open", "--port", str(port)],
        stdout=subprocess.PIPE, text=True, cwd=folder, env=env,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert line.startswith("READY http://127.0.0.1:"), line
        yield line.split()[1]
    finally:
        process.terminate()
        process.wait(PATIENCE / 1000)


@pytest.fixture(scope="session", name="explorer")
def _explorer():
    return explorer


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory):
    # the page is tested, not the compiler: what it asks for first is compiled before it is opened
    eoslab.trajectory(eoslab.models.Minimalist(), eoslab.optimizers.GD(2.4), steps=10)
    eoslab.sweep(eoslab.models.Minimalist(), eoslab.optimizers.GD, {"lr": "1|2"}, steps=10)
    with explorer(tmp_path_factory.mktemp("explorer")) as address:
        yield address


@pytest.fixture(params=["light"])
def page(browser, server, request):
    context = browser.new_context(
        base_url=server, viewport={"width": 1280, "height": 900}, color_scheme=request.param, bypass_csp=False
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server)
    # a fresh machine compiles the kernels behind the first frame and the first map while other tests run
    context.set_default_timeout(PATIENCE)
    page, bad = context.new_page(), []
    page.on("pageerror", lambda e: bad.append(f"script error: {e}"))
    page.on("console", lambda m: bad.append(f"console: {m.text}") if m.type == "error" else None)
    own = (server, server.replace("http", "ws", 1), "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(own) else bad.append(f"asked outside: {r.url}"))
    yield page
    context.close()
    if getattr(page, "may_refuse", False):
        # the browser itself reports an answer with an error status; the test asks what the page makes of it
        bad = [text for text in bad if "400 (Bad Request)" not in text]
    assert bad == []
