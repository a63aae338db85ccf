// A run in the making, as far as its journal tells: its points and events, how it goes, and in what state it is.
import { Points } from "./livepoints.js";
import { show } from "./state.js";

/** Seconds without a point after which a run counts as stalled. */
const STALLED = 30;
/** Seconds over which the speed is measured. */
const RECENT = 10;
const MS = 1000;

/** @typedef {"waiting" | "running" | "stalled" | "finished" | "stopped" | "failed" | "gone"} State */

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) {
    return `${Math.max(0, Math.round(seconds))} s`;
  }
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** @param {number} n */
export const whole = (n) => n.toLocaleString("en");

export class LiveRun {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    this.points = new Points();
    /** @type {LiveBegin} */
    this.start = { step: 0 };
    /** @type {LiveEvent[]} */
    this.events = [];
    /** @type {LiveEnd | null} */
    this.end = null;
    /** Step and time of the last batches, for the speed. @type {[step: number, at: number][]} */
    this.pace = [];
    /** The last step that was said to be made, measured or not. */
    this.step = -1;
    /** When something came last, by the clock of this page, and how old it was then. */
    this.heard = { now: performance.now(), age: 0 };
    this.processGone = false;
    this.gone = false;
  }

  /**
   * Take an event of the stream.
   * @template {keyof LiveEvents} K
   * @param {K} name
   * @param {LiveEvents[K]} data
   */
  take(name, data) {
    const handlers = {
      begin: (/** @type {LiveBegin} */ begin) => this.begin(begin),
      points: (/** @type {LivePoints} */ points) => {
        this.points.add(points);
        this.made(points.step[points.step.length - 1], points.at);
      },
      events: (/** @type {LiveEvents["events"]} */ { events }) => this.happened(events),
      alive: (/** @type {LiveEvents["alive"]} */ { step, at }) => this.made(step, at),
      end: (/** @type {LiveEnd} */ end) => {
        this.end = end;
      },
      beat: (/** @type {LiveEvents["beat"]} */ beat) => {
        this.heard = { now: performance.now(), age: beat.age };
        this.processGone = beat.process_gone === true;
      },
      gone: () => {
        this.gone = true;
      },
    };
    /** @type {(data: any) => void} */ (handlers[name])(data);
  }

  /** A process begins, or goes on from a checkpoint. @param {LiveBegin} begin */
  begin(begin) {
    this.points.cut(begin.step);
    this.points.every = Math.max(1, begin.every ?? 1);
    this.events = this.events.filter((event) => event.step < begin.step);
    this.start = begin;
    this.end = null;
    this.pace = [];
    this.step = begin.step - 1;
    this.heard = { now: performance.now(), age: 0 };
    this.processGone = false;
  }

  /** @param {number} step @param {number | null} at */
  made(step, at) {
    this.step = Math.max(this.step, step);
    this.heard = { now: performance.now(), age: 0 };
    if (at !== null) {
      this.pace.push([step, at]);
      while (this.pace.length > 2 && at - this.pace[1][1] > RECENT) {
        this.pace.shift();
      }
    }
  }

  /** @param {LiveEvent[]} events */
  happened(events) {
    for (const event of events) {
      // what a resumed run makes again it also tells again
      if (!this.events.some((known) => known.event === event.event && known.step === event.step)) {
        this.events.push(event);
      }
    }
  }

  /** Seconds since the last line of the journal. */
  get age() {
    return this.heard.age + (performance.now() - this.heard.now) / MS;
  }

  /** Steps a second, over the last ones and the silence since; 0 where that is not known. */
  get speed() {
    const first = this.pace[0];
    const last = this.pace[this.pace.length - 1];
    return first && last && last[1] > first[1] ? (last[0] - first[0]) / (last[1] - first[1] + this.age) : 0;
  }

  /** @returns {State} */
  get state() {
    if (this.gone) {
      return "gone";
    }
    if (this.end) {
      const words = /** @type {Record<string, State>} */ ({ failed: "failed", interrupted: "stopped" });
      return words[this.end.outcome] ?? "finished";
    }
    if (this.processGone || this.age > STALLED) {
      return "stalled";
    }
    return this.points.length || this.step >= 0 ? "running" : "waiting";
  }

  /** The state in a sentence. */
  get sentence() {
    const at = whole(Math.max(0, this.end?.step ?? this.step));
    const since = this.processGone
      ? "Its process is gone without a word: killed?"
      : `No point for ${duration(this.age)}.`;
    return {
      waiting: "Waiting for the first step …",
      running: "Running.",
      stalled: `Stalled at step ${at}. ${since}`,
      finished: `Finished at step ${at}. ${this.end?.verdict ?? ""}`,
      stopped: `Stopped at step ${at}.`,
      failed: `Failed at step ${at}. The last lines of its log:`,
      gone: `The run ${this.id} is no longer in the store.`,
    }[this.state];
  }

  /** What could be done now, as a command. */
  get command() {
    const { state } = this;
    const again = state === "stopped" || state === "failed" || (state === "stalled" && this.processGone);
    return again ? `eoslab train --resume ${this.id}` : "";
  }

  /** The numbers beside the state. */
  get numbers() {
    const { points, start } = this;
    if (this.step < 0) {
      return "";
    }
    const last = points.length - 1;
    const parts = [`step ${whole(this.step)}${start.steps ? ` of ${whole(start.steps)}` : ""}`];
    if (last >= 0) {
      parts.push(`loss ${show(points.loss[last], 3)}`, `sharpness ${show(points.sharpness[last])}`);
      if (start.threshold && start.lr) {
        parts.push(`${this.symbol} ${show((points.sharpness[last] * start.lr) / start.threshold, 3)}`);
      }
    }
    if (this.state === "running") {
      if (this.speed > 0) {
        parts.push(`${show(this.speed, 3)} steps/s`);
        parts.push(start.steps ? `${duration(Math.max(0, start.steps - this.step) / this.speed)} left` : "");
      }
      parts.push(`last point ${this.age.toFixed(1)} s ago`);
    }
    return parts.filter(Boolean).join(" · ");
  }

  /** The ratio that is compared with 1. */
  get symbol() {
    return `ηS/${show(this.start.threshold)}`;
  }

  /** The threshold in units of sharpness; NaN where the optimizer has none. */
  get threshold() {
    return this.start.threshold && this.start.lr ? this.start.threshold / this.start.lr : NaN;
  }
}
