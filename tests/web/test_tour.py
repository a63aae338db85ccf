"""Each sentence of the tour, asked of the engine. The tests bear the keys of the steps."""

from __future__ import annotations

import numpy as np

from eoslab.web.request import parse
from eoslab.web.tour import TOUR


def run(key, **change):
    return parse({**TOUR[key].asked, **change}).run()


def regime(ds):
    return str(ds["regime"].values)


def events(ds, kind):
    return ds["event_step"].values[ds["event_kind"].values == kind]


def reached(ds, level):
    """The first step from which the loss stays at or below a level."""
    return int(np.flatnonzero(ds["loss"].values > level)[-1]) + 1


def test_the_ten_steps():
    assert list(TOUR) == [
        "quadratic", "sharpening", "crossing", "stabilization", "loss", "gfs", "irrelevant", "larger",
        "divergence", "network",
    ]  # fmt: skip
    assert all(step.attempt for step in TOUR.values())


def test_quadratic():
    w1 = {lr: run("quadratic", lr=lr)["w"].values[:, 0] for lr in (0.9, 1.9, 1.99, 2.01, 2.05)}
    assert np.ptp(run("quadratic")["sharpness"].values) == 0
    assert all((np.abs(w1[lr][1:]) < np.abs(w1[lr][:-1])).all() for lr in (0.9, 1.9, 1.99))
    assert all((np.abs(w1[lr][1:]) > np.abs(w1[lr][:-1])).all() for lr in (2.01, 2.05))
    assert (w1[1.9][1:] * w1[1.9][:-1] < 0).all()
    # η·S = 0.9 < 1: no change of sign
    assert (w1[0.9] > 0).all()


def test_sharpening():
    ds = run("sharpening")
    assert (np.diff(ds["w"].values[:, 0]) >= 0).all()
    assert (np.diff(ds["loss"].values) <= 0).all()
    assert np.allclose(ds["sharpness"], ds["w"].values[:, 0] ** 2, rtol=1e-3)
    assert regime(ds) == "stable"
    assert str(ds["outcome"].values) == "converged"
    # "between 1.9 and 2 it meets the curve"
    assert regime(run("sharpening", lr=1.9)) == "stable"
    assert len(events(run("sharpening", lr=2), "crossing-up")) == 1


def test_crossing():
    ds = run("crossing")
    first = int(events(ds, "crossing-up")[0])
    assert 0 < ds["loss"].values[first] < ds["loss"].values[0]
    beta1 = ds["w"].values[first:, 1] if "beta1_exponent" not in ds else None
    if beta1 is None:
        mantissa, exponent = ds["beta1_mantissa"].values[first:], ds["beta1_exponent"].values[first:]
        size = np.log2(np.abs(mantissa)) + exponent
        sign = np.sign(mantissa)
    else:
        size, sign = np.log2(np.abs(beta1)), np.sign(beta1)
    growing = 500
    assert (np.diff(size[:growing]) > 0).all()
    assert (sign[1:growing] != sign[: growing - 1]).all()


def test_stabilization():
    ds = run("stabilization")
    w, lr = ds["w"].values, float(ds["lr"])
    # without the task's pull, α shrinks by the share ηλ₁β₁² in a step
    pull = lr * 0.001 * (w[:-1, 0] * w[:-1, 2] - 1) * w[:-1, 2]
    assert np.allclose(w[1:, 0], w[:-1, 0] * (1 - lr * w[:-1, 1] ** 2) - pull, rtol=1e-12)
    assert (regime(ds), int(ds["excursions"])) == ("edge", 12)
    counts, tops = zip(*((int(x["excursions"]), float(x["max_eta_sharpness"])) for x in (
        run("stabilization", init=[1, beta, 0.1]) for beta in (1e-2, 1e-3, 1e-4)
    )), strict=True)  # fmt: skip
    assert sorted(counts, reverse=True) == list(counts)
    assert sorted(tops) == list(tops)


def test_loss():
    ds = run("loss")
    osc, conv = ds["loss_osc"].values, ds["loss_conv"].values
    assert np.allclose(osc + conv, ds["loss"].values, rtol=1e-12)
    assert (np.diff(osc) > 0).any()
    assert (np.diff(osc) < 0).any()
    ups = events(ds, "crossing-up")
    assert (np.diff(conv[ups]) < 0).all()
    assert (np.diff(ds["loss"].values[ups]) < 0).all()


def test_gfs():
    ds = run("gfs")
    gfs, edge = ds["gfs_sharpness"].values, 2 / float(ds["lr"])
    assert np.diff(gfs).max() <= 4 * np.finfo(float).eps * gfs[0]
    below = int(np.flatnonzero(gfs < edge)[0])
    assert below == 1740
    assert (gfs[below:] < edge).all()
    assert 0 < below - int(events(ds, "crossing-down")[-1]) < 50
    assert regime(ds) == "edge"


def test_irrelevant():
    ds = run("irrelevant")
    assert (ds["w"].values[:, 1] == 0).all()
    assert float(ds["eta_sharpness"][-1]) > 2
    assert str(ds["outcome"].values) == "metastable"
    for beta in (1e-100, 1e-12, 0.01):
        again = run("irrelevant", init=[0.3, beta, 0.1])
        assert float(again["eta_sharpness"][-1]) < 2, beta


def test_larger():
    steps = {lr: reached(run("larger", lr=lr), 1e-6) for lr in (0.6, 1.2, 1.8, 2.4)}
    assert steps == {0.6: 1446, 1.2: 723, 1.8: 482, 2.4: 976}
    assert regime(run("larger")) == "stable"
    assert regime(run("larger", lr=2.4)) == "edge"


def test_divergence():
    ds = run("divergence")
    assert regime(ds) == "diverged"
    assert list(ds["event_kind"].values) == ["crossing-up", "divergence"]
    survives = run("divergence", lr=3.6)
    assert (regime(survives), int(survives["excursions"])) == ("edge", 3)
    left = [float(x["loss_conv"][int(x["T1"])]) for x in (run("divergence", lr=lr) for lr in (2.4, 3, 3.6, 4.2))]
    assert left == sorted(left)


def test_network():
    request = parse(TOUR["network"].asked)
    ds = request.run()
    assert (len(request.model.sample[0]), request.model.d) == (1797, 61)
    assert int(events(ds, "crossing-up")[0]) == 557
    assert str(ds["outcome"].values) == "period-2"
    assert regime(run("network", lr=0.5)) == "stable"
