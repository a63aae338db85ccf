// Which view is shown; the modules of those beside Explore are loaded when they are opened first.
import { go, record } from "../address.js";
import { all } from "../dom.js";
import { banner } from "../notices.js";
import { catalogue, overOf, publish, session, viewOf } from "../session.js";
import { fromQuery } from "../state.js";

/** @type {Record<ViewName, (() => Promise<LaterView>) | null>} */
const LATER = {
  explore: null,
  map: async () => (await import("./map.js")).mount(),
  live: async () => (await import("./live.js")).mount(),
  runs: async () => (await import("./runs.js")).mount(),
  learn: async () => (await import("./learn.js")).mount(),
};
/** @type {Map<ViewName, Promise<LaterView>>} */
const loaded = new Map();

/**
 * The view, made when it is asked for first; null for Explore, which is always there.
 * @param {ViewName} name
 */
function load(name) {
  const found = loaded.get(name) ?? LATER[name]?.();
  if (found) {
    loaded.set(name, found);
  }
  return found ?? null;
}

/** Show the sections of the current view and mark its button. */
function showSections() {
  const { view } = session;
  for (const section of all("[data-for]")) {
    section.hidden = !section.dataset.for?.split(" ").includes(view);
  }
  for (const choice of all("#views button")) {
    if (choice.dataset.view === view) {
      choice.setAttribute("aria-current", "page");
    } else {
      choice.removeAttribute("aria-current");
    }
  }
  document.body.dataset.view = view;
}

/**
 * Show a view.
 * @param {ViewName} name
 * @param {boolean} [entry] whether Back shall return from it
 */
export async function open(name, entry = true) {
  const entered = entry && session.view !== name;
  session.view = name;
  showSections();
  publish("view");
  try {
    const view = await load(name);
    if (session.view !== name) {
      return;
    }
    view?.opened(entered);
  } catch (error) {
    loaded.delete(name);
    banner(`This view could not be opened: ${error instanceof Error ? error.message : error}`);
  }
  if (entered) {
    record();
  }
}

/** Back or Forward: what the address bar says now. */
function returned() {
  const { state, query } = fromQuery(catalogue, location.search);
  session.logLoss = query.get("scale") !== "linear";
  session.logX = query.get("xscale") === "log";
  session.live = query.get("run") ?? "";
  session.timeX = query.get("xunit") === "time";
  session.over = overOf(query);
  publish("scales");
  publish("over");
  open(viewOf(query), false);
  go(state, false);
}

/** Connect the buttons, and show the view of the link. */
export function mountViews() {
  for (const choice of all("button[data-view]")) {
    choice.addEventListener("click", () => open(viewOf(new URLSearchParams({ view: choice.dataset.view ?? "" }))));
  }
  addEventListener("popstate", returned);
  open(session.view, false);
}
