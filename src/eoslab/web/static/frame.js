// A message of the server: uint32 length | JSON header | float32 rows.

/**
 * The trajectory, or what is wrong with the request.
 * @param {ArrayBuffer} buffer
 * @returns {Frame | Refusal}
 */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  /** @type {Rows} */
  const rows = {};
  head.rows.forEach((/** @type {string} */ name, /** @type {number} */ i) => {
    rows[name] = new Float32Array(buffer, 4 + length + 4 * i * head.n, head.n);
  });
  return { ...head, rows };
}

/** A connection to the server's frames. */
export function socket() {
  const opened = new WebSocket(`ws://${location.host}/ws`);
  opened.binaryType = "arraybuffer";
  return opened;
}

/** Milliseconds before the first and between later attempts to mend a lost connection. */
const PATIENCE = { first: 300, most: 3000, growth: 1.6 };

/**
 * Latest value wins, one request in flight: so dragging never queues.
 * @param {object} hooks
 * @param {() => object} hooks.message what to ask for now
 * @param {(frame: Frame | Refusal) => void} hooks.frame
 * @param {() => void} hooks.up
 * @param {() => void} hooks.down
 * @returns {() => void} asks
 */
export function connect(hooks) {
  /** @type {WebSocket | null} */
  let sock = null;
  let want = false;
  let busy = false;
  let id = 0;
  let wait = PATIENCE.first;
  const pump = () => {
    if (!want || busy || sock?.readyState !== WebSocket.OPEN) {
      return;
    }
    want = false;
    busy = true;
    id += 1;
    sock.send(JSON.stringify({ ...hooks.message(), id }));
  };
  const open = () => {
    sock = socket();
    sock.onopen = () => {
      wait = PATIENCE.first;
      busy = false;
      want = true;
      hooks.up();
      pump();
    };
    sock.onmessage = (event) => {
      busy = false;
      pump();
      hooks.frame(decode(event.data));
    };
    sock.onclose = () => {
      busy = false;
      hooks.down();
      setTimeout(open, wait);
      wait = Math.min(PATIENCE.most, wait * PATIENCE.growth);
    };
  };
  open();
  return () => {
    want = true;
    pump();
  };
}
