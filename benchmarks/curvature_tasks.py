"""Networks, data, references and clocks that the curvature benchmarks share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from eoslab.nn import architectures as arch
from eoslab.nn.data import chebyshev, digits, one_hot, sorting, teacher_student
from eoslab.nn.losses import ce, mse
from eoslab.nn.objective import Objective


@dataclass
class Task:
    name: str
    objective: Objective
    lr: float
    steps: int  # of the tracking run, from initialisation through the crossing of 2/η
    point: int = 200  # the step whose Hessian the single-point tables take, at or beyond the crossing


def tasks(seed: int) -> dict[str, Callable[[], Task]]:
    """Name → maker of the task; ``seed`` is of the network's initialisation and of generated data."""

    def net(x: torch.Tensor, hidden: tuple[int, ...] = (200, 200)) -> torch.nn.Module:
        return arch.mlp(x.shape[1], 10, hidden, seed=seed)

    def of(name: str, module: Any, data: Any, loss: Any, lr: float, *steps: int) -> Task:
        return Task(name, Objective(module, loss, data, dtype=torch.float32), lr, *steps)

    def digits_mse() -> Task:
        x, y = digits()
        return of("digits", net(x), (x, one_hot(y)), mse, 0.2, 150)

    def digits_300() -> Task:
        x, y = digits(300)
        return of("digits-300", net(x), (x, one_hot(y)), mse, 0.2, 420)

    def digits_ce() -> Task:
        x, y = digits()
        return of("digits-ce", net(x), (x, y), ce, 0.8, 120, 25)

    def white() -> Task:
        x, y = teacher_student(seed=seed)
        return of("3072-white", net(x), (x, one_hot(y)), mse, 0.82, 80, 80)

    def power() -> Task:
        x, y = teacher_student(decay=1.0, seed=seed)
        return of("3072-power", net(x), (x, one_hot(y)), mse, 0.4, 210)

    def cnn() -> Task:
        x, y = digits(500, images=True)
        return of("cnn", arch.cnn(1, 10, (16, 32), seed=seed), (x, one_hot(y)), mse, 0.5, 140)

    def gpt() -> Task:
        return of("gpt", arch.gpt(4, 16, 32, 2, 2, seed=seed), sorting(100), ce, 0.3, 100, 60)

    def cheb() -> Task:
        task = of("chebyshev", arch.chebyshev_net(seed=seed), chebyshev(), mse, 0.2, 4100, 4000)
        task.objective = Objective(arch.chebyshev_net(seed=seed), mse, chebyshev(), dtype=torch.float64)
        return task

    return {
        "digits": digits_mse,
        "digits-300": digits_300,
        "digits-ce": digits_ce,
        "3072-white": white,
        "3072-power": power,
        "cnn": cnn,
        "gpt": gpt,
        "chebyshev": cheb,
    }


def double(o: Objective) -> Objective:
    """The same objective in float64, for references."""
    return Objective(o.module, o.loss_fn, [(x, y) for x, y, _ in o._chunks], dtype=torch.float64)


def reference(o64: Objective, w: Any, k: int, v0: Any = None) -> tuple[Any, Any]:
    """The k largest eigenpairs by ARPACK in float64, descending; v0 starts it where the last point ended."""
    point = o64.at(w.astype(np.float64))
    op = LinearOperator((o64.n, o64.n), matvec=lambda v: point.hvp(v.ravel()), dtype=np.float64)
    values, vectors = eigsh(op, k=k, which="LA", tol=1e-10, v0=v0)
    return values[::-1], vectors[:, ::-1]


def cpu(fn: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    out = fn()
    return time.process_time() - start, out


def gd_step(o: Objective, w: Any) -> float:
    """CPU seconds of a plain step, the median of nine."""
    o.loss_and_grad(w)
    return float(np.median([cpu(lambda: o.loss_and_grad(w))[0] for _ in range(9)]))
