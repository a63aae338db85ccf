// Ten steps through the phenomenon: a preset each, two sentences, and something to break.
/** @type {Partial<Settings>} */
const Q = { model: "quadratic", init: [1, 1] };
/** @type {{title: string, set: Partial<Settings>, text: string, try: string}[]} */
export const TOUR = [
  {
    title: "A quadratic, below the limit",
    set: { ...Q, lambda1: 1, lambda2: 0.1, lr: 1.9, steps: 200 },
    text:
      "On a quadratic the sharpness never changes. Below 2/η every step shrinks, with a sign that " +
      "alternates once η·S is above 1.",
    try: "Move η from 1.9 to 0.9: the alternation goes.",
  },
  {
    title: "A quadratic, above the limit",
    set: { ...Q, lambda1: 1, lambda2: 0.1, lr: 2.05, steps: 400 },
    text: "Above 2/η each step overshoots by more than the last. On a quadratic nothing brings it back.",
    try: "Find the η at which it turns: exactly 2/λ₁.",
  },
  {
    title: "Progressive sharpening",
    set: { lr: 0.9, steps: 3000 },
    text:
      "Here the second layer matters: while the loss falls, α grows, and with it the sharpness λ₁α². The " +
      "step size is small, so it stops below the dotted line.",
    try: "Raise η: the line comes down to meet the curve.",
  },
  {
    title: "Crossing the edge",
    set: {},
    text:
      "With a larger η the sharpness reaches 2/η before the loss is zero. From there β₁, which is " +
      "irrelevant to the task, begins to grow with alternating sign.",
    try: "Compare the step of the crossing with the interval that theory gives from the start alone.",
  },
  {
    title: "Self-stabilization",
    set: { lr: 1.98, lambda2: 0.001, init: [1, 0.01, 0.1], steps: 4000 },
    text:
      "The growing oscillation acts back: each step takes ηλ₁β₁² off α, so the sharpness falls below the " +
      "line and the oscillation dies. Sharpening resumes, and the cycle repeats.",
    try: "Count the excursions; then make the start of β₁ smaller.",
  },
  {
    title: "Why the loss still falls",
    set: { lr: 1.98, lambda2: 0.001, init: [1, 0.01, 0.1], steps: 4000 },
    text:
      "The loss is the sum of an oscillatory and a convergent part. The first goes up and down; the second," +
      " which is the task, keeps falling underneath.",
    try: "Switch the loss between log and linear and look at the convergent part.",
  },
  {
    title: "GFS sharpness",
    set: { lr: 0.5, lambda2: 0.001, init: [1.99, 0.001, 0.1], steps: 6000 },
    text:
      "The dashed line is the sharpness at which gradient flow would end if it took over now. Every " +
      "oscillation lowers it, until it is below the threshold and the run can settle.",
    try: "Move the scrubber through the edge phase and watch GFS against 2/η.",
  },
  {
    title: "The irrelevant input",
    set: { init: [0.3, 0, 0.1] },
    text:
      "With β₁ = 0 exactly, nothing can oscillate: the iterate walks over the edge and stays on the far " +
      "side, at a point that the least disturbance would leave.",
    try: "Give β₁ any other value, however small.",
  },
  {
    title: "Larger η, until it breaks",
    set: { lr: 6, steps: 1500 },
    text:
      "A larger η means a lower edge and a larger residual when it is reached, so the cycles grow. Beyond " +
      "some η, theory finds no stable minimiser, or the first excursion does not return.",
    try: "Open the phase map and find the border.",
  },
  {
    title: "Divergence",
    set: { lr: 3, lambda2: 0.001, init: [3, 0.5, 0.1], steps: 500 },
    text:
      "Starting far above the edge, the oscillation grows faster than α can fall, and the iterate escapes " +
      "within a few steps. Networks of any size show the same order of events, with many directions instead" +
      " of one.",
    try: "Lower α at the start until it becomes a catapult.",
  },
];
