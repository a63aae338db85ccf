// The axes of a phase map: which there are, where a trajectory lies on them, and the trajectory at a place.

/** @param {string} name @param {number} value @returns {AxisRange} */
function startAxis(name, value) {
  const label = `${name} at the start`;
  if (value > 0 && value < 0.05) {
    return { label, lo: 1e-6, hi: 1, log: true };
  }
  return { label, lo: 0.02, hi: Math.max(2, 2 * value), log: false };
}

/**
 * The axes that a model offers, each with a range around what is usual.
 * @param {Settings} state
 * @param {Catalogue} catalogue
 * @returns {Record<string, AxisRange>}
 */
export function axesOf(state, catalogue) {
  const model = catalogue.models[state.model];
  const [lo, hi] = state.model === "minimalist" ? [0.5, 5] : [model.lr / 10, model.lr * 4];
  /** @type {Record<string, AxisRange>} */
  const axes = { lr: { label: "learning rate η", lo, hi, log: false } };
  if (state.model === "minimalist") {
    axes.ratio = { label: "λ₂/λ₁", lo: 2e-4, hi: 0.5, log: true };
  }
  for (const [name, value] of Object.entries(model.settings)) {
    if (value > 0) {
      axes[name] = { label: name, lo: value / 30, hi: value * 30, log: true };
    }
  }
  model.params.forEach((name, i) => {
    axes[`${name}_0`] = startAxis(name, model.start[i]);
  });
  return axes;
}

/**
 * The component of the start that an axis stands for; -1 if it stands for none.
 * @param {string} name
 * @param {Settings} state
 * @param {Catalogue} catalogue
 */
export function startIndex(name, state, catalogue) {
  return name.endsWith("_0") ? catalogue.models[state.model].params.indexOf(name.slice(0, -2)) : -1;
}

/**
 * Where a trajectory lies on an axis.
 * @param {string} name
 * @param {Settings} state
 * @param {Catalogue} catalogue
 * @returns {number}
 */
export function valueOn(name, state, catalogue) {
  if (name === "ratio") {
    return Number(state.lambda2) / Number(state.lambda1);
  }
  const i = startIndex(name, state, catalogue);
  return i >= 0 ? state.init[i] : Number(state[name]);
}

/**
 * The trajectory at a place of an axis.
 * @param {string} name
 * @param {number} value
 * @param {Settings} state
 * @param {Catalogue} catalogue
 * @returns {Settings}
 */
export function placed(name, value, state, catalogue) {
  if (name === "ratio") {
    return { ...state, lambda2: value * Number(state.lambda1) };
  }
  const i = startIndex(name, state, catalogue);
  return i >= 0 ? { ...state, init: state.init.with(i, value) } : { ...state, [name]: value };
}

/**
 * The server's query of a map around a trajectory: what its axes vary is not in it, so that moving along them
 * asks for nothing new.
 * @param {URLSearchParams} query everything that the trajectory depends on
 * @param {string[]} axes
 * @param {[number, number]} cells
 * @param {Settings} state
 * @param {Catalogue} catalogue
 */
export function mapQuery(query, axes, cells, state, catalogue) {
  const ranges = axesOf(state, catalogue);
  const asked = new URLSearchParams(query);
  const init = state.init.map(String);
  for (const axis of axes) {
    const i = startIndex(axis, state, catalogue);
    asked.delete(axis === "ratio" ? "lambda2" : axis);
    if (i >= 0) {
      init[i] = "0.5";
      asked.set("init", init.join(","));
    }
  }
  if (axes.includes("lr")) {
    asked.set("lr", "1");
  }
  ["map_x", "map_y"].forEach((which, i) => {
    const { lo, hi, log } = ranges[axes[i]];
    asked.set(which, axes[i]);
    asked.set(`${which}_lo`, String(lo));
    asked.set(`${which}_hi`, String(hi));
    asked.set(`${which}_log`, log ? "1" : "0");
    asked.set(`${which}_n`, String(cells[i]));
  });
  return asked;
}
