"""Data sets are what they say; readers accept the published formats and name what is missing."""

from __future__ import annotations

import gzip
import pickle
import struct
import tarfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eoslab.core.errors import BadData, InvalidArgument
from eoslab.nn.data import (
    chebyshev,
    cifar10,
    digits,
    fashion_mnist,
    k_parity,
    mnist,
    one_hot,
    sorting,
    teacher_student,
)


def test_digits_are_centred_pixels():
    x, y = digits(300)
    assert x.shape == (300, 64)
    assert float(x.min()) == -0.5
    assert float(x.max()) == 0.5
    assert digits(5, images=True)[0].shape == (5, 1, 8, 8)
    assert one_hot(y).sum() == 300
    with pytest.raises(InvalidArgument, match="1797"):
        digits(5000)


def test_chebyshev_targets_are_the_cosines_of_multiples():
    x, y = chebyshev()
    assert x.shape == (20, 1)
    assert y.numpy() == pytest.approx(np.cos(5 * np.arccos(x.numpy())), abs=1e-12)


def test_sorting_asks_only_for_the_sorted_half():
    x, y = sorting(10, 6, 3)
    assert x.shape == y.shape == (10, 11)
    assert (y[:, :5] == -100).all()
    assert torch.equal(y[:, 5:], x[:, :6].sort(dim=1).values)


def test_parity_is_the_product_of_the_first_bits():
    x, y = k_parity(50, 8, 3)
    assert torch.equal(y[:, 0], x[:, 0] * x[:, 1] * x[:, 2])
    with pytest.raises(InvalidArgument):
        k_parity(5, 3, 4)


def test_teacher_labels_follow_the_seed_and_the_inputs_their_spectrum():
    x, y = teacher_student(400, 30, decay=1.0)
    assert x.var(0).numpy() == pytest.approx(1 / np.arange(1, 31), rel=0.4)
    assert torch.equal(y, teacher_student(400, 30, decay=1.0)[1])
    assert len(y.unique()) > 3


def cifar_rows(n, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3072), dtype=np.uint8), rng.integers(0, 10, n).tolist()


@pytest.mark.parametrize("form", ["folder", "nested", "archive", "binary"])
def test_cifar10_in_each_published_form(tmp_path, form):
    folder = tmp_path / "cifar-10-batches-py" if form in ("nested", "archive") else tmp_path
    folder.mkdir(exist_ok=True)
    first = None
    for i in range(1, 6):
        x, y = cifar_rows(4, i)
        first = first if first is not None else (x, y)
        if form == "binary":
            (folder / f"data_batch_{i}.bin").write_bytes(
                np.concatenate([np.array(y, np.uint8)[:, None], x], axis=1).tobytes()
            )
        else:
            (folder / f"data_batch_{i}").write_bytes(pickle.dumps({b"data": x, b"labels": y}, protocol=2))
    if form == "archive":
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
            tar.add(folder, "cifar-10-batches-py")
        for f in folder.iterdir():
            f.unlink()
    x, y = cifar10(tmp_path)
    assert x.shape == (20, 3, 32, 32)
    assert y[:4].tolist() == first[1]
    assert x.mean((0, 2, 3)).numpy() == pytest.approx(0, abs=1e-12)
    assert x.std((0, 2, 3), correction=0).numpy() == pytest.approx(1)
    part, _ = cifar10(tmp_path, n=4, flat=True)
    red = first[0][:, :1024] / 255.0
    assert part[:, :1024].numpy() == pytest.approx((red - red.mean()) / red.std())
    with pytest.raises(InvalidArgument, match="at most"):
        cifar10(tmp_path, n=21)


def test_missing_and_damaged_cifar_files_are_named(tmp_path):
    with pytest.raises(BadData, match="data_batch_1"):
        cifar10(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"no": 1}))
    with pytest.raises(BadData, match="labels"):
        cifar10(tmp_path)
    (tmp_path / "data_batch_1").unlink()
    (tmp_path / "data_batch_1.bin").write_bytes(b"abc")
    with pytest.raises(BadData, match="3073"):
        cifar10(tmp_path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(BadData, match="no place"):
        cifar10(tmp_path)


def idx(array):
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("read", [mnist, fashion_mnist])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_files_in_their_published_format(tmp_path, read, zipped):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (7, 28, 28), dtype=np.uint8), np.arange(7, dtype=np.uint8)
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        raw = idx(array)
        (tmp_path / (name + ".gz" * zipped)).write_bytes(gzip.compress(raw) if zipped else raw)
    x, y = read(tmp_path, n=5)
    assert x.shape == (5, 1, 28, 28)
    assert y.tolist() == [0, 1, 2, 3, 4]
    assert x[:, 0].numpy() == pytest.approx((images[:5] - images[:5].mean()) / images[:5].std())
    assert read(tmp_path, flat=True)[0].shape == (7, 784)


def test_missing_and_damaged_idx_files_are_named(tmp_path):
    with pytest.raises(BadData, match="train-images-idx3-ubyte"):
        mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"<html>not found</html>")
    with pytest.raises(BadData, match="IDX"):
        mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 28, 28), np.uint8))[:-5])
    with pytest.raises(BadData, match="cut short"):
        mnist(tmp_path)


@pytest.mark.parametrize("form", ["python", "binary"])
def test_the_preset_of_cifar10_trains_on_files_as_they_are_published(tmp_path, form, capsys):
    from eoslab.cli.app import call
    from eoslab.results.store import Store

    x, y = cifar_rows(30, 0)
    if form == "binary":
        rows = b"".join(bytes([k]) + row.tobytes() for k, row in zip(y, x, strict=True))
        (tmp_path / "data_batch_1.bin").write_bytes(rows)
    else:
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": x, b"labels": y}, protocol=2))
    argv = ["train", "--preset", "fc-tanh-cifar5k", "--samples", "30", "--hidden", "8", "--steps", "3", "-q"]
    assert call([*argv, "--data-dir", str(tmp_path), "--out", str(tmp_path / "runs")]) == 0
    ds = Store(tmp_path / "runs").open(Store(tmp_path / "runs").list()[0].path)
    assert ds["measured"].values.tolist() == [True, False, False, True], "every tenth step, the first and the last"
    assert ds.attrs["dtype"] == "float32"
    assert float(ds["loss"][-1]) < float(ds["loss"][0])


def test_without_its_files_the_preset_says_which_are_expected_where(tmp_path, capsys):
    from eoslab.cli.app import call

    for more in ([], ["--data-dir", str(tmp_path)]):
        assert call(["train", "--preset", "fc-tanh-cifar5k", *more]) == 2
        said = capsys.readouterr().err
        assert "data_batch_1.bin" in said
        assert "cifar-10-python.tar.gz" in said
