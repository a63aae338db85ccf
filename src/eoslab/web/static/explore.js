// The view Explore: loss, sharpness and phase portrait of the trajectory, and the scrubber along its steps.
import { remember } from "./address.js";
import { button, element, input, list, plotBox } from "./dom.js";
import { colour } from "./canvas.js";
import { Lines } from "./lines.js";
import { portrait } from "./portrait.js";
import { publish, session, subscribe } from "./session.js";
import { show } from "./state.js";

const PIN_DASH = [
  [7, 3],
  [3, 3],
  [9, 3, 2, 3],
  [2, 5],
];
/** Components of an iterate, without the index of the start. @type {Record<string, string>} */
const PLAIN = { alpha: "α", beta1: "β₁", beta2: "β₂" };
/** Below it there is rounding only: a gap, not a flat line. */
const FLOOR = 1e-16;

const loss = new Lines(plotBox("fig-loss"), hover);
const sharpness = new Lines(plotBox("fig-sharp"), hover);
let pending = 0;

/** Whether the figures of Explore are on the page: Learn has them too. */
export const figuresShown = () => session.view === "explore" || session.view === "learn";

/** @param {ArrayLike<number | null>} y */
const onScale = (y) => (session.logLoss ? Array.from(y, (v) => (v !== null && v > FLOOR ? v : null)) : y);

/**
 * A pinned run on the steps of the current one: gaps where it has none.
 * @param {Frame} frame
 * @param {string} name
 * @param {Float32Array} x
 */
function laid(frame, name, x) {
  const steps = frame.rows.step;
  const y = frame.rows[name];
  const end = steps[steps.length - 1];
  let j = 0;
  return Array.from(x, (step) => {
    while (j < steps.length - 1 && steps[j] < step) {
      j++;
    }
    return step <= end ? y[j] : null;
  });
}

/**
 * The pinned runs as series of a figure.
 * @param {string} name
 * @param {Float32Array} x
 */
function pinned(name, x) {
  const frames = session.pins.flatMap((pin) => pin.frame ?? []);
  return frames.map((frame, i) => {
    const y = laid(frame, name, x);
    return {
      y: name === "loss" ? onScale(y) : y,
      colour: colour("quiet"),
      dash: PIN_DASH[i % PIN_DASH.length],
      width: 1.2,
    };
  });
}

/** Draw the current frame, if there is one and its figures are on the page. */
export function redraw() {
  const { frame } = session;
  if (!frame || !figuresShown()) {
    return;
  }
  const { rows } = frame;
  const x = rows.step;
  const end = frame.diverged !== null ? frame.diverged + 10 : Math.max(1, frame.steps);
  /** @type {[number, number]} */
  const span = [0, end];
  const common = {
    x,
    logX: session.logX,
    span,
    bands: frame.phases,
    hatch: frame.diverged,
    mark: session.cursorHeld ? x[session.cursor] : null,
  };
  loss.draw({
    ...common,
    log: session.logLoss,
    series: [
      { y: onScale(rows.loss_osc), colour: colour("red") },
      { y: onScale(rows.loss_conv), colour: colour("green") },
      { y: onScale(rows.loss), colour: colour("blue"), width: 1.5 },
      ...pinned("loss", x),
    ],
  });
  const tau = frame.threshold ?? NaN;
  sharpness.draw({
    ...common,
    log: false,
    ceiling: input("clip").checked && tau ? 3 * tau : undefined,
    level: [{ y: tau, text: frame.threshold_name ? `${frame.threshold_name} = ${show(tau)}` : "" }],
    series: [
      { y: rows.sharpness, colour: colour("blue") },
      { y: rows.gfs_sharpness, colour: colour("green"), dash: [6, 4] },
      ...pinned("sharpness", x),
    ],
  });
  drawPortrait();
  readout();
}

function drawPortrait() {
  const { frame, settings } = session;
  if (!frame || !figuresShown()) {
    return;
  }
  const [a, b] = frame.params;
  portrait(plotBox("fig-phase"), {
    x: frame.rows[`w:${a}`],
    y: frame.rows[`w:${b}`],
    step: frame.rows.step,
    names: [PLAIN[a] ?? a, PLAIN[b] ?? b],
    edge: a === "alpha" && frame.threshold ? Math.sqrt(frame.threshold / Number(settings.lambda1)) : undefined,
    at: session.cursor,
    escapes: frame.diverged !== null,
  });
}

/** Draw the portrait before the next repaint, once however often this is called. */
function portraitSoon() {
  pending ||= requestAnimationFrame(() => {
    pending = 0;
    drawPortrait();
  });
}

/** Say in numbers what is at the scrubber. */
function readout() {
  const { frame } = session;
  if (!frame?.rows.step.length) {
    return;
  }
  const { rows } = frame;
  const i = Math.min(session.cursor, rows.step.length - 1);
  const said = [`step ${rows.step[i]}`, `loss ${show(rows.loss[i], 3)}`, `S ${show(rows.sharpness[i])}`];
  if (Number.isFinite(rows.gfs_sharpness[i])) {
    said.push(`GFS ${show(rows.gfs_sharpness[i])}`);
  }
  if (frame.threshold) {
    said.push(`${frame.threshold_name} ${show(frame.threshold)}`);
  }
  const text = said.join(" · ");
  element("readout").textContent = text;
  input("cursor").setAttribute("aria-valuetext", text);
}

/**
 * The pointer is over a step of a figure.
 * @param {number | null} i
 */
function hover(i) {
  if (i === null || !session.frame) {
    return;
  }
  session.cursor = i;
  input("cursor").value = String(i);
  readout();
  portraitSoon();
}

/**
 * Put the scrubber somewhere; it stays there when the settings change.
 * @param {number} i
 */
function hold(i) {
  session.cursor = i;
  session.cursorHeld = true;
  redraw();
}

/**
 * Move the scrubber by some rows.
 * @param {number} by
 */
export function nudge(by) {
  if (session.frame) {
    const last = session.frame.rows.step.length - 1;
    hold(Math.max(0, Math.min(last, session.cursor + by)));
    input("cursor").value = String(session.cursor);
  }
}

function showFrame() {
  const cursor = input("cursor");
  cursor.max = String(Math.max(0, (session.frame?.rows.step.length ?? 0) - 1));
  cursor.value = String(session.cursor);
  redraw();
}

function showScales() {
  button("log-loss").textContent = session.logLoss ? "log" : "linear";
  button("log-loss").setAttribute("aria-pressed", String(session.logLoss));
  list("x-axis").value = session.logX ? "log" : "linear";
}

/** Connect the figures with the controls around them. */
export function mountExplore() {
  showScales();
  input("cursor").addEventListener("input", () => hold(Number(input("cursor").value)));
  input("clip").addEventListener("change", redraw);
  button("log-loss").addEventListener("click", () => {
    session.logLoss = !session.logLoss;
    publish("scales");
    remember();
    redraw();
  });
  list("x-axis").addEventListener("change", () => {
    session.logX = list("x-axis").value === "log";
    // of a long run the server sends what can be seen on the scale
    publish("settings");
    remember();
  });
  subscribe("scales", showScales);
  subscribe("frame", showFrame);
  subscribe("pins", redraw);
  subscribe("view", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(portraitSoon).observe(plotBox("fig-phase"));
}
