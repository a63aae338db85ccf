"""Make the pictures of the explorer: ``python docs/images/explorer.py [CHROMIUM]``. The live view needs PyTorch.

Every view in light, some in dark and narrow, and every state that the page can say something in.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 640, "height": 860}


def shot(page: Any, name: str) -> None:
    """A picture of the window, in 128 colours: a third of the bytes, and no difference to be seen."""
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(HERE / f"explorer-{name}.png", optimize=True)
    print(HERE / f"explorer-{name}.png")


def drawn(page: Any) -> None:
    page.locator('body:not([data-frame="0"])').wait_for()
    page.wait_for_timeout(1500)  # the small map fills row by row


def refused(page: Any) -> None:
    drawn(page)
    page.get_by_label("Learning rate η, number").fill("2/x")
    page.keyboard.press("Enter")


def a_moment(page: Any) -> None:
    page.wait_for_timeout(2500)


def whole_map(page: Any) -> None:
    page.wait_for_function("() => document.querySelector('#map-progress').value === 1", timeout=120_000)
    page.wait_for_timeout(500)


def overlay(page: Any) -> None:
    a_moment(page)
    page.get_by_label("Filter").fill("minimalist")
    boxes = page.locator("#runs-table input[type=checkbox]:not([disabled])")
    for i in range(min(2, boxes.count())):
        boxes.nth(i).check()
    a_moment(page)


VIEWS: list[tuple[str, str, str, dict[str, int], Callable[[Any], None]]] = [
    ("explore-dark", "/?over=flow", "dark", WIDE, drawn),
    ("explore-narrow", "/", "light", NARROW, drawn),
    ("map", "/?view=map", "light", WIDE, whole_map),
    ("live", "/?view=live", "light", WIDE, a_moment),
    ("runs", "/?view=runs", "light", WIDE, overlay),
    ("learn", "/?view=learn&tour=4", "light", WIDE, drawn),
    ("state-diverged", "/?v=1&lr=3&lambda2=0.001&init=3,0.5,0.1&steps=500", "light", WIDE, drawn),
    ("state-stable", "/?lr=1.2", "light", WIDE, drawn),
    ("state-refused", "/", "light", WIDE, refused),
    ("state-bad-link", "/?lr=fast&colour=red", "light", WIDE, drawn),
    ("state-newer-format", "/?view=runs", "light", WIDE, a_moment),
]


def commands(folder: str) -> None:
    """Two runs of the model, a network, and a run of a format that is not known yet."""
    for words in ("run --lr 2.4", "run --lr 2.6", "train --preset digits --steps 300 --eigs 2 --live"):
        subprocess.run([sys.executable, "-m", "eoslab", *words.split(), "-q"], cwd=folder, check=True)
    words = [sys.executable, "-m", "eoslab", "run", "--lr", "2.2", "--json"]
    newer = json.loads(subprocess.run(words, cwd=folder, check=True, capture_output=True).stdout)
    head = next(Path(folder).glob(f"runs/{newer['id']}.zarr")) / "zarr.json"
    text = json.loads(head.read_text(encoding="utf-8"))
    text["attributes"] |= {"format": 3, "eoslab_version": "0.9"}
    head.write_text(json.dumps(text), encoding="utf-8")


@contextmanager
def explorer(folder: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The server over the runs of a folder: its address and its process."""
    words = [sys.executable, "-m", "eoslab", "explore", "--no-open", "--port", "0"]
    server = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[1].rstrip("/"), server
    finally:
        server.terminate()
        server.wait(10)


def with_runs(browser: Any) -> None:
    """The views, and the states of a server that knows some runs."""
    with tempfile.TemporaryDirectory() as folder:
        commands(folder)
        with explorer(folder) as (address, server):
            for name, path, scheme, size, ready in VIEWS:
                page = browser.new_page(viewport=size, color_scheme=scheme)
                page.goto(address + path)
                ready(page)
                shot(page, name)
                page.close()
            page = browser.new_page(viewport=WIDE)
            page.route_web_socket("**/ws", lambda socket: None)  # as long as the first kernel is compiled
            page.goto(address)
            page.get_by_text("Compiling").first.wait_for()
            shot(page, "state-compiling")
            page.close()
            page = browser.new_page(viewport=WIDE)
            page.goto(address)
            drawn(page)
            server.terminate()
            page.locator("#banner").wait_for()
            shot(page, "state-lost")
            page.close()


def without_runs(browser: Any) -> None:
    """An empty store; then a network that is stopped for half a minute, and killed."""
    with tempfile.TemporaryDirectory() as folder, explorer(folder) as (address, _):
        page = browser.new_page(viewport=WIDE)
        page.goto(f"{address}/?view=runs")
        a_moment(page)
        shot(page, "state-no-runs")
        words = [sys.executable, "-m", "eoslab", "train", "--preset", "digits", "--live", "-q"]
        training = subprocess.Popen(words, cwd=folder)
        while not list(Path(folder).glob("runs/*.zarr/live.jsonl")):
            page.wait_for_timeout(200)
        page.goto(f"{address}/?view=live")
        page.wait_for_timeout(6000)
        shot(page, "state-running")
        training.send_signal(signal.SIGSTOP)
        page.wait_for_timeout(33_000)
        shot(page, "state-stalled")
        training.kill()
        training.wait()
        a_moment(page)
        shot(page, "state-killed")
        page.close()


def main(chromium: str) -> None:
    with sync_playwright() as pw:
        browser = pw.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with_runs(browser)
        without_runs(browser)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("EOSLAB_CHROMIUM", "/usr/bin/chromium"))
