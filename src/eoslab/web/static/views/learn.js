// The view Learn: the tour, one preset after the other under the live figures.
import { go, record, remember } from "../address.js";
import { button, element } from "../dom.js";
import { catalogue, session } from "../session.js";
import { SITE } from "../source.js";
import { preset, toQuery } from "../state.js";

const TOUR = catalogue.tour;

/** Show the words of the current step. */
function words() {
  const step = TOUR[session.tour - 1];
  element("tour-count").textContent = `Step ${session.tour} of ${TOUR.length}`;
  element("tour-title").textContent = step.title;
  element("tour-text").textContent = step.text;
  element("tour-try").textContent = SITE ? `With eoslab explore: ${step.attempt}` : step.attempt;
  button("tour-back").disabled = session.tour === 1;
  button("tour-next").disabled = session.tour === TOUR.length;
}

/** Show a step with its preset. @param {number} step */
function take(step) {
  session.tour = Math.max(1, Math.min(TOUR.length, step));
  go(preset(catalogue, TOUR[session.tour - 1].asked), false);
  words();
}

/** Whether nothing but the version would be in a link to the current settings. */
const bare = () => [...toQuery(catalogue, session.settings)].length === 1;

/** @param {number} by */
function move(by) {
  take(session.tour + by);
  record();
  element("tour-title").focus();
}

/**
 * Connect the tour.
 * @returns {LaterView}
 */
export function mount() {
  session.tour = Math.max(1, Math.min(TOUR.length, Math.round(session.tour)));
  button("tour-back").addEventListener("click", () => move(-1));
  button("tour-next").addEventListener("click", () => move(1));
  return {
    // a link holds settings of its own, which may differ from the step's preset; one without any means the step
    opened: (entered) => {
      if (entered || bare()) {
        take(session.tour);
        remember();
      } else {
        words();
      }
    },
  };
}
