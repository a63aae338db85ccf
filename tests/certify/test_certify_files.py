"""Certificates as files: they survive a fresh process, and no changed field survives a replay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from eoslab.certify import (
    Certificate,
    DamagedCertificate,
    certificate_json,
    certify,
    exit_code,
    load,
    replay,
    replay_file,
    replay_seconds,
    save,
)
from eoslab.certify.exact import above, below, exact
from eoslab.core.errors import BadData, InvalidArgument

QUESTION = {"lambda1": 10, "lambda2": "1/20", "b": 1, "lr": "1/5", "w0": "0.95,0.001,0.9"}


@pytest.fixture(scope="module")
def cert():
    return certify(**QUESTION)


@pytest.fixture(scope="module")
def others():
    return {
        "diverges": certify(1, "1/10", 1, 4, "1,0.2,0.9"),
        "exceeded": certify(**QUESTION, delta="0.01"),
        "undecided": certify(**QUESTION, max_steps=20),
        "critical": certify(**QUESTION, prove="no-stable-minimiser"),
        "saddle": certify(1, "1/10", 1, 1, "0,0.3,0"),
    }


def leaves(value, path=()):
    """Paths to all leaves of a JSON value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i))
        if not value:
            yield path
    else:
        yield path


def changed(value):
    """A value of the same kind that differs a little: the last digit of a number, one letter of a text."""
    if value is None:
        return "0"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [{"name": "x", "margin": "1"}]
    for i in reversed(range(len(value))):
        if value[i].isdigit():
            return value[:i] + str((int(value[i]) + 1) % 10) + value[i + 1 :]
    return value + "x"


def mutated(content, path, new):
    copy = json.loads(json.dumps(content))
    target = copy
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = new
    return copy


def resealed(content):
    """The forger's file: a changed content with a digest that fits."""
    return Certificate.from_json(json.dumps(content)).sealed()


def test_a_saved_certificate_is_the_same_and_replays_in_a_fresh_process(cert, tmp_path):
    path = tmp_path / "cert.json"
    save(cert, path)
    assert load(path) == cert
    code = (
        "import sys; from eoslab.certify import replay_file, exit_code; "
        "cert, result = replay_file(sys.argv[1]); print(result); sys.exit(exit_code(cert, result))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["cert.json"]


def test_the_certifier_imports_no_simulation():
    heavy = ("numba", "xarray", "zarr", "matplotlib")
    code = f"import eoslab.certify, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_every_changed_leaf_fails_the_replay(cert, others, tmp_path):
    path = tmp_path / "cert.json"
    for one in (cert, *others.values()):
        content = json.loads(one.to_json())
        for leaf in leaves(content):
            value = content
            for key in leaf:
                value = value[key]
            path.write_text(json.dumps(mutated(content, leaf, changed(value))))
            found, result = replay_file(path)
            assert not result.ok, leaf
            assert exit_code(found, result) == 1


def test_a_removed_or_added_or_doubled_field_fails_the_replay(cert, tmp_path):
    content, path = json.loads(cert.to_json()), tmp_path / "cert.json"
    for name in content:
        path.write_text(json.dumps({key: value for key, value in content.items() if key != name}))
        assert not replay_file(path)[1].ok, name
    texts = [
        json.dumps({**content, "proof": "trust me"}),
        cert.to_json().replace('"verdict"', '"verdict": "PROVED", "verdict"', 1),
        cert.to_json()[:-20],
        "[]",
        "",
        "[" * 100_000,
    ]
    for text in texts:
        path.write_text(text)
        assert not replay_file(path)[1].ok
    path.write_bytes(b"\xff\xfe\x00")
    assert not replay_file(path)[1].ok
    for wrong in (True, -1, 1.5, "1", None, []):
        with pytest.raises(DamagedCertificate):
            Certificate.from_json(json.dumps({**content, "step": wrong}))


def test_a_missing_file_is_misuse(tmp_path):
    with pytest.raises(BadData, match="cannot read"):
        replay_file(tmp_path / "none.json")
    with pytest.raises(OSError, match=r"No such file"):
        save(certify(**QUESTION, max_steps=0), tmp_path / "no" / "cert.json")


def test_forged_claims_with_a_fitting_digest_fail_because_they_are_recomputed(cert, others):
    def up(text, relative="1e-9"):
        return str(Decimal(text) * (1 + Decimal(relative)))

    content = json.loads(cert.to_json())
    assert replay(resealed(content)).ok
    lo, hi = cert.enclosure
    forgeries = [
        (("statement",), "diverges"),
        (("statement",), "converges"),
        (("verdict",), "REFUTED"),
        (("verdict",), "UNDECIDED"),
        (("method",), "divergence-D1"),
        (("prove",), "diverges"),
        (("step",), cert.step + 1),
        (("step",), cert.step - 1),
        (("step",), 10**7),
        (("bits",), 0),
        (("bits",), 1 << 40),
        (("max_steps",), cert.step - 1),
        (("max_bits",), 64),
        (("lambda1",), "10001/1000"),
        (("lambda2",), "51/1000"),
        (("lambda2",), "2/40"),
        (("b",), "1001/1000"),
        (("b",), "0"),
        (("lr",), "201/1000"),
        (("lr",), "-1/5"),
        (("w0", 0), "951/1000"),
        (("w0", 1), "1/900"),
        (("w0", 2), "91/100"),
        (("enclosure", 0), up(lo)),
        (("enclosure", 0), up(lo, "-1e-9")),
        (("enclosure", 1), up(hi)),
        (("enclosure", 1), up(hi, "-1e-9")),
        (("enclosure",), None),
        (("delta",), up(cert.delta, "-1e-8")),
        (("delta",), None),
        (("delta",), "not a number"),
        (("delta_lower",), cert.delta),
        (("delta_lower",), None),
        (("peak_step",), cert.peak_step + 2),
        (("peak_step",), cert.step + 1),
        (("region",), None),
        (("region", "D"), up(cert.region.D)),
        (("region", "D"), up(cert.region.D, "-1e-3")),
        (("region", "R"), up(cert.region.R, "-1e-3")),
        (("region", "R"), "1e-40"),
        (("region", "rho"), up(cert.region.rho, "-1e-9")),
        (("region", "rho"), up(cert.region.rho)),
        (("region", "m"), up(cert.region.m, "-1e-9")),
        (("region", "m"), up(cert.region.m)),
        (("region", "g"), up(cert.region.g, "-1e-9")),
        (("region", "g"), up(cert.region.g)),
        (("hypotheses",), []),
        (("hypotheses", 0, "name"), "1 < 2"),
        (("hypotheses", 3, "margin"), "0.5"),
        (("reason",), "because"),
    ]
    for path, new in forgeries:
        assert not replay(resealed(mutated(content, path, new))).ok, (path, new)
    for name, path, new in (
        ("diverges", ("step",), 1),
        ("diverges", ("statement",), "converges"),
        ("diverges", ("verdict",), "REFUTED"),
        ("diverges", ("method",), "divergence-D2"),
        ("diverges", ("lr",), "2"),
        ("diverges", ("hypotheses",), []),
        ("exceeded", ("delta",), "1/2"),
        ("exceeded", ("step",), 3),
        ("exceeded", ("verdict",), "PROVED"),
        ("undecided", ("verdict",), "PROVED"),
        ("undecided", ("method",), "trapping-region"),
        ("undecided", ("reason",), ""),
        ("critical", ("verdict",), "PROVED"),
        ("critical", ("lr",), "4"),
        ("saddle", ("w0", 0), "1/7"),
    ):
        assert not replay(resealed(mutated(json.loads(others[name].to_json()), path, new))).ok, (name, path)


def test_the_printed_json_has_the_published_keys_and_outward_decimals(cert):
    shown = certificate_json(cert)
    assert list(shown) == ["verdict", "statement", "step", "bits", "enclosure", "delta", "seconds"]
    assert json.loads(json.dumps(shown)) == shown
    assert shown["enclosure"] == list(cert.enclosure)
    assert Decimal(shown["delta"]) == Decimal(cert.delta)
    asked = certificate_json(certify(**QUESTION, delta="1/3"))
    assert Fraction(1, 3) <= Fraction(asked["delta"]) < Fraction(1, 3) + Fraction(1, 10**10)
    nothing = certificate_json(certify(**QUESTION, max_steps=0))
    assert (nothing["verdict"], nothing["enclosure"], nothing["delta"]) == ("UNDECIDED", None, None)
    assert certificate_json(cert, replay(cert))["replay"] == "confirmed"


def test_the_expected_time_is_announced_first(cert):
    said = []
    result = replay(cert, announce=lambda s: said.append(("expected", s)), progress=lambda *x: said.append(x))
    assert said[0][0] == "expected"
    # Within a factor that a shared machine needs.
    assert result.seconds / 20 < said[0][1] < result.seconds * 20
    assert replay_seconds(cert) > 0


def test_inputs_are_exact_rationals():
    assert exact("x", "3.125") == Fraction(25, 8)
    assert exact("x", " 1/300 ") == Fraction(1, 300)
    assert exact("x", "0.1/3") == Fraction(1, 30)
    assert exact("x", "-1e-4") == Fraction(-1, 10000)
    assert exact("x", 0.1) == Fraction(3602879701896397, 2**55)
    assert exact("x", Decimal("0.1")) == Fraction(1, 10)
    assert exact("x", Fraction(10**400)) == 10**400
    assert exact("x", np.int64(7)) == 7
    assert exact("x", np.float32(0.5)) == Fraction(1, 2)
    for wrong in ("1e4001", "1" * 4251, "1e-3000/1e3000", "0x10", "1_0", "", "1/2/3", None, [1], True, 1j, "nan"):
        with pytest.raises(InvalidArgument):
            exact("x", wrong)
    assert certify(1, "1/3", 1, 0.5, "0.1,0.1,0.1", max_steps=0).lr == "1/2"


def test_decimals_are_rounded_outward():
    for x in (
        Fraction(2, 3),
        Fraction(-2, 3),
        Fraction(1, 10**40),
        Fraction(10**40 + 1),
        Fraction(9999999, 10**7),
    ):
        for digits in (1, 3, 12):
            lo, hi = Fraction(below(x, digits)), Fraction(above(x, digits))
            assert lo <= x <= hi
            assert hi - lo <= abs(x) / 10 ** (digits - 1)
            assert Fraction(below(x, digits, 1)) < lo
            assert Fraction(above(x, digits, 1)) > hi
