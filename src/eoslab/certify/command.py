"""What ``eoslab certify`` calls: certify, replay a file, the JSON that is printed, and the exit code.

Exit codes: 0 for PROVED and REFUTED, 5 for UNDECIDED, 1 for a replay that fails; misuse raises an error of
:mod:`eoslab.core.errors`, which carries its own (2).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from eoslab.certify.certificate import Certificate, DamagedCertificate, load
from eoslab.certify.exact import above, below
from eoslab.certify.second_opinion import Replay, replay

__all__ = ["certificate_json", "exit_code", "replay_file"]


def certificate_json(cert: Certificate, replayed: Replay | None = None) -> dict[str, Any]:
    """The object that ``eoslab certify --json`` prints.

    ``verdict``, ``statement``, ``step``, ``bits``, ``enclosure`` [lo, hi] of η·λ1·α∞² and ``delta`` (decimal
    strings rounded away from the claim, null where there is none), ``seconds``. With the result of a replay
    ``replay`` ("confirmed" or "failed") and ``failures`` follow.
    """
    delta = cert.delta
    if delta is not None and "/" in delta:  # a δ that was asked for, as an exact fraction
        delta = (below if cert.verdict == "REFUTED" else above)(Fraction(delta))
    shown: dict[str, Any] = {
        "verdict": cert.verdict,
        "statement": cert.statement,
        "step": cert.step,
        "bits": cert.bits,
        "enclosure": None if cert.enclosure is None else list(cert.enclosure),
        "delta": delta,
        "seconds": float(cert.seconds),
    }
    if replayed is not None:
        shown |= {"replay": "confirmed" if replayed.ok else "failed", "failures": list(replayed.failures)}
    return shown


def exit_code(cert: Certificate | None, replayed: Replay | None = None) -> int:
    """1 if a replay failed, else 5 for UNDECIDED, else 0."""
    if replayed is not None and not replayed.ok:
        return 1
    return 0 if cert is None else cert.exit_code


def replay_file(
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int, float], None] | None = None,
    announce: Callable[[float], None] | None = None,
) -> tuple[Certificate | None, Replay]:
    """Read a certificate and replay it; a damaged file is a failed replay (and None for the certificate).

    Raises BadData only where there is no file to read.
    """
    try:
        cert = load(path)
    except DamagedCertificate as error:
        return None, Replay(False, (str(error),), 0, 0.0)
    return cert, replay(cert, progress=progress, announce=announce)
