"""Named sets of options of ``eoslab train``: tasks on which others have published what happens at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """What it is, and its options."""

    what: str
    options: Mapping[str, str]


PRESETS: dict[str, Preset] = {
    "chebyshev": Preset(
        "T5 at 20 points, 1-100-1 tanh without output bias: reaches 2/η near step 4000 and stays",
        {
            "arch": "chebyshev", "hidden": "100", "act": "tanh", "data": "chebyshev-5-20", "loss": "mse",
            "optimizer": "gd", "lr": "0.2", "steps": "10000", "dtype": "float64",
        },
    ),
    "digits": Preset(
        "300 images of digits, 64-200-200-10 tanh: at the edge within 50 steps",
        {
            "arch": "mlp", "hidden": "200,200", "act": "tanh", "data": "digits", "samples": "300", "loss": "mse",
            "optimizer": "gd", "lr": "0.2", "steps": "600", "dtype": "float64",
        },
    ),
    "fc-tanh-cifar5k": Preset(
        "5,000 images of CIFAR-10 (with --data-dir), 3072-200-200-10 tanh: the first task of Cohen et al. 2021",
        {
            "arch": "mlp", "hidden": "200,200", "act": "tanh", "data": "cifar10", "samples": "5000", "loss": "mse",
            "optimizer": "gd", "lr": "2/80", "steps": "5000", "dtype": "float32", "chunk": "1000", "every": "10",
        },
    ),
}  # fmt: skip
