"""Every architecture is a differentiable, deterministic function whose products are symmetric."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eoslab.core.errors import InvalidArgument, UnknownName
from eoslab.curvature import hessian, top_eigenpairs
from eoslab.nn import architectures as arch
from eoslab.nn.data import chebyshev, digits, sorting
from eoslab.nn.losses import ce, mse
from eoslab.nn.objective import Objective


def images(n=6):
    return digits(n, images=True)


CASES = {
    "mlp": lambda s: (arch.mlp(64, 10, (8, 8), seed=s), digits(6), ce),
    "deep-linear": lambda s: (arch.deep_linear(64, 10, 3, 6, seed=s), digits(6), ce),
    "chebyshev": lambda s: (arch.chebyshev_net(10, seed=s), chebyshev(), mse),
    "cnn": lambda s: (arch.cnn(1, 10, (4, 4), seed=s), images(), ce),
    "vgg": lambda s: (arch.vgg(1, 10, (4, 8), 1, "silu", seed=s), images(), ce),
    "resnet": lambda s: (arch.resnet(1, 10, (4, 8), act="silu", seed=s), images(), ce),
    "resnet-batch": lambda s: (arch.resnet(1, 10, (4, 8), act="silu", norm="batch", seed=s), images(), ce),
    "vit": lambda s: (arch.vit(1, 10, 8, 4, 8, 1, 2, seed=s), images(), ce),
    "gpt": lambda s: (arch.gpt(3, 11, 8, 1, 2, seed=s), sorting(6, 6, 3), ce),
}


@pytest.mark.parametrize("name", CASES)
def test_products_are_symmetric_right_and_exact_and_third_derivatives_pass_the_guard(name):
    module, data, loss = CASES[name](0)
    obj = Objective(module, loss, data, dtype=torch.float64)
    w, rng = obj.w0, np.random.default_rng(0)
    u, v = rng.standard_normal((2, obj.n))
    assert v @ obj.hvp(w, u) == pytest.approx(u @ obj.hvp(w, v), rel=1e-9, abs=1e-11)
    assert obj.hvp_mode == "exact"
    assert obj.at(w).self_test() < 1e-5
    d = rng.standard_normal(obj.n)
    h = 1e-5
    fd = (u @ obj.hvp(w + h * d, u) - u @ obj.hvp(w - h * d, u)) / (2 * h)
    assert obj.third(w, u) @ d == pytest.approx(fd, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_weights_follow_the_seed_alone_and_the_global_state_stays(name):
    before = torch.get_rng_state()
    a, b, c = (torch.nn.utils.parameters_to_vector(CASES[name](s)[0].parameters()) for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(before, torch.get_rng_state())


def test_attention_tops_agree_with_the_dense_hessian():
    module, data, loss = CASES["gpt"](0)
    obj = Objective(module, loss, data, dtype=torch.float64)
    w = obj.w0
    op = hessian(obj, w)
    r = top_eigenpairs(op, 2, 1e-9)
    H = obj.at(w).hvp_block(np.eye(obj.n))
    assert r.values == pytest.approx(np.linalg.eigvalsh((H + H.T) / 2)[::-1][:2], rel=1e-8)


def test_unknown_and_impossible_settings_are_named():
    with pytest.raises(UnknownName, match="tanh"):
        arch.mlp(2, 2, act="tahn")
    with pytest.raises(UnknownName):
        arch.resnet(norm="layer")
    with pytest.raises(InvalidArgument, match="heads"):
        arch.gpt(width=10, heads=4)
    with pytest.raises(InvalidArgument, match="patch"):
        arch.vit(size=32, patch=5)
    with pytest.raises(InvalidArgument):
        arch.mlp(2, 2, hidden=(0,))
