"""Convolutional networks: a plain one, a VGG-like one, a small ResNet."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from eoslab.core.errors import InvalidArgument, UnknownName
from eoslab.nn.architectures.dense import activation, seeded

__all__ = ["cnn", "resnet", "vgg"]


def _norm(name: str, channels: int) -> nn.Module:
    """ "none", "group" (per sample, at most 8 groups) or "batch" (mixes samples: one chunk or eval mode only)."""
    if name == "none":
        return nn.Identity()
    if name == "group":
        return nn.GroupNorm(next(g for g in (8, 4, 2, 1) if channels % g == 0), channels)
    if name == "batch":
        return nn.BatchNorm2d(channels)
    raise UnknownName("normalisation", name, ["none", "group", "batch"])


def cnn(
    channels_in: int = 3, outputs: int = 10, channels: Sequence[int] = (32, 32), act: str = "tanh", seed: int = 0
) -> nn.Module:
    """3 × 3 convolutions, each followed by ``act`` and 2 × 2 average pooling, then one linear layer.

    The linear layer sees the global average, so any image size that survives the poolings is accepted.
    """
    if not channels:
        raise InvalidArgument("channels", tuple(channels), "at least one width")
    with seeded(seed):
        layers: list[nn.Module] = []
        for a, b in zip([channels_in, *channels[:-1]], channels, strict=True):
            layers += [nn.Conv2d(a, b, 3, padding=1), activation(act), nn.AvgPool2d(2)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], outputs))


def vgg(
    channels_in: int = 3,
    outputs: int = 10,
    widths: Sequence[int] = (32, 64, 128),
    per_block: int = 2,
    act: str = "relu",
    norm: str = "none",
    seed: int = 0,
) -> nn.Module:
    """Blocks of ``per_block`` 3 × 3 convolutions closed by 2 × 2 average pooling (smooth, unlike the maximum)."""
    with seeded(seed):
        layers: list[nn.Module] = []
        last = channels_in
        for width in widths:
            for _ in range(per_block):
                layers += [nn.Conv2d(last, width, 3, padding=1), _norm(norm, width), activation(act)]
                last = width
            layers.append(nn.AvgPool2d(2))
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, outputs))


class _Block(nn.Module):
    """x + conv(act(norm(conv(x)))), with a 1 × 1 projection where the shape changes."""

    def __init__(self, a: int, b: int, stride: int, act: str, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(a, b, 3, stride, 1, bias=norm == "none"),
            _norm(norm, b),
            activation(act),
            nn.Conv2d(b, b, 3, 1, 1, bias=norm == "none"),
            _norm(norm, b),
        )
        self.skip: nn.Module = nn.Identity() if a == b and stride == 1 else nn.Conv2d(a, b, 1, stride, bias=False)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.skip(x) + self.body(x))
        return out


def resnet(
    channels_in: int = 3,
    outputs: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
    act: str = "relu",
    norm: str = "group",
    seed: int = 0,
) -> nn.Module:
    """He et al.'s CIFAR layout: a stem, ``blocks`` residual blocks per width, global average, linear.

    blocks = 3 with widths (16, 32, 64) is ResNet-20. ``norm="batch"`` is the original; "group" keeps the
    samples apart, which chunked full-batch evaluation needs.
    """
    with seeded(seed):
        layers: list[nn.Module] = [
            nn.Conv2d(channels_in, widths[0], 3, 1, 1),
            _norm(norm, widths[0]),
            activation(act),
        ]
        last = widths[0]
        for i, width in enumerate(widths):
            for j in range(blocks):
                layers.append(_Block(last, width, 2 if i > 0 and j == 0 else 1, act, norm))
                last = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, outputs))
