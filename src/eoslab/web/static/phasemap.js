// The phase map: rows arrive from coarse to fine; the old map stays, greyed, until the first new one is there.
import { axesOf, mapQuery, valueOn } from "./axes.js";
import { make } from "./dom.js";
import { TITLES, drawMap, layoutOf } from "./mapdrawing.js";
import { linesOf } from "./stream.js";
import { fullQuery, show } from "./state.js";

/** Milliseconds between two drawings while rows arrive. */
const REPAINT = 40;
/** What the arrow keys do to the marker: columns, rows. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @typedef {import("./mapdrawing.js").Cell} Cell */
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
 * The cell of an axis whose value is nearest in ratio.
 * @param {DiagramAxis} axis
 * @param {number} value
 */
function nearest(axis, value) {
  const away = axis.values.map((v) => Math.abs(Math.log(Math.abs(v / value))));
  return away.reduce((best, distance, k) => (distance < away[best] ? k : best), 0);
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

  /** The values of the current trajectory on both axes. @returns {[number, number]} */
  here() {
    const { catalogue } = this.options;
    return [valueOn(this.axes[0], this.state, catalogue), valueOn(this.axes[1], this.state, catalogue)];
  }

  /** Draw what is there. */
  draw() {
    const { head, rows, quantity, labels, marker } = this;
    if (head && this.box.clientWidth > 0) {
      drawMap(this.box, { head, rows, quantity, labels, marker, here: this.here(), steps: this.state.steps });
    }
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
    const f = layoutOf(this.box, this.head);
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
    const [x, y] = this.here();
    return { i: nearest(head.x, x), j: nearest(head.y, y) };
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
