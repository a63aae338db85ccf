// The state of the page and its link. Keys are the names of the command's options.

/** Version of the defaults that a link relies on. */
export const VERSION = 1;

/** Settings that show one thing each; from eoslab run, and the textbook sets of docs/theory. */
/** @type {Record<string, {title: string, set: Partial<Settings>}>} */
export const PRESETS = {
  edge: { title: "Edge of stability", set: {} },
  stable: { title: "Stable", set: { lr: 1.5 } },
  cycles: { title: "Several cycles", set: { lr: 1.98, lambda2: 0.001, init: [1, 0.01, 0.1], steps: 4000 } },
  catapult: { title: "Catapult", set: { lr: 2.4, lambda2: 0.004, init: [1.1, 0.05, 0.8], steps: 1500 } },
  diverges: { title: "Diverges", set: { lr: 3, lambda2: 0.001, init: [3, 0.5, 0.1], steps: 500 } },
  M1: { title: "Theory M1: tame edge", set: { lr: 0.5, lambda2: 0.01, init: [1.95, 0.001, 0.2], steps: 3000 } },
  M2: { title: "Theory M2", set: { lr: 0.5, lambda2: 0.001, init: [1.99, 0.001, 0.1], steps: 6000 } },
  M4: { title: "Theory M4", set: { lr: 2, lambda2: 0.001, init: [0.98, 0.001, 0.93], steps: 8000 } },
  S1: {
    title: "Theory S1: five excursions",
    set: { lr: 3.125, lambda2: 1 / 300, init: [0.75, 0.001, 0.8], steps: 2500 },
  },
  S2: {
    title: "Theory S2: growing cycles",
    set: { lr: 200 / 49, lambda2: 0.001, init: [0.65, 0.001, 0.9], steps: 7000 },
  },
  S5: { title: "Theory S5", set: { lr: 2, lambda2: 0.001, init: [0.95, 0.001, 0.9], steps: 8000 } },
};

/** The number that a text means, fractions included; NaN if it means none. @param {string} text */
export function number(text) {
  const parts = text.trim().replace("−", "-").split("/");
  if (parts.length > 2 || parts.some((p) => p.trim() === "")) {
    return NaN;
  }
  const values = parts.map(Number);
  const value = parts.length === 2 ? values[0] / values[1] : values[0];
  return Number.isFinite(value) ? value : NaN;
}

/** A number for reading. @param {number|null|undefined} x @param {number} [digits] */
export function show(x, digits = 4) {
  if (x === null || x === undefined || !Number.isFinite(x)) {
    return "–";
  }
  if (x === 0) {
    return "0";
  }
  const size = Math.abs(x);
  if (size >= 1e6 || size < 1e-4) {
    const [m, e] = x.toExponential(digits - 2).split("e");
    return `${m.replace(/\.?0+$/, "")}e${Number(e)}`;
  }
  return String(Number(x.toPrecision(digits)));
}

/**
 * Defaults of a model with an optimizer.
 * @param {Catalogue} catalogue
 * @param {string} [model]
 * @param {string} [optimizer]
 * @returns {Settings}
 */
export function defaults(catalogue, model = "minimalist", optimizer = "gd") {
  const m = catalogue.models[model];
  return {
    model,
    optimizer,
    lr: m.lr,
    steps: catalogue.steps,
    init: [...m.start],
    ...m.settings,
    ...catalogue.optimizers[optimizer].settings,
  };
}

/**
 * The settings of a preset: the defaults, but for what it sets.
 * @param {Catalogue} catalogue
 * @param {Partial<Settings>} set
 * @returns {Settings}
 */
export function preset(catalogue, set) {
  const base = defaults(catalogue, set.model ?? "minimalist", set.optimizer ?? "gd");
  return /** @type {Settings} */ ({ ...base, ...structuredClone(set) });
}

/**
 * The settings that a link describes, and what was wrong with it.
 * @param {Catalogue} catalogue
 * @param {string} text
 */
export function fromQuery(catalogue, text) {
  const query = new URLSearchParams(text);
  /** @type {string[]} */
  const wrong = [];
  /** @param {string} key @param {object} table @param {string} fallback */
  const pick = (key, table, fallback) => {
    const value = query.get(key);
    if (value === null) {
      return fallback;
    }
    if (!(value in table)) {
      wrong.push(`${key}=${value}`);
      return fallback;
    }
    return value;
  };
  const model = pick("model", catalogue.models, "minimalist");
  let optimizer = pick("optimizer", catalogue.optimizers, "gd");
  if (!catalogue.optimizers[optimizer].models.includes(model)) {
    wrong.push(`optimizer=${optimizer}`);
    optimizer = "gd";
  }
  const state = defaults(catalogue, model, optimizer);
  /** @type {string[]} */
  const unknown = [];
  for (const [key, value] of query) {
    if (["v", "model", "optimizer", "view", "pin", "runs", "run", "x", "tour", "scale", "xscale"].includes(key)) {
      continue;
    }
    if (key === "init") {
      const init = value.split(",").map(number);
      if (init.length === state.init.length && init.every(Number.isFinite)) {
        state.init = init;
      } else {
        wrong.push(`init=${value}`);
      }
    } else if (key in state) {
      const x = number(value);
      const whole = x >= 1 && x <= catalogue.max_steps && x % 1 === 0;
      const fits = Number.isFinite(x) && (key !== "steps" || whole) && (key !== "lr" || x > 0);
      if (fits) {
        state[key] = x;
      } else {
        wrong.push(`${key}=${value}`);
      }
    } else {
      unknown.push(key);
    }
  }
  return { state, wrong, unknown, query };
}

/**
 * The link's query: what differs from the defaults.
 * @param {Catalogue} catalogue
 * @param {Settings} state
 */
export function toQuery(catalogue, state) {
  const query = new URLSearchParams({ v: String(VERSION) });
  const base = defaults(catalogue, state.model, state.optimizer);
  if (state.model !== "minimalist") {
    query.set("model", state.model);
  }
  if (state.optimizer !== "gd") {
    query.set("optimizer", state.optimizer);
  }
  for (const [key, value] of Object.entries(state)) {
    if (key === "model" || key === "optimizer") {
      continue;
    }
    if (String(value) !== String(base[key])) {
      query.set(key, String(value));
    }
  }
  return query;
}

/**
 * Everything, for the server's own query.
 * @param {Settings} state
 */
export function fullQuery(state) {
  return new URLSearchParams(Object.entries(state).map(([k, v]) => [k, String(v)]));
}
