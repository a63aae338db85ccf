// Asks the server for the trajectory of the current settings, and passes on what it answers.
import { all, make, plotBox } from "./dom.js";
import { complain } from "./controls.js";
import { connect } from "./frame.js";
import { banner } from "./notices.js";
import { publish, session, subscribe } from "./session.js";

const LOST = "Lost the connection to the local server — trying again. Your settings are kept in the address bar.";
const COMPILING = "Compiling the kernel (once per installation) …";
/** Milliseconds after which the first answer is late enough to say why. */
const LATE = 500;

/** @param {ServerError} error */
function refused(error) {
  if (!complain(error.field, error.message)) {
    banner(error.message);
  }
  document.body.dataset.error = error.field;
}

/** Show a trajectory that has come. @param {Frame} frame */
export function received(frame) {
  const page = document.body.dataset;
  const last = Math.max(0, frame.rows.step.length - 1);
  delete page.error;
  session.frame = frame;
  session.cursor = session.cursorHeld ? Math.min(session.cursor, last) : last;
  publish("frame");
  page.frame = String(Number(page.frame) + 1);
  page.lr = String(frame.lr);
}

/** Say over the empty axes that the answer takes long, until it comes. */
function waiting() {
  const said = setTimeout(() => {
    for (const id of ["fig-loss", "fig-sharp"]) {
      plotBox(id).append(make("p", { className: "wait", textContent: COMPILING }));
    }
  }, LATE);
  return () => {
    clearTimeout(said);
    all(".wait").forEach((place) => place.remove());
  };
}

/** Connect, and ask again whenever the settings change. */
export function mountAsking() {
  const come = waiting();
  const width = () => Math.round(plotBox("fig-loss").clientWidth * devicePixelRatio);
  let lost = false;
  const ask = connect({
    message: () => ({ ...session.settings, width: width(), log_x: session.logX }),
    frame: (answer) => {
      come();
      if ("error" in answer) {
        refused(answer.error);
      } else {
        received(answer);
      }
    },
    up: () => {
      if (lost) {
        banner("");
      }
      lost = false;
    },
    down: () => {
      lost = true;
      banner(LOST);
    },
  });
  subscribe("settings", ask);
}
