"""Fully connected networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from eoslab.core.errors import InvalidArgument, UnknownName, whole

__all__ = ["ACTIVATIONS", "activation", "chebyshev_net", "deep_linear", "mlp", "seeded"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "linear": nn.Identity,
}


class seeded:
    """Context in which torch draws from ``seed``; the global random state is as before afterwards."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._fork: Any = None

    def __enter__(self) -> None:
        self._fork = torch.random.fork_rng(devices=[])
        self._fork.__enter__()
        torch.manual_seed(self.seed)

    def __exit__(self, *exc: Any) -> None:
        self._fork.__exit__(*exc)


def activation(name: str) -> nn.Module:
    """The activation called ``name``."""
    if name not in ACTIVATIONS:
        raise UnknownName("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def mlp(
    inputs: int,
    outputs: int,
    hidden: Sequence[int] = (200, 200),
    act: str = "tanh",
    bias: bool = True,
    seed: int = 0,
) -> nn.Module:
    """inputs → hidden[0] → … → outputs with ``act`` between, PyTorch's default initial weights."""
    sizes = [inputs, *hidden, outputs]
    if any(whole("hidden", s) < 1 for s in sizes):
        raise InvalidArgument("hidden", tuple(hidden), "positive widths")
    with seeded(seed):
        layers: list[nn.Module] = [nn.Flatten()]
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b, bias=bias), activation(act)]
        return nn.Sequential(*layers[:-1])


def deep_linear(inputs: int, outputs: int, depth: int = 3, width: int = 50, seed: int = 0) -> nn.Module:
    """``depth`` linear layers without biases: the product of matrices of which the theory of sharpening speaks."""
    depth = whole("depth", depth, 1)
    return mlp(inputs, outputs, [whole("width", width, 1)] * (depth - 1), "linear", False, seed)


def chebyshev_net(hidden: int = 100, gain: float = 1.9, seed: int = 0) -> nn.Module:
    """1 → hidden tanh → 1 without output bias; Xavier-normal weights, the first's with ``gain``, zero biases."""
    with seeded(seed):
        first, second = nn.Linear(1, hidden), nn.Linear(hidden, 1, bias=False)
        nn.init.xavier_normal_(first.weight, gain=gain)
        nn.init.zeros_(first.bias)
        nn.init.xavier_normal_(second.weight)
        return nn.Sequential(first, nn.Tanh(), second)
