"""The explorer in headless Chromium: slider to repaint, dragging, and what the first load weighs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from playwright.sync_api import Response, sync_playwright
from timing import row

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


def main() -> None:
    """Print the table."""
    server = subprocess.Popen(
        [sys.executable, "-m", "eoslab", "explore", "--no-open"], stdout=subprocess.PIPE, text=True
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
            browser.close()
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
