"""Data sets that need no files: scikit-learn's digits, and four that are drawn or computed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eoslab.core.errors import InvalidArgument, whole

__all__ = ["chebyshev", "digits", "k_parity", "one_hot", "sorting", "teacher_student"]

Pair = tuple[Tensor, Tensor]


def one_hot(y: Tensor, classes: int = 10) -> Tensor:
    """Class indices as float64 unit vectors, for squared loss."""
    return torch.nn.functional.one_hot(y, classes).double()


def digits(n: int = 1797, images: bool = False) -> Pair:
    """The first n of scikit-learn's 8 × 8 digits, pixels/16 − 0.5; X (n, 64), or (n, 1, 8, 8) with ``images``."""
    from sklearn.datasets import load_digits

    n = whole("n", n, 1)
    data = load_digits()
    if n > len(data.target):
        raise InvalidArgument("n", n, f"at most {len(data.target)}, the size of the data set")
    x = torch.from_numpy(data.data[:n] / 16 - 0.5)
    return (x.reshape(n, 1, 8, 8) if images else x), torch.from_numpy(data.target[:n].astype(np.int64))


def chebyshev(n: int = 20, degree: int = 5) -> Pair:
    """T_degree on n equally spaced points of [−1, 1]: the smallest regression with an edge (Cohen et al. 2021).

    >>> x, y = chebyshev()
    >>> float(y[0]), float(y[-1])
    (-1.0, 1.0)
    """
    x = np.linspace(-1, 1, whole("n", n, 2))
    y = np.polynomial.chebyshev.Chebyshev.basis(whole("degree", degree))(x)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None]


def sorting(n: int = 250, length: int = 8, symbols: int = 4, seed: int = 0) -> Pair:
    """Sequences of symbols with their sorted copies (n, 2·length): a language model learns the second half.

    X holds the tokens 0 … 2·length − 2 of sequence + sorted sequence, y the next token at each position, −100
    (ignored) where it belongs to the unsorted part.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(0, symbols, (whole("n", n, 1), whole("length", length, 2)))
    both = np.concatenate([x, np.sort(x, axis=1)], axis=1)
    y = both[:, 1:].copy()
    y[:, : length - 1] = -100
    return torch.from_numpy(both[:, :-1]), torch.from_numpy(y)


def k_parity(n: int = 500, bits: int = 20, k: int = 3, seed: int = 0) -> Pair:
    """±1 vectors with the product of their first k entries as the target, y ∈ {−1, 1}^{n×1}."""
    if not 1 <= k <= bits:
        raise InvalidArgument("k", k, f"a whole number from 1 to bits = {bits}")
    x = np.random.default_rng(seed).integers(0, 2, (whole("n", n, 1), bits)) * 2.0 - 1
    return torch.from_numpy(x), torch.from_numpy(x[:, :k].prod(1, keepdims=True))


def teacher_student(
    n: int = 1000, inputs: int = 3072, classes: int = 10, decay: float = 0.0, seed: int = 0
) -> Pair:
    """Gaussian inputs N(0, diag(i^−decay)) labelled by the largest output of a random linear teacher.

    decay 0 is white noise, decay 1 has the power-law spectrum of natural images.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((whole("n", n, 1), whole("inputs", inputs, 1)))
    x *= np.arange(1, inputs + 1) ** (-decay / 2)
    teacher = rng.standard_normal((inputs, whole("classes", classes, 2)))
    return torch.from_numpy(x), torch.from_numpy((x @ teacher).argmax(1).astype(np.int64))
