"""What a key that a link omits stands for, version by version.

A link carries ``v`` and the keys that differ from the defaults of that version. So a link of today shows the same
run after defaults have changed: a table here is never edited once it is released. To change a default, change it
where it is used and add a table under a new version; a test compares the newest table with the code. A model or
optimizer that no table holds yet needs none: a link about it omits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from eoslab.core.errors import InvalidArgument

__all__ = ["TABLES", "VERSION", "table"]

#: Of a model: its learning rate, its parameters and its start; of an optimizer: its settings besides the rate.
TABLES: Final[dict[int, dict[str, Any]]] = {
    1: {
        "model": "minimalist",
        "optimizer": "gd",
        "steps": 3000,
        "models": {
            "minimalist": {
                "lr": 2.4, "settings": {"lambda1": 1.0, "lambda2": 0.004, "b": 1.0}, "start": [0.3, 0.001, 0.1],
            },
            "quadratic": {"lr": 1.5, "settings": {"lambda1": 1.0, "lambda2": 0.1}, "start": [1.0, 1.0]},
            "uv": {"lr": 0.6, "settings": {"x": 1.0, "y": 1.0}, "start": [2.0, 0.1]},
            "berthier": {"lr": 0.05, "settings": {"zeta": 1.0, "epsilon": 0.001}, "start": [0.01, 5.0]},
            "scalar-product": {"lr": 0.2, "settings": {}, "start": [2.5, 0.1, 2.5, 0.1]},
            "product-root": {"lr": 0.3, "settings": {}, "start": [3.0, 0.1]},
            "product-square": {"lr": 0.3, "settings": {}, "start": [2.5, 0.1]},
            "digits": {"lr": 1.0, "settings": {}, "start": [0.3, 0.02]},
        },
        "optimizers": {
            "gd": {},
            "gd-floor": {"floor": 0.0001},
            "gd-cap": {},
            "heavy-ball": {"beta": 0.9},
            "nesterov": {"beta": 0.9},
            "ema": {"beta": 0.9},
            "rmsprop": {"beta2": 0.99, "eps": 1e-08},
            "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-08},
        },
    },
}  # fmt: skip
#: The version of the links that are written now.
VERSION: Final[int] = max(TABLES)


def table(version: Any = VERSION, tables: Mapping[int, dict[str, Any]] = TABLES) -> dict[str, Any]:
    """The defaults that a link of this version relies on.

    >>> table("1")["models"]["minimalist"]["lr"]
    2.4

    Raises InvalidArgument for a version that this eoslab does not know.
    """
    known = {str(number): found for number, found in tables.items()}
    if str(version) not in known:
        raise InvalidArgument(
            "v", str(version)[:20], f"a version of links from 1 to {max(tables)}",
            "the link may be of a newer eoslab",
        )  # fmt: skip
    return known[str(version)]
