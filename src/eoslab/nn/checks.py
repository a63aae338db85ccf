"""Whether what was given is a loss: a function of w, a mean over samples, and differentiable twice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eoslab.core.errors import InvalidArgument
from eoslab.nn import samples
from eoslab.nn.ladder import NonDeterministic
from eoslab.nn.samples import Chunk

if TYPE_CHECKING:
    from eoslab.nn.mean import SampleMean
    from eoslab.nn.objective import Objective

__all__ = ["chunkable", "deterministic", "products", "same_order", "statistics"]

Vector = NDArray[Any]

#: Samples of a chunk that tell whether a loss is a mean over samples.
FEW = 64


def same_order(first: list[Chunk], again: list[Chunk]) -> None:
    """Two passes over the data must give the same chunks."""
    if len(again) == len(first) and all(
        samples.equal(a[0], b[0]) and samples.equal(a[1], b[1]) for a, b in zip(again, first, strict=True)
    ):
        return
    raise NonDeterministic(
        "data: two passes gave different chunks (shuffling or random augmentation)",
        "use a fixed order: DataLoader(..., shuffle=False), or pass tensors",
    )


def statistics(module: nn.Module) -> None:
    """No layer may look at the other samples of its chunk."""
    batch_norm = [type(m).__name__ for m in module.modules() if "BatchNorm" in type(m).__name__]
    if module.training and batch_norm:
        raise NonDeterministic(
            f"module: {batch_norm[0]} in training mode normalises each chunk of the samples "
            "by its own statistics, so the loss depends on the chunking",
            "call module.eval(), or pass all samples in one chunk (which needs the memory for it)",
        )


def chunkable(mean: SampleMean) -> None:
    """The loss of all samples must be the weighted mean of its chunks' losses."""
    # a few samples of each: their union must not be what memory is too short for
    few = min(FEW, max(1, max(n for _, _, n in mean.chunks) // 2))
    (xa, ya, na), (xb, yb, nb) = samples.split(mean.chunks[0], few)[0], samples.split(mean.chunks[-1], few)[0]
    w = mean.model.w0
    with torch.no_grad(), mean.ladder.kernels():
        a, b = float(mean.loss(w, xa, ya)), float(mean.loss(w, xb, yb))
        both = float(mean.loss(w, samples.join([xa, xb]), samples.join([ya, yb])))
    expected = (na * a + nb * b) / (na + nb)
    if math.isfinite(both) and abs(both - expected) > 1e-3 * max(abs(both), abs(expected)):
        raise InvalidArgument(
            "loss_fn",
            f"{both:.6g} on two chunks together, whose sample-weighted mean is {expected:.6g}",
            "a mean over samples",
            "use reduction='mean'; a sum, or a mean over tokens with padding, cannot be weighted by samples",
        )


def deterministic(mean: SampleMean) -> None:
    """Two passes at the same w, under different random numbers, must give the same loss and gradient."""
    module, device = mean.model.module, mean.model.device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        loss, g = mean.gradient(mean.model.w0)
        torch.manual_seed(1)
        loss2, g2 = mean.gradient(mean.model.w0)
    eps = float(np.finfo(mean.model.numpy_dtype).eps)
    scale = float(np.abs(g).max()) if g.size else 0.0
    # Non-associative atomics on GPUs move the last bits; a random layer moves far more.
    if abs(loss - loss2) > 100 * eps * abs(loss) or np.abs(g - g2).max(initial=0.0) > 1e4 * eps * scale:
        names = [type(m).__name__ for m in module.modules()]
        culprits = sorted({c for c in names if "Dropout" in c or "DropPath" in c or "StochasticDepth" in c})
        raise NonDeterministic(
            f"module: two passes at the same w gave losses {loss!r} and {loss2!r}"
            + (f"; active: {', '.join(culprits)}" if culprits else ""),
            "call module.eval() or set the dropout probability to 0",
        )


def products(objective: Objective, w: Vector) -> None:
    """Compare one exact product with differences, in float64 on a few samples.

    An operation whose own backward pass is not differentiable (``once_differentiable`` and kin) drops out
    of second derivatives **without an error**; this is where it is noticed.
    """
    error, bound = _disagreement(objective, w)
    # all ranks must take the same way down, or they would wait for one another
    excess = objective.mean.largest_of_ranks(error / bound if math.isfinite(error) else 0.0)
    if excess > 1.0:
        objective.ladder.differences(
            f"exact products disagree with differences of the gradient by {excess * bound:.2g}: "
            "an operation drops out",
            "; use hvp='auto' or 'fd'",
        )


def _disagreement(objective: Objective, w: Vector) -> tuple[float, float]:
    """The relative distance, and how large it may be."""
    x, y, _ = samples.split(objective.mean.chunks[0], 16)[0]
    try:
        twin = type(objective)(
            objective.module,
            objective.loss_fn,
            [(x, y)],
            dtype=torch.float64,
            device=objective.device,
            hvp="exact",
            check=False,
        )
        twin.ladder.math_attention = objective.ladder.math_attention
        return twin.at(w.astype(np.float64)).self_test(), 1e-2
    except RuntimeError:
        # no second derivative, which the product itself will say and step down; or the module insists on its own
        # dtype, and nothing can be compared sharply
        return 0.0, 1.0
