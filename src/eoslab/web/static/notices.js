// What the page says besides results: the banner, a line for screen readers, and what was copied.
import { element } from "./dom.js";

/**
 * Say something above the page; an empty text takes it away.
 * @param {string} text
 */
export function banner(text) {
  const place = element("banner");
  place.textContent = text;
  place.hidden = !text;
}

/**
 * Say something to a screen reader.
 * @param {string} text
 */
export function say(text) {
  element("said").textContent = text;
}

/**
 * Copy a text, or show it where the browser does not allow that.
 * @param {string} text
 * @param {string} what what it is, as the first word of a sentence
 */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
    banner("");
  } catch {
    banner(`The browser does not allow copying. ${what}: ${text}`);
  }
}
