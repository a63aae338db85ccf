"""Data sets as the Zarr 3 specification can hold them: text becomes integer codes with their meanings.

Zarr 3 specifies no type for fixed-length text, and what libraries write for it is not stable. So each text
variable is stored as int16 codes with the CF attributes ``flag_values`` and ``flag_meanings``, which other
readers show too, and comes back as text of the same width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["decode", "encode"]

#: Attribute that marks a coded text variable and holds its NumPy type, such as '<U16'.
MARK = "text_dtype"


def encode(ds: xr.Dataset) -> xr.Dataset:
    """The data set with every text variable as codes."""
    out = ds.copy()
    for name, variable in ds.variables.items():
        if variable.dtype.kind != "U":
            continue
        words, codes = np.unique(variable.values, return_inverse=True)
        attrs = dict(variable.attrs) | {
            "flag_values": list(range(len(words))),
            "flag_meanings": _join([str(word) for word in words]),
            MARK: variable.dtype.str,
        }
        out[name] = (variable.dims, codes.reshape(variable.shape).astype(np.int16), attrs)
    return out


def decode(ds: xr.Dataset) -> xr.Dataset:
    """The inverse of :func:`encode`."""
    out = ds.copy()
    for name, variable in ds.variables.items():
        if MARK not in variable.attrs:
            continue
        meanings = variable.attrs["flag_meanings"]
        words = np.array(meanings.split() if isinstance(meanings, str) else meanings, variable.attrs[MARK])
        text = words[variable.values] if len(words) else np.empty(variable.shape, variable.attrs[MARK])
        attrs = {k: v for k, v in variable.attrs.items() if k not in (MARK, "flag_values", "flag_meanings")}
        out[name] = (variable.dims, text, attrs)
    return out


def _join(words: list[str]) -> str | list[str]:
    """Blank-separated as CF wants it; a list where a word holds a blank or is empty."""
    return " ".join(words) if all(word.split() == [word] for word in words) else words
