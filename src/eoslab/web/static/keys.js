// Single-key shortcuts, their list, and the switch that turns them off.
import { focusLearningRate } from "./controls.js";
import { button, element, input } from "./dom.js";
import { nudge } from "./explore.js";
import { pinCurrent } from "./pins.js";
import { open } from "./views/router.js";

const help = element("keys", HTMLDialogElement);
const enabled = input("keys-on");

/** What each key does; the list in the page says the same. @type {Record<string, () => void>} */
const SHORTCUTS = {
  "/": focusLearningRate,
  "[": () => nudge(-1),
  "]": () => nudge(1),
  p: pinCurrent,
  l: () => button("log-loss").click(),
  r: () => button("reset").click(),
  m: () => void open("map"),
  c: () => button("copy-link").click(),
  "?": () => help.showModal(),
};

/** @param {KeyboardEvent} event */
function pressed(event) {
  const typing =
    event.target instanceof Element && event.target.matches("input[type=text], input[type=search], select");
  const modified = event.ctrlKey || event.metaKey || event.altKey;
  if (typing || modified || help.open || !enabled.checked || !(event.key in SHORTCUTS)) {
    return;
  }
  event.preventDefault();
  SHORTCUTS[event.key]();
}

/** Listen to the keyboard. */
export function mountKeys() {
  enabled.checked = localStorage.getItem("keys") !== "off";
  enabled.addEventListener("change", () => localStorage.setItem("keys", enabled.checked ? "on" : "off"));
  button("help").addEventListener("click", () => help.showModal());
  addEventListener("keydown", pressed);
}
