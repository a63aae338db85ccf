"""Data sets: what needs no download, and readers of published formats from local files.

Each function returns ``(X, y)`` as tensors: X with samples first, y class indices (int64) or real targets.
"""

from eoslab.nn.data.images import cifar10, fashion_mnist, mnist
from eoslab.nn.data.synthetic import chebyshev, digits, k_parity, one_hot, sorting, teacher_student

__all__ = [
    "DATA",
    "chebyshev",
    "cifar10",
    "digits",
    "fashion_mnist",
    "k_parity",
    "mnist",
    "one_hot",
    "sorting",
    "teacher_student",
]

#: Name → function with keyword arguments.
DATA = {
    "digits": digits,
    "chebyshev-5-20": chebyshev,
    "sorting": sorting,
    "k-parity": k_parity,
    "teacher-student": teacher_student,
    "cifar10": cifar10,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
}
