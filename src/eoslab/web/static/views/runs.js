// The view Runs: the stored runs as a table with a filter, and the choice of those that are compared.
import { go, remember } from "../address.js";
import { button, element, input, list, make } from "../dom.js";
import { copy } from "../notices.js";
import { catalogue, session } from "../session.js";
import { RUNS, SITE } from "../source.js";
import { defaults, show } from "../state.js";
import { MOST_RUNS, Overlay, colourOf } from "./overlay.js";
import { open } from "./router.js";

/** How to make a first run. */
const START = "eoslab run";
/** Settings of optimizers that the command's options call otherwise. @type {Record<string, string>} */
const OPTION_OF = { beta_min: "floor" };

/** States of a run that is not over. @type {Set<string>} */
const GOING = new Set(["waiting", "running", "stalled"]);

/**
 * What a column shows of a run; words stand on the left, numbers on the right.
 * @type {{title: string, left: boolean, text: (run: RunRecord) => string}[]}
 */
const COLUMNS = [
  { title: "model", left: true, text: (run) => run.model },
  { title: "optimizer", left: true, text: (run) => run.optimizer },
  { title: "η", left: false, text: (run) => show(run.lr) },
  { title: "seed", left: false, text: (run) => (run.seed === null ? "–" : String(run.seed)) },
  { title: "steps", left: false, text: (run) => run.steps?.toLocaleString("en") ?? "–" },
  { title: "final loss", left: false, text: (run) => show(run.final_loss, 3) },
  { title: "max ηS/τ", left: false, text: ratio },
  {
    title: "regime",
    left: true,
    text: (run) => (GOING.has(run.live?.state ?? "") ? `${run.live?.state} …` : run.regime),
  },
  { title: "date", left: true, text: (run) => run.created.slice(0, 16).replace("T", " ") },
];

/** The largest η·S_eff over the threshold τ of the run's own optimizer. @param {RunRecord} run */
function ratio(run) {
  return run.threshold && run.max_eta_sharpness !== null ? show(run.max_eta_sharpness / run.threshold) : "–";
}

/**
 * @param {string} text
 * @param {boolean} left
 */
const cell = (text, left) => make("td", { textContent: text, className: left ? "t" : "" });

/** Whether there are controls for a run's model and optimizer. @param {RunRecord} run */
const explorable = (run) => run.model in catalogue.models && run.optimizer in catalogue.optimizers;

/**
 * Put a stored run under the sliders.
 * @param {RunRecord} run
 */
function explore(run) {
  const { model, optimizer, run: plain } = run.parameters;
  const ofRule = Object.entries(optimizer ?? {}).map(([key, value]) => [OPTION_OF[key] ?? key, value]);
  open("explore", false);
  go({
    ...defaults(catalogue, run.model, run.optimizer),
    ...model,
    ...Object.fromEntries(ofRule),
    init: /** @type {number[]} */ (plain?.start),
    steps: Math.min(Number(plain?.steps), catalogue.max_steps),
  });
}

/**
 * Where a run can be looked at: under the sliders if there are any for it, live if it keeps a journal.
 * @param {RunRecord} run
 */
function openers(run) {
  const found = [];
  if (explorable(run)) {
    const opener = make("button", { type: "button", textContent: "Open" });
    opener.setAttribute("aria-label", `Open ${run.id} in the explorer`);
    opener.addEventListener("click", () => explore(run));
    found.push(opener, " ");
  }
  if (run.live) {
    const follow = make("button", { type: "button", textContent: "Live" });
    follow.setAttribute("aria-label", `Follow ${run.id}`);
    follow.addEventListener("click", () => {
      session.live = run.id;
      open("live");
    });
    found.push(follow, " ");
  }
  return found;
}

class RunTable {
  constructor() {
    /** @type {RunRecord[]} */
    this.runs = [];
    this.overlay = new Overlay();
  }

  /** Read the list of runs again. */
  async load() {
    const answer = await fetch(RUNS);
    if (!answer.ok) {
      return;
    }
    /** @type {RunListing} */
    const { runs, store } = await answer.json();
    this.runs = runs;
    // a run that goes on has grown
    this.overlay.forget();
    const empty = element("runs-empty");
    empty.hidden = runs.length > 0;
    const start = make("code", { textContent: START });
    empty.querySelector("p")?.replaceChildren(`No runs in ${store} yet. Start one: `, start);
    element("runs-table").hidden = runs.length === 0;
    session.chosen = session.chosen.filter((id) => runs.some((run) => run.id === id && !run.problem));
    this.show();
    await this.compare();
  }

  /** Show the chosen runs over one another. */
  compare() {
    return this.overlay.show(session.chosen.flatMap((id) => this.runs.find((run) => run.id === id) ?? []));
  }

  /**
   * Add a run to those that are compared, or take it away.
   * @param {RunRecord} run
   * @param {boolean} chosen
   */
  choose(run, chosen) {
    const others = session.chosen.filter((id) => id !== run.id);
    session.chosen = chosen ? [...others, run.id] : others;
    remember();
    this.show();
    this.compare();
  }

  /** Show the runs that have every word of the filter. */
  show() {
    const words = input("runs-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.runs.filter((run) => {
      const text = JSON.stringify(run).toLowerCase();
      return words.every((word) => text.includes(word));
    });
    element("runs-count").textContent = this.runs.length ? `${shown.length} of ${this.runs.length} runs` : "";
    const table = make("table");
    table.createTHead().append(this.headRow());
    table.createTBody().append(...shown.map((run) => (run.problem ? this.problemRow(run) : this.row(run))));
    // the table is made anew: the focus goes where it was
    const focused = document.activeElement?.getAttribute("aria-label");
    element("runs-table").replaceChildren(table);
    const again = focused ? table.querySelector(`[aria-label="${CSS.escape(focused)}"]`) : null;
    if (again instanceof HTMLElement) {
      again.focus();
    }
  }

  headRow() {
    const titles = COLUMNS.map(({ title, left }) =>
      make("th", { textContent: title, className: left ? "t" : "" }),
    );
    return make(
      "tr",
      {},
      cell("", true),
      make("th", { textContent: "run", className: "t" }),
      ...titles,
      cell("", true),
    );
  }

  /** A run that cannot be read. @param {RunRecord} run */
  problemRow(run) {
    const problem = make("td", {
      textContent: run.problem ?? "",
      className: "problem",
      colSpan: COLUMNS.length + 1,
    });
    return make("tr", {}, cell("", false), cell(run.id, true), problem);
  }

  /** @param {RunRecord} run */
  row(run) {
    const place = session.chosen.indexOf(run.id);
    const full = session.chosen.length >= MOST_RUNS;
    const box = make("input", { type: "checkbox", checked: place >= 0, disabled: place < 0 && full });
    box.setAttribute("aria-label", `Show ${run.id}`);
    box.addEventListener("change", () => this.choose(run, box.checked));
    const name = cell(`${run.id} `, true);
    if (place >= 0) {
      const swatch = make("i", { className: "swatch" });
      swatch.style.background = colourOf(place);
      name.append(swatch);
    }
    const report = make("a", {
      href: `/api/runs/${encodeURIComponent(run.id)}/report`,
      target: "_blank",
      textContent: "Report",
    });
    report.setAttribute("aria-label", `Report about ${run.id}`);
    const cells = COLUMNS.map(({ left, text }) => cell(text(run), left));
    const row = make(
      "tr",
      {},
      make("td", {}, box),
      name,
      ...cells,
      make("td", {}, ...(SITE ? [] : [...openers(run), report])),
    );
    row.className = place >= 0 ? "chosen" : "";
    return row;
  }
}

/**
 * Connect the view.
 * @returns {LaterView}
 */
export function mount() {
  const table = new RunTable();
  input("runs-filter").addEventListener("input", () => table.show());
  list("runs-x").value = session.timeX ? "time" : "step";
  list("runs-x").addEventListener("change", () => {
    session.timeX = list("runs-x").value === "time";
    remember();
    table.compare();
  });
  button("runs-again").addEventListener("click", () => table.load());
  button("runs-copy").addEventListener("click", () => copy(START, "Command"));
  return { opened: () => void table.load() };
}
