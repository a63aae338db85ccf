// The stream of a run in the making.
// A browser mends a lost connection itself, from the last event on; where it gives up (the server answered with an
// error), we ask again from there.

/** Milliseconds until we ask again. */
const AGAIN = 1000;
/** @type {(keyof LiveEvents)[]} */
const NAMES = ["begin", "points", "events", "alive", "end", "beat", "gone"];

/**
 * @typedef {object} FeedHooks
 * @property {<K extends keyof LiveEvents>(name: K, data: LiveEvents[K]) => void} event
 * @property {() => void} up
 * @property {() => void} down
 */

/**
 * Follow a run.
 * @param {string} id
 * @param {FeedHooks} hooks
 * @returns {() => void} stops
 */
export function follow(id, hooks) {
  /** @type {EventSource | null} */
  let source = null;
  let timer = 0;
  let last = "";
  const stop = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const open = () => {
    const opened = new EventSource(`/api/runs/${encodeURIComponent(id)}/stream${last && `?after=${last}`}`);
    source = opened;
    opened.onopen = hooks.up;
    opened.onerror = () => {
      if (source !== opened) {
        return;
      }
      hooks.down();
      if (opened.readyState === EventSource.CLOSED) {
        timer = setTimeout(open, AGAIN);
      }
    };
    for (const name of NAMES) {
      opened.addEventListener(name, (message) => {
        if (source === opened) {
          last = message.lastEventId || last;
          hooks.event(name, JSON.parse(message.data));
        }
      });
    }
  };
  open();
  return stop;
}
