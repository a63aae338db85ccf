// What the server says and what the page keeps, as types for the checker; nothing here is served.

// -- what the server says ------------------------------------------------------------------------

/** The answer of /api/catalogue: what there is to choose from (request.py). */
interface Catalogue {
  models: Record<string, CatalogueModel>;
  optimizers: Record<string, CatalogueOptimizer>;
  /** Curves that can be drawn over a run, by model and optimizer (overlays.py). */
  overlays: Record<string, Record<string, CurveOffer[]>>;
  /** What an omitted key of a link stands for, by the version of the link (defaults.py). */
  defaults: Record<string, Defaults>;
  version_of_links: number;
  presets: PresetOffer[];
  tour: TourStep[];
  figures: { name: string; title: string }[];
  /** Most steps that a page may ask for. */
  max_steps: number;
  version: string;
}

interface CatalogueModel {
  about: string;
  settings: string[];
  params: string[];
  /** Axes that its phase maps can have. */
  axes: NamedAxis[];
  /** Optimizers that can be chosen with it. */
  optimizers: string[];
}

interface CatalogueOptimizer {
  about: string;
  settings: string[];
}

interface Defaults {
  model: string;
  optimizer: string;
  steps: number;
  /** Start: one number for each of the model's `params`; slider: ends of the slider of the learning rate. */
  models: Record<string, { lr: number; settings: Record<string, number>; start: number[] }>;
  optimizers: Record<string, Record<string, number>>;
  /** Models and optimizers whose defaults are not kept: links about them omit nothing. */
  unversioned: string[];
}

interface CurveOffer {
  name: string;
  title: string;
  about: string;
}

/** Settings under the names of the command's options, as they would be typed. */
type Asked = Record<string, string | number | number[]>;

interface PresetOffer {
  key: string;
  group: string;
  title: string;
  asked: Asked;
  regime: string;
}

interface TourStep {
  key: string;
  title: string;
  text: string;
  attempt: string;
  asked: Asked;
}

/** What the statements of the theory say from the start alone, beside the run (verdict.py). */
interface Theory {
  /** What, theory, this run, and whether they agree (null: nothing is proved, or too early to tell). */
  rows: [what: string, theory: string, run: string, agrees: boolean | null][];
  /** The first hypothesis of the entry-time theorem that does not hold. */
  fails?: string;
}

/** A curve over the run: a message with its own steps (overlays.py). */
interface Curve {
  overlay: string;
  title: string;
  /** How far it goes, if not to the end. */
  note: string;
  /** Why this run has none; then there are no rows. */
  absent: string;
  rows: Rows;
}

/** Header of a binary message about a trajectory (frames.py). */
interface FrameHeader {
  id: number | string | null;
  ms?: number;
  command: string;
  python?: string;
  theory?: Theory | null;
  /** |α| at the threshold, where the first component is α. */
  edge_at?: number | null;
  /** A learning rate at which a stable run reaches the edge. */
  attempt?: number | null;
  /** Names of the rows that follow the header, in their order. */
  rows: string[];
  /** Length of each row. */
  n: number;
  params: string[];
  steps: number;
  lr: number | null;
  threshold: number | null;
  threshold_name: string;
  sharpness_label: string;
  outcome: string;
  regime: string;
  regime_title: string;
  verdict: string;
  diverged: number | null;
  first_crossing: number | null;
  excursions: number;
  ratio: number | null;
  max_ratio: number | null;
  gfs_start: number | null;
  phases: Phase[];
}

/** Title, first step and step after the last one of a phase. */
type Phase = [title: string, start: number, stop: number];

/** Rows of a frame by name: "step", "loss", "sharpness", "w:alpha", … */
type Rows = Record<string, Float32Array>;

/** A trajectory as the page uses it. */
interface Frame extends Omit<FrameHeader, "rows"> {
  rows: Rows;
}

interface ServerError {
  field: string;
  message: string;
  code: string;
}

/** The answer to a request that cannot be computed. */
interface Refusal {
  id: number | null;
  error: ServerError;
  rows: Rows;
}

/** First line of /api/diagram (maps.py). */
interface DiagramHead {
  x: DiagramAxis;
  y: DiagramAxis;
  regimes: string[];
  threshold: number | null;
  steps: number;
  /** Whether there are fewer cells than asked for, to save time. */
  coarser: boolean;
  boundaries: Boundary[];
}

/** A boundary of the theory, in units of the axes (outlines.py). */
interface Boundary {
  name: string;
  title: string;
  lines: [x: number[], y: number[]][];
}

interface DiagramAxis {
  name: string;
  values: number[];
  scale: "linear" | "log";
}

/** Every further line of /api/diagram: a row of cells. */
interface DiagramRow {
  row: number;
  /** How many rows it stands for until finer ones come. */
  stands_for: number;
  /** Indices into `regimes`. */
  regime: number[];
  /** Final sharpness over the threshold. */
  ratio: (number | null)[];
  /** First step above the threshold, -1 for never. */
  crossing: number[];
  /** Steps from the edge to the last phase; -1 never at the edge, -2 not over. */
  edge_steps: number[];
}

/** The answer of /api/runs. */
interface RunListing {
  store: string;
  runs: RunRecord[];
}

interface RunRecord {
  id: string;
  created: string;
  model: string;
  optimizer: string;
  parameters: Record<"model" | "optimizer" | "run", Record<string, unknown> | undefined>;
  outcome: string;
  regime: string;
  lr: number;
  seed: number | null;
  steps: number | null;
  final_loss: number | null;
  threshold: number | null;
  max_eta_sharpness: number | null;
  verdict: string;
  /** Why the run cannot be read; empty or null if it can. */
  problem: string | null;
  /** How far the run is by its journal; null if it keeps none. */
  live: LiveStatus | null;
}

interface LiveStatus {
  state: "waiting" | "running" | "stalled" | "finished" | "failed";
  step: number | null;
  age: number;
  outcome: string;
}

/** Events of /api/runs/{id}/stream (live.py) by their names. */
interface LiveEvents {
  begin: LiveBegin;
  points: LivePoints;
  events: { events: LiveEvent[] };
  alive: { step: number; loss: number | null; at: number };
  end: LiveEnd;
  beat: { age: number; process_gone: boolean | null };
  gone: Record<string, never>;
}

/** A process begins or goes on: points of this step and later ones are void. */
interface LiveBegin {
  step: number;
  steps?: number;
  model?: string;
  optimizer?: string;
  lr?: number;
  threshold?: number | null;
  /** Why there is no threshold. */
  reason?: string;
  preconditioned?: boolean;
  eigs?: number;
  /** Steps between two measurements. */
  every?: number;
  at?: number;
}

/** Measured steps, a column each; null is not finite. */
interface LivePoints {
  step: number[];
  loss: (number | null)[];
  sharpness: (number | null)[];
  /** Half width of the interval that holds the sharpness. */
  bound: (number | null)[];
  /** 1 where the solver converged. */
  ok: number[];
  eigenvalues: (number | null)[][];
  /** Seconds since 1970 of the last one. */
  at: number | null;
}

interface LiveEvent {
  event: string;
  title: string;
  step: number;
}

interface LiveEnd {
  step: number;
  outcome: string;
  verdict?: string;
  /** Last lines of the error. */
  error?: string[];
  at: number;
}

// -- what the page keeps -------------------------------------------------------------------------

/** One trajectory: everything that it depends on, under the names of the command's options. */
interface Settings {
  model: string;
  optimizer: string;
  lr: number;
  steps: number;
  init: number[];
  [parameter: string]: string | number | number[];
}

type ViewName = "explore" | "map" | "live" | "runs" | "learn";

/** A run that stays as a grey line; its frame is null until it has come. */
interface Pin {
  query: string;
  name: string;
  frame: Frame | null;
}

/** A view whose module is loaded when it is opened first. */
interface LaterView {
  /** The view is shown; `entered` is false where a link or Back led to it. */
  opened(entered: boolean): void;
}

/** An axis that a phase map can have. */
interface AxisRange {
  label: string;
  lo: number;
  hi: number;
  log: boolean;
}

interface NamedAxis extends AxisRange {
  name: string;
}

// -- the plotting library, as far as it is used ----------------------------------------------------

type PlotData = ArrayLike<number | null | undefined>[];

declare class uPlot {
  constructor(options: object, data: PlotData, target: HTMLElement);
  /** Tables with x in the first column, on the x of all of them: undefined where one has no row. */
  static join(tables: PlotData[]): PlotData;
  readonly ctx: CanvasRenderingContext2D;
  readonly bbox: { left: number; top: number; width: number; height: number };
  readonly scales: Record<string, { min: number; max: number }>;
  readonly cursor: { idx?: number | null; event?: Event };
  readonly select: { left: number; width: number };
  readonly data: PlotData;
  setData(data: PlotData): void;
  setSize(size: { width: number; height: number }): void;
  setScale(scale: string, range: { min: number; max: number }): void;
  setSelect(box: { left: number; top: number; width: number; height: number }, fire: boolean): void;
  valToPos(value: number, scale: string, canvasPixels?: boolean): number;
  posToVal(position: number, scale: string): number;
  destroy(): void;
}
