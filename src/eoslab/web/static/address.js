// The address bar: it holds everything that the page shows, and Back returns to it.
import { catalogue, publish, session } from "./session.js";
import { toQuery } from "./state.js";

/**
 * The page as it is, as a link's query.
 * @returns {string}
 */
export function link() {
  const query = toQuery(catalogue, session.settings);
  if (session.view !== "explore") {
    query.set("view", session.view);
  }
  if (session.view === "learn") {
    query.set("tour", String(session.tour));
  }
  if (!session.logLoss) {
    query.set("scale", "linear");
  }
  if (session.logX) {
    query.set("xscale", "log");
  }
  if (session.timeX) {
    query.set("xunit", "time");
  }
  if (session.over.size) {
    query.set("over", [...session.over].join(","));
  }
  if (!session.boundaries) {
    query.set("theory", "off");
  }
  for (const pin of session.pins) {
    query.append("pin", pin.query);
  }
  if (session.view === "runs" && session.chosen.length) {
    query.set("runs", session.chosen.join(","));
  }
  if (session.view === "live" && session.live) {
    query.set("run", session.live);
  }
  return `?${query}`;
}

let timer = 0;

/** Keep the address bar true while something is being changed; Back does not return to every place on the way. */
export function remember() {
  clearTimeout(timer);
  timer = setTimeout(() => history.replaceState(null, "", link()), 150);
}

/** Make an entry that Back returns to. */
export function record() {
  clearTimeout(timer);
  history.pushState(null, "", link());
}

/**
 * Show another trajectory.
 * @param {Settings} settings
 * @param {boolean} [entry] whether Back shall return from it
 */
export function go(settings, entry = true) {
  session.settings = settings;
  publish("adopted");
  if (entry) {
    record();
  }
  publish("settings");
}
