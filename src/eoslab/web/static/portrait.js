// The phase portrait: two components of the iterate, even and odd steps apart.
import { FONT, canvasOf, circle, colour, line, ticks } from "./canvas.js";

const MARGIN = { left: 52, right: 12, top: 8, bottom: 34 };
/** A run that escapes is shown while it is within so many times the size of its start. */
const FAR = 10;

/**
 * @typedef {object} Portrait
 * @property {Float32Array} x
 * @property {Float32Array} y
 * @property {Float32Array} step
 * @property {string[]} names of both components
 * @property {number} [edge] where on x the sharpness is at the threshold
 * @property {number} at index of the step that is marked
 * @property {boolean} escapes
 */

/** @param {number} t */
const label = (t) => (Math.abs(t) >= 1e4 || (t && Math.abs(t) < 1e-3) ? t.toExponential() : String(t));

/**
 * The range that holds all values, with some air; null if there is none.
 * @param {number[]} values
 * @param {number} air as a part of the range
 */
function rangeOf(values, air) {
  let lo = Infinity;
  let hi = -Infinity;
  for (const value of values) {
    lo = Math.min(lo, value);
    hi = Math.max(hi, value);
  }
  const pad = air * (hi - lo || Math.abs(hi) || 1);
  return hi >= lo ? { lo: lo - pad, hi: hi + pad, size: hi - lo, top: hi } : null;
}

/**
 * Draw the portrait into a box.
 * @param {HTMLElement} box
 * @param {Portrait} d
 */
export function portrait(box, d) {
  const { c, w, h } = canvasOf(box);
  c.clearRect(0, 0, w, h);
  const far = d.escapes ? FAR * Math.max(1, Math.abs(d.x[0]), Math.abs(d.y[0])) : Infinity;
  const near = [...d.x.keys()].filter((i) => Math.abs(d.x[i]) < far && Math.abs(d.y[i]) < far);
  const xs = near.map((i) => d.x[i]);
  const bare = rangeOf(xs, 0);
  const edge = d.edge && bare && d.edge < bare.top + 3 * bare.size ? d.edge : null;
  const x = rangeOf(edge === null ? xs : [...xs, edge], 0.06);
  const y = rangeOf(
    near.map((i) => d.y[i]),
    0.08,
  );
  if (!x || !y) {
    return;
  }
  const { left, right, top, bottom } = MARGIN;
  /** @param {number} value */
  const X = (value) => left + ((value - x.lo) / (x.hi - x.lo)) * (w - left - right);
  /** @param {number} value */
  const Y = (value) => h - bottom - ((value - y.lo) / (y.hi - y.lo)) * (h - top - bottom);

  c.font = FONT;
  c.fillStyle = colour("quiet");
  c.strokeStyle = colour("grid");
  c.lineWidth = 1;
  c.textAlign = "center";
  c.textBaseline = "top";
  for (const t of ticks(x.lo, x.hi, w / 90)) {
    line(c, X(t), top, X(t), h - bottom);
    c.fillText(String(t), X(t), h - bottom + 4);
  }
  c.textAlign = "right";
  c.textBaseline = "middle";
  for (const t of ticks(y.lo, y.hi, h / 45)) {
    line(c, left, Y(t), w - right, Y(t));
    c.fillText(label(t), left - 6, Y(t));
  }
  c.textBaseline = "bottom";
  c.fillText(d.names[0], w - right, h - 2);
  c.textAlign = "left";
  c.textBaseline = "top";
  c.fillText(d.names[1], left + 5, top + 2);

  if (edge !== null) {
    const late = X(edge) > w - 70;
    c.strokeStyle = colour("text");
    c.setLineDash([1.5, 3.5]);
    line(c, X(edge), top, X(edge), h - bottom);
    c.setLineDash([]);
    c.fillStyle = colour("text");
    c.textAlign = late ? "right" : "left";
    c.fillText("edge", X(edge) + (late ? -5 : 5), top + 2);
  }

  for (const parity of [0, 1]) {
    c.fillStyle = colour(parity ? "red" : "blue");
    c.globalAlpha = 0.75;
    c.beginPath();
    for (const i of near) {
      if (d.step[i] % 2 === parity) {
        c.rect(X(d.x[i]) - 1, Y(d.y[i]) - 1, 2, 2);
      }
    }
    c.fill();
  }
  c.globalAlpha = 1;

  c.lineWidth = 2;
  c.strokeStyle = colour("text");
  circle(c, X(d.x[0]), Y(d.y[0]), 4.5);
  c.stroke();
  const i = Math.min(d.at, d.x.length - 1);
  if (Math.abs(d.x[i]) < far && Math.abs(d.y[i]) < far) {
    c.fillStyle = colour("card");
    circle(c, X(d.x[i]), Y(d.y[i]), 5);
    c.fill();
    c.fillStyle = colour(d.step[i] % 2 ? "red" : "blue");
    circle(c, X(d.x[i]), Y(d.y[i]), 3.5);
    c.fill();
  }
}
