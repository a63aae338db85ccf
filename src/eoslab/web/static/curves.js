// Curves over the run, on request: fetched when the settings have come to rest, so that sliders never wait for them.
import { remember } from "./address.js";
import { element, make } from "./dom.js";
import { decodeCurve } from "./frame.js";
import { catalogue, publish, session, subscribe } from "./session.js";
import { fullQuery } from "./state.js";

/** Milliseconds without a change after which a curve is computed. */
const SETTLED = 150;
/** Colour and dashes of each; a name that is not here looks like the first. @type {Record<string, CurveStyle>} */
const STYLES = {
  flow: { colour: "green", dash: [2, 4], dots: false },
  "stable-set": { colour: "purple", dash: [8, 3, 2, 3], dots: false },
  predicted: { colour: "text", dash: [5, 3], dots: true },
};

/** @typedef {{colour: string, dash: number[], dots: boolean}} CurveStyle dots: alternates from step to step */

/** The style of a curve. @param {string} name */
export const styleOf = (name) => STYLES[name] ?? STYLES.flow;

/** Curves on offer for the current settings. */
function offers() {
  const { model, optimizer } = session.settings;
  return catalogue.overlays[model]?.[optimizer] ?? [];
}

/** @type {AbortController | null} */
let under = null;
let timer = 0;

/** What is said beside the boxes: how far a curve goes, or why there is none. @type {Map<string, string>} */
const notes = new Map();

function showNotes() {
  element("curve-notes").textContent = [...notes.values()].filter(Boolean).join(" ");
  element("curves").dataset.drawn = [...session.curves.keys()].join(" ");
}

/**
 * Compute one curve.
 * @param {CurveOffer} offer
 * @param {string} query
 * @param {AbortSignal} signal
 */
async function compute(offer, query, signal) {
  const answer = await fetch(`/api/overlay?${query}&overlay=${offer.name}`, { signal });
  if (!answer.ok) {
    // the run itself is refused too, and what is wrong with it said there
    return;
  }
  const curve = decodeCurve(await answer.arrayBuffer());
  if (curve.absent) {
    notes.set(offer.name, `No ${offer.title}: ${curve.absent}.`);
  } else {
    session.curves.set(offer.name, curve);
    notes.set(offer.name, curve.note ? `${offer.title}: ${curve.note}.` : "");
  }
}

/** Compute what is switched on. */
async function computeAll() {
  const asked = offers().filter(({ name }) => session.over.has(name));
  if (!asked.length) {
    return;
  }
  const abort = new AbortController();
  under = abort;
  element("curves").setAttribute("aria-busy", "true");
  const query = fullQuery(session.settings).toString();
  for (const offer of asked) {
    try {
      await compute(offer, query, abort.signal);
    } catch {
      if (abort.signal.aborted) {
        return;
      }
      notes.set(offer.name, `No ${offer.title}: the server does not answer.`);
    }
    showNotes();
    publish("curves");
  }
  element("curves").removeAttribute("aria-busy");
}

/** What is drawn belongs to other settings: take it away, and compute anew when they have come to rest. */
function restart() {
  clearTimeout(timer);
  under?.abort();
  notes.clear();
  showNotes();
  if (session.curves.size) {
    session.curves.clear();
    publish("curves");
  }
  if (session.over.size) {
    timer = setTimeout(computeAll, SETTLED);
  }
}

/** A box that switches a curve on and off. @param {CurveOffer} offer */
function box({ name, title, about }) {
  const check = make("input", { type: "checkbox", checked: session.over.has(name), id: `over-${name}` });
  check.addEventListener("change", () => {
    if (check.checked) {
      session.over.add(name);
    } else {
      session.over.delete(name);
    }
    remember();
    restart();
  });
  const key = make("i", { className: `k over ${name}` });
  return make("label", { className: "check", title: about }, check, key, title);
}

let kind = "";

/** Offer what the current model and optimizer have. */
function offerBoxes() {
  const { model, optimizer } = session.settings;
  if (kind === model + optimizer) {
    return;
  }
  kind = model + optimizer;
  const found = offers();
  const none = make("span", { className: "quiet", textContent: "nothing, for this model and optimizer" });
  element("curve-boxes").replaceChildren(...(found.length ? found.map(box) : [none]));
}

/** Make the boxes, and compute what the link asks for. */
export function mountCurves() {
  const follow = () => {
    offerBoxes();
    restart();
  };
  subscribe("settings", follow);
  subscribe("over", () => {
    kind = "";
    follow();
  });
  follow();
}
