// The drawing of a phase map: cells in colour, a hatch that says the same, axes, and where the reader is.
import { FONT, canvasOf, circle, colour, ticks } from "./canvas.js";
import { make } from "./dom.js";
import { show } from "./state.js";

/** Names of the regimes, by the indices of the rows. */
export const TITLES = ["stable", "edge", "edge, unsettled", "catapult", "diverges", "no threshold"];
const FILLS = ["#56B4E9", "#E69F00", "#D55E00", "#CC79A7", "#6e7781", "#b8c0c8"];
const EMPTY = "#6e7781";
const INK = "#1b1f24";
/** Distance of the marks of a hatch, and half their size, in pixels. */
const HATCH = { every: 9, half: 2.5 };
const MARGIN = { left: 58, right: 12, top: 6, bottom: 38 };

/** @typedef {{i: number, j: number}} Cell column from the left, row from below */
/**
 * @typedef {object} Layout
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {number} nx
 * @property {number} ny
 */
/**
 * @typedef {object} Picture what is drawn
 * @property {DiagramHead} head
 * @property {(DiagramRow | null)[]} rows
 * @property {string} quantity "regime", "ratio" or "crossing"
 * @property {string[]} labels of x and y
 * @property {[number, number]} here values of the current trajectory on both axes
 * @property {Cell | null} marker
 * @property {number} steps
 */

/**
 * Write the colours of the regimes beside their names.
 * @param {HTMLElement} place
 */
export function legend(place) {
  const entries = TITLES.slice(0, 5).flatMap((title, i) => [make("i", { className: `k fill f${i}` }), title]);
  place.replaceChildren(...entries);
}

/**
 * A part of an axis, 0 at its low and 1 at its high end.
 * @param {DiagramAxis} axis
 * @param {number} value
 */
function partOf(axis, value) {
  const scale = axis.scale === "log" ? Math.log : (/** @type {number} */ v) => v;
  const lo = scale(axis.values[0]);
  const hi = scale(axis.values[axis.values.length - 1]);
  return (scale(value) - lo) / (hi - lo);
}

/**
 * Ticks of an axis with their texts.
 * @param {DiagramAxis} axis
 * @param {number} room
 * @returns {[number, string][]}
 */
function marks(axis, room) {
  const lo = axis.values[0];
  const hi = axis.values[axis.values.length - 1];
  if (axis.scale !== "log") {
    const inside = ticks(lo, hi, room).filter((t) => t >= lo && t <= hi);
    return inside.map((t) => [t, String(t)]);
  }
  /** @type {[number, string][]} */
  const found = [];
  for (let e = Math.ceil(Math.log10(lo) - 1e-9); e <= Math.log10(hi) + 1e-9; e++) {
    found.push([10 ** e, show(10 ** e)]);
  }
  return found;
}

/**
 * Diverging around the edge: blue below, white on it, red above.
 * @param {number | null} ratio
 */
function ratioFill(ratio) {
  if (ratio === null) {
    return EMPTY;
  }
  const t = Math.max(-1, Math.min(1, (ratio - 1) / 0.5));
  const strength = Math.sqrt(Math.abs(t));
  const to = t < 0 ? [0, 114, 178] : [213, 94, 0];
  return `rgb(${to.map((v) => Math.round(250 + (v - 250) * strength)).join(",")})`;
}

/**
 * From dark for an early to light for a late crossing.
 * @param {number} step -1 for never
 * @param {number} steps
 */
function crossingFill(step, steps) {
  if (step < 0) {
    return "#dfe5ea";
  }
  const t = Math.log1p(step) / Math.log1p(steps);
  return `hsl(${260 - 200 * t} 55% ${28 + 45 * t}%)`;
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {Layout} f
 * @param {Picture} picture
 */
function drawCells(c, f, picture) {
  const width = f.width / f.nx;
  const height = f.height / f.ny;
  picture.rows.forEach((row, j) => {
    for (let i = 0; row && i < f.nx; i++) {
      c.fillStyle = fill(picture, row, i);
      // a little larger than the cell: no gaps between them at fractions of a pixel
      c.fillRect(f.left + i * width, f.top + (f.ny - 1 - j) * height, width + 0.6, height + 0.6);
    }
  });
}

/**
 * The colour of a cell.
 * @param {Picture} picture
 * @param {DiagramRow} row
 * @param {number} i
 */
function fill({ quantity, steps }, row, i) {
  if (quantity === "regime") {
    return FILLS[row.regime[i]] ?? "transparent";
  }
  return quantity === "ratio" ? ratioFill(row.ratio[i]) : crossingFill(row.crossing[i], steps);
}

/**
 * Colour is not the only sign: strokes for the edge, crosses where it is unsettled, dashes for catapults, dots
 * where it diverges.
 * @param {CanvasRenderingContext2D} c
 * @param {Layout} f
 * @param {Picture} picture
 */
function drawHatch(c, f, { rows }) {
  const { every, half } = HATCH;
  c.strokeStyle = "rgba(0,0,0,.33)";
  c.lineWidth = 1;
  c.beginPath();
  for (let x = every / 2; x < f.width + every / 2; x += every) {
    for (let y = every / 2; y < f.height + every / 2; y += every) {
      const i = Math.floor((x / f.width) * f.nx);
      const j = f.ny - 1 - Math.floor((y / f.height) * f.ny);
      const regime = TITLES[rows[j]?.regime[i] ?? -1];
      const [X, Y] = [f.left + x, f.top + y];
      if (regime === "edge" || regime === "edge, unsettled") {
        c.moveTo(X - half, Y + half);
        c.lineTo(X + half, Y - half);
      }
      if (regime === "edge, unsettled") {
        c.moveTo(X - half, Y - half);
        c.lineTo(X + half, Y + half);
      }
      if (regime === "diverges") {
        c.moveTo(X + 1, Y);
        c.arc(X, Y, 1, 0, 2 * Math.PI);
      }
      if (regime === "catapult") {
        c.moveTo(X - half, Y);
        c.lineTo(X + half, Y);
      }
    }
  }
  c.stroke();
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {Layout} f
 * @param {Picture} picture
 * @param {number} h height of the canvas
 */
function drawAxes(c, f, { head, labels }, h) {
  c.fillStyle = colour("quiet");
  c.font = FONT;
  c.textAlign = "center";
  c.textBaseline = "top";
  for (const [value, text] of marks(head.x, f.width / 80)) {
    c.fillText(text, f.left + f.width * partOf(head.x, value), f.top + f.height + 4);
  }
  c.textAlign = "right";
  c.textBaseline = "middle";
  for (const [value, text] of marks(head.y, f.height / 45)) {
    c.fillText(text, f.left - 6, f.top + f.height * (1 - partOf(head.y, value)));
  }
  c.textBaseline = "bottom";
  c.fillText(labels[0], f.left + f.width, h - 1);
  c.save();
  c.translate(11, f.top + 2);
  c.rotate(-Math.PI / 2);
  c.textBaseline = "middle";
  c.fillText(labels[1], 0, 0);
  c.restore();
}

/**
 * A ring where the current trajectory lies, if that is on the map.
 * @param {CanvasRenderingContext2D} c
 * @param {Layout} f
 * @param {Picture} picture
 */
function drawHere(c, f, { head, here }) {
  const x = f.left + f.width * partOf(head.x, here[0]);
  const y = f.top + f.height * (1 - partOf(head.y, here[1]));
  const across = x >= f.left - 1 && x <= f.left + f.width + 1;
  const along = y >= f.top - 1 && y <= f.top + f.height + 1;
  if (!across || !along) {
    return;
  }
  for (const { stroke, width } of [
    { stroke: "#fff", width: 4 },
    { stroke: INK, width: 2 },
  ]) {
    c.strokeStyle = stroke;
    c.lineWidth = width;
    circle(c, x, y, 6);
    c.stroke();
  }
  c.fillStyle = INK;
  circle(c, x, y, 2);
  c.fill();
}

/**
 * A frame around the cell that the keyboard has chosen.
 * @param {CanvasRenderingContext2D} c
 * @param {Layout} f
 * @param {Cell} cell
 */
function drawMarker(c, f, { i, j }) {
  const width = f.width / f.nx;
  const height = f.height / f.ny;
  const [x, y] = [f.left + i * width - 1, f.top + (f.ny - 1 - j) * height - 1];
  c.strokeStyle = "#fff";
  c.lineWidth = 3;
  c.strokeRect(x, y, width + 2, height + 2);
  c.strokeStyle = "#000";
  c.lineWidth = 1.5;
  c.strokeRect(x, y, width + 2, height + 2);
}

/**
 * Where the cells are on the canvas.
 * @param {HTMLElement} box
 * @param {DiagramHead} head
 * @returns {Layout}
 */
export function layoutOf(box, head) {
  const { w, h } = canvasOf(box);
  return {
    left: MARGIN.left,
    top: MARGIN.top,
    width: w - MARGIN.left - MARGIN.right,
    height: h - MARGIN.top - MARGIN.bottom,
    nx: head.x.values.length,
    ny: head.y.values.length,
  };
}

/**
 * Draw a map into its box.
 * @param {HTMLElement} box
 * @param {Picture} picture
 */
export function drawMap(box, picture) {
  const { c, w, h } = canvasOf(box);
  const f = layoutOf(box, picture.head);
  c.clearRect(0, 0, w, h);
  drawCells(c, f, picture);
  if (picture.quantity === "regime") {
    drawHatch(c, f, picture);
  }
  drawAxes(c, f, picture, h);
  drawHere(c, f, picture);
  if (picture.marker) {
    drawMarker(c, f, picture.marker);
  }
}
