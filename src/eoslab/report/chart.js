// The charts of a report: each element of class "chart" is unpacked, drawn by uPlot, and put before its drawing.
"use strict";

/**
 * @typedef {{run: number, column: number, name: string, colour: string, dash: number[]}} Line
 * @typedef {{y: number, text: string, colour: string}} Level
 * @typedef {{label: string, log: boolean, lines: Line[], levels: Level[], ceiling: number | null}} Panel
 * @typedef {{name: string, from: number, to: number, colour: string}} Band
 * @typedef {{panels: Panel[], bands: Band[], crossing: number | null, runs: {n: number, columns: number}[]}} Head
 * @typedef {(number | null | undefined)[]} Values
 */

(() => {
  /** Nothing below this is drawn on a logarithmic axis. */
  const FLOOR = 1e-16;
  const HEIGHT = 230;

  /** A colour of the page. @param {string} name */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** Gzipped bytes in base64, unpacked. @param {string} text */
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  /**
   * The head, and for each run its columns; what is not a number is null.
   * @param {ArrayBuffer} buffer
   */
  function decoded(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    /** @type {Head} */
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let at = 4 + length;
    const runs = head.runs.map(({ n, columns }) => {
      const table = [];
      for (let k = 0; k < columns; k++, at += 4 * n) {
        table.push(Array.from(new Float32Array(buffer, at, n), (v) => (Number.isFinite(v) ? v : null)));
      }
      return table;
    });
    return { head, runs };
  }

  /** A number for reading. @param {number | null | undefined} v */
  function show(v) {
    if (v === null || v === undefined) {
      return "–";
    }
    const size = Math.abs(v);
    return v !== 0 && (size < 1e-3 || size >= 1e6) ? v.toExponential(2) : String(Number(v.toPrecision(4)));
  }

  /** Powers of ten, never more than fit. @param {number} lo @param {number} hi */
  function decades(lo, hi) {
    const first = Math.ceil(Math.log10(lo) - 1e-9);
    const last = Math.floor(Math.log10(hi) + 1e-9);
    const every = Math.max(1, Math.ceil((last - first + 1) / 7));
    return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every));
  }

  /**
   * The vertical range of a panel: never degenerate, never beyond where lines are cut.
   * @param {Panel} panel @param {number | null} lo @param {number | null} hi @returns {[number, number]}
   */
  function range(panel, lo, hi) {
    if (panel.log) {
      const a = 10 ** Math.floor(Math.log10(Math.max(lo ?? FLOOR, FLOOR)));
      const top = Math.min(hi ?? 1, panel.ceiling ?? Infinity);
      return [a, Math.max(10 * a, 10 ** Math.ceil(Math.log10(Math.max(top, FLOOR))))];
    }
    let bottom = Math.min(0, lo ?? 0);
    let top = Math.max(hi ?? 1, ...panel.levels.map((level) => level.y));
    if (panel.ceiling !== null) {
      top = Math.min(top, panel.ceiling);
      bottom = Math.max(bottom, -panel.ceiling);
    }
    return [bottom * 1.05, bottom + (top - bottom || 1) * 1.12];
  }

  class Chart {
    /** @param {HTMLElement} box @param {Head} head @param {Values[][]} runs */
    constructor(box, head, runs) {
      this.box = box;
      this.head = head;
      this.runs = runs;
      /** @type {uPlot[]} */
      this.plots = [];
      const last = Math.max(1, ...runs.map((run) => run[0].at(-1) ?? 0));
      /** @type {[number, number]} */
      this.whole = [0, last];
      this.span = this.whole;
      this.readout = document.createElement("output");
      this.readout.textContent = "Point at a step to read its values.";
      const tools = document.createElement("div");
      tools.className = "tools";
      const reset = document.createElement("button");
      reset.type = "button";
      reset.textContent = "Whole run";
      reset.addEventListener("click", () => this.zoom(this.whole));
      const hint = document.createElement("span");
      hint.textContent = "Drag to zoom.";
      tools.append(reset, hint);
      this.bodies = head.panels.map((panel) => this.section(panel));
      box.replaceChildren(...this.bodies.flatMap((body) => [body.title, body.plot]), this.readout, tools);
    }

    /** Title, key and place of a panel. @param {Panel} panel */
    section(panel) {
      const title = document.createElement("h4");
      title.append(panel.label);
      const keys = panel.lines.length > 1 ? panel.lines : [];
      for (const line of keys) {
        const key = document.createElement("span");
        const mark = document.createElement("i");
        key.className = "key";
        mark.style.borderTopColor = `var(${line.colour})`;
        if (line.dash.length) {
          mark.style.borderTopStyle = "dashed";
        }
        key.append(mark, line.name);
        title.append(key);
      }
      if (panel.label === "loss") {
        const scale = document.createElement("button");
        scale.type = "button";
        const say = () => {
          scale.textContent = panel.log ? "log" : "linear";
        };
        scale.addEventListener("click", () => {
          panel.log = !panel.log;
          say();
          this.draw();
        });
        say();
        title.append(scale);
      }
      return { title, plot: document.createElement("div") };
    }

    /** @param {[number, number]} span */
    zoom(span) {
      this.span = span[1] - span[0] >= 2 ? span : this.whole;
      for (const plot of this.plots) {
        plot.setScale("x", { min: this.span[0], max: this.span[1] });
      }
    }

    draw() {
      for (const plot of this.plots) {
        plot.destroy();
      }
      this.plots = this.head.panels.map((panel, i) => this.panel(panel, this.bodies[i].plot));
    }

    /** @param {Panel} panel @param {HTMLElement} place */
    panel(panel, place) {
      // runs have steps of their own: joined, what one lacks is undefined (drawn through), what is null is a gap
      const used = [...new Set(panel.lines.map((line) => line.run))];
      const tables = used.map((run) => [
        this.runs[run][0],
        ...panel.lines
          .filter((line) => line.run === run)
          .map((line) => this.runs[run][line.column].map((v) => (panel.log && !(Number(v) > FLOOR) ? null : v))),
      ]);
      const lines = used.flatMap((run) => panel.lines.filter((line) => line.run === run));
      const data = uPlot.join(tables);
      const axis = {
        stroke: colour("--soft"),
        grid: { stroke: colour("--rule"), width: 1 },
        ticks: { show: false },
      };
      const log = panel.log
        ? {
            splits: (/** @type {uPlot} */ u) => decades(u.scales.y.min, u.scales.y.max),
            filter: (/** @type {uPlot} */ _, /** @type {number[]} */ v) => v,
            values: (/** @type {uPlot} */ _, /** @type {number[]} */ v) => v.map((x) => x.toExponential(0)),
          }
        : {};
      return new uPlot(
        {
          width: this.box.clientWidth,
          height: HEIGHT,
          padding: [8, 24, 0, 0],
          legend: { show: false },
          cursor: { y: false, sync: { key: this.box.id }, drag: { x: true, y: false, setScale: false } },
          scales: {
            x: { time: false, range: () => this.span },
            y: {
              distr: panel.log ? 3 : 1,
              range: (/** @type {uPlot} */ _, /** @type {any} */ lo, /** @type {any} */ hi) =>
                range(panel, lo, hi),
            },
          },
          axes: [
            {
              ...axis,
              size: 30,
              values: (/** @type {uPlot} */ _, /** @type {number[]} */ v) => v.map((x) => x.toLocaleString("en")),
            },
            { ...axis, size: 56, ...log },
          ],
          series: [
            {},
            ...lines.map((line) => ({
              stroke: colour(line.colour),
              width: 1.4,
              dash: line.dash,
              points: { show: false },
              spanGaps: false,
              pxAlign: 0,
            })),
          ],
          hooks: {
            drawClear: [(/** @type {uPlot} */ u) => this.phases(u)],
            draw: [(/** @type {uPlot} */ u) => this.levels(u, panel)],
            setCursor: [(/** @type {uPlot} */ u) => this.read(u)],
            setSelect: [
              (/** @type {uPlot} */ u) => {
                if (u.select.width < 4) {
                  return;
                }
                this.zoom([
                  Math.max(0, u.posToVal(u.select.left, "x")),
                  u.posToVal(u.select.left + u.select.width, "x"),
                ]);
                u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              },
            ],
          },
        },
        data,
        place,
      );
    }

    /** The phases as bands with their names, and the first crossing. @param {uPlot} u */
    phases(u) {
      const { left, top, width, height } = u.bbox;
      const ratio = devicePixelRatio;
      const c = u.ctx;
      c.save();
      c.beginPath();
      c.rect(left, top, width, height);
      c.clip();
      c.font = `${11 * ratio}px system-ui, sans-serif`;
      c.textBaseline = "top";
      for (const band of this.head.bands) {
        const a = Math.max(left, u.valToPos(band.from, "x", true));
        const b = Math.min(left + width, u.valToPos(band.to, "x", true));
        c.globalAlpha = 0.12;
        c.fillStyle = colour(band.colour);
        c.fillRect(a, top, b - a, height);
        c.globalAlpha = 1;
        c.fillStyle = colour("--soft");
        if (c.measureText(band.name).width + 8 * ratio < b - a) {
          c.fillText(band.name, a + 4 * ratio, top + 3 * ratio);
        }
      }
      if (this.head.crossing !== null) {
        const x = u.valToPos(this.head.crossing, "x", true);
        c.strokeStyle = colour("--soft");
        c.lineWidth = ratio;
        c.setLineDash([1.5 * ratio, 3.5 * ratio]);
        c.beginPath();
        c.moveTo(x, top);
        c.lineTo(x, top + height);
        c.stroke();
      }
      c.restore();
    }

    /** The thresholds, dotted. @param {uPlot} u @param {Panel} panel */
    levels(u, panel) {
      const { left, top, width, height } = u.bbox;
      const ratio = devicePixelRatio;
      const c = u.ctx;
      c.save();
      c.beginPath();
      c.rect(left, top, width, height);
      c.clip();
      c.font = `${12 * ratio}px system-ui, sans-serif`;
      c.textAlign = "right";
      c.textBaseline = "bottom";
      for (const level of panel.levels) {
        const y = u.valToPos(level.y, "y", true);
        c.strokeStyle = colour(level.colour);
        c.lineWidth = 1.4 * ratio;
        c.setLineDash([1.5 * ratio, 3.5 * ratio]);
        c.beginPath();
        c.moveTo(left, y);
        c.lineTo(left + width, y);
        c.stroke();
        c.fillStyle = colour("--ink");
        if (panel.levels.length === 1) {
          c.fillText(level.text, left + width - 5 * ratio, y - 3 * ratio);
        }
      }
      c.restore();
    }

    /** The values at the pointer. @param {uPlot} u */
    read(u) {
      const { idx } = u.cursor;
      if (idx === null || idx === undefined || !u.cursor.event) {
        return;
      }
      const at = Number(u.data[0][idx]);
      const words = [`step ${at.toLocaleString("en")}`];
      for (const panel of this.head.panels) {
        const values = panel.lines.map((line) => {
          // runs are thinned at steps of their own: the nearest one
          const step = this.runs[line.run][0];
          let i = step.findIndex((s) => Number(s) >= at);
          if (i < 0) {
            i = step.length - 1;
          }
          const name = line.name === panel.label ? "" : `${line.name} `;
          return name + show(this.runs[line.run][line.column][i]);
        });
        words.push(`${panel.label} ${values.join(", ")}`);
      }
      this.readout.textContent = words.join(" · ");
    }
  }

  /** @param {HTMLElement} box @param {number} number */
  async function begin(box, number) {
    const { head, runs } = decoded(await unpacked(box.dataset.packed ?? ""));
    box.id ||= `chart-${number}`;
    box.hidden = false;
    box.removeAttribute("data-packed");
    const chart = new Chart(box, head, runs);
    box.closest("figure")?.querySelector(".drawn")?.classList.add("replaced");
    chart.draw();
    let width = box.clientWidth;
    new ResizeObserver(() => {
      if (box.clientWidth === width || box.clientWidth === 0) {
        return;
      }
      width = box.clientWidth;
      for (const plot of chart.plots) {
        plot.setSize({ width, height: HEIGHT });
      }
    }).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.draw());
    box.dataset.ready = "";
  }

  // without DecompressionStream the drawings stay
  if ("DecompressionStream" in window) {
    document.querySelectorAll(".chart").forEach((box, i) => void begin(/** @type {HTMLElement} */ (box), i));
  }
})();
