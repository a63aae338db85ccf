// The phase map: rows arrive from coarse to fine; the old map stays, greyed, until the first new one is there.
import { axesOf, mapQuery, valueOn } from "./axes.js";
import { FONT, canvasOf, circle, colour, ticks } from "./canvas.js";
import { make } from "./dom.js";
import { linesOf } from "./stream.js";
import { fullQuery, show } from "./state.js";

const TITLES = ["stable", "edge", "edge, unsettled", "catapult", "diverges", "no threshold"];
const FILLS = ["#56B4E9", "#E69F00", "#D55E00", "#CC79A7", "#6e7781", "#b8c0c8"];
const EMPTY = "#6e7781";
const INK = "#1b1f24";
/** Distance of the marks of a hatch, and half their size, in pixels. */
const HATCH = { every: 9, half: 2.5 };
const MARGIN = { left: 58, right: 12, top: 6, bottom: 38 };
/** Milliseconds between two drawings while rows arrive. */
const REPAINT = 40;
/** What the arrow keys do to the marker: columns, rows. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @typedef {{i: number, j: number}} Cell */
/**
 * @typedef {object} Layout of a drawing
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {number} nx
 * @property {number} ny
 */
/**
 * @typedef {object} Options
 * @property {[number, number]} n cells along x and y
 * @property {Catalogue} catalogue
 * @property {Settings} state the trajectory that is marked
 * @property {(x: number, y: number) => void} open a cell was chosen
 * @property {(text: string) => void} [hover] what the cell under the pointer or marker is
 * @property {(part: number, running: boolean) => void} [progress]
 * @property {(text: string) => void} [failed] why there is no map; empty when there is one
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
 * The cell of an axis whose value is nearest in ratio.
 * @param {DiagramAxis} axis
 * @param {number} value
 */
function nearest(axis, value) {
  const away = axis.values.map((v) => Math.abs(Math.log(Math.abs(v / value))));
  return away.reduce((best, distance, k) => (distance < away[best] ? k : best), 0);
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

export class PhaseMap {
  /**
   * @param {HTMLElement} box
   * @param {Options} options
   */
  constructor(box, options) {
    this.box = box;
    this.options = options;
    this.state = options.state;
    this.quantity = "regime";
    this.axes = ["lr", "ratio"];
    this.labels = ["", ""];
    /** The query of the map that is shown or computed. */
    this.key = "";
    /** @type {DiagramHead | null} */
    this.head = null;
    /** @type {(DiagramRow | null)[]} */
    this.rows = [];
    /** @type {Cell | null} */
    this.marker = null;
    /** @type {AbortController | null} */
    this.abort = null;
    this.canvas = make("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", "Phase map. Arrow keys move the marker, Enter opens the trajectory.");
    box.append(this.canvas);
    new ResizeObserver(() => this.draw()).observe(box);
    this.canvas.addEventListener("click", (event) => this.openCell(this.cellAt(event)));
    this.canvas.addEventListener("mousemove", (event) => this.say(this.cellAt(event)));
    this.canvas.addEventListener("keydown", (event) => this.keyed(event));
  }

  /** Stop computing; the rows that are there stay. */
  cancel() {
    this.abort?.abort();
  }

  /**
   * Replace axes that a model does not have.
   * @param {Record<string, AxisRange>} offered
   */
  keepAxes(offered) {
    for (const i of [0, 1]) {
      if (!(this.axes[i] in offered)) {
        this.axes[i] = Object.keys(offered).filter((name) => name !== this.axes[1 - i])[i];
      }
    }
  }

  /**
   * Compute the map around a trajectory, unless it is there already.
   * @param {Settings} state
   */
  async update(state) {
    const { catalogue, n } = this.options;
    const offered = axesOf(state, catalogue);
    this.state = state;
    this.keepAxes(offered);
    this.labels = this.axes.map((name) => offered[name].label);
    const key = mapQuery(fullQuery(state), this.axes, n, state, catalogue).toString();
    if (key === this.key) {
      this.draw();
      return;
    }
    this.key = key;
    this.cancel();
    const abort = new AbortController();
    this.abort = abort;
    this.box.classList.add("stale");
    try {
      await this.receive(await fetch(`/api/diagram?${key}`, { signal: abort.signal }));
    } catch {
      if (!abort.signal.aborted) {
        this.options.failed?.("The map could not be computed; the server does not answer.");
      } else if (abort === this.abort) {
        this.options.progress?.(0, false);
        this.key = "";
      }
    }
  }

  /**
   * Take the rows as they come.
   * @param {Response} answer
   */
  async receive(answer) {
    if (!answer.ok || !answer.body) {
      this.options.failed?.((await answer.json()).error.message);
      return;
    }
    this.options.failed?.("");
    let started = false;
    let done = 0;
    let drawn = 0;
    for await (const lines of linesOf(answer.body)) {
      for (const text of lines) {
        if (started) {
          this.take(JSON.parse(text));
          done += 1;
        } else {
          this.begin(JSON.parse(text));
          started = true;
        }
      }
      if (started) {
        this.options.progress?.(done / this.rows.length, true);
      }
      if (performance.now() - drawn > REPAINT) {
        this.draw();
        drawn = performance.now();
      }
    }
    this.draw();
    this.options.progress?.(1, false);
    this.box.dataset.ready = "1";
  }

  /** @param {DiagramHead} head */
  begin(head) {
    this.head = head;
    this.rows = new Array(head.y.values.length).fill(null);
    this.box.classList.remove("stale");
    delete this.box.dataset.ready;
  }

  /** A row stands for those after it until they come themselves. @param {DiagramRow} row */
  take(row) {
    const end = Math.min(row.row + row.stands_for, this.rows.length);
    for (let k = row.row; k < end; k++) {
      if (k === row.row || this.rows[k]?.row !== k) {
        this.rows[k] = row;
      }
    }
  }

  /** @param {DiagramHead} head @returns {Layout} */
  layout(head) {
    const { w, h } = canvasOf(this.box);
    return {
      left: MARGIN.left,
      top: MARGIN.top,
      width: w - MARGIN.left - MARGIN.right,
      height: h - MARGIN.top - MARGIN.bottom,
      nx: head.x.values.length,
      ny: head.y.values.length,
    };
  }

  /** Draw what is there. */
  draw() {
    if (!this.head || this.box.clientWidth === 0) {
      return;
    }
    const { c, w, h } = canvasOf(this.box);
    const f = this.layout(this.head);
    c.clearRect(0, 0, w, h);
    this.drawCells(c, f);
    if (this.quantity === "regime") {
      this.drawHatch(c, f);
    }
    this.drawAxes(c, f, this.head, h);
    this.drawHere(c, f, this.head);
    if (this.marker) {
      this.drawMarker(c, f, this.marker);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} c
   * @param {Layout} f
   */
  drawCells(c, f) {
    const width = f.width / f.nx;
    const height = f.height / f.ny;
    this.rows.forEach((row, j) => {
      for (let i = 0; row && i < f.nx; i++) {
        c.fillStyle = this.fill(row, i);
        // a little larger than the cell: no gaps between them at fractions of a pixel
        c.fillRect(f.left + i * width, f.top + (f.ny - 1 - j) * height, width + 0.6, height + 0.6);
      }
    });
  }

  /**
   * @param {DiagramRow} row
   * @param {number} i
   */
  fill(row, i) {
    if (this.quantity === "regime") {
      return FILLS[row.regime[i]] ?? "transparent";
    }
    return this.quantity === "ratio" ? ratioFill(row.ratio[i]) : crossingFill(row.crossing[i], this.state.steps);
  }

  /**
   * Colour is not the only sign: strokes for the edge, crosses where it is unsettled, dashes for catapults, dots
   * where it diverges.
   * @param {CanvasRenderingContext2D} c
   * @param {Layout} f
   */
  drawHatch(c, f) {
    const { every, half } = HATCH;
    c.strokeStyle = "rgba(0,0,0,.33)";
    c.lineWidth = 1;
    c.beginPath();
    for (let x = every / 2; x < f.width + every / 2; x += every) {
      for (let y = every / 2; y < f.height + every / 2; y += every) {
        const i = Math.floor((x / f.width) * f.nx);
        const j = f.ny - 1 - Math.floor((y / f.height) * f.ny);
        const regime = TITLES[this.rows[j]?.regime[i] ?? -1];
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
   * @param {DiagramHead} head
   * @param {number} h height of the canvas
   */
  drawAxes(c, f, head, h) {
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
    c.fillText(this.labels[0], f.left + f.width, h - 1);
    c.save();
    c.translate(11, f.top + 2);
    c.rotate(-Math.PI / 2);
    c.textBaseline = "middle";
    c.fillText(this.labels[1], 0, 0);
    c.restore();
  }

  /**
   * A ring where the current trajectory lies, if that is on the map.
   * @param {CanvasRenderingContext2D} c
   * @param {Layout} f
   * @param {DiagramHead} head
   */
  drawHere(c, f, head) {
    const { catalogue } = this.options;
    const x = f.left + f.width * partOf(head.x, valueOn(this.axes[0], this.state, catalogue));
    const y = f.top + f.height * (1 - partOf(head.y, valueOn(this.axes[1], this.state, catalogue)));
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
  drawMarker(c, f, { i, j }) {
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
   * The cell under the pointer.
   * @param {MouseEvent} event
   * @returns {Cell | null}
   */
  cellAt(event) {
    if (!this.head) {
      return null;
    }
    const f = this.layout(this.head);
    const canvas = this.canvas.getBoundingClientRect();
    const i = Math.floor(((event.clientX - canvas.left - f.left) / f.width) * f.nx);
    const j = f.ny - 1 - Math.floor(((event.clientY - canvas.top - f.top) / f.height) * f.ny);
    return i >= 0 && i < f.nx && j >= 0 && j < f.ny ? { i, j } : null;
  }

  /** @param {Cell | null} cell */
  openCell(cell) {
    if (cell && this.head) {
      this.options.open(this.head.x.values[cell.i], this.head.y.values[cell.j]);
    }
  }

  /** @param {Cell | null} cell */
  say(cell) {
    const row = cell && this.rows[cell.j];
    if (!cell || !row || !this.head) {
      return;
    }
    const ratio = row.ratio[cell.i];
    const parts = [
      `${this.labels[0]} ${show(this.head.x.values[cell.i])}`,
      `${this.labels[1]} ${show(this.head.y.values[cell.j])}`,
      TITLES[row.regime[cell.i]],
      ...(ratio === null ? [] : [`final η·S/2 ${show(ratio)}`]),
    ];
    this.options.hover?.(parts.join(" · "));
  }

  /** The marker begins at the current trajectory. @param {DiagramHead} head @returns {Cell} */
  beginning(head) {
    const { catalogue } = this.options;
    return {
      i: nearest(head.x, valueOn(this.axes[0], this.state, catalogue)),
      j: nearest(head.y, valueOn(this.axes[1], this.state, catalogue)),
    };
  }

  /** @param {KeyboardEvent} event */
  keyed(event) {
    const move = ARROWS[event.key];
    if (!this.head || !(move || event.key === "Enter")) {
      return;
    }
    event.preventDefault();
    const cell = this.marker ?? this.beginning(this.head);
    this.marker = cell;
    if (!move) {
      this.openCell(cell);
      return;
    }
    const by = event.shiftKey ? 10 : 1;
    this.marker = {
      i: Math.max(0, Math.min(this.head.x.values.length - 1, cell.i + by * move[0])),
      j: Math.max(0, Math.min(this.head.y.values.length - 1, cell.j + by * move[1])),
    };
    this.draw();
    this.say(this.marker);
  }
}
