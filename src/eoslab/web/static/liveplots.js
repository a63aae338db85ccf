// The figures of a run in the making: sharpness with its evidence, loss, eigenvalues, ratio to the threshold.
import { colour } from "./canvas.js";
import { element, make, plotBox } from "./dom.js";
import { Lines } from "./lines.js";
import { show } from "./state.js";

/** @typedef {import("./liverun.js").LiveRun} LiveRun */
/** @typedef {import("./livepoints.js").Points} Points */

/** More events than this are ticks on top of one another; the last ones are in the list. */
const MOST_TICKS = 200;
/** Below it there is rounding only: a gap, not a flat line. */
const FLOOR = 1e-16;
/** Sharpness is drawn up to so many thresholds. */
const CLIP = 3;
/** Fewest columns of pixels that are worth drawing for. */
const LEAST_COLUMNS = 200;

/** Colour and dash of the eigenvalues, the largest first. @type {{name: string, dash?: number[]}[]} */
const STYLES = [
  { name: "blue" },
  { name: "purple", dash: [8, 3, 2, 3] },
  { name: "red", dash: [6, 4] },
  { name: "green", dash: [2, 3] },
];
const OTHERS = { name: "quiet", dash: [1, 3] };

/** @param {number} k */
const style = (k) => STYLES[k] ?? OTHERS;

/**
 * Say something, unless it is said already: a change of the page costs a layout.
 * @param {string} id
 * @param {string} text
 */
function write(id, text) {
  const place = element(id);
  if (place.textContent !== text) {
    place.textContent = text;
  }
}

/**
 * A line without its gaps.
 * @param {(number | null | undefined)[]} line
 */
const joined = (line) => line.map((v) => v ?? undefined);

export class LivePlots {
  constructor() {
    this.sharpness = new Lines(plotBox("fig-lsharp"));
    this.loss = new Lines(plotBox("fig-lloss"));
    this.eigenvalues = new Lines(plotBox("fig-leigs"));
    this.ratio = new Lines(plotBox("fig-lratio"));
    this.logLoss = true;
  }

  /** Draw what there is, and return how many steps that took. @param {LiveRun} run */
  draw(run) {
    const { points, start, threshold } = run;
    const columns = Math.max(LEAST_COLUMNS, Math.round(plotBox("fig-lsharp").clientWidth * devicePixelRatio));
    const { x, lines, evidence } = points.drawn(columns);
    const [loss, sharpness, ...eigenvalues] = lines;
    // single measurements are points; then nothing is joined over a gap, and the loss is a line in any case
    const dots = points.every > 1;
    const has = Number.isFinite(threshold);
    const name = has ? `${show(start.threshold)}/η = ${show(threshold)}` : "";
    /** @type {[number, number]} */
    const span = [points.step[0], Math.max(points.last, points.step[0] + 1)];
    const base = { x, logX: false, log: false, span };
    const level = has ? [{ y: threshold, text: name }] : [];
    const ceiling = has ? CLIP * threshold : undefined;
    // a dense line is a band: dashes are not seen in it, and hairlines are drawn in a third of the time
    const dense = points.length > 2 * columns;
    const width = dense ? 1 / devicePixelRatio : undefined;
    const blue = colour("blue");
    this.sharpness.draw({
      ...base,
      level,
      ceiling,
      series: [{ y: sharpness, colour: blue, width, dots }],
      also: (u, c) => this.evidence(u, c, run, evidence),
    });
    const seen = this.logLoss ? loss.map((v) => (typeof v === "number" && v <= FLOOR ? null : v)) : loss;
    this.loss.draw({
      ...base,
      log: this.logLoss,
      series: [{ y: dots ? joined(seen) : seen, colour: blue, width }],
    });
    this.eigenvalues.draw({
      ...base,
      level,
      ceiling,
      series: eigenvalues.map((y, k) => ({
        y,
        colour: colour(style(k).name),
        dash: dense ? undefined : style(k).dash,
        width,
        dots,
      })),
    });
    element("fig-lratio").hidden = !has;
    if (has) {
      const ratio = sharpness.map((v) => (typeof v === "number" ? v / threshold : v));
      this.ratio.draw({
        ...base,
        level: [{ y: 1, text: "threshold" }],
        ceiling: CLIP,
        series: [{ y: ratio, colour: blue, width, dots }],
      });
    }
    this.titles(run, has ? name.split(" = ")[0] : "");
    return x.length;
  }

  /**
   * Error bounds, rings where the solver did not converge, and ticks for events.
   * @param {uPlot} u
   * @param {CanvasRenderingContext2D} c
   * @param {LiveRun} run
   * @param {number[]} rows the measurements whose error is shown
   */
  evidence(u, c, { points, events }, rows) {
    const ratio = devicePixelRatio;
    const at = (/** @type {number} */ i) => u.valToPos(points.step[i], "x", true);
    c.lineWidth = ratio;
    c.strokeStyle = colour("blue");
    c.globalAlpha = 0.45;
    c.beginPath();
    for (const i of rows) {
      if (points.bound[i] > 0) {
        const low = u.valToPos(points.sharpness[i] - points.bound[i], "y", true);
        const high = u.valToPos(points.sharpness[i] + points.bound[i], "y", true);
        if (low - high > 2 * ratio) {
          c.moveTo(at(i), low);
          c.lineTo(at(i), high);
        }
      }
    }
    c.stroke();
    c.globalAlpha = 1;
    c.strokeStyle = colour("red");
    c.beginPath();
    for (const i of rows) {
      if (!points.ok[i] && Number.isFinite(points.sharpness[i])) {
        const y = u.valToPos(points.sharpness[i], "y", true);
        c.moveTo(at(i) + 3 * ratio, y);
        c.arc(at(i), y, 3 * ratio, 0, 2 * Math.PI);
      }
    }
    c.stroke();
    c.strokeStyle = colour("quiet");
    c.beginPath();
    const { top } = u.bbox;
    for (const event of events.slice(-MOST_TICKS)) {
      const x = u.valToPos(event.step, "x", true);
      c.moveTo(x, top);
      c.lineTo(x, top + 6 * ratio);
    }
    c.stroke();
  }

  /**
   * What the figures show, in words.
   * @param {LiveRun} run
   * @param {string} threshold
   */
  titles({ points, start, symbol }, threshold) {
    write("live-sharp-title", start.preconditioned ? "Preconditioned sharpness" : "Sharpness");
    const without = `no threshold${start.reason ? `: ${start.reason}` : ""}`;
    write("live-threshold", threshold || without);
    write("live-ratio-title", `Ratio to the threshold, ${symbol}`);
    if (element("live-eigs").children.length !== 2 * points.eigenvalues.length) {
      const marks = points.eigenvalues.flatMap((_, k) => {
        const mark = make("i", { className: `k ${style(k).name}` });
        mark.style.borderTopStyle = style(k).dash ? "dashed" : "solid";
        return [mark, make("span", { textContent: `λ${k + 1}` })];
      });
      element("live-eigs").replaceChildren(...marks);
    }
  }
}
