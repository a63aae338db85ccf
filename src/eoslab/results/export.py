"""A run in the formats of others: CSV, NPZ, netCDF. All numbers are float64 as computed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eoslab.results.summary import verdict_sentence

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["WRITERS"]

#: Attributes that the head of a CSV file repeats, in order.
HEAD = (
    *("created", "eoslab_version", "model", "optimizer", "command", "parameters", "seed", "loss_convention"),
    *("dtype", "record_every", "platform", "versions"),
)


def write_csv(ds: xr.Dataset, path: Path, id: str) -> None:
    """One row per stored step with everything measured there; '#' lines in front say where it comes from.

    Numbers have the digits that give the same float64 back; what is not a number is ``nan``. pandas reads it
    with ``comment="#"``, NumPy with ``genfromtxt(..., delimiter=",", names=True, dtype=None)``.
    """
    columns: dict[str, list[Any]] = {"step": ds["step"].values.tolist(), "time": ds["time"].values.tolist()}
    # the weights of a network are in its checkpoint
    params = [str(name) for name in ds["param"].values] if "param" in ds.coords else []
    for name, variable in ds.data_vars.items():
        if variable.dims == ("step", "param"):
            prefix = "" if name == "w" else f"{str(name).removeprefix('w_')}_"
            columns |= {f"{prefix}{p}": variable.values[:, i].tolist() for i, p in enumerate(params)}
        elif variable.dims == ("step", "eig"):
            columns |= {f"{name}_{i + 1}": variable.values[:, i].tolist() for i in range(variable.shape[1])}
        elif variable.dims == ("step",):
            values = variable.values.tolist()
            words = str(variable.attrs.get("flag_meanings", "")).split()
            columns[str(name)] = [words[code] for code in values] if words else values
    with path.open("w", newline="", encoding="utf-8") as f:
        f.write(f"# eoslab run {id}: {verdict_sentence(ds)}\n")
        for key in HEAD:
            if ds.attrs.get(key) is not None:
                f.write(f"# {key}: {' '.join(str(ds.attrs[key]).splitlines())}\n")
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_npz(ds: xr.Dataset, path: Path, id: str) -> None:
    """Every variable as an array by its name, and ``parameters`` and ``attributes`` as JSON text."""
    arrays: dict[str, Any] = {str(name): variable.values for name, variable in ds.variables.items()}
    texts = {"parameters": str(ds.attrs["parameters"]), "attributes": json.dumps(dict(ds.attrs)), "run": id}
    with path.open("wb") as f:
        np.savez_compressed(f, **(arrays | {name: np.array(text) for name, text in texts.items()}))


def write_netcdf(ds: xr.Dataset, path: Path, id: str) -> None:
    """The data set as netCDF 4; attributes that netCDF has no type for become text or numbers."""
    attrs = {name: "" if value is None else value for name, value in ds.attrs.items()}
    attrs = {name: int(value) if isinstance(value, bool) else value for name, value in attrs.items()}
    out = ds.assign_attrs(attrs | {"run": id})
    for name in out.variables:
        # attributes without values are no attributes in netCDF
        out[name].attrs = {k: v for k, v in out[name].attrs.items() if not (isinstance(v, list) and not v)}
    out.to_netcdf(path, engine="h5netcdf", format="NETCDF4")


#: Format → writer.
WRITERS: Final[dict[str, Callable[[xr.Dataset, Path, str], None]]] = {
    "csv": write_csv,
    "npz": write_npz,
    "netcdf": write_netcdf,
}
