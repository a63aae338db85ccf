// The page of the explorer: its parts, connected. The mathematics is the server's; nothing of it is repeated here.
import { mountAsking } from "./asking.js";
import { mountControls } from "./controls.js";
import { mountExplore } from "./explore.js";
import { mountExports } from "./exports.js";
import { mountKeys } from "./keys.js";
import { mountMinimap } from "./minimap.js";
import { banner } from "./notices.js";
import { mountPins } from "./pins.js";
import { opening } from "./session.js";
import { mountTable } from "./table.js";
import { mountVerdict } from "./verdict.js";
import { mountViews } from "./views/router.js";

mountControls();
mountVerdict();
mountExplore();
mountTable();
mountMinimap();
mountPins();
mountExports();
mountKeys();
mountAsking();
mountViews();

const { unknown, wrong } = opening;
const notes = [
  unknown.length ? `Unknown in this link, ignored: ${[...new Set(unknown)].join(", ")}.` : "",
  wrong.length ? `Not usable, defaults taken: ${wrong.join(", ")}.` : "",
].filter(Boolean);
if (notes.length) {
  banner(notes.join(" "));
}
