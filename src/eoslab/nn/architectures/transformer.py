"""Transformers: a small vision transformer and a small GPT, pre-norm, without dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eoslab.core.errors import InvalidArgument
from eoslab.nn.architectures.dense import seeded

__all__ = ["gpt", "vit"]


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.norm2(x))


def _check(width: int, heads: int) -> None:
    if width % heads:
        raise InvalidArgument("width", width, f"a multiple of heads = {heads}")


class _ViT(nn.Module):
    def __init__(
        self, channels: int, size: int, patch: int, width: int, depth: int, heads: int, outputs: int
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2, width))
        self.blocks = nn.Sequential(*[_Block(width, heads, causal=False) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        out: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return out


def vit(
    channels_in: int = 3,
    outputs: int = 10,
    size: int = 32,
    patch: int = 4,
    width: int = 64,
    depth: int = 3,
    heads: int = 4,
    seed: int = 0,
) -> nn.Module:
    """Patches as tokens, ``depth`` blocks, mean of the tokens, linear head."""
    _check(width, heads)
    if size % patch:
        raise InvalidArgument("patch", patch, f"a divisor of size = {size}")
    with seeded(seed):
        return _ViT(channels_in, size, patch, width, depth, heads, outputs)


class _GPT(nn.Module):
    def __init__(self, symbols: int, context: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.tokens, self.position = nn.Embedding(symbols, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[_Block(width, heads, causal=True) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.tokens(x) + self.position.weight[: x.shape[1]]
        out: Tensor = self.head(self.norm(self.blocks(h)))
        return out


def gpt(
    symbols: int = 4, context: int = 16, width: int = 32, depth: int = 2, heads: int = 2, seed: int = 0
) -> nn.Module:
    """Next-token logits (samples, positions, symbols) for token indices (samples, positions ≤ context)."""
    _check(width, heads)
    with seeded(seed):
        return _GPT(symbols, context, width, depth, heads)
