"""The command line: parse, call the library, print. Nothing is computed here.

Start-up time is a feature. No module of this package imports NumPy or anything heavier at its top level; the
commands import what they call when they are called.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """The console script ``eoslab``."""
    import sys

    try:
        from eoslab.cli.app import call
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(call(sys.argv[1:]))
