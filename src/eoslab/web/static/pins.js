// Pinned runs: up to four, kept as grey lines beneath the current one, and in the link.
import { go, remember } from "./address.js";
import { button, element, make } from "./dom.js";
import { decode, socket } from "./frame.js";
import { say } from "./notices.js";
import { catalogue, opening, publish, session, subscribe } from "./session.js";
import { fromQuery, show, toQuery } from "./state.js";

const MOST = 4;

/** @param {Pin[]} pins */
function keep(pins) {
  session.pins = pins;
  publish("pins");
  remember();
}

/** Pin the run that is shown. */
export function pinCurrent() {
  const { frame, pins, settings } = session;
  if (!frame || pins.length >= MOST) {
    return;
  }
  const query = toQuery(catalogue, settings).toString();
  keep([...pins, { query, name: `η ${show(settings.lr)} · ${frame.regime_title}`, frame }]);
  say("Pinned.");
}

/**
 * @param {Pin} pin
 * @param {number} i
 */
function item(pin, i) {
  const anchor = make("a", { href: `?${pin.query}`, textContent: pin.name });
  anchor.addEventListener("click", (event) => {
    event.preventDefault();
    go(fromQuery(catalogue, pin.query).state);
  });
  const remove = make("button", { type: "button", textContent: "×" });
  remove.setAttribute("aria-label", `Remove pin ${i + 1}`);
  remove.addEventListener("click", () => keep(session.pins.filter((other) => other !== pin)));
  return make("li", {}, anchor, remove);
}

function showList() {
  button("unpin").hidden = !session.pins.length;
  element("pins").replaceChildren(...session.pins.map(item));
}

/**
 * Ask for the frames of pins that came with the link, one after the other, over a connection of their own.
 * @param {Pin[]} pins
 */
function fetchFrames(pins) {
  const waiting = [...pins];
  const line = socket();
  const next = () => {
    if (waiting.length) {
      line.send(JSON.stringify(fromQuery(catalogue, waiting[0].query).state));
    } else {
      line.close();
      publish("pins");
    }
  };
  line.onopen = next;
  line.onmessage = (event) => {
    const pin = waiting.shift();
    const answer = decode(event.data);
    if (pin && !("error" in answer)) {
      pin.frame = answer;
      pin.name += ` · ${answer.regime_title}`;
    }
    next();
  };
}

/** Show the pins of the link, and connect the buttons. */
export function mountPins() {
  session.pins = opening.query
    .getAll("pin")
    .slice(0, MOST)
    .map((query) => ({ query, name: `η ${show(fromQuery(catalogue, query).state.lr)}`, frame: null }));
  subscribe("pins", showList);
  showList();
  if (session.pins.length) {
    fetchFrames(session.pins);
  }
  button("pin").addEventListener("click", pinCurrent);
  button("unpin").addEventListener("click", () => keep([]));
}
