// The controls: choices, presets and one field for every parameter, made from the catalogue.
import { go, record, remember } from "./address.js";
import { element, list, button, make } from "./dom.js";
import { Field } from "./field.js";
import { catalogue, publish, session, subscribe } from "./session.js";
import { PRESETS, defaults, preset } from "./state.js";

/** Symbols of parameters. @type {Record<string, string>} */
const NAMES = {
  lambda1: "λ₁",
  lambda2: "λ₂",
  alpha: "α₀",
  beta1: "β₁₀",
  beta2: "β₂₀",
  b: "b",
  lr: "η",
  epsilon: "ε",
  zeta: "ζ",
};
/** Names for screen readers. @type {Record<string, string>} */
const SPOKEN = {
  lambda1: "Variance λ₁ of the irrelevant input",
  lambda2: "Variance λ₂ of the relevant input",
  lr: "Learning rate η",
  b: "Teacher b",
  steps: "Steps",
};

/** @type {Map<string, Field>} */
const fields = new Map();
/** Model and optimizer that the fields were made for. */
let kind = "";

/**
 * A change by the reader: the scrubber follows the end again, and no preset is chosen any more.
 * @param {boolean} [entry] whether Back shall return from it
 */
function changed(entry = false) {
  list("preset").value = "";
  session.cursorHeld = false;
  publish("settings");
  if (entry) {
    record();
  } else {
    remember();
  }
}

/**
 * @param {string} title
 * @param {Field[]} content
 */
function group(title, content) {
  return make("fieldset", {}, make("legend", { textContent: title }), ...content.map((field) => field.box));
}

/**
 * A field, found again under its key.
 * @param {Omit<ConstructorParameters<typeof Field>[0], "model">} what
 */
function addField(what) {
  const field = new Field({ ...what, model: session.settings.model }, changed);
  fields.set(what.key, field);
  return field;
}

/**
 * A field of a setting that is a plain number.
 * @param {string} key
 * @param {Settings} base
 */
function plain(key, base) {
  return addField({
    key,
    label: NAMES[key] ?? key,
    spoken: SPOKEN[key] ?? key,
    base: Number(base[key]),
    read: () => Number(session.settings[key]),
    write: (value) => {
      session.settings[key] = value;
    },
  });
}

/**
 * A field of one component of the start.
 * @param {string} name
 * @param {number} i
 */
function start(name, i) {
  return addField({
    key: `${name}_0`,
    label: NAMES[name] ?? `${name}₀`,
    spoken: `${name} at the start`,
    base: catalogue.models[session.settings.model].start[i],
    read: () => session.settings.init[i],
    write: (value) => {
      session.settings.init = session.settings.init.with(i, value);
    },
  });
}

/**
 * A choice of words.
 * @param {"model" | "optimizer"} key
 * @param {string} label
 * @param {string[]} options
 * @param {(value: string) => Settings} choose the settings that the choice leads to
 */
function choice(key, label, options, choose) {
  const select = make("select", { id: `f-${key}` });
  select.append(...options.map((o) => new Option(o, o, false, o === session.settings[key])));
  select.addEventListener("change", () => {
    session.settings = choose(select.value);
    build();
    changed(true);
  });
  return make(
    "div",
    { className: "field word" },
    make("label", { htmlFor: select.id, textContent: label }),
    select,
  );
}

/**
 * The defaults of a model, with the current optimizer where that is defined for it.
 * @param {string} model
 */
function withModel(model) {
  const { optimizer } = session.settings;
  return defaults(catalogue, model, catalogue.optimizers[optimizer].models.includes(model) ? optimizer : "gd");
}

/**
 * The current settings with another optimizer; what does not belong to the optimizer stays.
 * @param {string} optimizer
 */
function withOptimizer(optimizer) {
  const { settings } = session;
  const kept = ["lr", "steps", "init", ...Object.keys(catalogue.models[settings.model].settings)];
  const keep = Object.fromEntries(kept.map((key) => [key, settings[key]]));
  return { ...defaults(catalogue, settings.model, optimizer), ...keep };
}

/** Make the controls of the current model and optimizer. */
function build() {
  const { model, optimizer } = session.settings;
  const ofModel = catalogue.models[model];
  const base = defaults(catalogue, model, optimizer);
  const rules = Object.keys(catalogue.optimizers).filter((o) => catalogue.optimizers[o].models.includes(model));
  // beta1 and beta2 are moments of an optimizer, unless the model calls two of its own numbers so
  const descent = ["lr", ...Object.keys(catalogue.optimizers[optimizer].settings), "steps"].filter(
    (key) => !["beta1", "beta2"].includes(key) || !(key in ofModel.settings),
  );
  fields.clear();
  kind = model + optimizer;
  element("fields").replaceChildren(
    choice("model", "Model", Object.keys(catalogue.models), withModel),
    choice("optimizer", "Optimizer", rules, withOptimizer),
    group(
      "Descent",
      descent.map((key) => plain(key, base)),
    ),
    group(
      "Loss",
      Object.keys(ofModel.settings).map((key) => plain(key, base)),
    ),
    group("Start", ofModel.params.map(start)),
  );
}

/** Write the current settings into the controls. */
function write() {
  if (kind === session.settings.model + session.settings.optimizer) {
    fields.forEach((field) => field.show());
  } else {
    build();
  }
}

/** A trajectory has come: the fields hold what it was made from. */
function taken() {
  fields.forEach((field) => field.taken());
}

/**
 * Say at a field what the server has against it.
 * @param {string} key
 * @param {string} message
 * @returns {boolean} whether there is such a field
 */
export function complain(key, message) {
  const field = fields.get(key) ?? fields.get(`${key}_0`);
  field?.complain(message);
  return field !== undefined;
}

/** Put the cursor into the field of the learning rate. */
export function focusLearningRate() {
  fields.get("lr")?.text.focus();
}

/** Make the controls and connect them. */
export function mountControls() {
  build();
  const presets = list("preset");
  presets.append(
    new Option("choose …", ""),
    ...Object.entries(PRESETS).map(([key, { title }]) => new Option(title, key)),
  );
  presets.addEventListener("change", () => {
    const key = presets.value;
    if (key in PRESETS) {
      go(preset(catalogue, PRESETS[key].set));
      presets.value = key;
    }
  });
  button("reset").addEventListener("click", () => {
    session.cursorHeld = false;
    go(defaults(catalogue, session.settings.model, "gd"));
  });
  element("controls").addEventListener("submit", (event) => event.preventDefault());
  subscribe("adopted", write);
  subscribe("frame", taken);
}
