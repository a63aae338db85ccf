// Stored runs: a table, a filter, up to eight over one another, what differs first.
import { Lines, colour } from "./plots.js";
import { show } from "./state.js";
import { decode } from "./frame.js";

const COLOURS = ["#0072B2", "#D55E00", "#00805D", "#A8487F", "#B07C00", "#3D8FB8", "#6e7781", "#7A4FBF"];
const $ = (id) => document.getElementById(id);
const cell = (row, text, left) => { const td = row.insertCell(); td.textContent = text; if (left) td.className = "t"; return td; };

export class Runs {
  /** @param {{open: (run: any) => void, changed: (ids: string[]) => void, copy: (text: string, what: string) => void}} hooks */
  constructor(hooks) {
    this.hooks = hooks; this.runs = []; this.chosen = []; this.frames = new Map();
    this.loss = new Lines($("fig-rloss").querySelector(".plot")); this.sharp = new Lines($("fig-rsharp").querySelector(".plot"));
    $("runs-filter").addEventListener("input", () => this.table());
    $("runs-again").addEventListener("click", () => this.load());
    $("runs-copy").addEventListener("click", () => hooks.copy("eoslab run", "Command"));
  }
  async load() {
    const answer = await fetch("/api/runs");
    if (!answer.ok) return;
    const { runs, store } = await answer.json();
    this.runs = runs;
    $("runs-empty").hidden = runs.length > 0;
    $("runs-empty").querySelector("p").textContent = `No runs in ${store} yet. Start one: eoslab run`;
    $("runs-table").hidden = runs.length === 0;
    this.chosen = this.chosen.filter((id) => runs.some((r) => r.id === id && !r.problem));
    this.table(); await this.overlay();
  }
  table() {
    const words = $("runs-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.runs.filter((r) => words.every((w) => JSON.stringify(r).toLowerCase().includes(w)));
    $("runs-count").textContent = this.runs.length ? `${shown.length} of ${this.runs.length} runs` : "";
    const table = document.createElement("table"), head = table.createTHead().insertRow();
    for (const [text, left] of [["", 1], ["run", 1], ["model", 1], ["optimizer", 1], ["η", 0], ["steps", 0], ["final loss", 0], ["max ηS/2", 0], ["regime", 1], ["date", 1], ["", 1]]) {
      const th = document.createElement(text ? "th" : "td"); th.textContent = String(text); if (left) th.className = "t"; head.append(th);
    }
    const body = table.createTBody();
    for (const run of shown) {
      const row = body.insertRow();
      if (run.problem) { cell(row, ""); cell(row, run.id, true); const p = cell(row, run.problem); p.colSpan = 9; p.className = "problem"; continue; }
      const at = this.chosen.indexOf(run.id), box = document.createElement("input");
      box.type = "checkbox"; box.checked = at >= 0; box.setAttribute("aria-label", `Show ${run.id}`); box.disabled = at < 0 && this.chosen.length >= 8;
      box.addEventListener("change", () => { this.chosen = box.checked ? [...this.chosen, run.id] : this.chosen.filter((id) => id !== run.id); this.hooks.changed(this.chosen); this.table(); this.overlay(); });
      row.insertCell().append(box); row.className = at >= 0 ? "chosen" : "";
      const name = cell(row, `${run.id} `, true);
      if (at >= 0) { const s = document.createElement("i"); s.className = "swatch"; s.style.background = COLOURS[at]; name.append(s); }
      cell(row, run.model, true); cell(row, run.optimizer, true); cell(row, show(run.lr)); cell(row, run.steps?.toLocaleString("en") ?? "–"); cell(row, show(run.final_loss, 3));
      cell(row, run.threshold ? show(run.max_eta_sharpness / run.threshold) : "–"); cell(row, run.regime, true); cell(row, run.created.slice(0, 16).replace("T", " "), true);
      const open = document.createElement("button"); open.type = "button"; open.textContent = "Open"; open.setAttribute("aria-label", `Open ${run.id} in the explorer`);
      open.addEventListener("click", () => this.hooks.open(run)); row.insertCell().append(open);
    }
    const focused = document.activeElement?.getAttribute("aria-label");
    $("runs-table").replaceChildren(table);
    if (focused) table.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }
  async overlay() {
    const ids = [...this.chosen];
    $("runs-plots").hidden = ids.length === 0;
    this.difference(ids);
    for (const id of ids) if (!this.frames.has(id)) {
      const answer = await fetch(`/api/runs/${encodeURIComponent(id)}`);
      if (answer.ok) this.frames.set(id, decode(await answer.arrayBuffer()));
    }
    const got = ids.map((id) => [id, this.frames.get(id)]).filter((g) => g[1]);
    if (!got.length || String(ids) !== String(this.chosen)) return;
    const steps = [...new Set(got.flatMap(([, f]) => [...f.rows.step]))].sort((a, b) => a - b);
    const on = (f, name) => { const at = new Map([...f.rows.step].map((s, i) => [s, i])); return steps.map((s) => (at.has(s) ? f.rows[name][at.get(s)] : undefined)); };
    const base = { x: steps, logX: false, span: [0, steps[steps.length - 1] || 1], bands: [], label: "" };
    const series = (name) => got.map(([id, f]) => ({ y: on(f, name), colour: COLOURS[ids.indexOf(id)] }));
    this.loss.draw({ ...base, series: series("loss").map((s) => ({ ...s, y: s.y.map((v) => (v === undefined ? v : v > 1e-16 ? v : null)) })), log: true });
    this.sharp.draw({ ...base, series: series("sharpness"), log: false, level: got.map(([id, f]) => ({ y: f.threshold ?? NaN, text: "", colour: COLOURS[ids.indexOf(id)] })), ceiling: 3 * Math.max(...got.map(([, f]) => f.threshold ?? 0)) || undefined });
    document.body.dataset.overlay = String(got.length);
  }
  difference(ids) {
    const runs = ids.map((id) => this.runs.find((r) => r.id === id)).filter(Boolean);
    $("runs-diff").replaceChildren();
    if (runs.length < 2) return;
    const flat = runs.map((r) => { const out = { model: r.model, optimizer: r.optimizer }; for (const group of ["model", "optimizer", "run"]) for (const [k, v] of Object.entries(r.parameters[group] ?? {})) out[group === "run" ? k : `${group} ${k}`] = v; return { ...out, regime: r.regime, "final loss": r.final_loss, "max ηS": r.max_eta_sharpness }; });
    const keys = [...new Set(flat.flatMap((f) => Object.keys(f)))].filter((k) => new Set(flat.map((f) => JSON.stringify(f[k]))).size > 1);
    const table = document.createElement("table"), head = table.createTHead().insertRow();
    for (const text of ["differs", ...ids]) { const th = document.createElement("th"); th.textContent = text; if (text === "differs") th.className = "t"; head.append(th); }
    const body = table.createTBody();
    for (const key of keys) { const row = body.insertRow(); cell(row, key, true); for (const f of flat) cell(row, typeof f[key] === "number" ? show(f[key]) : f[key] == null ? "–" : Array.isArray(f[key]) ? f[key].map((x) => show(x)).join(", ") : String(f[key])); }
    $("runs-diff").append(table);
  }
}
export { COLOURS, colour };
