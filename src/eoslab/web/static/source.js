// Where answers come from: the server, or the files of a site that was exported without it.

/** Whether the page is such a site: it shows what was computed, and computes nothing. */
export const SITE = document.documentElement.dataset.site !== undefined;

export const CATALOGUE = SITE ? "data/catalogue.json" : "/api/catalogue";
export const RUNS = SITE ? "data/runs.json" : "/api/runs";

/** The frame of a stored run. @param {string} id */
export const runFrame = (id) => (SITE ? `data/runs/${id}.bin` : `/api/runs/${encodeURIComponent(id)}`);

/** The frame of a step of the tour, on a site. @param {number} step */
export const tourFrame = (step) => `data/tour/${step}.bin`;
