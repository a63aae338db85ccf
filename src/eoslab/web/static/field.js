// One parameter: a slider, a number field that takes any number, and a place for what is wrong with it.
import { make } from "./dom.js";
import { number, show } from "./state.js";

/** Places of a slider. */
const PLACES = 1000;
/** Places that a key moves the slider by. @type {Record<string, number>} */
const MOVES = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

/**
 * @typedef {object} Range of a slider; the number field takes anything
 * @property {number} lo
 * @property {number} hi
 * @property {boolean} log
 */

/**
 * The range of a slider: wide around the default.
 * @param {string} key
 * @param {number} base
 * @param {string} model
 * @returns {Range}
 */
function rangeOf(key, base, model) {
  if (key === "lr") {
    return model === "minimalist" ? { lo: 0.05, hi: 8, log: true } : { lo: base / 30, hi: base * 10, log: true };
  }
  if (key === "steps") {
    return { lo: 10, hi: 20000, log: true };
  }
  if (["lambda1", "lambda2", "eps"].includes(key) || (base > 0 && base < 0.05)) {
    return { lo: base / 1000, hi: Math.max(base * 1000, 1), log: true };
  }
  if (key === "beta" || (key.startsWith("beta") && base >= 0.9)) {
    return { lo: 0, hi: 0.999, log: false };
  }
  return base > 0 ? { lo: 0, hi: Math.max(3, 3 * base), log: false } : { lo: -3, hi: 3, log: false };
}

export class Field {
  /**
   * @param {object} what
   * @param {string} what.key
   * @param {string} what.label
   * @param {string} what.spoken its name for a screen reader
   * @param {string} what.model
   * @param {number} what.base the default
   * @param {() => number} what.read
   * @param {(value: number) => void} what.write
   * @param {() => void} changed called after every change by the reader
   */
  constructor(what, changed) {
    this.what = what;
    this.changed = changed;
    this.range = rangeOf(what.key, what.base, what.model);
    const id = `f-${what.key}`;
    this.label = make("label", { htmlFor: `${id}-n`, textContent: what.label, title: what.spoken });
    this.slider = make("input", { type: "range", min: "0", max: String(PLACES), step: "1", id });
    this.slider.setAttribute("aria-label", what.spoken);
    this.text = make("input", { type: "text", inputMode: "decimal", id: `${id}-n`, spellcheck: false });
    this.text.setAttribute("aria-label", `${what.spoken}, number`);
    this.text.setAttribute("aria-describedby", `${id}-e`);
    this.wrong = make("span", { className: "bad", id: `${id}-e`, hidden: true });
    // papers write a learning rate as 2 over the sharpness at which it becomes unstable
    this.inverse = what.key === "lr" ? make("span", { className: "as" }) : null;
    this.box = make("div", { className: "field" }, this.label, this.slider, this.text);
    this.box.append(...(this.inverse ? [this.inverse] : []), this.wrong);
    this.slider.addEventListener("input", () => this.slideTo(Number(this.slider.value)));
    this.slider.addEventListener("keydown", (event) => this.keyed(event));
    this.text.addEventListener("input", () => this.typed());
    this.text.addEventListener("blur", () => {
      if (this.wrong.hidden) {
        this.show();
      }
    });
    this.show();
  }

  /**
   * The slider's place of a value.
   * @param {number} value
   */
  placeOf(value) {
    const { lo, hi, log } = this.range;
    const part = log ? Math.log(Math.max(value, lo) / lo) / Math.log(hi / lo) : (value - lo) / (hi - lo);
    return Math.round(PLACES * part);
  }

  /**
   * The value at a place of the slider: three digits are enough for a hand.
   * @param {number} place
   */
  valueAt(place) {
    const { lo, hi, log } = this.range;
    const part = place / PLACES;
    const value = log ? lo * (hi / lo) ** part : lo + (hi - lo) * part;
    return this.what.key === "steps" ? Math.round(value) : Number(value.toPrecision(3));
  }

  /** Write the value into slider and number field; what is being typed stays. */
  show() {
    const value = this.what.read();
    this.slider.setAttribute("aria-valuetext", show(value, 6));
    if (document.activeElement !== this.text) {
      this.text.value = show(value, 12);
    }
    this.showPlace(value);
    this.accept();
  }

  /** @param {number} value */
  showPlace(value) {
    this.slider.value = String(this.placeOf(value));
    if (this.inverse) {
      this.inverse.textContent = `= 2/${show(2 / value)}`;
    }
  }

  /**
   * Say what is wrong with the value.
   * @param {string} message
   */
  complain(message) {
    this.wrong.textContent = message;
    this.wrong.hidden = false;
    this.text.setAttribute("aria-invalid", "true");
  }

  /** Nothing is wrong any more. */
  accept() {
    this.wrong.hidden = true;
    this.text.removeAttribute("aria-invalid");
  }

  /** A trajectory came, so what is in the field was taken, unless it is no number at all. */
  taken() {
    if (Number.isFinite(number(this.text.value))) {
      this.accept();
    }
  }

  /** @param {number} place */
  slideTo(place) {
    this.what.write(this.valueAt(place));
    this.show();
    this.changed();
  }

  /** @param {KeyboardEvent} event */
  keyed(event) {
    if (!(event.key in MOVES)) {
      return;
    }
    event.preventDefault();
    // a place of the slider is finer than three digits near its end: go on until the value changes
    const step = MOVES[event.key] * (event.shiftKey ? 10 : 1);
    let place = Number(this.slider.value) + step;
    while (place > 0 && place < PLACES && this.valueAt(place) === this.what.read()) {
      place += Math.sign(step);
    }
    this.slideTo(Math.max(0, Math.min(PLACES, place)));
  }

  typed() {
    const value = number(this.text.value);
    if (!Number.isFinite(value)) {
      this.complain("A number is needed, or a fraction like 2/150.");
      return;
    }
    this.accept();
    this.what.write(value);
    this.showPlace(value);
    this.changed();
  }
}
