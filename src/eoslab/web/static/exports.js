// What leaves the page: the link, the command, Python, data files and figures.
import { link } from "./address.js";
import { all, button, element, list } from "./dom.js";
import { copy } from "./notices.js";
import { session, subscribe } from "./session.js";
import { fullQuery } from "./state.js";

/** Figures of `eoslab figure` that one trajectory has. @type {[name: string, title: string][]} */
const FIGURES = [
  ["loss-sharpness", "loss & sharpness"],
  ["loss-split", "loss split"],
  ["gfs", "GFS"],
  ["phase-portrait", "portrait"],
  ["phases", "phases"],
  ["displacement", "displacement"],
];

/** Point the links of the menu at the current settings. */
function point() {
  const query = fullQuery(session.settings);
  for (const format of ["csv", "npz"]) {
    element(format, HTMLAnchorElement).href = `/api/export?${query}&format=${format}`;
  }
  const figure = `name=${list("figure-name").value}&size=${list("figure-size").value}`;
  for (const anchor of all("#export a[data-format]")) {
    anchor.setAttribute("href", `/api/figure?${query}&format=${anchor.dataset.format}&${figure}`);
  }
}

/** Fill and connect the menu. */
export function mountExports() {
  list("figure-name").append(...FIGURES.map(([name, title]) => new Option(title, name)));
  list("figure-name").addEventListener("change", point);
  list("figure-size").addEventListener("change", point);
  subscribe("settings", point);
  point();
  button("copy-link").addEventListener("click", () => copy(location.origin + location.pathname + link(), "Link"));
  button("copy-command").addEventListener("click", () => {
    if (session.frame) {
      copy(session.frame.command, "Command");
    }
  });
  button("copy-python").addEventListener("click", () => {
    if (session.frame?.python) {
      copy(session.frame.python, "Python");
    }
  });
}
