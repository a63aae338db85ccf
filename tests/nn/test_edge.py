"""Published behaviour at the edge of stability, in runs short enough for every day."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eoslab.curvature import Tracker, hessian, top_eigenpairs
from eoslab.nn import Objective, architectures, data, losses, rules, summary, train


def test_gradient_descent_on_chebyshev_sharpens_to_the_edge_and_stays():
    """The shortened form: a quarter of the steps at a learning rate for which the edge is nearer."""
    obj = Objective(architectures.chebyshev_net(), losses.mse, data.chebyshev(), dtype=torch.float64)
    records = list(train(obj, rules.GD(0.4), steps=2000, tracker=Tracker(every=20)))
    s = summary(records)
    assert records[0].ratio < 1
    assert s["first_crossing"] is not None
    assert 0.98 <= s["mean_ratio_second_half"] <= 1.12
    assert s["converged"]


def test_full_batch_adam_on_chebyshev_equilibrates_at_38_over_the_learning_rate():
    obj = Objective(architectures.chebyshev_net(), losses.mse, data.chebyshev(), dtype=torch.float64)
    records = list(train(obj, rules.Adam(1e-3), steps=2000, tracker=Tracker(every=20)))
    late = [r.ratio for r in records if r.curvature is not None and r.step >= 1000]
    assert 0.9 <= np.mean(late) <= 1.1


def test_every_value_of_a_digits_run_through_the_crossing_is_within_its_tolerance_at_few_products():
    x, y = data.digits(300)
    module = architectures.mlp(64, 10, (32, 32))
    obj = Objective(module, losses.mse, (x, data.one_hot(y)), dtype=torch.float32)
    exact_obj = Objective(module, losses.mse, (x, data.one_hot(y)), dtype=torch.float64)
    w, worst, ratios, products = obj.w0, 0.0, [], []
    for r in train(obj, rules.GD(0.3), steps=150, tracker=Tracker(tol=1e-3)):
        products.append(r.matvecs)
        if r.step % 3 == 0:
            exact = top_eigenpairs(hessian(exact_obj, w.astype(float)), 1, 1e-7)
            worst = max(worst, abs(r.sharpness / exact.values[0] - 1))
            assert r.curvature.bounds[0, 0] <= exact.values[0] <= r.curvature.bounds[0, 1]
        ratios.append(r.ratio)
        w = r.state.w
    assert max(ratios) > 1.0  # the run does cross
    assert worst <= 1e-3
    assert np.mean(products[1:]) <= 3.5
