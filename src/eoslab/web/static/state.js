// The state of the page and its link. Keys are the names of the command's options.

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
 * Defaults of a model with an optimizer; of today, or of a version of links.
 * @param {Catalogue} catalogue
 * @param {string} [model]
 * @param {string} [optimizer]
 * @param {string} [version]
 * @returns {Settings}
 */
export function defaults(catalogue, model, optimizer, version = String(catalogue.version_of_links)) {
  const table = catalogue.defaults[version];
  const name = model ?? table.model;
  const rule = optimizer ?? table.optimizer;
  const { lr, start, settings } = table.models[name];
  return {
    model: name,
    optimizer: rule,
    lr,
    steps: table.steps,
    init: [...start],
    ...settings,
    ...table.optimizers[rule],
  };
}

/**
 * The settings of a preset: the defaults, but for what it asks for.
 * @param {Catalogue} catalogue
 * @param {Asked} asked
 * @returns {Settings}
 */
export function preset(catalogue, asked) {
  const { model, optimizer, ...rest } = asked;
  const plain = Object.entries(rest).map(([key, value]) => {
    return [key, Array.isArray(value) ? [...value] : number(String(value))];
  });
  const word = (/** @type {unknown} */ value) => (typeof value === "string" ? value : undefined);
  return { ...defaults(catalogue, word(model), word(optimizer)), ...Object.fromEntries(plain) };
}

/** Keys of a link that say something else than a setting. */
const BESIDES = new Set([
  "v",
  "model",
  "optimizer",
  "view",
  "pin",
  "runs",
  "run",
  "tour",
  "scale",
  "xscale",
  "xunit",
  "over",
  "theory",
]);

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
    if (!Object.hasOwn(table, value)) {
      wrong.push(`${key}=${value}`);
      return fallback;
    }
    return value;
  };
  const version = pick("v", catalogue.defaults, String(catalogue.version_of_links));
  const base = catalogue.defaults[version];
  const model = pick("model", catalogue.models, base.model);
  let optimizer = pick("optimizer", catalogue.optimizers, base.optimizer);
  if (!catalogue.models[model].optimizers.includes(optimizer)) {
    wrong.push(`optimizer=${optimizer}`);
    optimizer = base.optimizer;
  }
  const state = defaults(catalogue, model, optimizer, version);
  /** @type {string[]} */
  const unknown = [];
  for (const [key, value] of query) {
    if (BESIDES.has(key)) {
      continue;
    }
    if (key === "init") {
      const init = value.split(",").map(number);
      if (init.length === state.init.length && init.every(Number.isFinite)) {
        state.init = init;
      } else {
        wrong.push(`init=${value}`);
      }
    } else if (Object.hasOwn(state, key)) {
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
 * The link's query: what differs from today's defaults.
 * @param {Catalogue} catalogue
 * @param {Settings} state
 */
export function toQuery(catalogue, state) {
  const query = new URLSearchParams({ v: String(catalogue.version_of_links) });
  const usual = defaults(catalogue);
  const { unversioned } = catalogue.defaults[String(catalogue.version_of_links)];
  const kept = !unversioned.includes(state.model) && !unversioned.includes(state.optimizer);
  /** @type {Partial<Settings>} */
  const base = kept ? defaults(catalogue, state.model, state.optimizer) : {};
  for (const key of ["model", "optimizer"]) {
    if (state[key] !== usual[key]) {
      query.set(key, String(state[key]));
    }
  }
  for (const [key, value] of Object.entries(state)) {
    if (key !== "model" && key !== "optimizer" && String(value) !== String(base[key])) {
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
