// The page: controls, link, views. The mathematics is the server's; nothing of it is repeated here.
import { connect } from "./frame.js";
import { PhaseMap, TITLES, axesOf, placed } from "./map.js";
import { Lines, colour, portrait } from "./plots.js";
import { Runs } from "./runs.js";
import { PRESETS, defaults, fromQuery, fullQuery, number, show, toQuery } from "./state.js";
import { TOUR } from "./tour.js";

const $ = (id) => document.getElementById(id);
const catalogue = await (await fetch("/api/catalogue")).json();
const NAMES = { lambda1: "λ₁", lambda2: "λ₂", alpha: "α₀", beta1: "β₁₀", beta2: "β₂₀", b: "b", lr: "η", epsilon: "ε", zeta: "ζ" };
const SPOKEN = { lambda1: "Variance λ₁ of the irrelevant input", lambda2: "Variance λ₂ of the relevant input", lr: "Learning rate η", b: "Teacher b", steps: "Steps" };

let { state, wrong, unknown, query } = fromQuery(catalogue, location.search);
let view = ["explore", "map", "runs", "learn"].includes(query.get("view")) ? query.get("view") : "explore";
let tour = Math.max(0, Math.min(TOUR.length - 1, Number(query.get("tour") ?? 1) - 1 || 0));
let logLoss = query.get("scale") !== "linear", logX = query.get("xscale") === "log", pins = [], last = null, at = 0, fixed = false;

// -- controls, made from the catalogue ---------------------------------------------------------------------

/** Range of a slider: wide around the default; the number field takes anything. */
function bounds(key, base) {
  if (key === "lr") return state.model === "minimalist" ? [0.05, 8, true] : [base / 30, base * 10, true];
  if (key === "steps") return [10, 20000, true];
  if (["lambda1", "lambda2", "eps"].includes(key) || (base > 0 && base < 0.05)) return [base / 1000, Math.max(base * 1000, 1), true];
  if (["beta"].includes(key) || (key.startsWith("beta") && base >= 0.9)) return [0, 0.999, false];
  return base > 0 ? [Math.min(0, base), Math.max(3, 3 * base), false] : [-3, 3, false];
}
const fields = new Map();
function addField(parent, key, get, set, base, label, spoken) {
  const [lo, hi, log] = bounds(key, base), id = `f-${key}`, box = document.createElement("div");
  box.className = "field";
  const name = document.createElement("label"), slider = document.createElement("input"), text = document.createElement("input"), bad = document.createElement("span");
  name.htmlFor = `${id}-n`; name.textContent = label; name.title = spoken;
  slider.type = "range"; slider.min = "0"; slider.max = "1000"; slider.step = "1"; slider.id = id; slider.setAttribute("aria-label", spoken);
  text.type = "text"; text.inputMode = "decimal"; text.id = `${id}-n`; text.setAttribute("aria-label", `${spoken}, number`); text.spellcheck = false;
  bad.className = "bad"; bad.id = `${id}-e`; bad.hidden = true; text.setAttribute("aria-describedby", bad.id);
  box.append(name, slider, text);
  let as = null;
  if (key === "lr") { as = document.createElement("span"); as.className = "as"; box.append(as); }
  box.append(bad); parent.append(box);
  const toSlider = (v) => Math.round(1000 * (log ? Math.log(Math.max(v, lo) / lo) / Math.log(hi / lo) : (v - lo) / (hi - lo)));
  const fromSlider = (t) => { const v = log ? lo * (hi / lo) ** (t / 1000) : lo + (hi - lo) * t / 1000; return key === "steps" ? Math.round(v) : Number(v.toPrecision(3)); };
  const write = () => {
    const v = get();
    slider.value = String(toSlider(v)); slider.setAttribute("aria-valuetext", show(v, 6));
    if (document.activeElement !== text) text.value = show(v, 12);
    if (as) as.textContent = `= 2/${show(2 / v)}`;
    bad.hidden = true; text.removeAttribute("aria-invalid");
  };
  const complain = (message) => { bad.textContent = message; bad.hidden = false; text.setAttribute("aria-invalid", "true"); };
  slider.addEventListener("input", () => { set(fromSlider(Number(slider.value))); write(); changed(); });
  slider.addEventListener("keydown", (e) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[e.key];
    if (!by) return;
    e.preventDefault();
    // a place of the slider is finer than three digits near its end: go on until the value changes
    const step = by * (e.shiftKey ? 10 : 1);
    let t = Number(slider.value) + step;
    while (t > 0 && t < 1000 && fromSlider(t) === get()) t += Math.sign(step);
    t = Math.max(0, Math.min(1000, t));
    slider.value = String(t); set(fromSlider(t)); write(); changed();
  });
  const typed = () => {
    const v = number(text.value);
    if (!Number.isFinite(v)) { complain("A number is needed, or a fraction like 2/150."); return; }
    bad.hidden = true; text.removeAttribute("aria-invalid");
    set(v); slider.value = String(toSlider(v)); if (as) as.textContent = `= 2/${show(2 / v)}`;
    changed();
  };
  text.addEventListener("input", typed);
  text.addEventListener("blur", () => { if (bad.hidden) write(); });
  write();
  fields.set(key, { write, complain, text, slider });
}
function select(parent, key, label, options, choose) {
  const box = document.createElement("div"), name = document.createElement("label"), list = document.createElement("select");
  box.className = "field word"; name.htmlFor = list.id = `f-${key}`; if (key) list.id = `f-${key}`; name.textContent = label;
  for (const option of options) list.append(new Option(option, option, false, option === state[key]));
  list.addEventListener("change", () => choose(list.value));
  box.append(name, list); parent.append(box);
}
function group(parent, title) {
  const set = document.createElement("fieldset"), legend = document.createElement("legend");
  legend.textContent = title; set.append(legend); parent.append(set);
  return set;
}
function build() {
  const parent = $("fields"), m = catalogue.models[state.model], base = defaults(catalogue, state.model, state.optimizer);
  fields.clear(); parent.replaceChildren();
  select(parent, "model", "Model", Object.keys(catalogue.models), (v) => { state = defaults(catalogue, v, catalogue.optimizers[state.optimizer].models.includes(v) ? state.optimizer : "gd"); build(); changed(true); });
  select(parent, "optimizer", "Optimizer", Object.keys(catalogue.optimizers).filter((o) => catalogue.optimizers[o].models.includes(state.model)), (v) => {
    const keep = Object.fromEntries(["lr", "steps", "init", ...Object.keys(m.settings)].map((k) => [k, state[k]]));
    state = { ...defaults(catalogue, state.model, v), ...keep }; build(); changed(true);
  });
  const plain = (set, key) => addField(set, key, () => state[key], (v) => { state[key] = v; }, base[key], NAMES[key] ?? key, SPOKEN[key] ?? key);
  const rule = group(parent, "Descent");
  for (const key of ["lr", ...Object.keys(catalogue.optimizers[state.optimizer].settings), "steps"]) if (key !== "beta1" && key !== "beta2" || !(key in m.settings)) plain(rule, key);
  const model = group(parent, "Loss");
  for (const key of Object.keys(m.settings)) plain(model, key);
  const start = group(parent, "Start");
  m.params.forEach((name, i) => addField(start, `${name}_0`, () => state.init[i], (v) => { state.init = state.init.with(i, v); }, m.start[i], NAMES[name] ?? `${name}₀`, `${name} at the start`));
  $("preset").disabled = false;
}
const writeAll = () => fields.forEach((f) => f.write());

// -- the link ---------------------------------------------------------------------------------------------------

function link(over = {}) {
  const q = toQuery(catalogue, state);
  const v = over.view ?? view;
  if (v !== "explore") q.set("view", v);
  if (v === "learn") q.set("tour", String(tour + 1));
  if (!logLoss) q.set("scale", "linear");
  if (logX) q.set("xscale", "log");
  for (const pin of pins) q.append("pin", pin.query);
  if (v === "runs" && runs?.chosen.length) q.set("runs", runs.chosen.join(","));
  return `?${q}`;
}
let timer = 0;
const remember = () => { clearTimeout(timer); timer = setTimeout(() => history.replaceState(null, "", link()), 150); };
const step = () => { clearTimeout(timer); history.pushState(null, "", link()); };
addEventListener("popstate", () => {
  const old = state.model + state.optimizer;
  const read = fromQuery(catalogue, location.search);
  state = read.state; const v = read.query.get("view") ?? "explore"; logLoss = read.query.get("scale") !== "linear"; logX = read.query.get("xscale") === "log";
  if (old !== state.model + state.optimizer) build(); else writeAll();
  open(v, false); ask();
});
function go(next, opened = true) { const kind = next.model + next.optimizer !== state.model + state.optimizer; state = next; if (kind) build(); else writeAll(); if (opened) step(); ask(); maps(); exports(); }
function changed(entry = false) { $("preset").value = ""; fixed = false; ask(); maps(); exports(); if (entry) step(); else remember(); }
const preset = (set) => ({ ...defaults(catalogue, set.model ?? "minimalist", set.optimizer ?? "gd"), ...structuredClone(set) });

// -- drawing ----------------------------------------------------------------------------------------------------

const box = (id) => $(id).querySelector(".plot");
const moved = (i) => { if (i !== null && last) { at = i; $("cursor").value = String(i); readout(); later(); } };
const loss = new Lines(box("fig-loss"), moved), sharp = new Lines(box("fig-sharp"), moved);
let pending = 0;
const later = () => { if (!pending) pending = requestAnimationFrame(() => { pending = 0; phase(); }); };
const above = (y) => logLoss ? Array.from(y, (v) => (v > 1e-16 ? v : null)) : y;

/** A pinned run on the steps of the current one: gaps where it has none. */
function laid(pin, name, x) {
  const steps = pin.frame.rows.step, y = pin.frame.rows[name], out = new Array(x.length);
  for (let i = 0, j = 0; i < x.length; i++) { while (j < steps.length - 1 && steps[j] < x[i]) j++; out[i] = steps[j] === x[i] || x[i] <= steps[steps.length - 1] ? y[j] : null; }
  return out;
}
const PIN_DASH = [[7, 3], [3, 3], [9, 3, 2, 3], [2, 5]];
function draw(f) {
  const x = f.rows.step, span = [0, f.diverged !== null ? f.diverged + 10 : Math.max(1, f.steps)];
  const common = { x, logX, span, bands: f.phases, hatch: f.diverged, label: "", mark: fixed ? x[at] : null };
  const blue = colour("blue"), red = colour("red"), green = colour("green"), quiet = colour("quiet");
  const pinned = (name) => pins.filter((p) => p.frame).map((p, i) => ({ y: name === "loss" ? above(laid(p, name, x)) : laid(p, name, x), colour: quiet, dash: PIN_DASH[i % 4], width: 1.2 }));
  loss.draw({ ...common, log: logLoss, ceiling: undefined, series: [
    { y: above(f.rows.loss_osc), colour: red }, { y: above(f.rows.loss_conv), colour: green }, { y: above(f.rows.loss), colour: blue, width: 1.5 }, ...pinned("loss")] });
  const tau = f.threshold ?? NaN;
  sharp.draw({ ...common, log: false, ceiling: $("clip").checked && tau ? 3 * tau : undefined,
    level: [{ y: tau, text: f.threshold_name ? `${f.threshold_name} = ${show(tau)}` : "" }],
    series: [{ y: f.rows.sharpness, colour: blue }, { y: f.rows.gfs_sharpness, colour: green, dash: [6, 4] }, ...pinned("sharpness")] });
  phase(); readout();
}
function phase() {
  if (!last || view === "map" || view === "runs") return;
  const [a, b] = last.params, edge = last.params[0] === "alpha" && last.threshold ? Math.sqrt(last.threshold / state.lambda1) : undefined;
  portrait(box("fig-phase"), { x: last.rows[`w:${a}`], y: last.rows[`w:${b}`], step: last.rows.step, names: [PLAIN[a] ?? a, PLAIN[b] ?? b], edge, at, escapes: last.diverged !== null });
}
const PLAIN = { alpha: "α", beta1: "β₁", beta2: "β₂" };
function readout() {
  if (!last || !last.rows.step.length) return;
  const r = last.rows, i = Math.min(at, r.step.length - 1);
  const gfs = Number.isFinite(r.gfs_sharpness[i]) ? ` · GFS ${show(r.gfs_sharpness[i])}` : "";
  $("readout").textContent = `step ${r.step[i]} · loss ${show(r.loss[i], 3)} · S ${show(r.sharpness[i])}${gfs}${last.threshold ? ` · ${last.threshold_name} ${show(last.threshold)}` : ""}`;
  $("cursor").setAttribute("aria-valuetext", $("readout").textContent);
}
let said = 0, saying = 0;
function verdict(f) {
  // at most one update a second for a screen reader
  const tell = () => { said = performance.now(); const [head, ...rest] = f.verdict.split(": "); const strong = document.createElement("strong"); strong.textContent = head; $("verdict").replaceChildren(strong, `${rest.join(": ")}${rest.length ? "." : ""}`); };
  clearTimeout(saying);
  if (performance.now() - said > 1000 || last?.regime !== f.regime) tell(); else saying = setTimeout(tell, 1000 - (performance.now() - said));
  const card = document.querySelector(".verdict");
  card.className = `card verdict ${f.regime.split("-")[0]}`;
  const s = $("suggestion"); s.hidden = true;
  if (f.regime === "stable" && f.gfs_start && state.optimizer === "gd" && f.lr * f.gfs_start < 2) {
    const lr = Number((2.15 / f.gfs_start).toPrecision(3)), a = document.createElement("a");
    a.href = `?${toQuery(catalogue, { ...state, lr })}`; a.textContent = `Try η = ${lr}`;
    a.addEventListener("click", (e) => { e.preventDefault(); go({ ...state, lr }); });
    s.replaceChildren(a, " to reach the edge."); s.hidden = false;
  } else if (f.diverged !== null) { s.textContent = "Lower η or the start."; s.hidden = false; }
  const t = f.theory, lines = [];
  if (t) {
    const b = (text) => { const e = document.createElement("b"); e.textContent = text; return e; };
    const p = (...parts) => { const e = document.createElement("p"); e.append(...parts); lines.push(e); };
    p("Theory from the start alone: ", b(t.regime), ` (${t.standing})`);
    if (t.T1) {
      const inside = t.measured_T1 !== null && t.measured_T1 >= t.T1[0] - 1 && t.measured_T1 <= t.T1[1] + 1;
      p("α reaches the edge at a step in ", b(`[${Math.ceil(t.T1[0] - 1e-6)}, ${Math.floor(t.T1[1] + 1e-6)}]`), t.measured_T1 === null ? `; not reached in ${f.steps} steps` : `; it was step ${t.measured_T1}${inside ? ", inside" : ", OUTSIDE"}`);
    } else if (t.fails) p(`The entry-time theorem does not apply (fails: ${t.fails}).`);
    if (t.delta) p("Sharpness proved to stay below ", b(`(2 + ${show(t.delta, 2)})/η`), `; largest was ${show(2 * f.max_ratio)}/η`);
  }
  $("theory").replaceChildren(...lines); $("theory").hidden = !lines.length;
}
function table(f) {
  if (!$("table-box").open) return;
  const t = document.createElement("table"), head = t.createTHead().insertRow(), n = f.rows.step.length, every = Math.max(1, Math.ceil(n / 200));
  const names = Object.keys(f.rows);
  for (const name of names) { const th = document.createElement("th"); th.scope = "col"; th.textContent = name.replace("w:", "").replace("_", " "); head.append(th); }
  const body = t.createTBody();
  for (let i = 0; i < n; i += every) { const row = body.insertRow(); for (const name of names) row.insertCell().textContent = name === "step" ? String(f.rows.step[i]) : show(f.rows[name][i], 5); }
  $("table").replaceChildren(t);
}
function received(f) {
  clearTimeout(compiling); document.querySelectorAll(".wait").forEach((e) => e.remove());
  if (f.error) {
    const field = fields.get(f.error.field) ?? fields.get(f.error.field + "_0");
    if (field) field.complain(f.error.message); else banner(f.error.message);
    document.body.dataset.error = f.error.field;
    return;
  }
  delete document.body.dataset.error;
  fields.forEach((x) => { if (x.text.getAttribute("aria-invalid") && Number.isFinite(number(x.text.value))) { x.text.removeAttribute("aria-invalid"); x.text.parentElement.querySelector(".bad").hidden = true; } });
  verdict(f);
  last = f;
  const n = f.rows.step.length;
  $("cursor").max = String(Math.max(0, n - 1));
  if (!fixed) at = n - 1; else at = Math.min(at, n - 1);
  $("cursor").value = String(at);
  if (view === "explore" || view === "learn") draw(f);
  table(f);
  document.body.dataset.frame = String(Number(document.body.dataset.frame) + 1);
  document.body.dataset.lr = String(f.lr);
}
const banner = (text) => { $("banner").textContent = text; $("banner").hidden = !text; };
function waiting(text) { for (const id of ["fig-loss", "fig-sharp"]) { const p = document.createElement("p"); p.className = "wait"; p.textContent = text; box(id).append(p); } }
let compiling = setTimeout(() => waiting("Compiling the kernel (once per installation) …"), 500), lost = false;
const ask = connect({
  message: () => ({ ...state, width: Math.round(box("fig-loss").clientWidth * devicePixelRatio), log_x: logX }),
  frame: received,
  up: () => { if (lost) banner(""); lost = false; },
  down: () => { lost = true; banner("Lost the connection to the local server — trying again. Your settings are kept in the address bar."); },
});

// -- views --------------------------------------------------------------------------------------------------------

const jump = (m) => (x, y) => { state = placed(m.axes[1], y, placed(m.axes[0], x, state, catalogue), catalogue); writeAll(); open("explore", false); step(); ask(); exports(); mini.draw(); };
const mini = new PhaseMap($("mini"), { n: [64, 40], open: (x, y) => jump(mini)(x, y) });
const big = new PhaseMap($("map"), { n: [192, 128], open: (x, y) => jump(big)(x, y), hover: (t) => { $("map-hover").textContent = t; },
  progress: (p, running) => { $("map-progress").value = p; $("map-cancel").disabled = !running; }, failed: (t) => { $("map-error").textContent = t; } });
$("map-cancel").addEventListener("click", () => { big.cancel(); $("map-cancel").disabled = true; });
let mapTimer = 0;
function maps() {
  mini.state = state; clearTimeout(mapTimer);
  if (view === "map") axisLists();
  mapTimer = setTimeout(() => { if (view === "map") big.update({ ...state }, catalogue); else if (view !== "runs") mini.update({ ...state, steps: Math.min(state.steps, 20000) }, catalogue); }, 250);
}
function axisLists() {
  const all = axesOf(state, catalogue);
  for (const [i, id] of ["map-x", "map-y"].entries()) {
    if (!(big.axes[i] in all)) big.axes[i] = Object.keys(all).filter((n) => n !== big.axes[1 - i])[i];
    $(id).replaceChildren(...Object.entries(all).map(([n, a]) => new Option(a.label, n, false, n === big.axes[i])));
  }
}
for (const [i, id] of ["map-x", "map-y"].entries()) $(id).addEventListener("change", () => { const other = big.axes[1 - i]; if ($(id).value === other) big.axes[1 - i] = big.axes[i]; big.axes[i] = $(id).value; big.marker = null; maps(); });
$("map-quantity").addEventListener("change", () => { big.quantity = $("map-quantity").value; document.querySelectorAll("[data-for=map] .map-legend").forEach((e) => { e.hidden = big.quantity !== "regime"; }); big.draw(); });
document.querySelectorAll(".map-legend").forEach((e) => e.replaceChildren(...TITLES.slice(0, 5).flatMap((t, i) => { const k = document.createElement("i"); k.className = `k fill f${i}`; return [k, t]; })));

const runs = new Runs({
  changed: () => remember(), copy: (text, what) => copy(text, what),
  open: (run) => {
    const p = run.parameters, next = { ...defaults(catalogue, run.model in catalogue.models ? run.model : "minimalist", run.optimizer in catalogue.optimizers ? run.optimizer : "gd") };
    if (!(run.model in catalogue.models) || !(run.optimizer in catalogue.optimizers)) { banner(`${run.model} with ${run.optimizer} has no controls here; eoslab report ${run.id} shows it.`); return; }
    Object.assign(next, p.model); for (const [k, v] of Object.entries(p.optimizer)) next[k === "beta_min" ? "floor" : k] = v;
    next.init = p.run.start; next.steps = Math.min(p.run.steps, catalogue.max_steps);
    open("explore", false); go(next);
  },
});
runs.chosen = (query.get("runs") ?? "").split(",").filter(Boolean).slice(0, 8);

function open(next, entry = true) {
  const was = view; view = next;
  document.querySelectorAll("[data-for]").forEach((e) => { e.hidden = !e.dataset.for.split(" ").includes(view); });
  document.querySelectorAll("#views button").forEach((e) => { if (e.dataset.view === view) e.setAttribute("aria-current", "page"); else e.removeAttribute("aria-current"); });
  $("tour").hidden = view !== "learn";
  document.body.dataset.view = view;
  if (view === "runs") runs.load();
  if (view === "learn" && was !== "learn" && entry) show10();
  if (last && (view === "explore" || view === "learn")) draw(last);
  maps();
  if (entry && was !== view) step();
}
document.querySelectorAll("button[data-view]").forEach((e) => e.addEventListener("click", () => open(e.dataset.view)));
function show10() { go(preset(TOUR[tour].set), false); words(); remember(); }
function words() {
  const t = TOUR[tour];
  $("tour-count").textContent = `Step ${tour + 1} of ${TOUR.length}`; $("tour-title").textContent = t.title; $("tour-text").textContent = t.text; $("tour-try").textContent = t.try;
  $("tour-back").disabled = tour === 0; $("tour-next").disabled = tour === TOUR.length - 1;
}
for (const [id, by] of [["tour-back", -1], ["tour-next", 1]]) $(id).addEventListener("click", () => { tour = Math.max(0, Math.min(TOUR.length - 1, tour + by)); show10(); step(); $("tour-title").focus(); });

// -- what the buttons do -------------------------------------------------------------------------------------------

$("preset").append(new Option("choose …", ""), ...Object.entries(PRESETS).map(([k, p]) => new Option(p.title, k)));
$("preset").addEventListener("change", () => { const key = $("preset").value; if (key) { go(preset(PRESETS[key].set)); $("preset").value = key; } });
$("reset").addEventListener("click", () => { fixed = false; go(defaults(catalogue, state.model, "gd")); });
$("controls").addEventListener("submit", (e) => e.preventDefault());
$("cursor").addEventListener("input", () => { at = Number($("cursor").value); fixed = true; if (last) draw(last); });
$("log-loss").addEventListener("click", () => { logLoss = !logLoss; scales(); remember(); if (last) draw(last); });
$("x-axis").addEventListener("change", () => { logX = $("x-axis").value === "log"; remember(); ask(); });
$("clip").addEventListener("change", () => last && draw(last));
$("table-box").addEventListener("toggle", () => last && table(last));
function scales() { $("log-loss").textContent = logLoss ? "log" : "linear"; $("log-loss").setAttribute("aria-pressed", String(logLoss)); $("x-axis").value = logX ? "log" : "linear"; }
function showPins() {
  $("unpin").hidden = !pins.length;
  $("pins").replaceChildren(...pins.map((pin, i) => {
    const li = document.createElement("li"), a = document.createElement("a"), x = document.createElement("button");
    a.href = `?${pin.query}`; a.textContent = pin.name; a.addEventListener("click", (e) => { e.preventDefault(); go(fromQuery(catalogue, pin.query).state); });
    x.type = "button"; x.textContent = "×"; x.setAttribute("aria-label", `Remove pin ${i + 1}`); x.addEventListener("click", () => { pins.splice(i, 1); showPins(); remember(); if (last) draw(last); });
    li.append(a, x); return li;
  }));
}
function pin() {
  if (!last || pins.length >= 4) return;
  pins.push({ query: toQuery(catalogue, state).toString(), name: `η ${show(state.lr)} · ${last.regime_title}`, frame: last });
  showPins(); remember(); say("Pinned.");
}
$("pin").addEventListener("click", pin);
$("unpin").addEventListener("click", () => { pins = []; showPins(); remember(); if (last) draw(last); });
const say = (text) => { $("said").textContent = text; };
async function copy(text, what) {
  try { await navigator.clipboard.writeText(text); say(`${what} copied.`); banner(""); }
  catch { banner(`The browser does not allow copying. ${what}: ${text}`); }
}
$("copy-link").addEventListener("click", () => copy(location.origin + location.pathname + link(), "Link"));
$("copy-command").addEventListener("click", () => last && copy(last.command, "Command"));
$("copy-python").addEventListener("click", () => last && copy(last.python, "Python"));
function exports() {
  const q = fullQuery(state);
  for (const id of ["csv", "npz"]) $(id).href = `/api/export?${q}&format=${id}`;
  document.querySelectorAll("#export a[data-format]").forEach((a) => { a.href = `/api/figure?${q}&format=${a.dataset.format}&name=${$("figure-name").value}&size=${$("figure-size").value}`; });
}
$("figure-name").append(...[["loss-sharpness", "loss & sharpness"], ["loss-split", "loss split"], ["gfs", "GFS"], ["phase-portrait", "portrait"], ["phases", "phases"], ["displacement", "displacement"]].map(([v, t]) => new Option(t, v)));
$("figure-name").addEventListener("change", exports); $("figure-size").addEventListener("change", exports);
$("help").addEventListener("click", () => $("keys").showModal());
const SHORT = {
  "/": () => fields.get("lr").text.focus(), "[": () => nudge(-1), "]": () => nudge(1), p: pin, l: () => $("log-loss").click(), r: () => $("reset").click(),
  m: () => open("map"), c: () => $("copy-link").click(), "?": () => $("keys").showModal(),
};
function nudge(by) { if (last) { at = Math.max(0, Math.min(last.rows.step.length - 1, at + by)); fixed = true; $("cursor").value = String(at); draw(last); } }
$("keys-on").checked = localStorage.getItem("keys") !== "off";
$("keys-on").addEventListener("change", () => localStorage.setItem("keys", $("keys-on").checked ? "on" : "off"));
addEventListener("keydown", (e) => {
  const target = /** @type {HTMLElement} */ (e.target);
  if (e.ctrlKey || e.metaKey || e.altKey || !$("keys-on").checked || $("keys").open || target.matches("input[type=text], input[type=search], select")) return;
  if (SHORT[e.key]) { e.preventDefault(); SHORT[e.key](); }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => last && draw(last));
new ResizeObserver(() => later()).observe(box("fig-phase"));

// -- begin -----------------------------------------------------------------------------------------------------------

build(); scales(); exports(); words();
for (const text of query.getAll("pin").slice(0, 4)) {
  const p = fromQuery(catalogue, text), pinned = { query: text, name: `η ${show(p.state.lr)}`, frame: null };
  pins.push(pinned);
}
if (pins.length) {
  // the frames of pins from a link come over a line of their own
  const todo = pins.filter((p) => !p.frame);
  const other = new WebSocket(`ws://${location.host}/ws`); other.binaryType = "arraybuffer";
  const { decode } = await import("./frame.js");
  let k = 0; const next = () => { if (k < todo.length) other.send(JSON.stringify(fromQuery(catalogue, todo[k].query).state)); else { other.close(); showPins(); if (last) draw(last); } };
  other.onopen = next; other.onmessage = (e) => { const f = decode(e.data); if (!f.error) { todo[k].frame = f; todo[k].name += ` · ${f.regime_title}`; } k++; next(); };
}
showPins();
const notes = [unknown.length ? `Unknown in this link, ignored: ${[...new Set(unknown)].join(", ")}.` : "", wrong.length ? `Not usable, defaults taken: ${wrong.join(", ")}.` : ""].filter(Boolean);
if (notes.length) banner(notes.join(" "));
if (view === "learn") words();
open(view, false);
