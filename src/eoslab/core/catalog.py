"""What there is to choose from. Each plug-in is one file; the catalog is the folder it lies in.

A module of ``eoslab.models`` or ``eoslab.optimizers`` that defines a class with a ``name`` attribute is listed
under that name. There is no registration: adding the file is enough, and the law suites in ``tests/laws``
then run over the newcomer.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from typing import Any

from eoslab.core.errors import UnknownName

__all__ = ["find", "names", "plugins"]


@cache
def plugins(package: str) -> dict[str, Any]:
    """Name → class (or function) for every public plug-in of a package, in order of file name."""
    found: dict[str, Any] = {}
    root = importlib.import_module(package)
    for info in pkgutil.iter_modules(root.__path__):
        module = importlib.import_module(f"{package}.{info.name}")
        for item in vars(module).values():
            name = getattr(item, "name", None)
            if inspect.isclass(item) and item.__module__ == module.__name__ and isinstance(name, str):
                found[name] = item
    return found


def names(package: str) -> list[str]:
    """The names in a package's catalog."""
    return list(plugins(package))


def find(package: str, name: str, kind: str) -> Any:
    """The plug-in called ``name``; raises UnknownName with the nearest known one."""
    known = plugins(package)
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]
