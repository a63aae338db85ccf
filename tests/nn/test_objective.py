"""Propositions about the loss of a module over a flat vector and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn import functional as F

from eoslab.core.errors import BadData, InvalidArgument
from eoslab.core.protocols import Objective as ObjectiveProtocol
from eoslab.curvature import hessian, top_eigenpairs
from eoslab.nn.losses import accuracy, ce, mse
from eoslab.nn.objective import NonDeterministic, Objective, ThirdDerivativeRefused


def data(n=37, inputs=3, outputs=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, inputs, generator=g), torch.randn(n, outputs, generator=g)


def mlp(inputs=3, hidden=5, outputs=2, seed=0, *extra):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, hidden), *extra, nn.Tanh(), nn.Linear(hidden, outputs)).double()


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 2)

    def forward(self, x):
        q, k, v = (t[:, None] for t in self.qkv(x).chunk(3, -1))
        return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True)[:, 0]).mean(1)


def dense(obj, w):
    return np.stack([obj.hvp(w, e) for e in np.eye(obj.n)])


def by_autograd(module, loss_fn, x, y):
    """The dense Hessian by torch.autograd.functional on the same function, an independent route."""
    names = [k for k, p in module.named_parameters() if p.requires_grad]
    shapes = [p.shape for p in module.parameters() if p.requires_grad]
    flat = torch.cat([p.detach().reshape(-1) for p in module.parameters() if p.requires_grad])

    def loss(w):
        parts = w.split([s.numel() for s in shapes])
        values = {k: p.view(s) for k, p, s in zip(names, parts, shapes, strict=True)}
        return loss_fn(torch.func.functional_call(module, values, (x,)), y)

    return torch.autograd.functional.hessian(loss, flat).numpy()


@pytest.mark.parametrize("loss_fn", [mse, lambda f, y: ce(f, y.argmax(1))], ids=["mse", "ce"])
def test_products_are_those_of_the_dense_hessian(loss_fn):
    x, y = (t.double() for t in data())
    module = mlp()
    obj = Objective(module, loss_fn, (x, y))
    H = dense(obj, obj.w0)
    assert np.abs(H - by_autograd(module, loss_fn, x, y)).max() <= 1e-12
    assert np.abs(H - H.T).max() <= 1e-14
    V = np.random.default_rng(0).standard_normal((3, obj.n))
    assert np.abs(obj.at(obj.w0).hvp_block(V) - V @ H).max() <= 1e-12


def test_the_top_eigenvalues_are_those_of_the_dense_hessian_and_of_arpack():
    obj = Objective(mlp(), mse, data())
    w = obj.w0
    exact = np.linalg.eigvalsh(dense(obj, w))[::-1]
    r = top_eigenpairs(hessian(obj, w), 4, tol=1e-10)
    assert r.values == pytest.approx(exact[:4], rel=1e-9)
    op = LinearOperator((obj.n, obj.n), matvec=lambda v: obj.hvp(w, v.ravel()), dtype=np.float64)
    assert r.values == pytest.approx(np.sort(eigsh(op, 4, which="LA", tol=1e-12)[0])[::-1], rel=1e-9)


def test_gradient_and_products_are_differences_of_the_loss_and_of_the_gradient():
    obj = Objective(mlp(), mse, data())
    w, v = obj.w0, np.random.default_rng(0).standard_normal(obj.n)
    h = 1e-5  # central differences: error h² times a derivative of order one
    assert (obj.loss(w + h * v) - obj.loss(w - h * v)) / (2 * h) == pytest.approx(obj.grad(w) @ v, rel=1e-7)
    assert (obj.grad(w + h * v) - obj.grad(w - h * v)) / (2 * h) == pytest.approx(obj.hvp(w, v), abs=1e-8)


def test_it_is_an_objective_of_the_package():
    assert isinstance(Objective(mlp(), mse, data()), ObjectiveProtocol)


@pytest.mark.parametrize("retain", [None, True])
def test_unequal_chunks_are_weighted_by_their_samples(retain):
    whole, parts = Objective(mlp(), mse, data(37)), Objective(mlp(), mse, data(37), chunk=16, retain=retain)
    w, v = whole.w0, np.random.default_rng(1).standard_normal(whole.n)
    assert parts.loss(w) == pytest.approx(whole.loss(w), rel=1e-14)
    assert parts.grad(w) == pytest.approx(whole.grad(w), abs=1e-14)
    assert parts.hvp(w, v) == pytest.approx(whole.hvp(w, v), abs=1e-14)
    assert parts.ggn(w, v) == pytest.approx(whole.ggn(w, v), abs=1e-14)
    assert parts.third(w, v) == pytest.approx(whole.third(w, v), abs=1e-12)
    assert parts.metric(w, accuracy) == pytest.approx(whole.metric(w, accuracy))
    # the unweighted mean over the chunks is another number: the trap that this guards against
    x, y = data(37)
    unweighted = np.mean(
        [Objective(mlp(), mse, (x[a:b], y[a:b])).loss(w) for a, b in ((0, 16), (16, 32), (32, 37))]
    )
    assert abs(unweighted / whole.loss(w) - 1) > 1e-3


def test_lists_and_loaders_of_pairs_are_chunks():
    x, y = data(37)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=10)
    whole = Objective(mlp(), mse, (x, y))
    for source in (loader, [(x[:20], y[:20]), (x[20:], y[20:])]):
        assert Objective(mlp(), mse, source).loss(whole.w0) == pytest.approx(whole.loss(whole.w0), rel=1e-14)


def test_frozen_and_unused_parameters_and_buffers():
    module = mlp(3, 5, 2, 0, nn.BatchNorm1d(5)).double().eval()
    module.register_parameter("unused", nn.Parameter(torch.ones(3, dtype=torch.float64)))
    module[0].weight.requires_grad_(False)
    obj = Objective(module, mse, data())
    assert obj.n == sum(p.numel() for p in module.parameters() if p.requires_grad)
    start, _ = obj.slices()["unused"]
    assert (obj.grad(obj.w0)[start] == 0).all()
    H = dense(obj, obj.w0)
    assert (H[start] == 0).all()
    assert np.abs(H - H.T).max() < 1e-13


def test_tied_weights_appear_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(torch.tanh(self.a(x)))

    obj = Objective(Tied().double(), mse, data(9, 3, 3))
    assert obj.n == 9
    v, h = np.random.default_rng(0).standard_normal(9), 1e-6
    difference = (obj.loss(obj.w0 + h * v) - obj.loss(obj.w0 - h * v)) / (2 * h)
    assert obj.grad(obj.w0) @ v == pytest.approx(difference, rel=1e-7)


def test_the_users_module_random_state_and_mode_stay_as_they_were():
    module = mlp(3, 5, 2, 0, nn.BatchNorm1d(5)).double().train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    rng = torch.get_rng_state()
    obj = Objective(module, mse, data())
    w = obj.w0
    obj.loss(w), obj.grad(w), obj.hvp(w, w), obj.ggn(w, w), obj.third(w, w / np.linalg.norm(w))
    assert torch.equal(torch.get_rng_state(), rng)
    assert module.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    assert not w.flags.owndata or np.array_equal(obj.w0, w)


def test_dropout_shuffling_and_chunked_batch_norm_are_named():
    with pytest.raises(NonDeterministic, match="Dropout"):
        Objective(mlp(3, 5, 2, 0, nn.Dropout(0.5)).train(), mse, data())
    Objective(mlp(3, 5, 2, 0, nn.Dropout(0.5)).eval(), mse, data())
    x, y = data(37)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=10, shuffle=True)
    with pytest.raises(NonDeterministic, match="shuffl"):
        Objective(mlp(), mse, loader)
    with pytest.raises(NonDeterministic, match="BatchNorm1d"):
        Objective(mlp(3, 5, 2, 0, nn.BatchNorm1d(5)).train(), mse, data(), chunk=16)


def test_attention_falls_back_to_the_kernel_that_has_second_derivatives_and_says_so():
    obj = Objective(Attention().double(), mse, (torch.randn(9, 6, 4), torch.randn(9, 2)))
    H = dense(obj, obj.w0)
    assert np.abs(H - H.T).max() < 1e-13
    assert any("math attention" in note for note in obj.notes)
    assert obj.hvp_mode == "exact"
    assert obj.at(obj.w0).self_test() < 1e-6


def test_an_operation_without_second_derivative_is_answered_by_differences_or_refused():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].cos()

    class Net(nn.Module):
        def __init__(self, fn):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.fn = nn.Linear(3, 4), nn.Linear(4, 2), fn

        def forward(self, x):
            return self.b(self.fn(self.a(x)))

    fd = Objective(Net(Once.apply).double(), mse, data())
    exact = Objective(Net(torch.sin).double(), mse, data())
    w, v = fd.w0, np.random.default_rng(0).standard_normal(fd.n)
    assert fd.hvp(w, v) == pytest.approx(exact.hvp(w, v), abs=1e-6)
    assert fd.hvp_mode == "fd"
    assert fd.hvp_reason
    with pytest.raises(InvalidArgument, match="second derivative"):
        Objective(Net(Once.apply).double(), mse, data(), hvp="exact").hvp(w, v)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-6), (torch.float32, 5e-3)])
def test_differences_agree_with_exact_products_to_their_stated_bias(dtype, bound):
    obj = Objective(mlp(), mse, data(), dtype=dtype)
    assert obj.at(obj.w0).self_test() < bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rough_products_have_their_stated_error_and_cost_one_gradient(dtype, monkeypatch):
    obj = Objective(mlp(), mse, data(), dtype=dtype)
    point, rng = obj.at(obj.w0), np.random.default_rng(0)
    top = top_eigenpairs(hessian(obj, obj.w0), 1, 1e-3)
    for v in (top.vectors[:, 0], 7.0 * rng.standard_normal(obj.n), np.zeros(obj.n)):
        v = v.astype(obj.numpy_dtype)
        error = np.linalg.norm(point.rough(v) - point.hvp(v)) / max(np.linalg.norm(v), 1.0)
        assert error <= point.rough_error * top.values[0]
    calls, plain = [], obj.loss_and_grad
    monkeypatch.setattr(obj, "loss_and_grad", lambda w: calls.append(0) or plain(w))
    point.rough(top.vectors[:, 0].astype(obj.numpy_dtype))
    assert len(calls) == 1
    assert Objective(mlp(), mse, data(), dtype=dtype, hvp="fd").at(obj.w0).rough_error == 0.0


@pytest.mark.parametrize("norm", [nn.LayerNorm(5), nn.BatchNorm1d(5), nn.GroupNorm(1, 5)])
def test_third_derivatives_through_fused_normalisation_are_repaired(norm):
    obj = Objective(mlp(3, 5, 2, 0, norm).double().train(), mse, data())
    w, rng = obj.w0, np.random.default_rng(0)
    u, d, h = rng.standard_normal(obj.n), rng.standard_normal(obj.n), 1e-5
    value = obj.third(w, u) @ d
    difference = (u @ obj.hvp(w + h * d, u) - u @ obj.hvp(w - h * d, u)) / (2 * h)
    assert value == pytest.approx(difference, rel=1e-5)


def test_the_guard_notices_a_wrong_third_derivative_and_refuses():
    class Wrong(torch.autograd.Function):
        """x² whose second derivative forgets that it depends on nothing: right to order two, wrong at three."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return Slope.apply(g, x)

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx, g, x):
            ctx.save_for_backward(g, x)
            return 3 * g * x**2

        @staticmethod
        def backward(ctx, gg):
            g, x = ctx.saved_tensors
            return gg * 3 * x**2, gg * 6 * g * x.detach()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a = nn.Linear(3, 4)

        def forward(self, x):
            return Wrong.apply(self.a(x))

    obj = Objective(Net().double(), mse, data(20, 3, 4))
    u = np.random.default_rng(0).standard_normal(obj.n)
    H = dense(obj, obj.w0)
    assert np.abs(H - H.T).max() < 1e-12  # second derivatives are fine
    with pytest.raises(ThirdDerivativeRefused, match="disagrees"):
        obj.third(obj.w0, u)


def test_the_gauss_newton_product_is_jacobian_transposed_jacobian_for_squared_loss():
    x, y = (t.double() for t in data(7))
    module = mlp()
    obj = Objective(module, mse, (x, y))
    names, shapes = list(obj.slices()), [s for _, s in obj.slices().values()]

    def outputs(w):
        parts = w.split([s.numel() for s in shapes])
        values = {k: p.view(s) for k, p, s in zip(names, parts, shapes, strict=True)}
        return torch.func.functional_call(module, values, (x,)).reshape(-1)

    J = torch.autograd.functional.jacobian(outputs, torch.from_numpy(obj.w0)).numpy()
    G = np.stack([obj.ggn(obj.w0, e) for e in np.eye(obj.n)])
    assert np.abs(G - J.T @ J / 7).max() < 1e-13
    v = np.ones(obj.n)
    assert obj.at(obj.w0).residual(v) == pytest.approx(obj.hvp(obj.w0, v) - G @ v, abs=1e-13)


def test_losses_in_the_conventions_of_the_package():
    f, y = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert float(mse(f, y)) == 2.0  # (½·4 + ½·4)/2
    index = y.argmax(1)
    assert float(ce(f, index)) == pytest.approx(float(F.cross_entropy(f, index)))
    assert float(ce(f, F.one_hot(index, 2).float())) == pytest.approx(float(ce(f, index)))
    assert float(accuracy(f, index)) == 0.0


def test_the_library_mse_loss_works_too():
    obj = Objective(mlp(), nn.MSELoss(), data())
    assert obj.hvp(obj.w0, obj.w0).shape == (obj.n,)


def test_dictionaries_of_inputs_are_keywords():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a = nn.Linear(3, 2)

        def forward(self, left, right):
            return self.a(left * right)

    x, y = (t.double() for t in data())
    obj = Objective(Two().double(), mse, ({"left": x, "right": x}, y), chunk=10)
    plain = Objective(Two().a.double(), mse, (x * x, y))
    assert obj.loss(obj.w0) == pytest.approx(plain.loss(plain.w0), rel=1e-12)


def test_a_batch_is_the_objective_of_its_samples():
    x, y = data(37)
    for chunk in (None, 10):
        obj = Objective(mlp(), mse, (x, y), chunk=chunk)
        part = obj.batch([3, 30, 7])
        direct = Objective(mlp(), mse, (x[[3, 30, 7]], y[[3, 30, 7]]))
        assert part.grad(obj.w0) == pytest.approx(direct.grad(obj.w0), abs=1e-15)


def test_weights_go_back_into_a_module():
    module = mlp()
    obj = Objective(module, mse, data())
    w = obj.w0 + 1.0
    module.load_state_dict(obj.state_dict(w), strict=False)
    assert np.array_equal(Objective(module, mse, data()).w0, w)


def test_a_sum_over_samples_cannot_be_chunked_and_is_named():
    with pytest.raises(InvalidArgument, match="mean over samples"):
        Objective(mlp(), lambda f, y: ((f - y) ** 2).sum(), data(), chunk=16)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Objective(nn.Tanh(), mse, data()), "requires a gradient"),
        (lambda: Objective(mlp(), lambda f, y: (f - y) ** 2, data()), "one number"),
        (lambda: Objective(mlp(), mse, data(), dtype=torch.float16), "float32 or"),
        (lambda: Objective(mlp(), mse, data(), hvp="magic"), "'auto'"),
        (lambda: Objective(mlp(), mse, iter([data()])), "re-iterable"),
        (lambda: Objective(mlp(), mse, data()).grad(np.zeros(3)), "one entry per"),
        (lambda: Objective(mlp(), mse, data()).hvp(Objective(mlp(), mse, data()).w0, np.zeros(3)), "shape"),
    ],
)
def test_misuse_is_named(call, error):
    with pytest.raises(InvalidArgument, match=error):
        call()


def test_data_of_different_lengths_and_none_at_all_are_named():
    x, y = data()
    with pytest.raises(BadData, match="36"):
        Objective(mlp(), mse, (x, y[:36]))
    with pytest.raises(BadData, match="0 samples"):
        Objective(mlp(), mse, (x[:0], y[:0]))
