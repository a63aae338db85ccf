// The verdict: what happened, what to try next, and what the theory said from the start alone.
import { go } from "./address.js";
import { element, make } from "./dom.js";
import { catalogue, session, subscribe } from "./session.js";
import { toQuery } from "./state.js";

/** Milliseconds between two updates, for a screen reader. */
const CALM = 1000;

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

/** A link to a learning rate at which a stable run reaches the edge. @param {number} lr */
function larger(lr) {
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
  place.replaceChildren();
  if (frame.attempt) {
    place.append(larger(frame.attempt), " to reach the edge.");
  } else if (frame.diverged !== null) {
    place.append("Lower η or the start.");
  }
  place.hidden = !place.hasChildNodes();
}

/** What theory and run agree upon, in a word and not by colour alone. @param {boolean | null} agrees */
function judged(agrees) {
  if (agrees === null) {
    return make("td");
  }
  const cell = make("td", { textContent: agrees ? "✓" : "✗", className: agrees ? "yes" : "no" });
  cell.setAttribute("aria-label", agrees ? "agrees" : "contradicts");
  return cell;
}

/** Theory from the start alone, beside the run. @param {Frame} frame */
function theorySays({ theory }) {
  const place = element("theory");
  place.replaceChildren();
  place.hidden = !theory;
  if (!theory) {
    return;
  }
  const table = make("table");
  const head = ["", "theory, from the start alone", "this run", ""];
  table
    .createTHead()
    .insertRow()
    .append(...head.map((textContent) => make(textContent ? "th" : "td", { textContent })));
  const body = table.createTBody();
  for (const [what, told, run, agrees] of theory.rows) {
    const name = make("th", { scope: "row", textContent: what });
    const cells = [told, run].map((textContent) => make("td", { textContent }));
    body.insertRow().append(name, ...cells, judged(agrees));
  }
  place.append(table);
  if (theory.fails) {
    place.append(make("p", { textContent: `No interval for the entry: the theorem asks for ${theory.fails}.` }));
  }
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
