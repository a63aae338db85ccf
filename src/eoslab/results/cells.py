"""The cells of a sweep, computed: parameters in, one row of numbers a cell out.

A :class:`Problem` says what the names of the axes mean for a model, a rule and a start. Pairs with plain formulas
run in the compiled lanes (:mod:`eoslab.kernels.loops_lanes`), everything else that ``trajectory`` takes as single
runs; both give the same columns, and for pairs with formulas the same numbers bit for bit. Cells of the d-input
model, over the families of :mod:`eoslab.results.inputs` or one model, run one after the other without storage
(:mod:`eoslab.kernels.loops_lanes_d`), again with the numbers of single runs.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from eoslab.core.errors import BadData, InvalidArgument, UnknownName, positive
from eoslab.core.vocabulary import OUTCOMES, REGIMES
from eoslab.models.minimalist_d import MinimalistD
from eoslab.results.grid import Layout
from eoslab.results.inputs import InputFamily
from eoslab.results.single import has_formulas, log2, loss_rate, single
from eoslab.results.table import Column, Columns, Stop, Table

__all__ = ["COLUMNS", "MAP", "Columns", "Problem"]

#: Columns of a cell: type, value where there was no run, meaning.
COLUMNS: dict[str, Column] = {
    "outcome": Column("int8", list(OUTCOMES).index("failed"), "how the run ended"),
    "regime": Column("int8", -1, "regime; -1 where there was no run"),
    "steps": Column("int32", 0, "updates done; the step of the divergence for a run that diverged"),
    "T1": Column("int32", -1, "first step with ηλ1α² ≥ 2 (-1: absent)"),
    "T2": Column("int32", -1, "first step with β2 ≥ 1/α_e (-1: absent)"),
    "excursions": Column("int32", 0, "stretches above the threshold"),
    "period": Column("int32", 0, "least q ≤ 64 after which the last state returns; 1: at rest, 0: none"),
    "first_crossing": Column("int32", -1, "first crossing of the threshold upwards (-1: none)"),
    "last_crossing_down": Column("int32", -1, "last crossing of the threshold downwards (-1: none)"),
    "loss": Column("float64", np.nan, "loss after the last step; NaN: diverged"),
    "loss_rate": Column("float64", np.nan, "mean of -d(log excess loss)/d(step) over the second half of the run"),
    "max_eta_sharpness": Column("float64", np.nan, "largest λmax(P⁻¹∇²L)"),
    "eta_sharpness": Column("float64", np.nan, "λmax(P⁻¹∇²L) after the last step; NaN: diverged"),
    "log2_beta1_min": Column("float64", np.nan, "log2 of the least |β1|; -inf for an exact zero"),
}
MAP = Table(COLUMNS)
FAILED, NO_START = list(OUTCOMES).index("failed"), list(OUTCOMES).index("no-such-start")
NO_THRESHOLD = list(REGIMES).index("no-threshold")
#: Axes in which the theory is written, and what each of them sets.
PROBLEM_AXES = {"ratio": "lambda2 = ratio·lambda1", "k": "lambda2 = lambda1/k", "alpha_e": "lr = 2/(λ1 α_e² |b|)"}
STATE_AXES = ("c0", "s0", "w0")
#: Nanoseconds a step costs on one core (of the d-input model: each direction), to say beforehand how long a sweep
#: takes.
LANE_NS, DIAGONAL_NS, SINGLE_NS = 6.0, 15.0, 60.0


@dataclass(frozen=True)
class Problem:
    """What is run in a cell: a model, a rule, a start, each fixed or made from the cell's parameters.

    ``model`` and ``rule`` are an instance (its fields are defaults), a class, or a function of some of the
    parameters; ``w0`` a point, None, or a function of some of the parameters.
    """

    model: Any
    rule: Any
    w0: Any
    steps: int
    names: tuple[str, ...]

    @property
    def lanes(self) -> bool:
        """Whether the cells run in the compiled lanes."""
        return has_formulas(self.model) and has_formulas(self.rule) and not callable(self.w0)

    @property
    def diagonal(self) -> bool:
        """Whether the cells are runs of the d-input model that need not be stored to be classified."""
        model = isinstance(self.model, (InputFamily, MinimalistD)) or _is_family(self.model)
        return model and has_formulas(self.rule) and not self.rule.projection and not callable(self.w0)

    @property
    def directions(self) -> int:
        """The number of directions of the d-input model before anything is swept."""
        model = self.model() if isinstance(self.model, type) else self.model
        return int(model.model().d if _is_family(model) else model.d)

    @property
    def table(self) -> Table:
        """The columns of a cell."""
        return MAP

    @property
    def chunk(self) -> int:
        """Cells in one chunk of a store: a compromise between the number of files and what a kill can lose."""
        return 32768

    @property
    def at_once(self) -> int:
        """Cells in one task, so that it takes about a second."""
        return int(np.clip(2e8 / max(self.steps, 1), 64, 32768))

    def seconds(self, layout: Layout) -> float:
        """Predicted time on one core after compilation (nothing diverges early)."""
        each = LANE_NS if self.lanes else SINGLE_NS
        if self.diagonal:
            sizes = [max(axis.values) for axis in layout.axes if axis.name == "d"]
            each = DIAGONAL_NS * (sizes[0] if sizes else self.directions)
        return float(layout.cells * self.steps * each * 1e-9)

    def compute(self, columns: Columns, stop: Stop | None = None) -> Columns:
        """The results of cells with these parameters. A task takes about a second, so ``stop`` is not asked."""
        if self.diagonal:
            return self._diagonal(columns)
        return self._lanes(columns) if self.lanes else self._singles(columns)

    def digest(self) -> str:
        """A digest of the code that computes a cell."""
        if self.lanes:
            from eoslab.kernels.compiler import lanes_source

            text = lanes_source(self.model, self.rule)
        elif self.diagonal:
            from eoslab.kernels.compiler import diagonal_lanes_source

            text = diagonal_lanes_source(self.rule) + _source_of(self.model)
        else:
            text = "".join(_source_of(item) for item in (self.model, self.rule, self.w0))
        here = "".join(inspect.getsource(inspect.getmodule(item) or item) for item in (Problem, single))
        return hashlib.sha256(f"{text}\n{here}".encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """What is fixed, for the record."""
        w0 = None if self.w0 is None else "function" if callable(self.w0) else np.asarray(self.w0, float).tolist()
        fixed = {"model": _describe(self.model, self.names), "optimizer": _describe(self.rule, self.names)}
        return {**fixed, "w0": w0, "steps": self.steps}

    # -- what the names mean --------------------------------------------------------------------------------

    def check(self, axes: Iterable[tuple[str, Iterable[Any]]]) -> None:
        """Refuse axes without a meaning here, and values that the model or the rule refuses."""
        known = self._known()
        for name, values in axes:
            if known is not None and name not in known:
                raise UnknownName("axis", name, known)
            for value in values:
                self._check_value(name, value)
        state = [name for name in STATE_AXES if name in self.names]
        if state and len(state) < 3:
            missing = [name for name in STATE_AXES if name not in self.names]
            raise InvalidArgument(
                "state", ", ".join(state), f"also {', '.join(missing)}", "a start needs all three"
            )
        for group in (("ratio", "k", "lambda2"), ("lr", "alpha_e"), ("init", "w0")):
            both = [name for name in group if name in self.names]
            if len(both) > 1:
                raise InvalidArgument("grid", " and ".join(both), "one of them", "they set the same thing")

    def _known(self) -> set[str] | None:
        """The names that an axis may have; None where a function takes any."""
        known: set[str] = {"init"}
        for item in (self.model, self.rule, self.w0):
            if isinstance(item, type) or is_dataclass(item):
                known |= {f.name for f in fields(item)}
            elif callable(item):
                parameters = inspect.signature(item).parameters.values()
                if any(p.kind is p.VAR_KEYWORD for p in parameters):
                    return None
                known |= {p.name for p in parameters}
        if _is_family(self.model):
            return known  # a start has as many components as the model of a cell has directions
        if {"lambda1", "lambda2"} <= known:
            known |= {"ratio", "k", "alpha_e", *STATE_AXES} if "b" in known else {"ratio", "k"}
        return known | {f"{name}_0" for name in getattr(self.model, "params", ())}

    def _check_value(self, name: str, value: Any) -> None:
        if name in PROBLEM_AXES:
            positive(name, value)
        elif name == "init":
            n = None if _is_family(self.model) else len(getattr(self.model, "params", ())) or None
            if not isinstance(value, tuple) or (n and len(value) != n):
                raise InvalidArgument("init", value, f"{n or 'some'} numbers separated by commas")
        for item in (self.model, self.rule):
            if (has_formulas(item) or _is_family(item)) and name in {f.name for f in fields(item)}:
                _instance(item, {name: value})

    # -- lanes ----------------------------------------------------------------------------------------------

    def arrays(self, columns: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """w0 (n, params), h, p with a row for each cell, whether the start exists, and the thresholds."""
        n = len(next(iter(columns.values())))
        values = {**_defaults(self.model, self.names), **_defaults(self.rule, self.names)}
        if "lr" not in values and "lr" not in columns and "alpha_e" not in columns:
            raise InvalidArgument(
                "lr", "nothing", "a learning rate", "sweep lr or alpha_e, or give a rule with one"
            )
        for name, column in columns.items():
            if name != "init":
                values[name] = np.asarray(column, dtype=float)
        if "ratio" in columns:
            values["lambda2"] = values["ratio"] * values["lambda1"]
        if "k" in columns:
            values["lambda2"] = values["lambda1"] / values["k"]
        if "alpha_e" in columns:
            values["lr"] = 2.0 / (values["lambda1"] * values["alpha_e"] ** 2 * np.abs(values["b"]))
        settings = [np.broadcast_to(values[f.name], n) for f in fields(self.model)]
        p = np.stack(settings, axis=1) if settings else np.empty((n, 0))
        h = np.stack([np.broadcast_to(values[f.name], n) for f in fields(self.rule)], axis=1)
        w0, exists = self._starts(columns, values, n)
        return w0, h, p, exists, _thresholds(self.rule, h)

    def _starts(self, columns: Columns, values: dict[str, Any], n: int) -> tuple[np.ndarray, np.ndarray]:
        params = self.model.params
        default = self.model.default_w0 if self.w0 is None else self.w0
        w0 = np.tile(np.asarray(default, dtype=float), (n, 1))
        if w0.shape[1] != len(params) or not np.isfinite(w0).all():
            raise InvalidArgument("w0", default, f"{len(params)} finite numbers: {', '.join(params)}")
        if "init" in columns:
            w0 = np.array([tuple(value) for value in columns["init"]], dtype=float).reshape(n, len(params))
        for i, name in enumerate(params):
            if f"{name}_0" in columns:
                w0[:, i] = columns[f"{name}_0"]
        exists = np.ones(n, bool)
        if "s0" in columns:
            # s0 = ηλ1α0², w0 = ηλ1β1², c0 = α0² − β1² − β2²: all roots positive
            h1 = np.asarray(values["lr"]) * values["lambda1"]
            alpha2, beta2_1 = columns["s0"] / h1, columns["w0"] / h1
            squares = np.stack([alpha2, beta2_1, alpha2 - beta2_1 - columns["c0"]], axis=1)
            exists = (squares >= 0).all(axis=1)
            w0 = np.sqrt(np.where(exists[:, None], squares, 0.0))
        return w0, exists

    def _lanes(self, columns: Columns) -> Columns:
        from eoslab.kernels.compiler import lanes_kernel

        kernel = lanes_kernel(self.model, self.rule)
        w0, h, p, exists, threshold = self.arrays(columns)
        n = len(w0)
        counts, numbers = np.zeros((n, 10), np.int64), np.full((n, 5), np.nan)
        scale, least = _loss_constants(self.model, p)
        run = np.flatnonzero(exists)
        everything = len(run) == n
        rows = [x if everything else np.ascontiguousarray(x[run]) for x in (w0, h, p, threshold, scale)]
        c, x = (counts, numbers) if everything else (counts[run], numbers[run])
        loop = getattr(kernel, "classify_lanes", kernel.classify_scalar)
        loop(rows[0], self.steps, rows[1], rows[2], np.nan_to_num(rows[3]), rows[4], c, x)
        out = table(c, x, self.steps, least[run])
        out["regime"][np.isnan(rows[3]) & (out["outcome"] != list(OUTCOMES).index("diverged"))] = NO_THRESHOLD
        return out if everything else _spread(out, run, n)

    # -- the d-input model ----------------------------------------------------------------------------------

    def _cell_model(self, cell: dict[str, Any]) -> tuple[Any, Any]:
        """Model and start of a cell of the d-input model."""
        made = _made(self.model, cell)
        model = made.model() if _is_family(made) else made
        w0 = cell.get("init", self.w0)
        if w0 is None:
            w0 = made.start(model) if _is_family(made) else model.default_w0
        if len(w0) != model.n or not np.isfinite(w0).all():
            raise InvalidArgument("w0", w0, f"{model.n} finite numbers: alpha, beta_1, …, beta_{model.d}")
        return model, w0

    def settings(self, columns: Columns, n: int) -> np.ndarray:
        """A row of the rule's settings for each cell."""
        values = {**_defaults(self.rule, self.names)}
        values |= {f.name: columns[f.name] for f in fields(self.rule) if f.name in columns}
        if "lr" not in values:
            raise InvalidArgument("lr", "nothing", "a learning rate", "sweep lr, or give a rule with one")
        rows = [np.broadcast_to(np.asarray(values[f.name], dtype=float), n) for f in fields(self.rule)]
        return np.stack(rows, axis=1)

    def _diagonal(self, columns: Columns) -> Columns:
        from eoslab.kernels.compiler import diagonal_lanes_kernel

        n = len(next(iter(columns.values())))
        own = {f.name for f in fields(self.rule)}
        mine = {name: column.tolist() for name, column in columns.items() if name not in own}
        keys = list(zip(*mine.values(), strict=True)) if mine else [()] * n
        at: dict[Any, int] = {}
        models: list[tuple[Any, Any]] = []
        for key in keys:
            if key in at:
                continue
            try:
                models.append(self._cell_model(dict(zip(mine, key, strict=True))))
                at[key] = len(models) - 1
            except (InvalidArgument, BadData):
                # each value is allowed, together they are not: the cells stay labelled as failed
                at[key] = -1
        which = np.array([at[key] for key in keys], dtype=np.int64)
        run = np.flatnonzero(which >= 0)
        out = _blank(n)
        if len(run) == 0:
            return out
        which, h = which[run], self.settings(columns, n)[run]
        threshold = _thresholds(self.rule, h)
        ends = np.cumsum([0, *(model.d for model, _ in models)])
        lambdas, teachers, starts = (
            np.concatenate([np.asarray(x, dtype=float) for x in parts])
            for parts in zip(*((m.lambdas, m.v, w0) for m, w0 in models), strict=True)
        )
        scales, least = np.array([[m.loss_scale, m.loss_min] for m, _ in models]).T
        counts, numbers = np.zeros((len(run), 10), np.int64), np.full((len(run), 5), np.nan)
        diagonal_lanes_kernel(self.rule).classify_many(
            which, ends, lambdas, teachers, starts, np.ascontiguousarray(scales), self.steps, h,
            np.nan_to_num(threshold), counts, numbers,
        )  # fmt: skip
        found = table(counts, numbers, self.steps, least[which])
        found["regime"][np.isnan(threshold) & (found["outcome"] != list(OUTCOMES).index("diverged"))] = (
            NO_THRESHOLD
        )
        for name, values in found.items():
            out[name][run] = values
        return out

    # -- single runs ----------------------------------------------------------------------------------------

    def build(self, cell: dict[str, Any]) -> tuple[Any, Any, Any]:
        """The objective, the rule and the start of one cell."""
        if self.lanes:
            w0, h, p, exists, _ = self.arrays({k: _column(v) for k, v in cell.items()})
            model = _instance(
                self.model, dict(zip([f.name for f in fields(self.model)], p[0].tolist(), strict=True))
            )
            rule = _instance(self.rule, dict(zip([f.name for f in fields(self.rule)], h[0].tolist(), strict=True)))
            return model, rule, w0[0] if exists[0] else None
        if self.diagonal:
            h = self.settings({k: _column(v) for k, v in cell.items()}, 1)[0].tolist()
            rule = _instance(self.rule, dict(zip([f.name for f in fields(self.rule)], h, strict=True)))
            model, w0 = self._cell_model(cell)
            return model, rule, w0
        model, rule = _made(self.model, cell), _made(self.rule, cell)
        if isinstance(model, InputFamily) and self.w0 is None and "init" not in cell:
            return model.model(), rule, model.start(model.model())
        model = model.model() if isinstance(model, InputFamily) else model
        w0 = _made(self.w0, cell) if callable(self.w0) else cell.get("init", self.w0)
        return model, rule, getattr(model, "default_w0", None) if w0 is None else w0

    def _singles(self, columns: Columns) -> Columns:
        n = len(next(iter(columns.values())))
        out = _blank(n)
        for i in range(n):
            cell = {name: column[i] for name, column in columns.items()}
            try:
                row = single(*self.build(cell), self.steps)
            except InvalidArgument:
                raise
            except (ArithmeticError, RuntimeError, MemoryError, np.linalg.LinAlgError):
                continue  # the cell stays labelled as failed
            for name, value in row.items():
                out[name][i] = value
        return out


def table(counts: np.ndarray, numbers: np.ndarray, steps: int, loss_min: Any) -> Columns:
    """Columns from the rows that the lanes wrote."""
    names = ("outcome", "regime", "steps", "T1", "T2", "excursions", "period")
    out = {name: counts[:, i].astype(COLUMNS[name].kind) for i, name in enumerate(names)}
    out["first_crossing"] = counts[:, 8].astype(np.int32)
    out["last_crossing_down"] = counts[:, 9].astype(np.int32)
    out["loss"] = numbers[:, 1] + loss_min
    out["loss_rate"] = loss_rate(numbers[:, 0], numbers[:, 1], steps)
    out["max_eta_sharpness"], out["eta_sharpness"] = numbers[:, 2].copy(), numbers[:, 3].copy()
    out["log2_beta1_min"] = log2(numbers[:, 4], counts[:, 7])
    return out


def _blank(n: int, outcome: int = FAILED) -> Columns:
    out = MAP.blank(n)
    out["outcome"][:] = outcome
    return out


def _spread(columns: Columns, where: np.ndarray, n: int) -> Columns:
    out = _blank(n, NO_START)
    for name, values in columns.items():
        out[name][where] = values
    return out


def _is_family(item: Any) -> bool:
    """Whether a model (class or instance) is a family of input distributions."""
    return isinstance(item, InputFamily) or (isinstance(item, type) and issubclass(item, InputFamily))


def _defaults(item: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The values of the fields of a class or an instance that have one."""
    from dataclasses import MISSING

    if not isinstance(item, type):
        return {f.name: getattr(item, f.name) for f in fields(item)}
    out = {f.name: f.default for f in fields(item) if f.default is not MISSING}
    for f in fields(item):
        if f.name not in out and f.name not in names and not (f.name == "lr" and "alpha_e" in names):
            raise InvalidArgument(f.name, "nothing", f"a value for {item.__name__}", f"sweep it, or give {f.name}")
    return out


def _instance(item: Any, values: dict[str, Any]) -> Any:
    if not isinstance(item, type):
        return replace(item, **values)
    return item(**{**{f.name: 1.0 for f in fields(item) if f.name == "lr"}, **values})


def _thresholds(rule: Any, h: np.ndarray) -> np.ndarray:
    """The threshold for every row of settings; NaN where the rule has none."""
    names = [f.name for f in fields(rule)]
    others = [i for i, name in enumerate(names) if name != "lr"]
    out = np.empty(len(h))
    unique, which = np.unique(h[:, others], axis=0, return_inverse=True)
    which = which.reshape(-1)
    for u, row in enumerate(unique):
        made = _instance(rule, dict(zip([names[i] for i in others], row.tolist(), strict=True)))
        value = made.threshold.value
        out[which == u] = np.nan if value is None else value
    return out


def _loss_constants(model: Any, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The loss of predicting nothing and the least loss, for every row of parameters."""
    import sys

    formulas = sys.modules[(model if isinstance(model, type) else type(model)).__module__]
    if hasattr(formulas, "loss_scale") and not hasattr(formulas, "loss_min"):
        columns = tuple(p[:, i] for i in range(p.shape[1]))
        return np.broadcast_to(formulas.loss_scale(columns), len(p)).copy(), np.zeros(len(p))
    unique, which = np.unique(p, axis=0, return_inverse=True)
    which = which.reshape(-1)
    names = [f.name for f in fields(model)]
    made = [_instance(model, dict(zip(names, row.tolist(), strict=True))) for row in unique]
    return np.array([m.loss_scale for m in made])[which], np.array([m.loss_min for m in made])[which]


def _made(item: Any, cell: dict[str, Any]) -> Any:
    """The object for a cell: made by a function of its parameters, or an instance with them replaced."""
    if isinstance(item, type):
        mine = {f.name: cell[f.name] for f in fields(item) if f.name in cell} if is_dataclass(item) else cell
        return item(**mine)
    if is_dataclass(item):
        return replace(item, **{f.name: cell[f.name] for f in fields(item) if f.name in cell})
    if callable(item):
        wanted: Callable[..., Any] = item
        parameters = inspect.signature(wanted).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return wanted(**cell)
        return wanted(**{name: cell[name] for name in parameters if name in cell})
    return item


def _column(value: Any) -> np.ndarray:
    if isinstance(value, tuple):
        out = np.empty(1, dtype=object)
        out[0] = value
        return out
    return np.array([value])


def _describe(item: Any, names: tuple[str, ...]) -> Any:
    if isinstance(item, type) or is_dataclass(item):
        try:
            sets = {"ratio": "lambda2", "k": "lambda2", "alpha_e": "lr"}
            swept = {*names, *(sets[name] for name in names if name in sets)}
            fixed = {k: repr(v) for k, v in _defaults(item, names).items() if k not in swept}
        except InvalidArgument:
            fixed = {}
        print_of = {"data": item.fingerprint} if isinstance(item, InputFamily) and item.fingerprint else {}
        return {"name": getattr(item, "name", type(item).__name__), **fixed, **print_of}
    return getattr(item, "__qualname__", type(item).__qualname__)


def _source_of(item: Any) -> str:
    kind = item if isinstance(item, type) or inspect.isroutine(item) else type(item)
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return repr(kind)
