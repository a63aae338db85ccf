"""Where a setting comes from: flag, then environment ``EOSLAB_…``, then ``eoslab.toml`` here, then the default.

The file has a table per command with the names of its options, and ``runs`` for the folder of the store:

    runs = "results"
    [run]
    lr = "2/150"
    init = [0.3, 0.001, 0.1]
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eoslab.core.errors import InvalidArgument, UnknownName

__all__ = ["FILE", "env_name", "read", "sources", "store_root"]

FILE = "eoslab.toml"


def env_name(option: str) -> str:
    """The environment variable of an option.

    >>> env_name("record_every")
    'EOSLAB_RECORD_EVERY'
    """
    return "EOSLAB_" + option.upper().replace("-", "_")


def read(options: dict[str, list[str]], path: Path | None = None) -> dict[str, Any]:
    """Values of ``eoslab.toml`` as defaults per command; names are checked against ``options``."""
    path = path or Path(FILE)
    if not path.is_file():
        return {}
    import tomllib

    try:
        with path.open("rb") as f:
            content = tomllib.load(f)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise InvalidArgument(FILE, f"a file that cannot be read ({e})", "TOML") from None
    defaults: dict[str, Any] = {}
    for command, values in content.items():
        if command == "runs" and isinstance(values, str):
            continue
        if command not in options:
            raise UnknownName(f"key of {FILE}", command, [*options, "runs"])
        if not isinstance(values, dict):
            raise InvalidArgument(f"{FILE}: {command}", repr(values), f"a table [{command}]")
        defaults[command] = {}
        for key, value in values.items():
            name = key.replace("-", "_")
            if name not in options[command]:
                raise UnknownName(f"option in [{command}] of {FILE}", key, options[command])
            defaults[command][name] = _text(value)
    return defaults


def store_root(flag: str | None) -> str | None:
    """The folder of the store: flag, ``EOSLAB_RUNS``, ``runs`` of the file; None is the library's default."""
    if flag or os.environ.get("EOSLAB_RUNS"):
        return flag or os.environ["EOSLAB_RUNS"]
    if Path(FILE).is_file():
        import tomllib

        with Path(FILE).open("rb") as f:
            value = tomllib.load(f).get("runs")
        return value if isinstance(value, str) else None
    return None


def sources(context: Any) -> dict[str, str]:
    """For every option of a command: 'flag', 'environment EOSLAB_…', 'eoslab.toml' or 'default'."""
    words = {"COMMANDLINE": "flag", "DEFAULT_MAP": FILE}
    found = {}
    for param in context.command.params:
        source = context.get_parameter_source(param.name)
        name = source.name if source is not None else "DEFAULT"
        found[param.name] = (
            f"environment {env_name(param.name)}" if name == "ENVIRONMENT" else words.get(name, "default")
        )
    return found


def _text(value: Any) -> Any:
    """TOML values as they would be typed."""
    if isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return [f"{k}={_text(v)}" for k, v in value.items()]
    if isinstance(value, list):
        return ",".join(str(v) for v in value)
    return str(value)
