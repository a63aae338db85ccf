// Lines over the steps of a run, drawn by uPlot, with phases beneath and thresholds above them.
import { FONT, colour, line } from "./canvas.js";

/**
 * Ends of a logarithmic range: below there is rounding only, above only what diverges. uPlot numbers no axis whose
 * ends have more than 17 digits.
 */
const FLOOR = 1e-16;
const CEILING = 1e15;
/** A linear axis begins at zero unless everything lies above this part of its range. */
const FAR = 0.6;
/** Style-sheet colours of the phases. @type {Record<string, string>} */
const PHASES = { "progressive sharpening": "ps", "edge of stability": "eos", "monotone convergence": "final" };

/**
 * @typedef {object} Series
 * @property {ArrayLike<number | null | undefined>} y null is a gap, undefined a step that the series does not have
 * @property {string} colour
 * @property {number[]} [dash]
 * @property {number} [width]
 * @property {boolean} [dots] only points, no line between them
 * @property {boolean} [beside] does not widen the range: it is drawn as far as it fits
 */
/**
 * @typedef {object} Level a horizontal dotted line
 * @property {number} y
 * @property {string} text
 * @property {string} [colour]
 */
/**
 * @typedef {object} Spec what a plot shows
 * @property {ArrayLike<number>} x
 * @property {Series[]} series
 * @property {boolean} log
 * @property {boolean} logX
 * @property {[number, number]} span of x
 * @property {number} [least] smallest x on a logarithmic axis: 1 for steps
 * @property {Level[]} [level]
 * @property {Phase[]} [bands]
 * @property {number | null} [hatch] step from which there is nothing to show
 * @property {number} [ceiling] largest value that is drawn
 * @property {number | null} [mark] step of a vertical line
 * @property {(u: uPlot, c: CanvasRenderingContext2D) => void} [also] draws above the lines
 */

/**
 * Explicit ranges with a floor: a degenerate scale would make uPlot search for ticks without end.
 * @param {number} lo
 * @param {number} hi
 * @param {boolean} log
 */
function range(lo, hi, log) {
  // float32 rows of a run that diverges end in infinity
  const top = hi === Infinity ? 1e38 : hi;
  if (!Number.isFinite(lo) || !Number.isFinite(top)) {
    return log ? [1e-3, 1] : [0, 1];
  }
  if (log) {
    const bottom = Math.max(FLOOR, 10 ** Math.floor(Math.log10(Math.max(lo, FLOOR))));
    const end = Math.min(CEILING, 10 ** Math.ceil(Math.log10(Math.max(top, bottom))));
    return [bottom, Math.max(10 * bottom, end)];
  }
  const pad = 0.05 * (top - lo || Math.abs(top) || 1);
  return [lo - (lo === 0 ? 0 : pad), top + pad];
}

/**
 * Ticks by decade, never more than fit.
 * @param {{min: number, max: number}} scale
 * @param {number} room
 */
function decades(scale, room) {
  const first = Math.ceil(Math.log10(scale.min) - 1e-9);
  const last = Math.floor(Math.log10(scale.max) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / room));
  const found = [];
  for (let e = first; e <= last; e += every) {
    found.push(10 ** e);
  }
  return found;
}

/**
 * A power of ten as text: not every font of a canvas has superscripts.
 * @param {number} value
 */
function power(value) {
  if (!(value > 0)) {
    return "";
  }
  const e = Math.round(Math.log10(value));
  return e >= 0 && e < 4 ? String(10 ** e) : `1e${e}`;
}

/**
 * What uPlot needs for an axis of decades.
 * @param {"x" | "y"} scale
 * @param {number} room
 */
const logAxis = (scale, room) => ({
  splits: (/** @type {uPlot} */ u) => decades(u.scales[scale], room),
  filter: (/** @type {uPlot} */ _, /** @type {number[]} */ values) => values,
  values: (/** @type {uPlot} */ _, /** @type {number[]} */ values) => values.map(power),
});

/** What uPlot needs for an axis of steps. */
const stepAxis = {
  values: (/** @type {uPlot} */ _, /** @type {number[]} */ values) => values.map((n) => n.toLocaleString("en")),
};

/** A line plot that keeps its canvas between frames and is rebuilt only when its kind changes. */
export class Lines {
  /**
   * @param {HTMLElement} box
   * @param {(i: number | null) => void} [moved] told the index of the step under the pointer
   */
  constructor(box, moved) {
    this.box = box;
    this.moved = moved;
    /** @type {uPlot | null} */
    this.plot = null;
    this.kind = "";
    /** @type {Spec} */
    this.spec = { x: [], series: [], log: false, logX: false, span: [0, 1] };
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(box);
  }

  size() {
    return { width: Math.max(120, this.box.clientWidth), height: Math.max(120, this.box.clientHeight) };
  }

  /**
   * Show something.
   * @param {Spec} spec
   */
  draw(spec) {
    this.spec = spec;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const styles = spec.series.map((s) => [s.colour, s.dash, s.width, s.dots, s.beside].join(" "));
    const kind = [spec.log, spec.logX, dark, ...styles].join("|");
    const data = [spec.x, ...spec.series.map((s) => s.y)];
    if (kind === this.kind && this.plot) {
      this.plot.setData(data);
      return;
    }
    this.kind = kind;
    this.plot?.destroy();
    this.box.replaceChildren();
    this.plot = new uPlot(this.options(spec), data, this.box);
  }

  /** @param {Spec} spec */
  options(spec) {
    const grid = { stroke: colour("grid"), width: 1 };
    const axis = { stroke: colour("quiet"), grid, ticks: { show: false }, font: FONT };
    return {
      ...this.size(),
      legend: { show: false },
      padding: [8, 22, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "eoslab" } },
      scales: {
        x: { time: false, distr: spec.logX ? 3 : 1, range: () => this.xRange() },
        y: {
          distr: spec.log ? 3 : 1,
          range: (/** @type {uPlot} */ _, /** @type {number} */ lo, /** @type {number} */ hi) =>
            this.yRange(lo, hi),
        },
      },
      axes: [
        { ...axis, size: 30, ...(spec.logX ? logAxis("x", 6) : stepAxis) },
        { ...axis, size: 52, ...(spec.log ? logAxis("y", 7) : {}) },
      ],
      series: [
        {},
        ...spec.series.map((s) => ({
          stroke: s.colour,
          width: s.width ?? 1.5,
          dash: s.dash,
          points: { show: s.dots ?? false, size: 3, width: 0, fill: s.colour },
          ...(s.dots ? { paths: () => null } : {}),
          auto: !s.beside,
          spanGaps: false,
        })),
      ],
      hooks: {
        drawClear: [(/** @type {uPlot} */ u) => this.under(u)],
        draw: [(/** @type {uPlot} */ u) => this.over(u)],
        setCursor: [(/** @type {uPlot} */ u) => this.pointed(u)],
      },
    };
  }

  /** The pointer moved; in plots that only follow another one there is no event. @param {uPlot} u */
  pointed(u) {
    if (u.cursor.event) {
      this.moved?.(u.cursor.idx ?? null);
    }
  }

  xRange() {
    const [first, last] = this.spec.span;
    const { least } = this;
    return this.spec.logX ? [Math.max(least, first), Math.max(10 * least, last)] : [first, last];
  }

  /** Where a logarithmic x axis begins. */
  get least() {
    return this.spec.least ?? 1;
  }

  /**
   * @param {number} lo
   * @param {number} hi
   */
  yRange(lo, hi) {
    const { log, level = [], ceiling } = this.spec;
    if (log) {
      return range(lo, hi, log);
    }
    const levels = level.map((l) => l.y).filter(Number.isFinite);
    const top = Math.max(hi, ...levels);
    const least = Math.min(lo, ...levels);
    // far from zero what happens is small beside the distance to it
    const bottom = least > FAR * top ? least : Math.min(0, least);
    return ceiling ? range(Math.max(bottom, -ceiling), Math.min(top, ceiling), log) : range(bottom, top, log);
  }

  /**
   * Where a step lies on the canvas.
   * @param {uPlot} u
   * @param {number} step
   */
  across(u, step) {
    return u.valToPos(this.spec.logX ? Math.max(this.least, step) : step, "x", true);
  }

  /**
   * Draw inside the axes only.
   * @param {uPlot} u
   * @param {(c: CanvasRenderingContext2D) => void} drawing
   */
  clipped(u, drawing) {
    const c = u.ctx;
    const { left, top, width, height } = u.bbox;
    c.save();
    c.beginPath();
    c.rect(left, top, width, height);
    c.clip();
    drawing(c);
    c.restore();
  }

  /** Beneath the lines: phases, and a hatch where a run has ended. @param {uPlot} u */
  under(u) {
    this.clipped(u, (c) => {
      for (const phase of this.spec.bands ?? []) {
        this.band(u, c, phase);
      }
      if (typeof this.spec.hatch === "number") {
        this.hatch(u, c, this.spec.hatch);
      }
    });
  }

  /**
   * @param {uPlot} u
   * @param {CanvasRenderingContext2D} c
   * @param {Phase} phase
   */
  band(u, c, [title, start, stop]) {
    if (!(title in PHASES)) {
      return;
    }
    const ratio = devicePixelRatio;
    const { left, top, width, height } = u.bbox;
    const x0 = Math.max(left, this.across(u, start));
    const x1 = Math.min(left + width, this.across(u, stop));
    c.fillStyle = colour(PHASES[title]);
    c.fillRect(x0, top, x1 - x0, height);
    const initials = title
      .split(" ")
      .map((word) => word[0].toUpperCase())
      .join("");
    c.font = `${11 * ratio}px system-ui, sans-serif`;
    // the axes of the drawing before have left their own alignment
    c.textAlign = "left";
    c.textBaseline = "top";
    c.fillStyle = colour("quiet");
    const label = [title, initials].find((text) => c.measureText(text).width + 8 * ratio < x1 - x0);
    if (label) {
      c.fillText(label, x0 + 4 * ratio, top + 3 * ratio);
    }
  }

  /**
   * @param {uPlot} u
   * @param {CanvasRenderingContext2D} c
   * @param {number} step
   */
  hatch(u, c, step) {
    const ratio = devicePixelRatio;
    const { left, top, width, height } = u.bbox;
    const x0 = this.across(u, Math.max(step, 0));
    c.beginPath();
    c.rect(x0, top, left + width - x0, height);
    c.clip();
    c.strokeStyle = colour("line");
    c.lineWidth = ratio;
    c.beginPath();
    for (let x = x0 - height; x < left + width; x += 9 * ratio) {
      c.moveTo(x, top + height);
      c.lineTo(x + height, top);
    }
    c.stroke();
  }

  /** Above the lines: levels with their names, and the step of the scrubber. @param {uPlot} u */
  over(u) {
    this.clipped(u, (c) => {
      const ratio = devicePixelRatio;
      const { left, top, width, height } = u.bbox;
      c.font = `${12 * ratio}px system-ui, sans-serif`;
      c.textAlign = "right";
      c.textBaseline = "bottom";
      for (const level of this.spec.level ?? []) {
        if (!Number.isFinite(level.y)) {
          continue;
        }
        const y = u.valToPos(level.y, "y", true);
        c.strokeStyle = level.colour ?? colour("text");
        c.lineWidth = 1.4 * ratio;
        c.setLineDash([1.5 * ratio, 3.5 * ratio]);
        line(c, left, y, left + width, y);
        c.setLineDash([]);
        const above = y - 16 * ratio > top;
        c.textBaseline = above ? "bottom" : "top";
        const right = left + width - 5 * ratio;
        const under = y + (above ? -3 : 3) * ratio;
        // a rim in the colour of the paper keeps the name readable over lines
        c.strokeStyle = colour("card");
        c.lineWidth = 3 * ratio;
        c.strokeText(level.text, right, under);
        c.fillStyle = colour("text");
        c.fillText(level.text, right, under);
      }
      this.spec.also?.(u, c);
      if (typeof this.spec.mark === "number") {
        const x = this.across(u, this.spec.mark);
        c.strokeStyle = colour("quiet");
        c.lineWidth = ratio;
        line(c, x, top, x, top + height);
      }
    });
  }
}
