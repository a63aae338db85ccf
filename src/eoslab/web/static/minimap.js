// The small phase map beside the figures: a click on a cell shows its trajectory in place.
import { go } from "./address.js";
import { placed } from "./axes.js";
import { all, element } from "./dom.js";
import { figuresShown } from "./explore.js";
import { legend } from "./mapdrawing.js";
import { PhaseMap } from "./phasemap.js";
import { catalogue, session, subscribe } from "./session.js";
import { open } from "./views/router.js";

/** Longest runs that the small map computes. */
const MOST_STEPS = 20000;
/** Milliseconds without a change after which a map is computed. */
export const SETTLED = 250;

/**
 * Show the trajectory at a place of a map, under the sliders.
 * @param {PhaseMap} map
 * @param {number} x
 * @param {number} y
 */
export function goTo(map, x, y) {
  open("explore", false);
  const along = placed(map.axes[0], x, session.settings, catalogue);
  go(placed(map.axes[1], y, along, catalogue));
}

/** Make the map, and compute it around the current settings. */
export function mountMinimap() {
  all("#fig-mini .map-legend").forEach(legend);
  const map = new PhaseMap(element("mini"), {
    n: [64, 40],
    catalogue,
    state: session.settings,
    open: (x, y) => {
      goTo(map, x, y);
      map.draw();
    },
  });
  let timer = 0;
  const update = () => {
    clearTimeout(timer);
    map.state = session.settings;
    timer = setTimeout(() => {
      if (figuresShown()) {
        map.update({ ...session.settings, steps: Math.min(session.settings.steps, MOST_STEPS) });
      }
    }, SETTLED);
  };
  subscribe("settings", update);
  subscribe("view", update);
}
