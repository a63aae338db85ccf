"""The objective over ranks with uneven shards is the objective of all samples."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from eoslab.nn.losses import mse
from eoslab.nn.objective import Objective

WORKER = textwrap.dedent(
    """
    import sys
    import numpy as np, torch
    import torch.distributed as dist
    from torch import nn
    from eoslab.curvature import hessian, top_eigenpairs
    from eoslab.nn.losses import mse
    from eoslab.nn.objective import Objective

    torch.set_num_threads(1)
    rank, world, store, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=world)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    x, y = torch.randn(37, 3), torch.randn(37, 2)
    cuts = [0, 20, 37] if world == 2 else [0, 5, 29, 37]
    part = slice(cuts[rank], cuts[rank + 1])
    obj = Objective(module, mse, (x[part], y[part]), group=True, chunk=7 if rank == 0 else None)
    w, v = obj.w0, np.linspace(-1, 1, obj.n)
    top = top_eigenpairs(hessian(obj, w), 2, 1e-10).values
    loss, grad, hvp, ggn = obj.loss(w), obj.grad(w), obj.hvp(w, v), obj.ggn(w, v)
    if rank == 0:
        np.savez(out, loss=loss, grad=grad, hvp=hvp, ggn=ggn, top=top)
    dist.destroy_process_group()
    """
)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_with_uneven_shards_give_the_values_of_one_process(tmp_path, world):
    out = tmp_path / "out.npz"
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(world), str(tmp_path / "store"), str(out)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    for process in ranks:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    obj = Objective(module, mse, (torch.randn(37, 3), torch.randn(37, 2)))
    w, v = obj.w0, np.linspace(-1, 1, obj.n)
    got = np.load(out)
    assert got["loss"] == pytest.approx(obj.loss(w), rel=1e-12)
    assert got["grad"] == pytest.approx(obj.grad(w), abs=1e-13)
    assert got["hvp"] == pytest.approx(obj.hvp(w, v), abs=1e-13)
    assert got["ggn"] == pytest.approx(obj.ggn(w, v), abs=1e-13)
    H = obj.at(w).hvp_block(np.eye(obj.n))
    assert got["top"] == pytest.approx(np.linalg.eigvalsh((H + H.T) / 2)[::-1][:2], rel=1e-9)
