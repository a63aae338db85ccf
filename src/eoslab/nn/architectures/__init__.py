"""Architectures as plain functions: sizes in, ``nn.Module`` out, initial weights drawn from ``seed`` alone.

Each file is one architecture. All are deterministic in training mode: no dropout, and normalisation that does
not mix samples unless asked for.
"""

from eoslab.nn.architectures.convolutional import cnn, resnet, vgg
from eoslab.nn.architectures.dense import ACTIVATIONS, chebyshev_net, deep_linear, mlp
from eoslab.nn.architectures.transformer import gpt, vit

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURES",
    "chebyshev_net",
    "cnn",
    "deep_linear",
    "gpt",
    "mlp",
    "resnet",
    "vgg",
    "vit",
]

#: Name → function.
ARCHITECTURES = {
    "mlp": mlp,
    "deep-linear": deep_linear,
    "cnn": cnn,
    "vgg": vgg,
    "resnet": resnet,
    "vit": vit,
    "gpt": gpt,
}
