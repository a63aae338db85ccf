"""CIFAR-10, MNIST and Fashion-MNIST from local files in the formats in which they are published."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eoslab.core.errors import BadData, InvalidArgument, whole

__all__ = ["cifar10", "fashion_mnist", "mnist"]

Pair = tuple[Tensor, Tensor]

_CIFAR = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
_IDX = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class _ArraysOnly(pickle.Unpickler):
    """CIFAR-10's python version is pickles; these hold dictionaries, strings and NumPy arrays, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
        if (module, name) in allowed:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR-10 file")


def cifar10(root: str, n: int | None = None, train: bool = True, flat: bool = False) -> Pair:
    """CIFAR-10, standardised per channel over the samples taken; X is (n, 3, 32, 32), or (n, 3072) if ``flat``.

    Args:
        root: a folder with the python version (data_batch_1 … data_batch_5, test_batch), with
            ``cifar-10-batches-py/`` or ``cifar-10-python.tar.gz`` in it, or with the binary version
            (data_batch_1.bin …, test_batch.bin); or one of these files.
        n: the first n images; None takes all.
    """
    names = _CIFAR if train else ["test_batch"]
    where = Path(root).expanduser()
    xs: list[Any] = []
    ys: list[Any] = []
    read = 0
    for name in names:
        if n is not None and read >= n:
            break
        x, y = _cifar_part(where, name)
        xs.append(x)
        ys.append(y)
        read += len(y)
    x, y = np.concatenate(xs)[:n], np.concatenate(ys)[:n]
    _enough(len(y), n, where)
    pixels = x.reshape(-1, 3, 32, 32).astype(np.float64) / 255
    pixels -= pixels.mean((0, 2, 3), keepdims=True)
    pixels /= np.maximum(pixels.std((0, 2, 3), keepdims=True), 1e-12)
    out = torch.from_numpy(pixels)
    return (out.reshape(len(y), -1) if flat else out), torch.from_numpy(y.astype(np.int64))


def _cifar_part(where: Path, name: str) -> tuple[Any, Any]:
    folders = [where, where / "cifar-10-batches-py", where / "cifar-10-batches-bin"]
    for folder in folders:
        if (folder / name).is_file():
            return _cifar_pickle((folder / name).read_bytes(), folder / name)
        if (folder / f"{name}.bin").is_file():
            raw = np.frombuffer((folder / f"{name}.bin").read_bytes(), dtype=np.uint8)
            if raw.size == 0 or raw.size % 3073:
                raise BadData(
                    f"{folder / name}.bin: {raw.size} bytes, expected a multiple of 3073 (1 label + 3·32·32)"
                )
            rows = raw.reshape(-1, 3073)
            return rows[:, 1:], rows[:, 0]
    for archive in (where, where / "cifar-10-python.tar.gz"):
        if archive.is_file() and archive.name.endswith((".tar.gz", ".tgz", ".tar")):
            with tarfile.open(archive) as tar:
                try:
                    member = tar.extractfile(f"cifar-10-batches-py/{name}")
                except KeyError:
                    member = None
                if member is None:
                    raise BadData(
                        f"{archive}: holds no cifar-10-batches-py/{name}", "download cifar-10-python.tar.gz again"
                    )
                return _cifar_pickle(member.read(), archive)
    raise BadData(
        f"cifar10: no {name}, {name}.bin or cifar-10-python.tar.gz in {where}",
        "put the files of the python or binary version there, or pass the folder that has them",
    )


def _cifar_pickle(raw: bytes, path: Path) -> tuple[Any, Any]:
    try:
        content = _ArraysOnly(io.BytesIO(raw), encoding="bytes").load()
        x, y = np.asarray(content[b"data"]), np.asarray(content[b"labels"])
    except (pickle.UnpicklingError, KeyError, EOFError, TypeError) as error:
        raise BadData(
            f"{path}: no CIFAR-10 batch ({error})", "expected a pickled dict with b'data' and b'labels'"
        ) from None
    if x.ndim != 2 or x.shape[1] != 3072 or len(x) != len(y):
        raise BadData(f"{path}: data of shape {x.shape} and {len(y)} labels, expected (n, 3072) and n")
    return x, y


def mnist(root: str, n: int | None = None, train: bool = True, flat: bool = False, name: str = "mnist") -> Pair:
    """MNIST from its four IDX files (plain or .gz), pixels/255 standardised over the samples taken.

    X is (n, 1, 28, 28), or (n, 784) if ``flat``. Expected in ``root``: train-images-idx3-ubyte,
    train-labels-idx1-ubyte (t10k-… for train=False), each with or without .gz.
    """
    where = Path(root).expanduser()
    images, labels = _IDX[train]
    x = _idx(where, images, 3, name)
    y = _idx(where, labels, 1, name)
    if len(x) != len(y):
        raise BadData(f"{where}: {len(x)} images and {len(y)} labels", "the two files belong to different sets")
    x, y = x[:n], y[:n]
    _enough(len(y), n, where)
    pixels = x.astype(np.float64) / 255
    pixels = (pixels - pixels.mean()) / max(float(pixels.std()), 1e-12)
    out = torch.from_numpy(pixels)
    return (out.reshape(len(y), -1) if flat else out[:, None]), torch.from_numpy(y.astype(np.int64))


def fashion_mnist(root: str, n: int | None = None, train: bool = True, flat: bool = False) -> Pair:
    """Fashion-MNIST: the same format and file names as :func:`mnist`, in a folder of its own."""
    return mnist(root, n, train, flat, name="fashion-mnist")


def _idx(where: Path, file: str, dims: int, name: str) -> Any:
    # Both spellings are in circulation: with a hyphen as published, with a dot as some archives unpack.
    for path in (where / file, where / f"{file}.gz", where / file.replace("-idx", ".idx")):
        if path.is_file():
            break
    else:
        raise BadData(
            f"{name}: no {file} or {file}.gz in {where}",
            "expected train-images-idx3-ubyte, train-labels-idx1-ubyte, and the same two with t10k- for train",
        )
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise BadData(f"{path}: {error}", "the file is damaged; fetch it again") from None
    head = 4 + 4 * dims
    if len(raw) < head or raw[:3] != b"\x00\x00\x08" or raw[3] != dims:
        raise BadData(
            f"{path}: starts with {raw[:4].hex()}, expected 000008{dims:02x} (IDX, unsigned bytes, {dims} dims)"
        )
    shape = struct.unpack(f">{dims}I", raw[4:head])
    if len(raw) - head != int(np.prod(shape)):
        raise BadData(f"{path}: {len(raw) - head} bytes of data, the header says {shape}", "the file is cut short")
    return np.frombuffer(raw, dtype=np.uint8, offset=head).reshape(shape)


def _enough(have: int, n: int | None, where: Path) -> None:
    if n is not None and have < whole("n", n, 1):
        raise InvalidArgument("n", n, f"at most {have}, what {where} holds")
