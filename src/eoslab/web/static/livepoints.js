// The measured steps of a run in the making: columns that grow, and what of them is drawn.

/** Room for so many steps at first; it is doubled when it is full. */
const ROOM = 4096;

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
   * Indices of the steps that are drawn: of each column of pixels the extremes of every line, and one of the
   * failed measurements, so that a gap stays a gap; -1 stands for a gap between two of them.
   * @param {number} columns
   * @returns {Int32Array}
   */
  drawn(columns) {
    const n = this.length;
    const lines = [this.loss, this.sharpness, ...this.eigenvalues];
    const whole = n <= 2 * columns;
    const wide = (this.last - this.step[0]) / columns || 1;
    /** @type {number[]} */
    const kept = [];
    const least = new Int32Array(lines.length);
    const most = new Int32Array(lines.length);
    let begin = 0;
    while (begin < n) {
      const column = Math.floor((this.step[begin] - this.step[0]) / wide);
      let end = begin + 1;
      while (end < n && !whole && Math.floor((this.step[end] - this.step[0]) / wide) === column) {
        end += 1;
      }
      if (end - begin <= 2) {
        for (let i = begin; i < end; i++) {
          kept.push(i);
        }
      } else {
        kept.push(...this.extremes(lines, begin, end, least, most));
      }
      begin = end;
    }
    return this.parted(kept);
  }

  /**
   * @param {Float64Array[]} lines
   * @param {number} begin
   * @param {number} end
   * @param {Int32Array} least
   * @param {Int32Array} most
   */
  extremes(lines, begin, end, least, most) {
    const found = new Set([begin, end - 1]);
    for (let k = 0; k < lines.length; k++) {
      const line = lines[k];
      least[k] = -1;
      most[k] = -1;
      let failed = -1;
      for (let i = begin; i < end; i++) {
        const v = line[i];
        if (v !== v) {
          failed = i;
        } else {
          least[k] = least[k] < 0 || v < line[least[k]] ? i : least[k];
          most[k] = most[k] < 0 || v > line[most[k]] ? i : most[k];
        }
      }
      for (const i of [least[k], most[k], failed]) {
        if (i >= 0) {
          found.add(i);
        }
      }
    }
    return [...found].sort((a, b) => a - b);
  }

  /** Gaps put between neighbours. @param {number[]} kept */
  parted(kept) {
    /** @type {number[]} */
    const found = [];
    for (let j = 0; j < kept.length; j++) {
      if (j > 0 && this.gaps[kept[j]] !== this.gaps[kept[j - 1]]) {
        found.push(-1);
      }
      found.push(kept[j]);
    }
    return Int32Array.from(found);
  }
}
