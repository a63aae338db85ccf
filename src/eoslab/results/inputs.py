"""Input distributions as families: what a sweep over spectra, relevance, sample size and noise varies.

A family is a frozen dataclass whose fields are the parameters of a distribution of (x, y); ``model()`` is the
exact risk of the width-one two-layer linear network on it (docs/theory §9), ``start(model)`` where a run begins.
Every field may be an axis:

>>> import eoslab
>>> from eoslab.results.inputs import PowerSpectrum
>>> ds = eoslab.sweep(PowerSpectrum(d=8), eoslab.optimizers.GD,
...                   {"exponent": "0:2:5", "lr": "0.5|2"}, steps=200)
>>> dict(ds.sizes), bool(ds.measured.all())
({'exponent': 5, 'lr': 2}, True)

Spectra are in the eigenbasis of the inputs: variances λ_1 ≥ … ≥ λ_d and a teacher v, y = v·x + noise.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from eoslab.core.errors import BadData, InvalidArgument, UnknownName, finite, positive, whole
from eoslab.models.minimalist_d import MinimalistD
from eoslab.results.data import load

__all__ = [
    "SPECTRA",
    "DataInputs",
    "GivenSpectrum",
    "InputFamily",
    "PowerSpectrum",
    "SpikedSpectrum",
    "TwoLevelSpectrum",
    "parse_spectrum",
]


@dataclass(frozen=True, kw_only=True)
class InputFamily(ABC):
    """What all families share: the sample, the label noise, and the start.

    ``n`` is the sample size; 0 stands for the population. The sample is drawn by ``seed``, so that a larger n
    begins with the same samples; its covariance and moments are those of the centred sample. ``noise`` is the
    standard deviation that is added to y. A run starts at α = ``alpha_0`` and β_i ~ N(0, ``sd_0``²) by ``seed_0``.
    """

    n: int = 0
    noise: float = 0.0
    seed: int = 0
    alpha_0: float = 0.3
    sd_0: float = 0.02
    seed_0: int = 0

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for key in ("n", "seed", "seed_0"):
            object.__setattr__(self, key, whole(key, getattr(self, key)))
        for key in ("noise", "sd_0"):
            value = finite(key, getattr(self, key))
            if value < 0:
                raise InvalidArgument(key, value, "a number ≥ 0")
            object.__setattr__(self, key, value)
        object.__setattr__(self, "alpha_0", finite("alpha_0", self.alpha_0))
        if self.n == 1:
            raise InvalidArgument("n", 1, "0 (the population) or at least 2 samples", "one sample has no variance")

    @property
    def fingerprint(self) -> str:
        """What the parameters do not say about the distribution; empty where they say everything."""
        return ""

    def model(self) -> MinimalistD:
        """The risk; equal families give the same object.

        Raises :class:`~eoslab.core.errors.InvalidArgument` for parameters that exclude each other.
        """
        return _model_of(self)

    def start(self, model: MinimalistD) -> tuple[float, ...]:
        """Where a run on the model begins."""
        return model.random_start(self.alpha_0, self.sd_0, self.seed_0)

    @abstractmethod
    def make(self) -> MinimalistD:
        """The risk, made anew."""


@lru_cache(maxsize=65536)
def _model_of(family: InputFamily) -> MinimalistD:
    return family.make()


@dataclass(frozen=True, kw_only=True)
class Spectrum(InputFamily):
    """Gaussian inputs with given variances, and which of them the target needs.

    The first ``irrelevant`` directions, those of the largest variances, have v_i = 0. On the others
    v_i ∝ j^(−``decay``), j = 1, 2, …: 0 is an even profile, a positive one favours large variances, a negative one
    small. ``v`` is an explicit profile instead. The length of v is ``b``.
    """

    irrelevant: int = 1
    decay: float = 0.0
    v: tuple[float, ...] | None = None
    b: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "irrelevant", whole("irrelevant", self.irrelevant))
        object.__setattr__(self, "decay", finite("decay", self.decay))
        object.__setattr__(self, "b", positive("b", self.b))
        if self.v is not None:
            profile = self.v if isinstance(self.v, (tuple, list)) else (self.v,)
            object.__setattr__(self, "v", tuple(finite("v", x) for x in profile))

    @abstractmethod
    def lambdas(self) -> np.ndarray:
        """The variances, descending."""

    def teacher(self, d: int) -> np.ndarray:
        """v for d directions, of length b."""
        if self.v is not None:
            profile = np.array(self.v)
            if len(profile) != d or not profile.any():
                raise InvalidArgument("v", self.v, f"{d} numbers, not all zero", "one for each direction")
        else:
            if self.irrelevant >= d:
                raise InvalidArgument("irrelevant", self.irrelevant, f"at most {d - 1} of {d} directions")
            profile = np.zeros(d)
            profile[self.irrelevant :] = np.arange(1, d - self.irrelevant + 1) ** -self.decay
        size: np.ndarray = self.b * profile / np.sqrt(np.sum(profile**2))
        return size

    def make(self) -> MinimalistD:
        """The risk of the population, or of the sample."""
        lambdas = self.lambdas()
        v = self.teacher(len(lambdas))
        if self.n == 0:
            return MinimalistD(tuple(lambdas.tolist()), tuple(v.tolist()), self.noise**2 / 2)
        # row by row, so that the samples of a smaller n are the first of a larger one
        drawn = np.random.default_rng(self.seed).standard_normal((self.n, len(lambdas) + 1))
        x = drawn[:, :-1] * np.sqrt(lambdas)
        return _without_sample(MinimalistD.from_data(x, x @ v + self.noise * drawn[:, -1]))


@dataclass(frozen=True, kw_only=True)
class PowerSpectrum(Spectrum):
    """λ_i = ``lambda1`` · i^(−``exponent``), ``d`` directions.

    >>> PowerSpectrum(d=3, exponent=1.0).model().lambdas
    (1.0, 0.5, 0.3333333333333333)
    """

    d: int = 20
    exponent: float = 1.0
    lambda1: float = 1.0

    name: ClassVar[str] = "power"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "d", whole("d", self.d, 1))
        exponent = finite("exponent", self.exponent)
        if exponent < 0:
            raise InvalidArgument("exponent", exponent, "a number ≥ 0", "variances are sorted, the largest first")
        object.__setattr__(self, "exponent", exponent)
        object.__setattr__(self, "lambda1", positive("lambda1", self.lambda1))

    def lambdas(self) -> np.ndarray:
        """The variances."""
        out: np.ndarray = self.lambda1 * np.arange(1, self.d + 1) ** -self.exponent
        return out


@dataclass(frozen=True, kw_only=True)
class TwoLevelSpectrum(Spectrum):
    """``heavy`` directions of variance ``lambda1``, the others of variance ``level`` · ``lambda1``.

    >>> TwoLevelSpectrum(d=4, heavy=2, level=0.5).model().lambdas
    (1.0, 1.0, 0.5, 0.5)
    """

    d: int = 20
    heavy: int = 1
    level: float = 0.01
    lambda1: float = 1.0

    name: ClassVar[str] = "two-level"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "d", whole("d", self.d, 1))
        object.__setattr__(self, "heavy", whole("heavy", self.heavy))
        object.__setattr__(self, "lambda1", positive("lambda1", self.lambda1))
        level = positive("level", self.level)
        if level > 1:
            raise InvalidArgument("level", level, "a number in (0, 1]", "it is the lower level over the upper one")
        object.__setattr__(self, "level", level)

    def lambdas(self) -> np.ndarray:
        """The variances."""
        return self.lambda1 * np.where(np.arange(self.d) < self.heavy, 1.0, self.level)


@dataclass(frozen=True, kw_only=True)
class SpikedSpectrum(Spectrum):
    """A bulk of variance ``bulk`` and ``spikes`` directions above it, from ``spike`` · ``bulk`` evenly down to it.

    >>> SpikedSpectrum(d=4, spikes=2, spike=9.0).model().lambdas
    (9.0, 5.0, 1.0, 1.0)
    """

    d: int = 20
    spikes: int = 1
    spike: float = 10.0
    bulk: float = 1.0

    name: ClassVar[str] = "spiked"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "d", whole("d", self.d, 1))
        object.__setattr__(self, "spikes", whole("spikes", self.spikes))
        object.__setattr__(self, "bulk", positive("bulk", self.bulk))
        spike = finite("spike", self.spike)
        if spike < 1:
            raise InvalidArgument("spike", spike, "a number ≥ 1", "it is the top variance over that of the bulk")
        object.__setattr__(self, "spike", spike)

    def lambdas(self) -> np.ndarray:
        """The variances."""
        above = np.clip(1.0 - np.arange(self.d) / max(self.spikes, 1), 0.0, None)
        out: np.ndarray = self.bulk * (1.0 + (self.spike - 1.0) * (above if self.spikes else 0.0 * above))
        return out


@dataclass(frozen=True, kw_only=True)
class GivenSpectrum(Spectrum):
    """Variances that were measured elsewhere, the ``d`` largest of them (0: all)."""

    values: tuple[float, ...] = (1.0, 0.01)
    d: int = 0

    name: ClassVar[str] = "given"

    def __post_init__(self) -> None:
        super().__post_init__()
        values = sorted((positive(f"values[{i}]", x) for i, x in enumerate(self.values)), reverse=True)
        object.__setattr__(self, "values", tuple(values))
        object.__setattr__(self, "d", whole("d", self.d))
        if self.d > len(values):
            raise InvalidArgument("d", self.d, f"at most the {len(values)} variances that are given")

    def lambdas(self) -> np.ndarray:
        """The variances."""
        return np.array(self.values[: self.d or None])


@dataclass(frozen=True, kw_only=True)
class DataInputs(InputFamily):
    """A data set: ``source`` is "digits" or a file, with ``target`` and ``scale`` of ``eoslab run --data``.

    With ``n`` the risk is that of the first n samples of a permutation drawn by ``seed``.

    >>> DataInputs().model().d
    61
    """

    source: str = "digits"
    target: str | None = None
    scale: str = "none"

    name: ClassVar[str] = "data"

    def __post_init__(self) -> None:
        super().__post_init__()
        size = len(_loaded(self.source, self.target, self.scale)[1])
        if self.n > size:
            raise InvalidArgument("n", self.n, f"at most the {size} samples of {self.source}", "0 takes all")

    @property
    def fingerprint(self) -> str:
        """A digest of the data: a file may change under its name."""
        x, y = _loaded(self.source, self.target, self.scale)
        return hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:16]

    def make(self) -> MinimalistD:
        """The exact empirical risk."""
        x, y = _loaded(self.source, self.target, self.scale)
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(len(y))
        noise = rng.standard_normal(len(y))
        if self.noise:
            y = y + self.noise * noise
        if self.n:
            x, y = x[order[: self.n]], y[order[: self.n]]
        return _without_sample(MinimalistD.from_data(x, y))


@lru_cache(maxsize=8)
def _loaded(source: str, target: str | None, scale: str) -> tuple[np.ndarray, np.ndarray]:
    x, y, _ = load(source, target, scale)
    return x, y


def _without_sample(model: MinimalistD) -> MinimalistD:
    """Only what the risk needs, as many models are held at once."""
    return MinimalistD(model.lambdas, model.v, model.constant, model.dropped)


#: The spectra by name, with the fields that ``parse_spectrum`` takes in order.
SPECTRA: dict[str, tuple[type[Spectrum], tuple[str, ...]]] = {
    "power": (PowerSpectrum, ("d", "exponent")),
    "two-level": (TwoLevelSpectrum, ("d", "heavy", "level")),
    "spiked": (SpikedSpectrum, ("d", "spikes", "spike")),
}


def parse_spectrum(text: str) -> Spectrum:
    """The spectrum that a text describes: ``power:d:exponent``, ``two-level:d:heavy:level``,
    ``spiked:d:spikes:spike`` (what is left out has its default), or a file of variances (.npy or .csv).

    >>> parse_spectrum("power:8:1.5").model().d
    8
    """
    head, *rest = text.split(":")
    if head in SPECTRA:
        kind, names = SPECTRA[head]
        if len(rest) > len(names):
            raise InvalidArgument("spectrum", repr(text), f"{head}:{':'.join(names)}", "the others are axes")
        values: dict[str, Any] = {
            name: finite(name, value) for name, value in zip(names, rest, strict=False) if value
        }
        return kind(**values)
    path = Path(text)
    if path.suffix.lower() not in (".npy", ".csv"):
        raise UnknownName("spectrum", head, [*SPECTRA, "FILE.npy", "FILE.csv"])
    try:
        table = np.load(path) if path.suffix.lower() == ".npy" else np.loadtxt(path, delimiter=",")
        found = np.asarray(table, dtype=float).ravel()
    except (OSError, ValueError) as e:
        raise BadData(f"cannot read variances from {text!r}: {e}", "a file of positive numbers") from None
    found = found[found > 1e-12 * found.max(initial=0.0)]
    if len(found) == 0:
        raise BadData(f"{text!r} holds no positive number", "a file of positive variances")
    return GivenSpectrum(values=tuple(found.tolist()))
