// The verdict: what happened, what to try next, and what the theory said from the start alone.
import { go } from "./address.js";
import { element, make } from "./dom.js";
import { catalogue, session, subscribe } from "./session.js";
import { show, toQuery } from "./state.js";

/** Milliseconds between two updates, for a screen reader. */
const CALM = 1000;
/** Relative distance beyond the edge at which a stable run is invited to try again. */
const BEYOND = 2.15;

let said = 0;
let saying = 0;
let regime = "";

/** Say the sentence now. @param {Frame} frame */
function tell(frame) {
  said = performance.now();
  const [head, ...rest] = frame.verdict.split(": ");
  const details = rest.length ? `${rest.join(": ")}.` : "";
  element("verdict").replaceChildren(make("strong", { textContent: head }), details);
}

/** Say the sentence, at most once a second unless the regime is another one. @param {Frame} frame */
function sentence(frame) {
  clearTimeout(saying);
  const passed = performance.now() - said;
  if (passed > CALM || frame.regime !== regime) {
    tell(frame);
  } else {
    saying = setTimeout(tell, CALM - passed, frame);
  }
  regime = frame.regime;
  const card = element("verdict").parentElement;
  if (card) {
    card.className = `card verdict ${frame.regime.split("-")[0]}`;
  }
}

/** A link to a learning rate at which a stable run reaches the edge. @param {number} sharpness of its minimiser */
function larger(sharpness) {
  const lr = Number((BEYOND / sharpness).toPrecision(3));
  const next = { ...session.settings, lr };
  const anchor = make("a", { href: `?${toQuery(catalogue, next)}`, textContent: `Try η = ${lr}` });
  anchor.addEventListener("click", (event) => {
    event.preventDefault();
    go({ ...session.settings, lr });
  });
  return anchor;
}

/** @param {Frame} frame */
function suggestion(frame) {
  const place = element("suggestion");
  const start = frame.gfs_start;
  const below = frame.lr !== null && start !== null && start > 0 && frame.lr * start < 2;
  place.replaceChildren();
  if (frame.regime === "stable" && session.settings.optimizer === "gd" && below) {
    place.append(larger(start), " to reach the edge.");
  } else if (frame.diverged !== null) {
    place.append("Lower η or the start.");
  }
  place.hidden = !place.hasChildNodes();
}

/** @param {string} text */
const strong = (text) => make("b", { textContent: text });

/**
 * What the entry-time theorem says about the first step at the edge.
 * @param {Frame} frame
 * @param {Theory} theory
 */
function entryTime(frame, theory) {
  if (!theory.T1) {
    return theory.fails ? [`The entry-time theorem does not apply (fails: ${theory.fails}).`] : [];
  }
  const [low, high] = [theory.T1[0] ?? 0, theory.T1[1] ?? Infinity];
  const T1 = theory.measured_T1;
  let measured = `; not reached in ${frame.steps} steps`;
  if (T1 !== null) {
    measured = `; it was step ${T1}, ${T1 >= low - 1 && T1 <= high + 1 ? "inside" : "OUTSIDE"}`;
  }
  const last = Number.isFinite(high) ? Math.floor(high + 1e-6) : "∞";
  return ["α reaches the edge at a step in ", strong(`[${Math.ceil(low - 1e-6)}, ${last}]`), measured];
}

/** @param {Frame} frame */
function theorySays(frame) {
  const { theory } = frame;
  /** @type {(string | Node)[][]} */
  const lines = [];
  if (theory) {
    lines.push(["Theory from the start alone: ", strong(theory.regime), ` (${theory.standing})`]);
    lines.push(entryTime(frame, theory));
    if (theory.delta) {
      const largest = frame.max_ratio === null ? null : 2 * frame.max_ratio;
      const bound = strong(`(2 + ${show(theory.delta, 2)})/η`);
      lines.push(["Sharpness proved to stay below ", bound, `; largest was ${show(largest)}/η`]);
    }
  }
  const spoken = lines.filter((line) => line.length);
  element("theory").replaceChildren(...spoken.map((line) => make("p", {}, ...line)));
  element("theory").hidden = !spoken.length;
}

/** Say it of every trajectory that comes. */
export function mountVerdict() {
  subscribe("frame", () => {
    if (session.frame) {
      sentence(session.frame);
      suggestion(session.frame);
      theorySays(session.frame);
    }
  });
}
