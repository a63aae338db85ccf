// The page of an exported site: the tour and stored runs, from files.
import { received } from "./asking.js";
import { mountExplore } from "./explore.js";
import { decode } from "./frame.js";
import { banner } from "./notices.js";
import { session, subscribe } from "./session.js";
import { tourFrame } from "./source.js";
import { mountTable } from "./table.js";
import { mountVerdict } from "./verdict.js";
import { mountViews } from "./views/router.js";

/** The step that is shown or fetched. */
let shown = 0;

/** Show the frame of the tour's step. */
async function show() {
  const step = session.tour;
  if (session.view !== "learn" || step === shown) {
    return;
  }
  shown = step;
  const answer = await fetch(tourFrame(step)).catch(() => null);
  if (!answer?.ok) {
    shown = 0;
    banner("A file of this site is missing.");
    return;
  }
  const frame = decode(await answer.arrayBuffer());
  if (session.tour === step && !("error" in frame)) {
    received(frame);
  }
}

mountVerdict();
mountExplore();
mountTable();
subscribe("settings", show);
subscribe("view", show);
mountViews();
