"""The verb ``phases``: a trajectory's segmentation as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eoslab.core.vocabulary import PHASES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["phases"]


def phases(ds: xr.Dataset) -> xr.Dataset:
    """Maximal stretches of one phase: variables ``phase``, ``start``, ``stop`` (inclusive) over ``segment``.

    Attributes T1 and T2 repeat the scalars of the data set (Definition 3.1; −1 where absent).
    """
    import xarray as xr

    code, step = ds["phase"].values, ds["step"].values
    cuts = np.flatnonzero(np.diff(code)) + 1
    first = np.concatenate([[0], cuts])
    last = np.concatenate([cuts - 1, [len(code) - 1]])
    names = list(PHASES)
    return xr.Dataset(
        {
            "phase": ("segment", np.array([names[c] for c in code[first]])),
            "start": ("segment", step[first]),
            "stop": ("segment", step[last]),
        },
        attrs={"T1": int(ds["T1"]), "T2": int(ds["T2"])},
    )
