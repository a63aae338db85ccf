"""Normalisation layers as primitive arithmetic, for derivatives of third order.

PyTorch's fused ``layer_norm``, ``batch_norm`` and ``group_norm`` have correct first and second derivatives,
but differentiating a third time gives a wrong number without an error. Inside ``PrimitiveNorms()`` the
functions are evaluated as means, squares and roots, whose derivatives are right to every order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["PrimitiveNorms"]


def _standardise(x: Tensor, dims: Any, eps: float) -> Tensor:
    d = x - x.mean(dims, keepdim=True)
    return d * (d.square().mean(dims, keepdim=True) + eps).rsqrt()


def layer_norm(
    x: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    out = _standardise(x, tuple(range(-len(normalized_shape), 0)), eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


def rms_norm(x: Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    out = x * (x.square().mean(dims, keepdim=True) + eps).rsqrt()
    return out if weight is None else out * weight


def group_norm(x: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    grouped = x.reshape(x.shape[0], num_groups, -1)
    return _affine(_standardise(grouped, (-1,), eps).reshape(x.shape), weight, bias)


def batch_norm(
    x: Tensor,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    # Running statistics are not updated: an objective is evaluated, never trained through its buffers.
    if training or running_mean is None:
        out = _standardise(x, (0, *range(2, x.dim())), eps)
    else:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        out = (x - running_mean.reshape(shape)) * (running_var.reshape(shape) + eps).rsqrt()
    return _affine(out, weight, bias)


def instance_norm(
    x: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    return _affine(_standardise(x, tuple(range(2, x.dim())), eps), weight, bias)


def _affine(x: Tensor, weight: Any, bias: Any) -> Tensor:
    shape = (1, -1) + (1,) * (x.dim() - 2)
    if weight is not None:
        x = x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


_REPLACED: dict[Any, Callable[..., Tensor]] = {
    F.layer_norm: layer_norm,
    F.rms_norm: rms_norm,
    F.group_norm: group_norm,
    F.batch_norm: batch_norm,
    F.instance_norm: instance_norm,
}


class PrimitiveNorms(TorchFunctionMode):
    """Context in which the functional normalisations are evaluated by the primitives above."""

    def __torch_function__(
        self, func: Any, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _REPLACED.get(func, func)(*args, **(kwargs or {}))
