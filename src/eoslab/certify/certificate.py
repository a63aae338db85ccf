"""A certificate: what was shown, about what, and everything that is needed to show it again.

The file is canonical JSON with a SHA-256 digest over all other fields. The digest only guards against accidents
and idle tampering, the proof is :func:`eoslab.certify.second_opinion.replay`, which recomputes what is claimed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from eoslab.core.errors import BadData

__all__ = [
    "METHODS",
    "STATEMENTS",
    "Certificate",
    "DamagedCertificate",
    "Hypothesis",
    "Region",
    "load",
    "save",
]

FORMAT = "eoslab-certificate-1"

#: What can be asked for, with the sentence that it means.
STATEMENTS: dict[str, str] = {
    "converges": "gradient descent converges to a minimiser with η·λ1·α∞² in the enclosure (Theorem 5.1)",
    "diverges": "gradient descent diverges (Theorem 5.3)",
    "no-stable-minimiser": "no minimiser has sharpness ≤ 2/η (Proposition 0.3)",
    "sharpness-bound": "S ≤ (2+δ)/η at every step, and gradient descent converges as in 'converges'",
}

#: (statement, verdict) → the arguments that can settle it so. UNDECIDED has the empty method.
METHODS: dict[tuple[str, str], tuple[str, ...]] = {
    ("converges", "PROVED"): ("trapping-region",),
    ("converges", "REFUTED"): ("divergence-D1", "divergence-D2", "saddle"),
    ("diverges", "PROVED"): ("divergence-D1", "divergence-D2"),
    ("diverges", "REFUTED"): ("trapping-region", "saddle"),
    ("no-stable-minimiser", "PROVED"): ("critical-points",),
    ("no-stable-minimiser", "REFUTED"): ("critical-points",),
    ("sharpness-bound", "PROVED"): ("trapping-region",),
    ("sharpness-bound", "REFUTED"): ("divergence-D1", "divergence-D2", "sharpness-exceeded"),
}

HELP = "Give a file written by eoslab certify -o"
#: Margins of hypotheses are not told beyond this: those of a divergence grow doubly exponentially.
WIDEST_MARGIN = 10**100
VERDICTS = ("PROVED", "REFUTED", "UNDECIDED")


class DamagedCertificate(BadData):
    """A file whose content is no certificate (any more); like a failed replay it ends with exit code 1."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Region:
    """Parameters of the trapping region: D and R are exact, ρ, m and g are upper bounds (decimal strings)."""

    D: str
    R: str
    rho: str
    m: str
    g: str


@dataclass(frozen=True)
class Hypothesis:
    """An inequality that was verified, with a lower bound of its margin (three digits, rounded down)."""

    name: str
    margin: str


@dataclass(frozen=True)
class Certificate:
    """What was shown about gradient descent from one start, how, and with which evidence.

    Numbers are strings: inputs exact rationals ("1/300"), enclosures decimals rounded outward. ``step`` is the
    number of steps after which the argument applies, ``enclosure`` holds η·λ1·α∞², ``delta`` the proved bound
    η·S ≤ 2 + delta and ``delta_lower`` a value with η·S > 2 + delta_lower at ``peak_step``, so that both sides
    of the largest sharpness are known. Absent values are None. ``prove`` and ``delta_asked`` are the question.
    """

    statement: str
    verdict: str
    reason: str
    method: str
    prove: str | None
    lambda1: str
    lambda2: str
    b: str
    lr: str
    w0: tuple[str, str, str]
    step: int
    bits: int
    max_steps: int
    max_bits: int
    region: Region | None
    enclosure: tuple[str, str] | None
    delta_asked: str | None
    delta: str | None
    delta_lower: str | None
    peak_step: int | None
    hypotheses: tuple[Hypothesis, ...]
    versions: tuple[tuple[str, str], ...]
    seconds: str
    digest: str = ""
    format: str = FORMAT

    def computed_digest(self) -> str:
        """SHA-256 over the canonical JSON of all fields but the digest."""
        content = asdict(self)
        del content["digest"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def sealed(self) -> Certificate:
        """The certificate with its digest filled in."""
        return replace(self, digest=self.computed_digest())

    @property
    def exit_code(self) -> int:
        """Exit code of ``eoslab certify``: 0 for PROVED and REFUTED, 5 for UNDECIDED."""
        return 5 if self.verdict == "UNDECIDED" else 0

    def to_json(self) -> str:
        """The file's content: indented JSON, keys in the order of the fields."""
        content = asdict(self)
        content = {"format": content.pop("format"), **content, "versions": dict(self.versions)}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Certificate:
        """Parse a file's content strictly: every field present, of its type, and no other field.

        Raises DamagedCertificate otherwise. The digest is not compared here:
        :func:`eoslab.certify.second_opinion.replay` does that and reports it.
        """
        try:
            content = json.loads(text, object_pairs_hook=_no_duplicates)
        except (ValueError, RecursionError) as error:
            if isinstance(error, DamagedCertificate):
                raise
            raise DamagedCertificate(f"not a certificate: {error}", HELP) from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DamagedCertificate(f"not a certificate of format {FORMAT!r}", HELP)
        known = {field.name for field in fields(cls)}
        if set(content) != known:
            odd = ", ".join(sorted(set(content) ^ known))
            raise DamagedCertificate(f"certificate with missing or unknown fields: {odd}")
        for name, value in content.items():
            if not _FIELD_TYPES[name](value):
                raise DamagedCertificate(
                    f"certificate field {name!r} has a value of the wrong kind: {value!r:.80}"
                )
        region = content["region"]
        content["region"] = None if region is None else Region(**region)
        content["enclosure"] = None if content["enclosure"] is None else tuple(content["enclosure"])
        content["w0"] = tuple(content["w0"])
        content["hypotheses"] = tuple(Hypothesis(**one) for one in content["hypotheses"])
        content["versions"] = tuple(content["versions"].items())
        return cls(**content)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise DamagedCertificate("certificate with a field that occurs twice")
    return dict(pairs)


def _is_text(x: Any) -> bool:
    return isinstance(x, str)


def _is_count(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and x >= 0


def _is_texts(n: int) -> Any:
    return lambda x: isinstance(x, list) and len(x) == n and all(map(_is_text, x))


def _is_record(*names: str) -> Any:
    return lambda x: isinstance(x, dict) and set(x) == set(names) and all(map(_is_text, x.values()))


def _optional(check: Any) -> Any:
    return lambda x: x is None or check(x)


_hypothesis = _is_record("name", "margin")
_FIELD_TYPES: dict[str, Any] = {
    **dict.fromkeys(("format", "statement", "verdict", "reason", "method"), _is_text),
    **dict.fromkeys(("lambda1", "lambda2", "b", "lr", "seconds", "digest"), _is_text),
    **dict.fromkeys(("step", "bits", "max_steps", "max_bits"), _is_count),
    **dict.fromkeys(("prove", "delta_asked", "delta", "delta_lower"), _optional(_is_text)),
    "w0": _is_texts(3),
    "region": _optional(_is_record("D", "R", "rho", "m", "g")),
    "enclosure": _optional(_is_texts(2)),
    "peak_step": _optional(_is_count),
    "hypotheses": lambda x: isinstance(x, list) and all(map(_hypothesis, x)),
    "versions": lambda x: isinstance(x, dict) and all(map(_is_text, x.values())),
}


def save(certificate: Certificate, path: str | os.PathLike[str]) -> None:
    """Write a certificate; the file appears at once and complete, or not at all (OSError as usual)."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(certificate.to_json())
        os.chmod(name, 0o644)  # mkstemp makes it 0600; a certificate is made to be handed on
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def load(path: str | os.PathLike[str]) -> Certificate:
    """Read a certificate; raises BadData (no such file; exit code 2) or DamagedCertificate (exit code 1)."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise BadData(f"cannot read the certificate {os.fspath(path)}: {error.strerror}", HELP) from None
    try:
        return Certificate.from_json(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise DamagedCertificate("not a certificate: the file is not text", HELP) from None
