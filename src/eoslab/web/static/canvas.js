// Plain canvases: sharp at every density of the screen, in the colours of the style sheet, with round ticks.

/** The face of all text in plots. */
export const FONT = "12px system-ui, sans-serif";
const MOST_TICKS = 40;

/**
 * A colour of the style sheet.
 * @param {string} name
 */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/**
 * A canvas that fills its box at the density of the screen.
 * @param {HTMLElement} box
 */
export function canvasOf(box) {
  let canvas = box.querySelector("canvas");
  if (!canvas) {
    canvas = document.createElement("canvas");
    box.append(canvas);
  }
  const ratio = devicePixelRatio;
  const w = Math.max(100, box.clientWidth);
  const h = Math.max(100, box.clientHeight);
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
    canvas.style.width = `${w}px`;
    canvas.style.height = `${h}px`;
  }
  const c = canvas.getContext("2d");
  if (!c) {
    throw new Error("this browser has no canvas");
  }
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { canvas, c, w, h };
}

/**
 * Ticks at round numbers.
 * @param {number} lo
 * @param {number} hi
 * @param {number} room how many fit
 */
export function ticks(lo, hi, room) {
  const raw = (hi - lo) / Math.max(1, room);
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * base).find((s) => s >= raw) ?? raw;
  const found = [];
  let k = Math.ceil(lo / step - 1e-9);
  while (k * step <= hi * (1 + 1e-12) + 1e-12 * step && found.length < MOST_TICKS) {
    found.push(Number((k * step).toPrecision(12)));
    k += 1;
  }
  return found;
}

/**
 * A straight line.
 * @param {CanvasRenderingContext2D} c
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 */
export function line(c, x0, y0, x1, y1) {
  c.beginPath();
  c.moveTo(x0, y0);
  c.lineTo(x1, y1);
  c.stroke();
}

/**
 * The path of a circle.
 * @param {CanvasRenderingContext2D} c
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
export function circle(c, x, y, radius) {
  c.beginPath();
  c.arc(x, y, radius, 0, 2 * Math.PI);
}
