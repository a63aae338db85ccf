"""The explorer in headless Chromium: slider to repaint (median), dragging, what the first load weighs, and the
view Live with 50,000 points and 20 updates a second."""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from playwright.sync_api import Browser, Response, sync_playwright
from timing import row

from eoslab.results.journal import Journal
from eoslab.results.store import Store
from eoslab.web.request import parse

CHROMIUM = os.environ.get("EOSLAB_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

#: From a slider's input event to the frame after its drawing, in milliseconds.
LATENCY = """async () => {
  const slider = document.getElementById("f-lr"), times = [];
  for (let k = 0; k < 40; k++) {
    const before = document.body.dataset.frame, began = performance.now();
    slider.value = String(Number(slider.value) + (k % 2 ? -4 : 4));
    slider.dispatchEvent(new Event("input"));
    while (document.body.dataset.frame === before) await new Promise((r) => requestAnimationFrame(r));
    times.push(performance.now() - began);
  }
  return times.slice(5);
}"""


#: Three seconds of dragging at 60 input events a second: repaints a second while it lasts, and from the last event
#: to the drawing of its value, in milliseconds.
DRAGGING = """async () => {
  const slider = document.getElementById("f-lr"), body = document.body, events = 180;
  let painted = 0;
  const watch = new MutationObserver(() => { painted += 1; });
  watch.observe(body, { attributes: true, attributeFilter: ["data-frame"] });
  const began = performance.now();
  for (let k = 0; k < events; k++) {
    slider.value = String(500 + k);
    slider.dispatchEvent(new Event("input"));
    const rest = began + (k + 1) * 1000 / 60 - performance.now();
    if (k < events - 1) await new Promise((r) => setTimeout(r, Math.max(0, rest)));
  }
  const last = performance.now(), during = painted / ((last - began) / 1000);
  const value = document.getElementById("f-lr-n").value;
  while (Number(body.dataset.lr) !== Number(value)) await new Promise((r) => requestAnimationFrame(r));
  watch.disconnect();
  return [1000 * events / (last - began), during, performance.now() - last];
}"""


def transferred(answer: Response) -> int:
    """Bytes of the body as they came over the line: compressed where it is, streams included."""
    answer.finished()
    return answer.request.sizes()["responseBodySize"]


#: Points of a run when it is opened, updates a second, points an update, seconds.
POINTS, UPDATES, EACH, SECONDS = 50_000, 20, 5, 10


def measured(step: int) -> dict[str, Any]:
    """A point as a network's run writes it."""
    s = 40 + random.gauss(0, 2)
    return {
        "step": step, "loss": math.exp(-step / POINTS) * (1 + 0.1 * random.random()), "grad_norm": 0.1,
        "sharpness": s, "eta_sharpness": 0.05 * s, "matvecs": 4, "eigenvalues": [s, 0.8 * s, 0.5 * s],
        "eig_residual": [0.01] * 3, "eig_bound": [0.1] * 3, "eig_converged": [1.0] * 3,
        "threshold": 2.0, "lr": 0.05,
    }  # fmt: skip


def live(browser: Browser, url: str, store: Store) -> None:
    """The rows about the view Live."""
    saved = store.save(parse({"steps": 3}).run())
    start = {"step": 0, "steps": 2 * POINTS, "lr": 0.05, "threshold": 2.0, "every": 1}
    journal = Journal(saved.path, start)
    for step in range(POINTS):
        journal.point(measured(step))
    journal.flush()
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    browser.start_tracing(page=page, categories=["toplevel"])
    began = time.perf_counter()
    page.goto(f"{url}/live/{saved.id}")
    page.locator(f'body[data-live-points="{POINTS}"]').wait_for()
    row(f"live view, {POINTS:,} points shown after", f"{time.perf_counter() - began:.1f} s", "< 5 s")
    row("  longest task while they come", *longest(browser.stop_tracing()))
    page.evaluate("window.frames = 0; new MutationObserver(() => window.frames++).observe("
                  "document.body, { attributes: true, attributeFilter: ['data-live-points'] })")  # fmt: skip
    browser.start_tracing(page=page, categories=["toplevel"])
    step = POINTS
    for _ in range(SECONDS * UPDATES):
        until = time.perf_counter() + 1 / UPDATES
        for _ in range(EACH):
            journal.point(measured(step))
            step += 1
        journal.flush()
        time.sleep(max(0.0, until - time.perf_counter()))
    page.locator(f'body[data-live-points="{step}"]').wait_for()
    drawn = page.evaluate("window.frames")
    row(f"  longest task, {UPDATES} updates a second for {SECONDS} s", *longest(browser.stop_tracing()))
    row("  times drawn in that time", str(drawn), f"about {SECONDS * UPDATES}")
    page.close()
    journal.close()


def longest(trace: bytes) -> tuple[str, str]:
    """The longest task of the page's main thread: CPU time, and wall time, which a busy machine stretches."""
    events = json.loads(trace)["traceEvents"]
    main = {(e["pid"], e["tid"]) for e in events if e.get("args", {}).get("name") == "CrRendererMain"}
    tasks = [e for e in events if e["name"].endswith("RunTask") and "dur" in e and (e["pid"], e["tid"]) in main]
    cpu, wall = (max(e.get(key, 0) for e in tasks) / 1000 for key in ("tdur", "dur"))
    return f"{cpu:.0f} ms of CPU, {wall:.0f} ms", "< 100 ms"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Store(folder))


def measure(store: Store) -> None:
    """Measure with a server of this store."""
    server = subprocess.Popen(
        [sys.executable, "-m", "eoslab", "explore", "--no-open", "--store", str(store.root)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[1]
        with sync_playwright() as pw:
            browser = pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for steps, aim in ((3000, "< 50 ms"), (20000, "< 100 ms")):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                answers: list[Response] = []
                page.on("response", lambda r, a=answers: a.append(r))
                page.goto(f"{url}/?v=1&steps={steps}")
                page.locator('body:not([data-frame="0"])').wait_for()
                page.locator("#mini[data-ready]").wait_for()
                if steps == 3000:
                    weight = sum(map(transferred, answers))
                    row("first load", f"{weight / 1000:.0f} kB in {len(answers)} files", "< 150 kB")
                median = statistics.median(page.evaluate(LATENCY))
                row(f"slider to repaint, {steps} steps", f"{median:.0f} ms", aim)
                events, repaints, last = page.evaluate(DRAGGING)
                row(f"dragging at {events:.0f} events/s, {steps} steps", f"{repaints:.0f} repaints/s", ">= 15")
                row("  last value drawn after", f"{last:.0f} ms", "< 100 ms")
                page.close()
            live(browser, url, store)
            browser.close()
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
