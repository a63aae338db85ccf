// The view Phase map: the map in full size, with a choice of axes and of the quantity.
import { all, button, element, list } from "../dom.js";
import { axesOf } from "../axes.js";
import { SETTLED, goTo } from "../minimap.js";
import { legend } from "../mapdrawing.js";
import { PhaseMap } from "../phasemap.js";
import { catalogue, session, subscribe } from "../session.js";

const CHOICES = ["map-x", "map-y"];

/** Offer the axes that the current model has. @param {PhaseMap} map */
function offerAxes(map) {
  const axes = axesOf(session.settings, catalogue);
  map.keepAxes(axes);
  CHOICES.forEach((id, i) => {
    const options = Object.entries(axes).map(([name, { label }]) => {
      return new Option(label, name, false, name === map.axes[i]);
    });
    list(id).replaceChildren(...options);
  });
}

/**
 * Put another quantity on an axis; if it is on the other one, the two change places.
 * @param {PhaseMap} map
 * @param {number} i
 */
function chooseAxis(map, i) {
  const name = list(CHOICES[i]).value;
  if (name === map.axes[1 - i]) {
    map.axes[1 - i] = map.axes[i];
  }
  map.axes[i] = name;
  map.marker = null;
}

/** Choose what the colours mean. @param {PhaseMap} map */
function chooseQuantity(map) {
  map.quantity = list("map-quantity").value;
  for (const place of all("[data-for=map] .map-legend")) {
    place.hidden = map.quantity !== "regime";
  }
  map.draw();
}

/**
 * Make the map and connect its controls.
 * @returns {LaterView}
 */
export function mount() {
  const progress = element("map-progress", HTMLProgressElement);
  const cancel = button("map-cancel");
  const map = new PhaseMap(element("map"), {
    n: [192, 128],
    catalogue,
    state: session.settings,
    open: (x, y) => goTo(map, x, y),
    hover: (text) => {
      element("map-hover").textContent = text;
    },
    progress: (part, running) => {
      progress.value = part;
      cancel.disabled = !running;
    },
    failed: (text) => {
      element("map-error").textContent = text;
    },
  });
  let timer = 0;
  const update = () => {
    clearTimeout(timer);
    if (session.view === "map") {
      offerAxes(map);
      timer = setTimeout(() => {
        if (session.view === "map") {
          map.update({ ...session.settings });
        }
      }, SETTLED);
    }
  };
  all("[data-for=map] .map-legend").forEach(legend);
  cancel.addEventListener("click", () => {
    map.cancel();
    cancel.disabled = true;
  });
  CHOICES.forEach((id, i) =>
    list(id).addEventListener("change", () => {
      chooseAxis(map, i);
      update();
    }),
  );
  list("map-quantity").addEventListener("change", () => chooseQuantity(map));
  subscribe("settings", update);
  return { opened: update };
}
