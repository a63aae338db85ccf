// The view Live: which run is followed, what is said of it, and when it is drawn.
import { remember } from "../address.js";
import { button, element, list, make } from "../dom.js";
import { follow } from "../feed.js";
import { LivePlots } from "../liveplots.js";
import { LiveRun, whole } from "../liverun.js";
import { copy } from "../notices.js";
import { session, subscribe } from "../session.js";
import { show } from "../state.js";

/** Milliseconds between two looks for a run where there is none, and between two looks at the clock. */
const LOOK = 3000;
const TICK = 1000;
/** Events and rows of the table that are listed: the last ones. */
const MOST_EVENTS = 12;
const MOST_ROWS = 200;
const START = "eoslab train --live";

/** @param {RunRecord} run */
function title(run) {
  const { threshold, lr } = run;
  const rate = threshold && lr ? `η = ${show(threshold)}/${show(threshold / lr)}` : `η = ${show(lr)}`;
  return `${run.id} · ${run.model} · ${run.optimizer} · ${rate} · ${run.live?.state ?? "no journal"}`;
}

class Live {
  constructor() {
    this.plots = new LivePlots();
    this.paused = false;
    /** The run that is followed. @type {LiveRun | null} */
    this.run = null;
    /** Why none is. */
    this.why = "";
    /** What could be done about that. */
    this.advice = "";
    this.lost = false;
    /** Ends the connection. */
    this.stop = () => {};
    this.frame = 0;
  }

  /** Read the list of runs, and follow the one that was asked for, or the newest that goes on. */
  async load() {
    const answer = await fetch("/api/runs").catch(() => null);
    if (!answer?.ok) {
      return;
    }
    /** @type {RunListing} */
    const { runs, store } = await answer.json();
    const kept = runs.filter((run) => run.live);
    const going = kept.find((run) => run.live?.state === "running" || run.live?.state === "waiting");
    const chosen = session.live || (going ?? kept[0])?.id || "";
    const asked = runs.find((run) => run.id === chosen);
    const shown = asked && !asked.live ? [asked, ...kept] : kept;
    list("live-run").replaceChildren(
      ...shown.map((run) => new Option(title(run), run.id, false, run.id === chosen)),
    );
    list("live-run").disabled = shown.length === 0;
    if (asked?.live) {
      this.follow(chosen);
      return;
    }
    this.leave();
    this.run = null;
    this.advice = chosen ? "" : START;
    this.why = `No run with a journal in ${store} yet. Start one: ${START}`;
    if (chosen) {
      this.why = asked
        ? `The run ${chosen} keeps no journal: it was not trained with --live. The view Runs shows it.`
        : `There is no run ${chosen} in ${store}.`;
    }
    this.tell();
  }

  /** Follow a run; the one that is followed already goes on. @param {string} id */
  follow(id) {
    if (this.run?.id === id && !this.run.gone && this.following) {
      return;
    }
    this.leave();
    const run = new LiveRun(id);
    this.run = run;
    this.following = true;
    this.stop = follow(id, {
      event: (name, data) => {
        run.take(name, data);
        if (run.gone) {
          this.leave();
        }
        this.later();
      },
      up: () => this.connected(true),
      down: () => this.connected(false),
    });
    this.later();
  }

  /** @param {boolean} up */
  connected(up) {
    this.lost = !up;
    this.later();
  }

  /** Follow no run. */
  leave() {
    this.stop();
    this.following = false;
    this.lost = false;
  }

  /** Tell and draw with the next frame of the screen; however many events come before it, once. */
  later() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.tell();
        if (!this.paused) {
          this.draw();
        }
      });
    }
  }

  /** Say how the run is. */
  tell() {
    const { run } = this;
    const status = element("live-state");
    let text = run?.sentence ?? this.why;
    let state = run?.state ?? "empty";
    if (this.lost) {
      text = "Lost the connection to the local server — trying again. The run itself is not affected.";
      state = "lost";
    }
    if (status.textContent !== text) {
      status.textContent = text;
    }
    element("live-card").dataset.state = state;
    document.body.dataset.liveState = state;
    const numbers = run?.numbers ?? "";
    element("live-numbers").textContent = this.paused ? `${numbers} · drawing paused; the run goes on` : numbers;
    const command = this.command();
    element("live-help").hidden = !command;
    element("live-help").querySelector("code")?.replaceChildren(command);
    const log = run?.end?.error ?? [];
    element("live-error").hidden = log.length === 0;
    element("live-error").textContent = log.join("\n");
    element("live-plots").hidden = !run?.points.length;
  }

  /** What could be done now. */
  command() {
    return this.run ? this.run.command : this.advice;
  }

  draw() {
    const { run } = this;
    if (!run?.points.length || session.view !== "live") {
      return;
    }
    document.body.dataset.liveDrawn = String(this.plots.draw(run));
    document.body.dataset.livePoints = String(run.points.length);
    this.listEvents(run);
    this.table();
  }

  /** @param {LiveRun} run */
  listEvents(run) {
    const told = element("live-events");
    const key = `${run.events.length} ${run.events[run.events.length - 1]?.step}`;
    if (told.dataset.key !== key) {
      told.dataset.key = key;
      const shown = run.events.slice(-MOST_EVENTS).reverse();
      const lines = shown.map((event) => `step ${whole(event.step)}: ${event.title}`);
      const items = lines.length ? lines : ["none yet"];
      told.replaceChildren(...items.map((textContent) => make("li", { textContent })));
    }
  }

  /** The last rows, while the table is open. */
  table() {
    if (!this.run || !element("live-table-box", HTMLDetailsElement).open) {
      return;
    }
    const { points } = this.run;
    const table = make("table");
    const titles = ["step", "loss", "sharpness", "±", ...points.eigenvalues.map((_, k) => `λ${k + 1}`)];
    table
      .createTHead()
      .insertRow()
      .append(...titles.map((textContent) => make("th", { scope: "col", textContent })));
    const body = table.createTBody();
    for (let i = points.length - 1; i >= Math.max(0, points.length - MOST_ROWS); i--) {
      const cells = [points.loss, points.sharpness, points.bound, ...points.eigenvalues].map((c) => show(c[i], 5));
      body
        .insertRow()
        .append(...[whole(points.step[i]), ...cells].map((textContent) => make("td", { textContent })));
    }
    element("live-table").replaceChildren(table);
  }
}

/**
 * Make the view.
 * @returns {LaterView}
 */
export function mount() {
  const live = new Live();
  list("live-run").addEventListener("change", () => {
    session.live = list("live-run").value;
    remember();
    live.follow(session.live);
  });
  button("live-again").addEventListener("click", () => live.load());
  button("live-pause").addEventListener("click", () => {
    live.paused = !live.paused;
    button("live-pause").setAttribute("aria-pressed", String(live.paused));
    live.later();
  });
  button("live-log").addEventListener("click", () => {
    live.plots.logLoss = !live.plots.logLoss;
    button("live-log").textContent = live.plots.logLoss ? "loss log" : "loss linear";
    button("live-log").setAttribute("aria-pressed", String(live.plots.logLoss));
    live.later();
  });
  button("live-copy").addEventListener("click", () => copy(live.command(), "Command"));
  element("live-table-box").addEventListener("toggle", () => live.table());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => live.later());
  // the age of the last point grows without events; a store without a journal may get one
  let looked = 0;
  setInterval(() => {
    if (session.view !== "live") {
      return;
    }
    live.tell();
    if (!live.run && performance.now() - looked > LOOK) {
      looked = performance.now();
      live.load();
    }
  }, TICK);
  subscribe("view", () => {
    if (session.view !== "live") {
      live.leave();
    }
  });
  return { opened: () => void live.load() };
}
