"""Proofs by ball arithmetic: what gradient descent on the minimalist model does from exact rational data.

>>> from eoslab.certify import certify, replay
>>> cert = certify(1, "1/300", 1, "3.125", ("0.75", "0.001", "0.8"), prove="converges")
>>> cert.verdict, replay(cert).ok
('PROVED', True)

Arb balls (python-flint) prove, mpmath's interval arithmetic replays. Nothing here depends on a simulation in
floating point: floats only propose where to look and which parameters to try.
"""

from eoslab.certify.certificate import STATEMENTS, Certificate, DamagedCertificate, load, save
from eoslab.certify.command import certificate_json, exit_code, replay_file
from eoslab.certify.prove import certify
from eoslab.certify.second_opinion import Replay, replay, replay_seconds

__all__ = [
    "STATEMENTS",
    "Certificate",
    "DamagedCertificate",
    "Replay",
    "certificate_json",
    "certify",
    "exit_code",
    "load",
    "replay",
    "replay_file",
    "replay_seconds",
    "save",
]
