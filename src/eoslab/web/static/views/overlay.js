// Stored runs over one another: what differs between them, their loss, and their sharpness with its threshold.
import { colour } from "../canvas.js";
import { element, make, plotBox } from "../dom.js";
import { decode } from "../frame.js";
import { Lines } from "../lines.js";
import { show } from "../state.js";

/** One colour per run, the threshold in the same; readable on white and on black. */
export const COLOURS = ["#0072B2", "#D55E00", "#00805D", "#A8487F", "#B07C00", "#3D8FB8", "#6e7781", "#7A4FBF"];
/** Below it there is rounding only: a gap, not a flat line. */
const FLOOR = 1e-16;

/**
 * Everything that can differ between runs, under the name that is shown.
 * @param {RunRecord} run
 * @returns {Record<string, unknown>}
 */
function facts(run) {
  const { model, optimizer, run: plain } = run.parameters;
  /** @param {string} group @param {Record<string, unknown>} [settings] */
  const named = (group, settings = {}) => Object.entries(settings).map(([key, v]) => [`${group} ${key}`, v]);
  return {
    model: run.model,
    optimizer: run.optimizer,
    ...Object.fromEntries([...named("model", model), ...named("optimizer", optimizer)]),
    ...plain,
    regime: run.regime,
    "final loss": run.final_loss,
    "max ηS": run.max_eta_sharpness,
  };
}

/**
 * A fact as text.
 * @param {unknown} value
 * @returns {string}
 */
function text(value) {
  if (typeof value === "number") {
    return show(value);
  }
  if (value === null || value === undefined) {
    return "–";
  }
  return Array.isArray(value) ? value.map(text).join(", ") : String(value);
}

/**
 * Show what differs between runs.
 * @param {RunRecord[]} runs
 */
function difference(runs) {
  const place = element("runs-diff");
  place.replaceChildren();
  if (runs.length < 2) {
    return;
  }
  const found = runs.map(facts);
  const keys = [...new Set(found.flatMap((fact) => Object.keys(fact)))];
  const table = make("table");
  const head = table.createTHead().insertRow();
  head.append(make("th", { textContent: "differs", className: "t" }));
  head.append(...runs.map((run) => make("th", { textContent: run.id })));
  const body = table.createTBody();
  for (const key of keys) {
    if (new Set(found.map((fact) => JSON.stringify(fact[key]))).size > 1) {
      const row = body.insertRow();
      row.append(make("td", { textContent: key, className: "t" }));
      row.append(...found.map((fact) => make("td", { textContent: text(fact[key]) })));
    }
  }
  place.append(table);
}

/**
 * A row of a frame on other steps: undefined where it has none.
 * @param {Frame} frame
 * @param {string} name
 * @param {number[]} steps
 */
function on(frame, name, steps) {
  const at = new Map(Array.from(frame.rows.step, (step, i) => [step, i]));
  return steps.map((step) => frame.rows[name][at.get(step) ?? -1]);
}

export class Overlay {
  constructor() {
    this.loss = new Lines(plotBox("fig-rloss"));
    this.sharpness = new Lines(plotBox("fig-rsharp"));
    /** @type {Map<string, Frame>} */
    this.frames = new Map();
    /** What was asked for last: an answer for another choice comes too late. @type {RunRecord[]} */
    this.wanted = [];
  }

  /**
   * Show runs; nothing for none.
   * @param {RunRecord[]} runs
   */
  async show(runs) {
    this.wanted = runs;
    element("runs-plots").hidden = runs.length === 0;
    difference(runs);
    for (const { id } of runs) {
      await this.fetch(id);
    }
    if (this.wanted === runs) {
      this.draw(runs);
    }
  }

  /** @param {string} id */
  async fetch(id) {
    if (this.frames.has(id)) {
      return;
    }
    const answer = await fetch(`/api/runs/${encodeURIComponent(id)}`);
    const frame = answer.ok ? decode(await answer.arrayBuffer()) : null;
    if (frame && !("error" in frame)) {
      this.frames.set(id, frame);
    }
  }

  /** @param {RunRecord[]} runs */
  draw(runs) {
    const got = runs.flatMap(({ id }, i) => {
      const frame = this.frames.get(id);
      return frame ? [{ frame, colour: COLOURS[i] ?? colour("text") }] : [];
    });
    if (!got.length) {
      return;
    }
    const steps = [...new Set(got.flatMap(({ frame }) => [...frame.rows.step]))].sort((a, b) => a - b);
    /** @type {[number, number]} */
    const span = [0, steps[steps.length - 1] || 1];
    const base = { x: steps, logX: false, span };
    const highest = Math.max(...got.map(({ frame }) => frame.threshold ?? 0));
    this.loss.draw({
      ...base,
      log: true,
      series: got.map((run) => ({
        y: on(run.frame, "loss", steps).map((v) => (v === undefined || v > FLOOR ? v : null)),
        colour: run.colour,
      })),
    });
    this.sharpness.draw({
      ...base,
      log: false,
      ceiling: highest ? 3 * highest : undefined,
      level: got.map((run) => ({ y: run.frame.threshold ?? NaN, text: "", colour: run.colour })),
      series: got.map((run) => ({ y: on(run.frame, "sharpness", steps), colour: run.colour })),
    });
    document.body.dataset.overlay = String(got.length);
  }
}
