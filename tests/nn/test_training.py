"""Propositions about the training loop: it measures what it says, and continues bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from eoslab.core.errors import BadData
from eoslab.curvature import Tracker, hessian, preconditioned, top_eigenpairs
from eoslab.nn.losses import mse
from eoslab.nn.objective import Objective
from eoslab.nn.rules import GD, SAM, Adam, AdamW, HeavyBall
from eoslab.nn.training import Batches, load_checkpoint, save_checkpoint, start, summary, train


def objective(dtype=torch.float64, n=60):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    g = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=g)
    return Objective(module, mse, (x, torch.sin(2 * x[:, :2])), dtype=dtype)


def run(rule, steps=40, **kw):
    return list(train(objective(), rule, steps=steps, tracker=Tracker(k=2, tol=1e-4), **kw))


def test_a_run_is_the_textbook_iteration():
    obj = objective()
    w = obj.w0
    for record in run(GD(0.1), 20):
        assert record.loss == pytest.approx(obj.loss(w), rel=1e-12)
        w = w - 0.1 * obj.grad(w)
    assert record.step == 20
    assert record.state.step == 20


@pytest.mark.parametrize(
    "rule", [GD(0.3), Adam(0.01), AdamW(0.01, weight_decay=0.1), HeavyBall(0.1)], ids=lambda r: r.name
)
def test_measured_values_solved_again_lie_in_their_bounds(rule):
    obj, state = objective(), None
    tracker = Tracker(k=2, tol=1e-4)
    for record in train(obj, rule, steps=30, tracker=tracker):
        w = obj.w0 if state is None else state.w
        op = hessian(obj, w)
        if isinstance(rule, Adam):
            _, memory = rule.update(obj.grad(w), rule.init(w) if state is None else state.rule, record.step)
            op = preconditioned(op, rule.preconditioner(memory, record.step), rule.shift)
        exact = top_eigenpairs(op, 2, 1e-8).values
        assert (record.curvature.bounds[:, 0] <= exact * (1 + 1e-9)).all()
        assert (exact <= record.curvature.bounds[:, 1] * (1 + 1e-9)).all()
        assert record.curvature.converged.all()
        assert record.ratio == pytest.approx(rule.lr * exact[0] / rule.threshold.value, rel=1e-4)
        state = record.state


@pytest.mark.parametrize(
    ("rule", "batches"),
    [(GD(0.3), None), (Adam(0.01), None), (SAM(0.1), None), (HeavyBall(0.05), Batches(16, seed=3))],
    ids=["gd", "adam", "sam", "sgd"],
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, rule, batches):
    whole = run(rule, batches=batches)
    path = tmp_path / "state.npz"
    for record in train(objective(), rule, steps=40, tracker=Tracker(k=2, tol=1e-4), batches=batches):
        if record.step == 16:
            save_checkpoint(path, record.state, {"note": "half way"})
            break
    state, about = load_checkpoint(path)
    assert about == {"note": "half way"}
    rest = run(rule, batches=batches, state=state)
    assert [r.step for r in rest] == list(range(17, 41))
    for a, b in zip(rest, whole[17:], strict=True):
        assert a.loss == b.loss
        assert np.array_equal(a.eigenvalues, b.eigenvalues)
        assert a.matvecs == b.matvecs
    assert np.array_equal(rest[-1].state.w, whole[-1].state.w)


def test_divergence_is_an_outcome_with_its_data():
    records = run(GD(50.0), 200)
    assert records[-1].outcome == "diverged"
    assert records[-1].step < 200
    assert all(np.isfinite(r.loss) for r in records[:-1])


def test_early_stop_and_extras():
    records = run(
        GD(0.1), 100, stop=lambda r: r.step >= 7, observe=lambda o, w, c: {"norm": float(np.linalg.norm(w))}
    )
    assert records[-1].step == 7
    assert records[-1].outcome == "interrupted"
    assert records[-1].extras["norm"] > 0


def test_the_cadence_measures_first_and_last_and_otherwise_when_due():
    records = list(train(objective(), GD(0.01), steps=25, tracker=Tracker(every=10)))
    assert [r.step for r in records if r.curvature is not None] == [0, 10, 20, 25]
    assert all(r.curvature is None for r in train(objective(), GD(0.01), steps=3))


def test_mini_batches_visit_each_sample_once_an_epoch():
    b = Batches(16, seed=0)
    epoch = [b.indices(step, 60) for step in range(4, 8)]
    assert sorted(np.concatenate(epoch)) == list(range(60))
    assert [len(i) for i in epoch] == [16, 16, 16, 12]


def test_summary_of_a_run():
    s = summary(run(GD(0.3), 60))
    assert s["outcome"] == "running"
    assert s["hvp_total"] > 60
    assert s["converged"]
    assert s["cost_in_gradient_steps"] > 0


def test_a_damaged_or_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(BadData, match="no file"):
        load_checkpoint(tmp_path / "none.npz")
    path = tmp_path / "bad.npz"
    path.write_bytes(b"PK nonsense")
    with pytest.raises(BadData, match="damaged"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    obj = objective()
    path = tmp_path / "state.npz"
    save_checkpoint(path, start(obj, GD(0.1)))

    def full(*_args, **_kw):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    from eoslab.core.errors import StoreError

    with pytest.raises(StoreError, match="No space"):
        save_checkpoint(path, start(obj, GD(0.1)))
    monkeypatch.undo()
    assert load_checkpoint(path)[0].step == 0
    assert list(tmp_path.iterdir()) == [path]


def test_single_precision_runs_stay_in_single_precision():
    for rule in (GD(0.1), Adam(0.01)):
        last = list(train(objective(torch.float32), rule, steps=5, tracker=Tracker()))[-1]
        assert last.state.w.dtype == np.float32
        assert last.curvature.dtype == "float32"
