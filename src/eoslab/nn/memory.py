"""Out of memory, as PyTorch and the operating system say it."""

from __future__ import annotations

import torch

from eoslab.core.errors import EoslabError

__all__ = ["OutOfMemory", "out_of_memory"]

#: What a RuntimeError says that is one: PyTorch has no class of its own for it on a CPU, nor BLAS on a GPU.
WORDS = (
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "cublas_status_alloc_failed",
    "bad_alloc",
)


class OutOfMemory(EoslabError, MemoryError):
    """Memory does not suffice even for one sample at a time."""

    code = "E114"


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory has run out, and less at once may help.

    >>> out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    True
    >>> out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    if isinstance(error, OutOfMemory):
        return False
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in WORDS)
