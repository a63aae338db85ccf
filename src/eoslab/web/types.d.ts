// What the server says and what the page keeps, as types for the checker; nothing here is served.

// -- what the server says ------------------------------------------------------------------------

/** The answer of /api/catalogue: what there is to choose from (request.py). */
interface Catalogue {
  models: Record<string, CatalogueModel>;
  optimizers: Record<string, CatalogueOptimizer>;
  /** Most steps that a page may ask for. */
  max_steps: number;
  /** Steps of the default run. */
  steps: number;
  version: string;
}

interface CatalogueModel {
  about: string;
  settings: Record<string, number>;
  params: string[];
  /** Default start, one number for each of `params`. */
  start: number[];
  lr: number;
}

interface CatalogueOptimizer {
  about: string;
  settings: Record<string, number>;
  /** Models with which it can be chosen. */
  models: string[];
}

/** What the statements of the theory say from the start alone (frames.py). */
interface Theory {
  regime: string;
  standing: string;
  measured_T1: number | null;
  T1?: [number | null, number | null];
  delta?: number | null;
  /** The first hypothesis of the entry-time theorem that does not hold. */
  fails?: string;
}

/** Header of a binary message about a trajectory (frames.py). */
interface FrameHeader {
  id: number | string | null;
  ms?: number;
  command: string;
  python?: string;
  theory?: Theory | null;
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
