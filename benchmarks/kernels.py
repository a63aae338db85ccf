"""Speed of the compiled kernels against the same loop in C, JAX, NumPy and PyTorch, in one run.

    python benchmarks/kernels.py

Predictions that this file checks: a stored trajectory of states within 1.3 × C and at least 8 × faster than
``jax.jit(lax.scan)``; with losses, sharpness and GFS sharpness at every step at most 100 ns a step; lanes without
storage at most 1.5 ns a step and trajectory on one core and within 3 × C with AVX2.
"""

from __future__ import annotations

import ctypes

import numpy as np
from timing import c_peer, median_seconds, row

from eoslab.kernels.compiler import kernel
from eoslab.models import Minimalist
from eoslab.optimizers import GD

# 10^5 steps: later β1 is subnormal in the plain C loop, which makes C five times slower and the ratio flattering
STEPS, LANES, LANE_STEPS = 100_000, 4096, 2000
W0 = (0.65, 0.001, 0.9)
MODEL, RULE = Minimalist(1.0, 1e-3), GD(200 / 49)


def stored() -> None:
    k, zero = kernel(MODEL, RULE), (0.0, 0.0, 0.0)
    c = c_peer("gd", "-march=native")
    out, peer = np.empty((STEPS + 1, 3)), np.empty((STEPS + 1, 3))
    c.trajectory.argtypes = [ctypes.c_double] * 7 + [ctypes.c_int64, ctypes.c_void_p]

    def ours() -> None:
        k.run_state(W0, 0, zero, zero, 0, 0, STEPS, RULE.h, MODEL.p, out)

    def theirs() -> None:
        c.trajectory(*W0, *MODEL.p, RULE.lr, STEPS, peer.ctypes.data)

    a, b = median_seconds(ours, theirs, repeats=25)
    print("stored trajectory, state only")
    row("eoslab", f"{a / STEPS * 1e9:.2f} ns/step")
    row("C (gcc -O3 -march=native)", f"{b / STEPS * 1e9:.2f} ns/step")
    row("ratio to C", f"{a / b:.2f}", "at most 1.3")
    jax_scan(a / STEPS)
    loops(a / STEPS)


def jax_scan(ours: float) -> None:
    """JAX twice: as its users write it (scan over jax.grad of the loss), and with our factored arithmetic."""
    try:
        import jax
    except ImportError:
        row("jax.jit(lax.scan)", "not installed", "pip install jax")
        return
    jax.config.update("jax_enable_x64", True)
    (l1, l2, b), lr = MODEL.p, RULE.lr

    def loss(w):  # type: ignore[no-untyped-def]
        return l1 * (w[0] * w[1]) ** 2 / 2 + l2 * (w[0] * w[2] - b) ** 2 / 2

    def by_grad(w, _):  # type: ignore[no-untyped-def]
        w = w - lr * jax.grad(loss)(w)
        return w, w

    def by_hand(w, _):  # type: ignore[no-untyped-def]
        a, b1, b2 = w
        a2 = a * a
        new = (
            a * (1 - lr * l1 * b1**2 - lr * l2 * b2**2) + lr * l2 * b * b2,
            b1 * (1 - lr * l1 * a2),
            b2 * (1 - lr * l2 * a2) + lr * l2 * b * a,
        )
        return new, new

    starts = {"jax.grad": jax.numpy.array(W0), "by hand": tuple(jax.numpy.float64(x) for x in W0)}
    for label, step in (("jax.grad", by_grad), ("by hand", by_hand)):
        scan = jax.jit(lambda w, step=step: jax.lax.scan(step, w, None, length=STEPS))
        (t,) = median_seconds(lambda scan=scan, w=starts[label]: jax.block_until_ready(scan(w)), repeats=7)
        row(
            f"jax.jit(lax.scan), {label}",
            f"{t / STEPS * 1e9:.1f} ns/step",
            f"{t / STEPS / ours:.1f} × ours, aim 8",
        )


def loops(ours: float) -> None:
    steps = 20_000
    lam = np.array(MODEL.p[:2])

    def numpy_loop() -> None:
        w, out = np.array(W0), np.empty((steps + 1, 3))
        for t in range(steps):
            out[t] = w
            residual = w[0] * w[1:] - np.array([0.0, 1.0])
            g = lam * residual
            w = w - RULE.lr * np.concatenate([[g @ w[1:]], g * w[0]])

    (t,) = median_seconds(numpy_loop, repeats=3)
    row("NumPy loop (information)", f"{t / steps * 1e9:.0f} ns/step", f"{t / steps / ours:.0f} × ours")
    try:
        import torch
    except ImportError:
        row("PyTorch loop (information)", "not installed")
        return
    torch.set_num_threads(1)

    def torch_loop() -> None:
        w = torch.tensor(W0, dtype=torch.float64, requires_grad=True)
        for _ in range(steps // 10):
            loss = MODEL.lambda1 * (w[0] * w[1]) ** 2 / 2 + MODEL.lambda2 * (w[0] * w[2] - 1) ** 2 / 2
            (g,) = torch.autograd.grad(loss, w)
            w = (w - RULE.lr * g).detach().requires_grad_()

    (t,) = median_seconds(torch_loop, repeats=3)
    row("PyTorch loop with autograd (information)", f"{t / steps * 1e10:.0f} ns/step")


def measured() -> None:
    k, zero, n = kernel(MODEL, RULE), (0.0, 0.0, 0.0), 100_000
    ws, es = np.empty((n + 1, 3)), np.zeros(n + 1, np.int64)
    fs, ps = np.zeros(1, np.int8), np.empty((1, 3))
    columns = [np.empty(n + 1) for _ in range(4)]

    def ours() -> None:
        k.run(W0, 0, zero, zero, 0, 0, n, RULE.h, MODEL.p, ws, es, fs, ps)
        k.measure_losses(ws, es, n + 1, RULE.h, MODEL.p, 2.0, *columns)

    (t,) = median_seconds(ours)
    print("with losses, sharpness and GFS sharpness at every step")
    row("eoslab", f"{t / n * 1e9:.1f} ns/step", "at most 100")


def lanes() -> None:
    k = kernel(MODEL, RULE)
    w0 = np.tile(W0, (LANES, 1))
    w0[:, 0] = np.linspace(0.3, 1.2, LANES)
    h, p = np.full((LANES, 1), RULE.lr), np.tile(MODEL.p, (LANES, 1))
    out, e, t = np.empty((LANES, 3)), np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    c = c_peer("gd", "-mavx2")
    h1s, hs, peer = (
        np.full(LANES, RULE.lr * MODEL.lambda1),
        np.full(LANES, RULE.lr * MODEL.lambda2),
        np.empty_like(out),
    )

    def ours() -> None:
        k.lanes_gd(w0, LANE_STEPS, h, p, out, e, t)

    def theirs() -> None:
        c.lanes(
            ctypes.c_int64(LANES), ctypes.c_int64(LANE_STEPS),
            *[ctypes.c_void_p(x.ctypes.data) for x in (w0, h1s, hs, peer)],
        )  # fmt: skip

    a, b = median_seconds(ours, theirs)
    per = LANES * LANE_STEPS
    print("lanes without storage, one core")
    row("eoslab", f"{a / per * 1e9:.2f} ns", "at most 1.5")
    row("C (gcc -O3 -mavx2)", f"{b / per * 1e9:.2f} ns")
    row("ratio to C", f"{a / b:.2f}", "at most 3")


if __name__ == "__main__":
    stored()
    measured()
    lanes()
