// Drawing: two line plots by uPlot, a phase portrait and a map on plain canvas.
/* global uPlot */

/** A colour of the style sheet. @param {string} name */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const FLOOR = 1e-16;

/** A colour with an opacity. */
const faded = (c, a) => c + Math.round(255 * a).toString(16).padStart(2, "0");

/**
 * Explicit ranges with a floor: a degenerate scale would make uPlot search for ticks without end.
 * @param {number} lo @param {number} hi @param {boolean} log
 */
function range(lo, hi, log) {
  // float32 rows of a run that diverges end in infinity
  if (hi === Infinity) hi = 1e38;
  if (!Number.isFinite(lo) || !Number.isFinite(hi)) return log ? [1e-3, 1] : [0, 1];
  if (log) {
    const a = Math.max(FLOOR, 10 ** Math.floor(Math.log10(Math.max(lo, FLOOR))));
    return [a, Math.max(10 * a, 10 ** Math.ceil(Math.log10(Math.max(hi, a))))];
  }
  const pad = 0.05 * (hi - lo || Math.abs(hi) || 1);
  return [lo - (lo === 0 ? 0 : pad), hi + pad];
}

/** Ticks by decade, never more than fit. */
function decades(lo, hi, room) {
  const a = Math.ceil(Math.log10(lo) - 1e-9), b = Math.floor(Math.log10(hi) + 1e-9), every = Math.max(1, Math.ceil((b - a + 1) / room));
  const out = [];
  for (let e = a; e <= b; e += every) out.push(10 ** e);
  return out;
}
/** Not every font of a canvas has superscripts. */
const power = (v) => { if (!(v > 0)) return ""; const e = Math.round(Math.log10(v)); return e >= 0 && e < 4 ? String(10 ** e) : `1e${e}`; };

/**
 * A line plot that keeps its canvas between frames and is rebuilt only when its kind changes.
 */
export class Lines {
  /** @param {HTMLElement} box @param {(i: number|null) => void} [moved] */
  constructor(box, moved) {
    this.box = box; this.moved = moved; this.plot = null; this.key = ""; this.spec = null;
    new ResizeObserver(() => this.plot && this.plot.setSize(this.size())).observe(box);
  }
  size() { return { width: Math.max(120, this.box.clientWidth), height: Math.max(120, this.box.clientHeight) }; }

  /**
   * @param {{x: ArrayLike<number>, series: {y: ArrayLike<number>, colour: string, dash?: number[], width?: number, fade?: number}[],
   *  log: boolean, logX: boolean, span: [number, number], level?: {y: number, text: string, colour?: string}[], bands?: [string, number, number][],
   *  hatch?: number|null, ceiling?: number, label: string}} spec
   */
  draw(spec) {
    this.spec = spec;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const key = [spec.log, spec.logX, dark, spec.series.map((s) => [s.colour, s.dash, s.width]).join(";")].join("|");
    const data = [spec.x, ...spec.series.map((s) => s.y)];
    if (key === this.key && this.plot) { this.plot.setData(data); return; }
    this.key = key;
    if (this.plot) this.plot.destroy();
    this.box.replaceChildren();
    const text = colour("quiet"), grid = { stroke: colour("grid"), width: 1 }, font = "12px system-ui, sans-serif";
    const axis = { stroke: text, grid, ticks: { show: false }, font };
    const opts = {
      ...this.size(), legend: { show: false }, padding: [8, 22, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "eoslab" } },
      scales: {
        x: { time: false, distr: spec.logX ? 3 : 1, range: () => this.spec.logX ? [Math.max(1, this.spec.span[0]), Math.max(10, this.spec.span[1])] : this.spec.span },
        y: { distr: spec.log ? 3 : 1, range: (u, lo, hi) => this.yRange(lo, hi) },
      },
      axes: [
        { ...axis, size: 30, ...(spec.logX ? { splits: (u) => decades(u.scales.x.min, u.scales.x.max, 6), filter: (u, v) => v, values: (u, v) => v.map(power) } : { values: (u, v) => v.map((n) => n.toLocaleString("en")) }) },
        { ...axis, size: 52, ...(spec.log ? { splits: (u) => decades(u.scales.y.min, u.scales.y.max, 7), filter: (u, v) => v, values: (u, v) => v.map(power) } : {}) },
      ],
      series: [{}, ...spec.series.map((s) => ({ stroke: s.fade ? faded(s.colour, s.fade) : s.colour, width: s.width ?? 1.5, dash: s.dash, points: { show: false }, spanGaps: false }))],
      hooks: {
        drawClear: [(u) => this.under(u)], draw: [(u) => this.over(u)],
        setCursor: [(u) => this.moved && u.cursor.event && this.moved(u.cursor.idx ?? null)],
      },
    };
    this.plot = new uPlot(opts, data, this.box);
  }
  yRange(lo, hi) {
    const s = this.spec;
    for (const l of s.level ?? []) if (Number.isFinite(l.y) && !s.log) { lo = Math.min(lo, l.y); hi = Math.max(hi, l.y); }
    if (s.ceiling && hi > s.ceiling) hi = s.ceiling;
    if (!s.log) lo = Math.min(0, lo);
    if (s.ceiling) lo = Math.max(lo, -s.ceiling);
    return range(lo, hi, s.log);
  }
  under(u) {
    const c = u.ctx, { left, top, width, height } = u.bbox, ratio = devicePixelRatio;
    c.save(); c.beginPath(); c.rect(left, top, width, height); c.clip();
    const names = { "progressive sharpening": "ps", "edge of stability": "eos", "monotone convergence": "final" };
    c.font = `${11 * ratio}px system-ui, sans-serif`; c.textBaseline = "top";
    for (const [name, a, b] of this.spec.bands ?? []) {
      if (!(name in names)) continue;
      const x0 = Math.max(left, u.valToPos(this.spec.logX ? Math.max(a, 1) : a, "x", true)), x1 = Math.min(left + width, u.valToPos(this.spec.logX ? Math.max(b, 1) : b, "x", true));
      c.fillStyle = colour(names[name]); c.fillRect(x0, top, x1 - x0, height);
      c.fillStyle = colour("quiet");
      const label = [name, name.split(" ").map((w) => w[0].toUpperCase()).join(""), ""].find((t) => c.measureText(t).width + 8 * ratio < x1 - x0);
      if (label) c.fillText(label, x0 + 4 * ratio, top + 3 * ratio);
    }
    if (this.spec.hatch !== null && this.spec.hatch !== undefined) {
      const x0 = u.valToPos(Math.max(this.spec.hatch, this.spec.logX ? 1 : 0), "x", true);
      c.beginPath(); c.rect(x0, top, left + width - x0, height); c.clip(); c.strokeStyle = colour("line"); c.lineWidth = ratio;
      c.beginPath();
      for (let x = x0 - height; x < left + width; x += 9 * ratio) { c.moveTo(x, top + height); c.lineTo(x + height, top); }
      c.stroke();
    }
    c.restore();
  }
  over(u) {
    const c = u.ctx, { left, top, width, height } = u.bbox, ratio = devicePixelRatio;
    c.save(); c.beginPath(); c.rect(left, top, width, height); c.clip();
    c.font = `${12 * ratio}px system-ui, sans-serif`; c.textAlign = "right"; c.textBaseline = "bottom";
    for (const l of this.spec.level ?? []) {
      if (!Number.isFinite(l.y)) continue;
      const y = u.valToPos(l.y, "y", true);
      c.strokeStyle = l.colour ?? colour("text"); c.lineWidth = 1.4 * ratio; c.setLineDash([1.5 * ratio, 3.5 * ratio]);
      c.beginPath(); c.moveTo(left, y); c.lineTo(left + width, y); c.stroke(); c.setLineDash([]);
      if (l.text) { c.fillStyle = colour("text"); c.fillText(l.text, left + width - 5 * ratio, y - 3 * ratio); }
    }
    if (this.spec.mark !== undefined && this.spec.mark !== null) {
      const x = u.valToPos(this.spec.logX ? Math.max(1, this.spec.mark) : this.spec.mark, "x", true);
      c.strokeStyle = colour("quiet"); c.lineWidth = ratio; c.beginPath(); c.moveTo(x, top); c.lineTo(x, top + height); c.stroke();
    }
    c.restore();
  }
}

/** A canvas that fills its box at the density of the screen. @param {HTMLElement} box */
export function canvasOf(box) {
  let canvas = box.querySelector("canvas");
  if (!canvas) { canvas = document.createElement("canvas"); box.append(canvas); }
  const ratio = devicePixelRatio, w = Math.max(100, box.clientWidth), h = Math.max(100, box.clientHeight);
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    canvas.style.width = `${w}px`; canvas.style.height = `${h}px`;
  }
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { canvas, c, w, h };
}

/** Ticks at round numbers. */
export function ticks(lo, hi, room) {
  const raw = (hi - lo) / Math.max(1, room), base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * base).find((s) => s >= raw) ?? raw, out = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi * (1 + 1e-12) + 1e-12 * step && out.length < 40; k++) out.push(Number((k * step).toPrecision(12)));
  return out;
}

/**
 * Two components of the iterate, even and odd steps apart.
 * @param {HTMLElement} box
 * @param {{x: Float32Array, y: Float32Array, step: Float32Array, names: string[], edge?: number, at: number, escapes: boolean}} d
 */
export function portrait(box, d) {
  const { c, w, h } = canvasOf(box), m = { l: 52, r: 12, t: 8, b: 34 };
  c.clearRect(0, 0, w, h);
  // a run that escapes is shown while it is near its start
  const far = d.escapes ? 10 * Math.max(1, Math.abs(d.x[0]), Math.abs(d.y[0])) : Infinity;
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < d.x.length; i++) {
    const x = d.x[i], y = d.y[i];
    if (Math.abs(x) < far && Math.abs(y) < far) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
  }
  if (!(x1 >= x0)) return;
  if (d.edge && d.edge < x1 + 3 * (x1 - x0)) { x0 = Math.min(x0, d.edge); x1 = Math.max(x1, d.edge); }
  const px = 0.06 * (x1 - x0 || Math.abs(x1) || 1), py = 0.08 * (y1 - y0 || Math.abs(y1) || 1);
  x0 -= px; x1 += px; y0 -= py; y1 += py;
  const X = (x) => m.l + (x - x0) / (x1 - x0) * (w - m.l - m.r), Y = (y) => h - m.b - (y - y0) / (y1 - y0) * (h - m.t - m.b);
  c.font = "12px system-ui, sans-serif"; c.fillStyle = colour("quiet"); c.strokeStyle = colour("grid"); c.lineWidth = 1;
  c.textAlign = "center"; c.textBaseline = "top";
  for (const t of ticks(x0, x1, w / 90)) { c.beginPath(); c.moveTo(X(t), m.t); c.lineTo(X(t), h - m.b); c.stroke(); c.fillText(String(t), X(t), h - m.b + 4); }
  c.textAlign = "right"; c.textBaseline = "middle";
  for (const t of ticks(y0, y1, h / 45)) { c.beginPath(); c.moveTo(m.l, Y(t)); c.lineTo(w - m.r, Y(t)); c.stroke(); c.fillText(Math.abs(t) >= 1e4 || (t && Math.abs(t) < 1e-3) ? t.toExponential() : String(t), m.l - 6, Y(t)); }
  c.textAlign = "right"; c.textBaseline = "bottom"; c.fillText(d.names[0], w - m.r, h - 2);
  c.textAlign = "left"; c.textBaseline = "top"; c.fillText(d.names[1], m.l + 5, m.t + 2);
  if (d.edge) {
    c.strokeStyle = colour("text"); c.setLineDash([1.5, 3.5]); c.beginPath(); c.moveTo(X(d.edge), m.t); c.lineTo(X(d.edge), h - m.b); c.stroke(); c.setLineDash([]);
    c.fillStyle = colour("text"); c.textAlign = X(d.edge) > w - 70 ? "right" : "left"; c.fillText("edge", X(d.edge) + (X(d.edge) > w - 70 ? -5 : 5), m.t + 2);
  }
  for (const parity of [0, 1]) {
    c.fillStyle = colour(parity ? "red" : "blue"); c.globalAlpha = 0.75;
    c.beginPath();
    for (let i = 0; i < d.x.length; i++) if (d.step[i] % 2 === parity && Math.abs(d.x[i]) < far && Math.abs(d.y[i]) < far) c.rect(X(d.x[i]) - 1, Y(d.y[i]) - 1, 2, 2);
    c.fill();
  }
  c.globalAlpha = 1; c.lineWidth = 2;
  c.strokeStyle = colour("text"); c.beginPath(); c.arc(X(d.x[0]), Y(d.y[0]), 4.5, 0, 7); c.stroke();
  const i = Math.min(d.at, d.x.length - 1);
  if (!(Math.abs(d.x[i]) < far && Math.abs(d.y[i]) < far)) return;
  c.fillStyle = colour("card"); c.beginPath(); c.arc(X(d.x[i]), Y(d.y[i]), 5, 0, 7); c.fill();
  c.fillStyle = colour(d.step[i] % 2 ? "red" : "blue"); c.beginPath(); c.arc(X(d.x[i]), Y(d.y[i]), 3.5, 0, 7); c.fill();
}
