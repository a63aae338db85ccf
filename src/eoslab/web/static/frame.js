// A message of the server: uint32 length | JSON header | float32 rows.

/** @param {ArrayBuffer} buffer */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const rows = {};
  head.rows.forEach((name, i) => { rows[name] = new Float32Array(buffer, 4 + length + 4 * i * head.n, head.n); });
  return { ...head, rows };
}

/**
 * Latest value wins, one request in flight: so dragging never queues.
 * @param {{message: () => object, frame: (f: any) => void, up: () => void, down: () => void}} hooks
 */
export function connect(hooks) {
  let sock = null, want = false, busy = false, id = 0, wait = 300;
  const pump = () => {
    if (!want || busy || !sock || sock.readyState !== 1) return;
    want = false; busy = true;
    sock.send(JSON.stringify({ ...hooks.message(), id: ++id }));
  };
  const open = () => {
    sock = new WebSocket(`ws://${location.host}/ws`);
    sock.binaryType = "arraybuffer";
    sock.onopen = () => { wait = 300; busy = false; want = true; hooks.up(); pump(); };
    sock.onmessage = (e) => { busy = false; pump(); hooks.frame(decode(e.data)); };
    sock.onclose = () => { busy = false; hooks.down(); setTimeout(open, wait); wait = Math.min(3000, wait * 1.6); };
  };
  open();
  return () => { want = true; pump(); };
}
