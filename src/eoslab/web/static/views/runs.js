// The view Runs: the stored runs as a table with a filter, and the choice of those that are compared.
import { go, remember } from "../address.js";
import { button, element, input, make } from "../dom.js";
import { banner, copy } from "../notices.js";
import { catalogue, session } from "../session.js";
import { defaults, show } from "../state.js";
import { COLOURS, Overlay } from "./overlay.js";
import { open } from "./router.js";

/** Settings of optimizers that the command's options call otherwise. @type {Record<string, string>} */
const OPTION_OF = { beta_min: "floor" };

/**
 * What a column shows of a run; words stand on the left, numbers on the right.
 * @type {{title: string, left: boolean, text: (run: RunRecord) => string}[]}
 */
const COLUMNS = [
  { title: "model", left: true, text: (run) => run.model },
  { title: "optimizer", left: true, text: (run) => run.optimizer },
  { title: "η", left: false, text: (run) => show(run.lr) },
  { title: "steps", left: false, text: (run) => run.steps?.toLocaleString("en") ?? "–" },
  { title: "final loss", left: false, text: (run) => show(run.final_loss, 3) },
  { title: "max ηS/2", left: false, text: ratio },
  { title: "regime", left: true, text: (run) => run.regime },
  { title: "date", left: true, text: (run) => run.created.slice(0, 16).replace("T", " ") },
];

/** @param {RunRecord} run */
function ratio(run) {
  return run.threshold && run.max_eta_sharpness !== null ? show(run.max_eta_sharpness / run.threshold) : "–";
}

/**
 * @param {string} text
 * @param {boolean} left
 */
const cell = (text, left) => make("td", { textContent: text, className: left ? "t" : "" });

/**
 * Put a stored run under the sliders, if there are controls for its model and optimizer.
 * @param {RunRecord} run
 */
function explore(run) {
  if (!(run.model in catalogue.models) || !(run.optimizer in catalogue.optimizers)) {
    banner(`${run.model} with ${run.optimizer} has no controls here; eoslab report ${run.id} shows it.`);
    return;
  }
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

class RunTable {
  constructor() {
    /** @type {RunRecord[]} */
    this.runs = [];
    this.overlay = new Overlay();
  }

  /** Read the list of runs again. */
  async load() {
    const answer = await fetch("/api/runs");
    if (!answer.ok) {
      return;
    }
    /** @type {RunListing} */
    const { runs, store } = await answer.json();
    this.runs = runs;
    const empty = element("runs-empty");
    empty.hidden = runs.length > 0;
    empty.querySelector("p")?.replaceChildren(`No runs in ${store} yet. Start one: eoslab run`);
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
    const full = session.chosen.length >= COLOURS.length;
    const box = make("input", { type: "checkbox", checked: place >= 0, disabled: place < 0 && full });
    box.setAttribute("aria-label", `Show ${run.id}`);
    box.addEventListener("change", () => this.choose(run, box.checked));
    const name = cell(`${run.id} `, true);
    if (place >= 0) {
      const swatch = make("i", { className: "swatch" });
      swatch.style.background = COLOURS[place];
      name.append(swatch);
    }
    const opener = make("button", { type: "button", textContent: "Open" });
    opener.setAttribute("aria-label", `Open ${run.id} in the explorer`);
    opener.addEventListener("click", () => explore(run));
    const cells = COLUMNS.map(({ left, text }) => cell(text(run), left));
    const row = make("tr", {}, make("td", {}, box), name, ...cells, make("td", {}, opener));
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
  button("runs-again").addEventListener("click", () => table.load());
  button("runs-copy").addEventListener("click", () => copy("eoslab run", "Command"));
  return { opened: () => void table.load() };
}
