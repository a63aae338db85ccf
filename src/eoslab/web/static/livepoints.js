// The measured steps of a run in the making: columns that grow, and what of them is drawn.

/** Room for so many steps at first; it is doubled when it is full. */
const ROOM = 4096;

/**
 * @typedef {object} Drawn what is drawn of the points
 * @property {number[]} x
 * @property {(number | null | undefined)[][]} lines loss, sharpness, then the eigenvalues
 * @property {number[]} evidence indices of the measurements whose error is shown: of each column the most doubtful
 */

/** @param {number} v */
const finite = (v) => (Number.isFinite(v) ? v : null);

/** Columns over steps. Steps only grow: a step that is there already is not taken again. */
export class Points {
  constructor() {
    this.length = 0;
    this.step = new Float64Array(ROOM);
    /** Loss, sharpness, and its bound; NaN where there is no number. */
    this.loss = new Float64Array(ROOM);
    this.sharpness = new Float64Array(ROOM);
    this.bound = new Float64Array(ROOM);
    /** 1 where the solver converged. */
    this.ok = new Uint8Array(ROOM);
    /** The largest eigenvalues, one column each. @type {Float64Array[]} */
    this.eigenvalues = [];
    /** Steps between two measurements: more than that between neighbours is a gap. */
    this.every = 1;
    /** How many gaps there are up to a step. */
    this.gaps = new Uint32Array(ROOM);
  }

  get last() {
    return this.length ? this.step[this.length - 1] : -1;
  }

  /** Make room for more. @param {number} most */
  grow(most) {
    let room = this.step.length;
    if (most <= room) {
      return;
    }
    while (room < most) {
      room *= 2;
    }
    /** @template {Float64Array | Uint8Array | Uint32Array} T @param {T} column @param {T} larger @returns {T} */
    const moved = (column, larger) => {
      larger.set(column);
      return larger;
    };
    this.step = moved(this.step, new Float64Array(room));
    this.loss = moved(this.loss, new Float64Array(room));
    this.sharpness = moved(this.sharpness, new Float64Array(room));
    this.bound = moved(this.bound, new Float64Array(room));
    this.ok = moved(this.ok, new Uint8Array(room));
    this.gaps = moved(this.gaps, new Uint32Array(room));
    this.eigenvalues = this.eigenvalues.map((column) => moved(column, new Float64Array(room)));
  }

  /** Add steps. @param {LivePoints} points */
  add(points) {
    this.grow(this.length + points.step.length);
    const width = points.eigenvalues[0]?.length ?? 0;
    while (this.eigenvalues.length < width) {
      this.eigenvalues.push(new Float64Array(this.step.length).fill(NaN));
    }
    for (let i = 0; i < points.step.length; i++) {
      if (points.step[i] > this.last) {
        const at = this.length;
        const gap = at > 0 && points.step[i] - this.last > this.every ? 1 : 0;
        this.step[at] = points.step[i];
        this.loss[at] = points.loss[i] ?? NaN;
        this.sharpness[at] = points.sharpness[i] ?? NaN;
        this.bound[at] = points.bound[i] ?? NaN;
        this.ok[at] = points.ok[i];
        this.gaps[at] = (at > 0 ? this.gaps[at - 1] : 0) + gap;
        for (let k = 0; k < this.eigenvalues.length; k++) {
          this.eigenvalues[k][at] = points.eigenvalues[i]?.[k] ?? NaN;
        }
        this.length += 1;
      }
    }
  }

  /** Forget a step and those after it. @param {number} step */
  cut(step) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.step[middle] < step) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    this.length = low;
  }

  /**
   * What is drawn: of each column of pixels the extremes of every line, in the order in which they came, and a null
   * where a measurement failed or steps are missing, so that a gap stays a gap. Few steps are drawn as they are.
   * @param {number} columns
   * @returns {Drawn}
   */
  drawn(columns) {
    const lines = [this.loss, this.sharpness, ...this.eigenvalues];
    /** @type {Drawn} */
    const found = { x: [], lines: lines.map(() => []), evidence: [] };
    const n = this.length;
    const wide = n > 2 * columns ? (this.last - this.step[0]) / columns : 0;
    let begin = 0;
    while (begin < n) {
      const end = wide ? this.columnEnd(begin, wide) : begin + 1;
      if (begin > 0 && this.gaps[begin] !== this.gaps[begin - 1]) {
        found.x.push((this.step[begin - 1] + this.step[begin]) / 2);
        found.lines.forEach((line) => line.push(null));
      }
      if (end - begin === 1) {
        found.x.push(this.step[begin]);
        lines.forEach((line, k) => found.lines[k].push(finite(line[begin])));
        found.evidence.push(begin);
      } else {
        this.column(lines, begin, end, found);
      }
      begin = end;
    }
    return found;
  }

  /**
   * The first index of the next column of pixels.
   * @param {number} begin
   * @param {number} wide steps in a column
   */
  columnEnd(begin, wide) {
    const limit = this.step[0] + wide * (Math.floor((this.step[begin] - this.step[0]) / wide) + 1);
    let end = begin + 1;
    while (end < this.length && this.step[end] < limit) {
      end += 1;
    }
    return end;
  }

  /**
   * Two places in a column hold the extremes; a third between them is null for the lines that have a gap there.
   * @param {Float64Array[]} lines
   * @param {number} begin
   * @param {number} end
   * @param {Drawn} found
   */
  column(lines, begin, end, found) {
    const first = this.step[begin];
    const last = this.step[end - 1];
    const parted = this.gaps[end - 1] !== this.gaps[begin];
    found.x.push(first, (first + last) / 2, last);
    for (let k = 0; k < lines.length; k++) {
      const line = lines[k];
      let least = -1;
      let most = -1;
      let failed = false;
      for (let i = begin; i < end; i++) {
        const v = line[i];
        if (v !== v) {
          failed = true;
        } else {
          least = least < 0 || v < line[least] ? i : least;
          most = most < 0 || v > line[most] ? i : most;
        }
      }
      const early = Math.min(least, most);
      const late = Math.max(least, most);
      const value = (/** @type {number} */ i) => (i < 0 ? null : line[i]);
      found.lines[k].push(value(early), parted || failed ? null : undefined, value(late));
    }
    let widest = begin;
    for (let i = begin; i < end; i++) {
      if (!this.ok[i] && this.ok[widest]) {
        widest = i;
      } else if (this.ok[i] === this.ok[widest] && this.bound[i] > this.bound[widest]) {
        widest = i;
      }
    }
    found.evidence.push(widest);
  }
}
