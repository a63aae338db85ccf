"""Losses in the conventions that the whole package prints beside its figures.

Each maps (outputs, targets) of a batch to the **mean over its samples**, which is what lets
:class:`eoslab.nn.Objective` weight chunks by their sample counts.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["accuracy", "ce", "mse"]


def mse(out: Tensor, y: Tensor) -> Tensor:
    """Mean over samples of ½‖f − y‖² (half the squared distance, summed over the outputs).

    >>> import torch
    >>> mse(torch.tensor([[3.0, 0.0], [0.0, 0.0]]), torch.zeros(2, 2)).item()
    2.25
    """
    # Written out: a product of differences keeps forward-mode and every higher derivative available, which
    # nn.MSELoss does not (its tangents are immutable ZeroTensors).
    d = out - y.reshape(out.shape)
    return 0.5 * (d * d).sum() / out.shape[0]


def ce(out: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy over samples; ``y`` holds class indices, or probabilities of the shape of ``out``.

    With sequences (out: samples × positions × classes) positions count as samples.
    """
    if y.is_floating_point():
        return -(y * F.log_softmax(out, dim=-1)).sum(-1).mean()
    return F.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1))


def accuracy(out: Tensor, y: Tensor) -> Tensor:
    """Share of samples whose largest output is the target's class (index, or largest target)."""
    target = y.argmax(-1) if y.is_floating_point() else y
    return (out.argmax(-1) == target).double().mean()
