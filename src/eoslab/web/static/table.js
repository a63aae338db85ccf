// The data table under the figures: the rows of the trajectory, thinned to what can be read.
import { element, make } from "./dom.js";
import { session, subscribe } from "./session.js";
import { show } from "./state.js";

const MOST_ROWS = 200;

/** @param {Frame} frame */
function tableOf(frame) {
  const table = make("table");
  const names = Object.keys(frame.rows);
  const titles = names.map((name) => name.replace("w:", "").replace("_", " "));
  table
    .createTHead()
    .insertRow()
    .append(...titles.map((textContent) => make("th", { scope: "col", textContent })));
  const body = table.createTBody();
  const length = frame.rows.step.length;
  const every = Math.max(1, Math.ceil(length / MOST_ROWS));
  for (let i = 0; i < length; i += every) {
    const row = body.insertRow();
    for (const name of names) {
      const value = frame.rows[name][i];
      row.insertCell().textContent = name === "step" ? String(value) : show(value, 5);
    }
  }
  return table;
}

/** Fill the table while it is open. */
export function mountTable() {
  const box = element("table-box", HTMLDetailsElement);
  const fill = () => {
    if (box.open && session.frame) {
      element("table").replaceChildren(tableOf(session.frame));
    }
  };
  box.addEventListener("toggle", fill);
  subscribe("frame", fill);
}
