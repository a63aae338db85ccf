"""``eoslab sharpness CHECKPOINT``: the curvature at one point, with its evidence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from eoslab.cli import names, output, parse, settings
from eoslab.cli.network import described, networks
from eoslab.cli.options import Json, Out, option
from eoslab.cli.train import DEFAULTS
from eoslab.core.errors import BadData, InvalidArgument

__all__ = ["register"]

HELP = """Measure the largest Hessian eigenvalues at one point.

CHECKPOINT is a stored run (its newest point, with its own network and data), a checkpoint.npz of one, or weights
saved by torch.save (a state_dict); those need --module or --arch, and the data."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP)
    def sharpness(
        ctx: typer.Context,
        checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", autocompletion=names.runs)],
        module: Annotated[str | None, option("module", "FILE:NAME", "Your own network; see eoslab train.")] = None,
        arch: Annotated[str, option("arch", "NAME", "Architecture of saved weights.")] = DEFAULTS["arch"],
        hidden: Annotated[str, option("hidden", "N,N,…", "Widths of its hidden layers.")] = DEFAULTS["hidden"],
        act: Annotated[str, option("act", "NAME", "Its activation.")] = DEFAULTS["act"],
        data: Annotated[str, option("data", "NAME", "Its data; see eoslab train.")] = DEFAULTS["data"],
        samples: Annotated[str | None, option("samples", "N", "The first N samples.")] = None,
        data_dir: Annotated[str | None, option("data-dir", "DIR", "Folder of the data.")] = None,
        loss: Annotated[str, option("loss", "NAME", "mse or ce.")] = DEFAULTS["loss"],
        lr: Annotated[str | None, option("lr", "X", "Compare with 2/η  [default: as the run].",
                                         show_default=False)] = None,
        eigs: Annotated[str, option("eigs", "K", "How many eigenvalues.")] = "2",
        tol: Annotated[str, option("tol", "X", "Relative error asked for.")] = "1e-6",
        dtype: Annotated[str, option("dtype", "NAME", "float64 or float32.")] = DEFAULTS["dtype"],
        seed: Annotated[str, option("seed", "N", "Seed of random vectors and data.")] = DEFAULTS["seed"],
        chunk: Annotated[str | None, option("chunk", "N", "Samples at once.")] = None,
        out: Out = None,
        as_json: Json = False,
    ) -> None:  # fmt: skip
        options, sources = dict(ctx.params), settings.sources(ctx)
        point = _point(options, {name for name, source in sources.items() if source == "flag"})
        facts = _measured(point, options)
        if as_json:
            output.emit(facts)
            return
        _print(facts)


def _point(options: dict[str, Any], given: set[str]) -> dict[str, Any]:
    """The objective, the weights, and what is known of the step that would be taken there."""
    nn = networks()
    path = Path(options["checkpoint"])
    if path.is_file() and path.suffix != ".npz":
        objective = nn.recipes.build(described(options))
        return {"objective": objective, "w": _weights(objective, path), "where": str(path)}
    if not path.is_file():
        from eoslab.results.store import Store

        path = Store(settings.store_root(options["out"])).find(options["checkpoint"]) / nn.run.CHECKPOINT
        if not path.is_file():
            raise BadData(
                f"the run {options['checkpoint']!r} has no checkpoint",
                "only runs of networks have; see eoslab train",
            )
    state, about = nn.load_checkpoint(path)
    own = dict(about.get("settings") or {})
    if given & {"module", "arch", "hidden", "act", "data", "samples", "loss"} or not own:
        own = described(options)
    if "dtype" in given:
        own["dtype"] = options["dtype"]
    objective = nn.recipes.build(own)
    if state.w.shape != (objective.n,):
        raise BadData(
            f"{path} has {len(state.w)} weights, the network {objective.n}", "give the network that was trained"
        )
    known = {"objective": objective, "w": state.w.astype(objective.numpy_dtype), "where": str(path)}
    if about.get("rule") in nn.rules.RULES and "lr" not in given:
        known |= {"rule": nn.rules.RULES[about["rule"]](**about["rule_settings"]), "state": state}
    return known


def _weights(objective: Any, path: Path) -> Any:
    """A state_dict as the objective's flat vector."""
    import torch

    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise BadData(f"{path} cannot be read as saved weights ({type(e).__name__})", "save a state_dict") from e
    saved = saved.get("state_dict", saved) if isinstance(saved, dict) else saved
    parts = []
    for name, (_, shape) in objective.slices().items():
        if not isinstance(saved, dict) or name not in saved or saved[name].shape != shape:
            raise BadData(
                f"{path} has no weights {name!r} of shape {tuple(shape)}", "give the network that was saved"
            )
        parts.append(saved[name].reshape(-1).to(objective.dtype))
    return torch.cat(parts).numpy()


def _measured(point: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    from eoslab.curvature import hessian, preconditioned, top_eigenpairs

    o, w = point["objective"], point["w"]
    k, tol = parse.steps("eigs", options["eigs"], 1), parse.number("tol", options["tol"])
    if k > o.n:
        raise InvalidArgument("eigs", k, f"at most {o.n}, the number of parameters")
    seed = parse.steps("seed", options["seed"])
    here = o.at(w)
    found = top_eigenpairs(hessian(o, w), k, tol, seed=seed)
    facts: dict[str, Any] = {
        "checkpoint": point["where"],
        "parameters": o.n,
        "samples": o.samples,
        "dtype": str(o.numpy_dtype),
        "loss": here.loss,
        "sharpness": float(found.values[0]),
        "eigenvalues": found.values,
        "residuals": found.residuals,
        "bounds": found.bounds,
        "converged": found.converged,
        "matvecs": found.matvecs,
        "tol": tol,
        "hvp": o.hvp_mode,
        "notes": o.notes,
    }
    rule = point.get("rule")
    if rule is None and options["lr"] is None:
        return facts
    effective, lr, tau = facts["sharpness"], parse.number("lr", options["lr"]) if rule is None else rule.lr, 2.0
    if rule is not None:
        tau = rule.threshold.value
        facts["step"] = int(point["state"].step)
        _, memory = rule.update(here.grad, point["state"].rule, point["state"].step)
        p = rule.preconditioner(memory, point["state"].step)
        if getattr(p, "ndim", 0) or rule.shift:
            top = top_eigenpairs(preconditioned(hessian(o, w), p, rule.shift), 1, tol, seed=seed)
            effective = float(top.values[0])
            facts["effective_sharpness"] = effective
        elif hasattr(rule, "edge"):
            size = float(np.linalg.norm(here.grad))
            effective = rule.effective(facts["sharpness"], size)
            facts |= {"effective_sharpness": effective, "edge": rule.edge(size)}
    facts |= {"lr": lr, "threshold": tau, "ratio": lr * effective / tau if tau else math.nan}
    return facts


def _print(facts: dict[str, Any]) -> None:
    number = output.number
    where = f"step {number(facts['step'])} of " if "step" in facts else ""
    output.line(f"{output.bold('sharpness')} {number(facts['sharpness'], 6)}   at {where}{facts['checkpoint']}")
    if "ratio" in facts and not math.isnan(facts["ratio"]):
        name = "λmax(P⁻¹H)" if "effective_sharpness" in facts else "S"
        name = "(S + ρS²/‖g‖)" if "edge" in facts else name
        output.line(
            f"  η·{name}/{facts['threshold']:.4g}        {facts['ratio']:.4f}   (η = {number(facts['lr'])})"
        )
    output.line(f"  loss              {number(facts['loss'])}")
    rows = zip(facts["eigenvalues"], facts["bounds"], facts["residuals"], facts["converged"], strict=True)
    table = [
        [str(i + 1), number(float(v), 8), f"[{number(float(b[0]), 8)}, {number(float(b[1]), 8)}]",
         number(float(r), 2), "yes" if c else "no"]
        for i, (v, b, r, c) in enumerate(rows)
    ]  # fmt: skip
    for text in output.table(["", "eigenvalue", "between", "residual", "within tol"], table, right=(0, 1)):
        output.line(f"  {text}")
    cost = f"{facts['matvecs']} products, {facts['dtype']}, {number(facts['samples'])} samples"
    output.line(output.dim(f"  {cost}, {number(facts['parameters'])} parameters"))
    for note in facts["notes"]:
        output.line(f"  note: {note}")
