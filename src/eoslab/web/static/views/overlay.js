// Stored runs over one another: what differs between them, their loss, and their sharpness with its threshold.
import { element, make, plotBox } from "../dom.js";
import { decode } from "../frame.js";
import { Lines } from "../lines.js";
import { session } from "../session.js";
import { runFrame } from "../source.js";
import { show } from "../state.js";

/** One colour per run, the threshold in the same; at least 3:1 on white. */
const ON_WHITE = ["#0072B2", "#D55E00", "#00805D", "#A8487F", "#8A6A00", "#5B4FC0", "#57606A", "#1B1F24"];
/** The same on a dark page. */
const ON_DARK = ["#4DA3D9", "#FF8A3D", "#2FBF94", "#E08CBB", "#D9B13B", "#A79CF0", "#9AA6B2", "#E6EDF3"];
/** Beyond three colours the dashes differ too: green and purple are one colour to some eyes. @type {number[][]} */
const DASHES = [[], [], [], [9, 3], [], [9, 3], [9, 3], [4, 3]];
/** Runs that can be told apart. */
export const MOST_RUNS = ON_WHITE.length;
/** Below this share of measured steps a line would be all gaps: then points are drawn. */
const SPARSE = 0.6;
/** Sharpness is drawn up to so many thresholds. */
const CLIP = 3;

/** The colour of a run by its place among the chosen ones. @param {number} place */
export function colourOf(place) {
  return (matchMedia("(prefers-color-scheme: dark)").matches ? ON_DARK : ON_WHITE)[place];
}

/** Below it there is rounding only: a gap, not a flat line. */
const FLOOR = 1e-16;

/** Facts that are measured; the settings come first. */
const RESULTS = ["threshold τ", "regime", "final loss", "max ηS/τ"];

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
    "threshold τ": run.threshold,
    "max ηS/τ": run.threshold && run.max_eta_sharpness !== null ? run.max_eta_sharpness / run.threshold : null,
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
  if (Array.isArray(value)) {
    return value.map(text).join(", ");
  }
  if (typeof value === "object") {
    const parts = Object.entries(value).filter(([, part]) => part !== null);
    return parts.map(([key, part]) => `${key}: ${text(part)}`).join("; ");
  }
  return String(value);
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
  const keys = [...new Set(found.flatMap((fact) => Object.keys(fact)))].filter((key) => !RESULTS.includes(key));
  keys.push(...RESULTS);
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
 * Where the rows of a frame lie: at their steps, or at the time η·t; a flow has a time and no steps.
 * @param {Frame} frame
 */
function places(frame) {
  const { step, time } = frame.rows;
  return Array.from(step, (t, i) => {
    if (time) {
      return time[i];
    }
    return session.timeX ? t * (frame.lr ?? NaN) : t;
  });
}

/**
 * A row of a frame at other places: undefined where it has none, null where nothing was measured.
 * @param {Frame} frame
 * @param {string} name
 * @param {number[]} x
 * @param {number} least values from here on are drawn
 */
function on(frame, name, x, least) {
  const at = new Map(places(frame).map((place, i) => [place, i]));
  return x.map((place) => {
    const i = at.get(place);
    const v = i === undefined ? undefined : frame.rows[name][i];
    return v === undefined || v > least ? v : null;
  });
}

/**
 * Whether a run was measured at single steps.
 * @param {Frame} frame
 */
const sparse = (frame) => frame.rows.sharpness.filter(Number.isFinite).length < SPARSE * frame.rows.step.length;

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
    const answer = await fetch(runFrame(id));
    const frame = answer.ok ? decode(await answer.arrayBuffer()) : null;
    if (frame && !("error" in frame)) {
      this.frames.set(id, frame);
    }
  }

  /** Read every run anew when it is shown next. */
  forget() {
    this.frames.clear();
  }

  /** @param {RunRecord[]} runs */
  draw(runs) {
    const got = runs.flatMap(({ id }, i) => {
      const frame = this.frames.get(id);
      return frame ? [{ frame, colour: colourOf(i), dash: DASHES[i] }] : [];
    });
    if (!got.length) {
      return;
    }
    const x = [...new Set(got.flatMap(({ frame }) => places(frame)))].sort((a, b) => a - b);
    /** @type {[number, number]} */
    const span = [0, x[x.length - 1] || 1];
    const highest = Math.max(...got.map(({ frame }) => frame.threshold ?? 0));
    const base = { x, logX: false, span };
    this.loss.draw({
      ...base,
      log: true,
      series: got.map(({ frame, ...look }) => ({ ...look, y: on(frame, "loss", x, FLOOR) })),
    });
    this.sharpness.draw({
      ...base,
      log: false,
      ceiling: highest ? CLIP * highest : undefined,
      level: got.map(({ frame, colour }) => ({ y: frame.threshold ?? NaN, text: "", colour })),
      series: got.map(({ frame, ...look }) => ({
        ...look,
        y: on(frame, "sharpness", x, -Infinity),
        dots: sparse(frame),
      })),
    });
    element("runs-axis").textContent = session.timeX ? "over time η·t" : "over steps";
    document.body.dataset.overlay = String(got.length);
    document.body.dataset.overlayEnd = String(span[1]);
  }
}
