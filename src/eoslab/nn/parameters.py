"""The trained parameters of a module as one flat vector w, and the module's outputs as a function of w.

The user's module is never written to: parameters and buffers are passed in by ``torch.func.functional_call``
as copies, its ``.grad`` fields, its train/eval mode and the global random state stay as they were.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from eoslab.core.errors import InvalidArgument

__all__ = ["Parameters"]

Vector = NDArray[Any]


class Parameters:
    """The parameters of ``module`` that require a gradient, in one vector of ``n`` numbers.

    The others, and the buffers, are constants. A tied parameter appears once.
    """

    def __init__(
        self, module: nn.Module, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> None:
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not named:
            raise InvalidArgument(
                "module", type(module).__name__, "a module with at least one parameter that requires a gradient"
            )
        first = named[0][1]
        self.module = module
        self.dtype = dtype if dtype is not None else first.dtype
        if self.dtype not in (torch.float32, torch.float64):
            raise InvalidArgument(
                "dtype", self.dtype, "torch.float32 or torch.float64", "half precision has ~1 % noise per product"
            )
        self.device = torch.device(device) if device is not None else first.device
        self._names = [name for name, _ in named]
        self._shapes = [p.shape for _, p in named]
        self._sizes = [p.numel() for _, p in named]
        self.n = sum(self._sizes)
        self.w0 = torch.cat([p.detach().reshape(-1).to(self.device, self.dtype) for _, p in named])
        trained = set(self._names)
        self._constants = {k: self._copy(p) for k, p in module.named_parameters() if k not in trained}
        self._buffers = {k: self._copy(b) for k, b in module.named_buffers()}

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of w as NumPy's."""
        return np.dtype(np.float64 if self.dtype == torch.float64 else np.float32)

    def slices(self) -> dict[str, tuple[slice, torch.Size]]:
        """Name → (slice of w, shape) of each trained parameter."""
        out, start = {}, 0
        for name, size, shape in zip(self._names, self._sizes, self._shapes, strict=True):
            out[name] = (slice(start, start + size), shape)
            start += size
        return out

    def tensor(self, w: Vector) -> Tensor:
        """A copy of w where the computing happens."""
        if np.shape(w) != (self.n,):
            raise InvalidArgument("w", f"shape {np.shape(w)}", f"({self.n},)", "one entry per trained parameter")
        return torch.from_numpy(np.array(w, dtype=self.numpy_dtype)).to(self.device)

    def to(self, t: Tensor) -> Tensor:
        """A tensor on the device; floating point in the dtype of w."""
        t = t.to(self.device)
        return t.to(self.dtype) if t.is_floating_point() else t

    def forward(self, flat: Tensor, x: Any) -> Any:
        """The module's outputs on x, a dict as keywords and a tuple as arguments."""
        parts = flat.split(self._sizes)  # one concatenation in the backward pass, however many parameters
        params = {k: p.view(s) for k, p, s in zip(self._names, parts, self._shapes, strict=True)}
        # Buffers go in as copies, so running statistics of the user's module stay as they are.
        values = params | self._constants | {k: b.clone() for k, b in self._buffers.items()}
        if isinstance(x, dict):
            return functional_call(self.module, values, (), x)
        return functional_call(self.module, values, x if isinstance(x, tuple) else (x,))

    def _copy(self, t: Tensor) -> Tensor:
        return self.to(t.detach().clone())
