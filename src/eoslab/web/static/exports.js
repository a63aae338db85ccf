// What leaves the page: the link, the command, Python, a reference, data files and figures.
import { link } from "./address.js";
import { all, button, element, list, make } from "./dom.js";
import { banner, copy, say } from "./notices.js";
import { catalogue, session } from "./session.js";
import { fullQuery } from "./state.js";

/**
 * Fetch a file and hand it to the browser's downloads; what the server has against it is said.
 * @param {string} address
 * @param {string} what as the first words of a sentence
 */
async function download(address, what) {
  say(`${what} is being made.`);
  try {
    const answer = await fetch(address);
    if (!answer.ok) {
      banner((await answer.json()).error.message);
      return;
    }
    const named = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "");
    const href = URL.createObjectURL(await answer.blob());
    make("a", { href, download: named?.[1] ?? "eoslab" }).click();
    URL.revokeObjectURL(href);
    banner("");
    say(`${what} downloaded.`);
  } catch {
    banner(`${what} could not be made; the server does not answer.`);
  }
}

async function copyReference() {
  const answer = await fetch("/api/export?format=bib");
  copy(await answer.text(), "BibTeX");
}

/** Fill and connect the menu. */
export function mountExports() {
  list("figure-name").append(...catalogue.figures.map(({ name, title }) => new Option(title, name)));
  for (const entry of all("#export [data-file]")) {
    entry.addEventListener("click", () => {
      const format = entry.dataset.file;
      download(`/api/export?${fullQuery(session.settings)}&format=${format}`, entry.textContent);
    });
  }
  for (const entry of all("#export [data-format]")) {
    entry.addEventListener("click", () => {
      const figure = `name=${list("figure-name").value}&size=${list("figure-size").value}`;
      const as = "script" in entry.dataset ? "&as=script" : "";
      const format = `format=${entry.dataset.format}`;
      download(`/api/figure?${fullQuery(session.settings)}&${format}&${figure}${as}`, entry.textContent);
    });
  }
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
  button("copy-bibtex").addEventListener("click", copyReference);
  const menu = element("export", HTMLDetailsElement);
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}
