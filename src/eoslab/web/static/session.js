// What the page shows at the moment, and who wants to know when that changes.
import { CATALOGUE, SITE } from "./source.js";
import { fromQuery } from "./state.js";

/** @type {Catalogue} */
export const catalogue = await (await fetch(CATALOGUE)).json();

/** The link that the page was opened with. */
export const opening = fromQuery(catalogue, location.search);

/** @type {ViewName[]} */
const VIEWS = SITE ? ["learn", "runs"] : ["explore", "map", "live", "runs", "learn"];

/**
 * The view that a link names; the first if it names none that there is.
 * @param {URLSearchParams} query
 * @returns {ViewName}
 */
export const viewOf = (query) => VIEWS.find((name) => name === query.get("view")) ?? VIEWS[0];

/**
 * The curves that a link switches on.
 * @param {URLSearchParams} query
 */
export const overOf = (query) => new Set((query.get("over") ?? "").split(",").filter(Boolean));

export const session = {
  /** The trajectory that is shown or asked for. */
  settings: opening.state,
  /** @type {ViewName} */
  view: viewOf(opening.query),
  /** Step of the tour, from 1; the tour knows how many there are. */
  tour: Number(opening.query.get("tour")) || 1,
  logLoss: opening.query.get("scale") !== "linear",
  logX: opening.query.get("xscale") === "log",
  /** Whether x is the time η·t instead of the step t. */
  timeX: opening.query.get("xunit") === "time",
  /** Names of the curves that are switched on. */
  over: overOf(opening.query),
  /** Those that have come, by name. @type {Map<string, Curve>} */
  curves: new Map(),
  /** Whether phase maps show the boundaries of the theory. */
  boundaries: opening.query.get("theory") !== "off",
  /** @type {Pin[]} */
  pins: [],
  /** Stored runs that are shown over one another. */
  chosen: (opening.query.get("runs") ?? "").split(",").filter(Boolean).slice(0, 8),
  /** The run that the view Live follows; empty for the newest. */
  live: opening.query.get("run") ?? "",
  /** The last trajectory that came. @type {Frame | null} */
  frame: null,
  /** Index into the rows of the frame: where the scrubber stands. */
  cursor: 0,
  /** Whether the reader put the scrubber there; otherwise it follows the end. */
  cursorHeld: false,
};

/**
 * - adopted: other settings as a whole, controls must be written again
 * - settings: any change of what is asked for
 * - frame: a trajectory has come
 * - view: another view is shown
 * - pins: runs were pinned, removed, or came
 * - scales: logarithmic or linear, steps or time
 * - over: other curves are switched on
 * - curves: a curve has come or was taken away
 * @typedef {"adopted" | "settings" | "frame" | "view" | "pins" | "scales" | "over" | "curves"} Topic
 */

/** @type {Map<Topic, (() => void)[]>} */
const hooks = new Map();

/**
 * Call a function whenever something of a topic has changed.
 * @param {Topic} topic
 * @param {() => void} hook
 */
export function subscribe(topic, hook) {
  hooks.set(topic, [...(hooks.get(topic) ?? []), hook]);
}

/**
 * Tell everyone who asked, in the order in which they did.
 * @param {Topic} topic
 */
export function publish(topic) {
  for (const hook of hooks.get(topic) ?? []) {
    hook();
  }
}
