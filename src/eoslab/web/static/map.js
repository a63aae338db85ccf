// The phase map: rows arrive from coarse to fine; the old map stays, greyed, until the first new one is there.
import { canvasOf, colour, ticks } from "./plots.js";
import { fullQuery, show } from "./state.js";

export const TITLES = ["stable", "edge", "edge, unsettled", "catapult", "diverges", "no threshold"];
const FILLS = ["#56B4E9", "#E69F00", "#D55E00", "#CC79A7", "#6e7781", "#b8c0c8"];

/** The axes that a state offers, each with a range around what is usual. */
export function axesOf(state, catalogue) {
  const m = catalogue.models[state.model], out = { lr: { label: "learning rate η", lo: state.model === "minimalist" ? 0.5 : m.lr / 10, hi: state.model === "minimalist" ? 5 : m.lr * 4, log: false } };
  if (state.model === "minimalist") out.ratio = { label: "λ₂/λ₁", lo: 2e-4, hi: 0.5, log: true };
  for (const [name, value] of Object.entries(m.settings)) if (value > 0) out[name] = { label: name, lo: value / 30, hi: value * 30, log: true };
  m.params.forEach((name, i) => {
    const v = m.start[i];
    out[`${name}_0`] = v > 0 && v < 0.05 ? { label: `${name} at the start`, lo: 1e-6, hi: 1, log: true } : { label: `${name} at the start`, lo: 0.02, hi: Math.max(2, 2 * v), log: false };
  });
  return out;
}

/** Where a state lies on an axis. */
export function valueOn(name, state, catalogue) {
  if (name === "ratio") return state.lambda2 / state.lambda1;
  if (name.endsWith("_0")) return state.init[catalogue.models[state.model].params.indexOf(name.slice(0, -2))];
  return state[name];
}

/** The state at a place of the map. */
export function placed(name, value, state, catalogue) {
  if (name === "ratio") return { ...state, lambda2: value * state.lambda1 };
  if (name.endsWith("_0")) {
    const init = [...state.init];
    init[catalogue.models[state.model].params.indexOf(name.slice(0, -2))] = value;
    return { ...state, init };
  }
  return { ...state, [name]: value };
}

export class PhaseMap {
  /** @param {HTMLElement} box @param {{n: [number, number], open: (x: number, y: number) => void, hover?: (text: string) => void, progress?: (p: number, running: boolean) => void, failed?: (text: string) => void}} options */
  constructor(box, options) {
    this.box = box; this.options = options; this.key = ""; this.quantity = "regime"; this.axes = ["lr", "ratio"];
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0; canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", "Phase map. Arrow keys move the marker, Enter opens the trajectory.");
    box.append(canvas);
    this.canvas = canvas; this.marker = null;
    new ResizeObserver(() => this.draw()).observe(box);
    canvas.addEventListener("click", (e) => { const c = this.cellAt(e); if (c) this.openCell(c); });
    canvas.addEventListener("mousemove", (e) => { const c = this.cellAt(e); this.say(c); });
    canvas.addEventListener("keydown", (e) => this.keyed(e));
  }
  cancel() { this.abort?.abort(); }
  /** Compute the map around a state, unless it is there already. */
  async update(state, catalogue) {
    this.state = state; this.catalogue = catalogue;
    const all = axesOf(state, catalogue), names = Object.keys(all);
    this.axes = this.axes.map((a, i) => (a in all ? a : names.filter((n) => n !== this.axes[1 - i])[i]));
    const query = fullQuery(state);
    for (const axis of this.axes) for (const over of axis === "ratio" ? ["lambda2"] : [axis]) query.delete(over);
    if (this.axes.some((a) => a.endsWith("_0"))) {
      const init = state.init.map((v, i) => this.axes.includes(`${catalogue.models[state.model].params[i]}_0`) ? "0.5" : v);
      query.set("init", init.join(","));
    }
    if (this.axes.includes("lr")) query.set("lr", "1");
    for (const [i, which] of ["map_x", "map_y"].entries()) {
      const a = all[this.axes[i]];
      query.set(which, this.axes[i]); query.set(`${which}_lo`, a.lo); query.set(`${which}_hi`, a.hi);
      query.set(`${which}_log`, a.log ? 1 : 0); query.set(`${which}_n`, this.options.n[i]);
    }
    this.labels = this.axes.map((a) => all[a].label);
    const key = query.toString();
    if (key === this.key) { this.draw(); return; }
    this.key = key;
    this.cancel();
    const abort = this.abort = new AbortController();
    this.box.classList.add("stale");
    try {
      const answer = await fetch(`/api/diagram?${query}`, { signal: abort.signal });
      if (!answer.ok) { this.options.failed?.((await answer.json()).error.message); return; }
      this.options.failed?.("");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "", head = null, done = 0, last = 0;
      for (;;) {
        const { value, done: end } = await reader.read();
        if (end) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const item = JSON.parse(line);
          if (!head) { head = item; this.head = item; this.rows = new Array(item.y.values.length).fill(null); this.box.classList.remove("stale"); delete this.box.dataset.ready; continue; }
          done++;
          for (let k = item.row; k < Math.min(item.row + item.stands_for, this.rows.length); k++) if (k === item.row || !this.rows[k] || this.rows[k].row !== k) this.rows[k] = item;
        }
        this.options.progress?.(done / this.rows.length, true);
        if (performance.now() - last > 40) { this.draw(); last = performance.now(); }
      }
      this.draw(); this.options.progress?.(1, false);
      this.box.dataset.ready = "1";
    } catch (error) {
      if (!abort.signal.aborted) this.options.failed?.("The map could not be computed; the server does not answer.");
      else if (abort === this.abort) { this.options.progress?.(0, false); this.key = ""; }
    }
  }
  frame() { const { w, h } = canvasOf(this.box); return { l: 58, t: 6, w: w - 70, h: h - 44, W: w, H: h }; }
  position(axis, value, log) { const v = axis.values, f = log ? Math.log : (x) => x; return (f(value) - f(v[0])) / (f(v[v.length - 1]) - f(v[0])); }
  draw() {
    if (!this.head || this.box.clientWidth === 0) return;
    const { c, w, h } = canvasOf(this.box), f = this.frame(), { x, y } = this.head, nx = x.values.length, ny = y.values.length;
    c.clearRect(0, 0, w, h);
    const cw = f.w / nx, ch = f.h / ny;
    for (let j = 0; j < ny; j++) {
      const row = this.rows[j];
      if (!row) continue;
      for (let i = 0; i < nx; i++) {
        c.fillStyle = this.fill(row, i);
        c.fillRect(f.l + i * cw, f.t + (ny - 1 - j) * ch, cw + 0.6, ch + 0.6);
      }
    }
    if (this.quantity === "regime") this.hatch(c, f, nx, ny, cw, ch);
    c.fillStyle = colour("quiet"); c.font = "12px system-ui, sans-serif"; c.textAlign = "center"; c.textBaseline = "top";
    for (const [value, text] of this.marks(x, f.w / 80)) c.fillText(text, f.l + f.w * this.position(x, value, x.scale === "log"), f.t + f.h + 4);
    c.textAlign = "right"; c.textBaseline = "middle";
    for (const [value, text] of this.marks(y, f.h / 45)) c.fillText(text, f.l - 6, f.t + f.h * (1 - this.position(y, value, y.scale === "log")));
    c.textAlign = "right"; c.textBaseline = "bottom"; c.fillText(this.labels[0], f.l + f.w, h - 1);
    c.save(); c.translate(11, f.t + 2); c.rotate(-Math.PI / 2); c.textAlign = "right"; c.textBaseline = "middle"; c.fillText(this.labels[1], 0, 0); c.restore();
    const here = [valueOn(this.axes[0], this.state, this.catalogue), valueOn(this.axes[1], this.state, this.catalogue)];
    const px = f.l + f.w * this.position(x, here[0], x.scale === "log"), py = f.t + f.h * (1 - this.position(y, here[1], y.scale === "log"));
    if (px >= f.l - 1 && px <= f.l + f.w + 1 && py >= f.t - 1 && py <= f.t + f.h + 1) this.ring(c, px, py, 6);
    if (this.marker) { c.strokeStyle = "#fff"; c.lineWidth = 3; const r = [f.l + this.marker.i * cw - 1, f.t + (ny - 1 - this.marker.j) * ch - 1, cw + 2, ch + 2]; c.strokeRect(...r); c.strokeStyle = "#000"; c.lineWidth = 1.5; c.strokeRect(...r); }
  }
  ring(c, x, y, r) {
    for (const [stroke, width] of [["#fff", 4], ["#1b1f24", 2]]) { c.strokeStyle = stroke; c.lineWidth = width; c.beginPath(); c.arc(x, y, r, 0, 7); c.stroke(); }
    c.fillStyle = "#1b1f24"; c.beginPath(); c.arc(x, y, 2, 0, 7); c.fill();
  }
  fill(row, i) {
    if (this.quantity === "regime") return FILLS[row.regime[i]] ?? "transparent";
    if (this.quantity === "ratio") {
      const r = row.ratio[i];
      if (r === null) return "#6e7781";
      // diverging around the edge: blue below, white on it, red above
      const t = Math.max(-1, Math.min(1, (r - 1) / 0.5)), s = Math.sqrt(Math.abs(t));
      const to = t < 0 ? [0, 114, 178] : [213, 94, 0];
      return `rgb(${to.map((v) => Math.round(250 + (v - 250) * s)).join(",")})`;
    }
    const s = row.crossing[i];
    if (s < 0) return "#dfe5ea";
    const t = Math.log1p(s) / Math.log1p(this.state.steps);
    return `hsl(${260 - 200 * t} 55% ${28 + 45 * t}%)`;
  }
  /** Colour is not the only sign: a hatch for the edge, crosses where it is unsettled, dots where it diverges. */
  hatch(c, f, nx, ny, cw, ch) {
    c.strokeStyle = c.fillStyle = "rgba(0,0,0,.33)"; c.lineWidth = 1; c.beginPath();
    const d = 9;
    for (let a = 0; a * d < f.w; a++) for (let b = 0; b * d < f.h; b++) {
      const X = f.l + a * d + d / 2, Y = f.t + b * d + d / 2, i = Math.floor((X - f.l) / cw), j = ny - 1 - Math.floor((Y - f.t) / ch), code = this.rows[j]?.regime[i];
      if (code === 1 || code === 2) { c.moveTo(X - 2.5, Y + 2.5); c.lineTo(X + 2.5, Y - 2.5); }
      if (code === 2) { c.moveTo(X - 2.5, Y - 2.5); c.lineTo(X + 2.5, Y + 2.5); }
      if (code === 4) { c.moveTo(X + 1, Y); c.arc(X, Y, 1, 0, 7); }
      if (code === 3) { c.moveTo(X - 2.5, Y); c.lineTo(X + 2.5, Y); }
    }
    c.stroke();
  }
  marks(axis, room) {
    const lo = axis.values[0], hi = axis.values[axis.values.length - 1];
    if (axis.scale !== "log") return ticks(lo, hi, room).filter((t) => t >= lo && t <= hi).map((t) => [t, String(t)]);
    const out = [];
    for (let e = Math.ceil(Math.log10(lo) - 1e-9); e <= Math.log10(hi) + 1e-9; e++) out.push([10 ** e, show(10 ** e)]);
    return out;
  }
  cellAt(e) {
    if (!this.head) return null;
    const f = this.frame(), b = this.canvas.getBoundingClientRect(), nx = this.head.x.values.length, ny = this.head.y.values.length;
    const i = Math.floor((e.clientX - b.left - f.l) / f.w * nx), j = ny - 1 - Math.floor((e.clientY - b.top - f.t) / f.h * ny);
    return i >= 0 && i < nx && j >= 0 && j < ny ? { i, j } : null;
  }
  openCell({ i, j }) { this.options.open(this.head.x.values[i], this.head.y.values[j]); }
  say(cell) {
    if (!cell || !this.rows[cell.j] || !this.options.hover) return;
    const row = this.rows[cell.j], ratio = row.ratio[cell.i];
    this.options.hover(`${this.labels[0]} ${show(this.head.x.values[cell.i])} · ${this.labels[1]} ${show(this.head.y.values[cell.j])} · ${TITLES[row.regime[cell.i]]}` +
      (ratio === null ? "" : ` · final η·S/2 ${show(ratio)}`));
  }
  keyed(e) {
    if (!this.head) return;
    const nx = this.head.x.values.length, ny = this.head.y.values.length, by = e.shiftKey ? 10 : 1;
    const move = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, by], ArrowDown: [0, -by] }[e.key];
    if (!this.marker) {
      const near = (axis, name) => { const v = valueOn(name, this.state, this.catalogue); return axis.values.reduce((best, x, k) => Math.abs(Math.log(Math.abs(x / v))) < Math.abs(Math.log(Math.abs(axis.values[best] / v))) ? k : best, 0); };
      if (move || e.key === "Enter") this.marker = { i: near(this.head.x, this.axes[0]), j: near(this.head.y, this.axes[1]) };
    }
    if (move) { this.marker = { i: Math.max(0, Math.min(nx - 1, this.marker.i + move[0])), j: Math.max(0, Math.min(ny - 1, this.marker.j + move[1])) }; this.draw(); this.say(this.marker); e.preventDefault(); }
    if (e.key === "Enter" && this.marker) { e.preventDefault(); this.openCell(this.marker); }
  }
}
