"""Where memory runs out the samples come in smaller chunks: the same numbers up to rounding, and it is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import eoslab
from eoslab.core.errors import InvalidArgument
from eoslab.curvature import hessian, top_eigenpairs
from eoslab.nn import NonDeterministic, Objective, OutOfMemory, losses
from eoslab.nn.memory import out_of_memory

FAILURES = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    "windows": lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    "python": MemoryError,
}


class Narrow(nn.Module):
    """A network that runs out of memory above ``most`` samples."""

    def __init__(self, most, failure=FAILURES["cpu"], *, norm=None):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 5), norm or nn.Identity(), nn.Tanh(), nn.Linear(5, 2)).double()
        self.most, self.failure = most, failure

    def forward(self, x):
        if len(x) > self.most:
            raise self.failure()
        return self.net(x)


def data(n=37):
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, generator=g), torch.randn(n, 2, generator=g)


@pytest.mark.parametrize("failure", FAILURES)
def test_smaller_chunks_give_the_same_numbers_up_to_the_rounding_of_the_sums(failure):
    narrow = Objective(Narrow(10, FAILURES[failure]), losses.mse, data())
    wide = Objective(Narrow(37), losses.mse, data())
    w, v = wide.w0, np.linspace(-1, 1, wide.n)
    assert narrow.chunk == 9, "37 → 18 → 9"
    assert wide.chunk is None
    assert [note.split(":")[0] for note in narrow.notes] == ["chunks of at most 9 samples"]
    # sums of 37 terms of order one
    assert narrow.loss(w) == pytest.approx(wide.loss(w), rel=1e-14)
    assert narrow.grad(w) == pytest.approx(wide.grad(w), abs=1e-14)
    for name in ("hvp", "ggn", "third"):
        assert getattr(narrow, name)(w, v) == pytest.approx(getattr(wide, name)(w, v), abs=1e-12)
    top = [top_eigenpairs(hessian(o, w), 2, 1e-10).values for o in (narrow, wide)]
    assert top[0] == pytest.approx(top[1], rel=1e-10)


def test_memory_that_runs_out_in_the_middle_of_a_run_changes_nothing_but_rounding():
    """The retained graph of a point goes, the products of that point are made chunk by chunk."""
    module = Narrow(37)
    obj, wide = Objective(module, losses.mse, data()), Objective(Narrow(37), losses.mse, data())
    w, v = obj.w0, np.linspace(-1, 1, obj.n)
    point = obj.at(w)
    before = point.hvp(v)
    module.most = 10
    assert np.array_equal(point.hvp(v), before), "the graph that is kept needs no forward pass"
    assert obj.hvp(w + 0.1, v) == pytest.approx(wide.hvp(w + 0.1, v), abs=1e-13)
    assert np.array_equal(point.hvp(v), before)


def test_a_batch_tells_its_objective_and_keeps_its_limit():
    obj = Objective(Narrow(37), losses.mse, data(), chunk=8)
    part = obj.batch(range(20))
    assert [n for _, _, n in part.mean.chunks] == [8, 8, 4]
    obj.module.most = 4
    assert part.grad(obj.w0).shape == (obj.n,)
    assert any("at most 4" in note for note in obj.notes)


def test_graphs_that_were_to_be_kept_go_first():
    module = Narrow(37)
    obj = Objective(module, losses.mse, data(), chunk=8, retain=True)
    module.most = 4
    obj.at(obj.w0)
    assert [note.split(":")[0] for note in obj.notes] == ["graphs not retained", "chunks of at most 4 samples"]


def test_one_sample_too_many_is_an_error_that_says_what_to_do():
    with pytest.raises(OutOfMemory, match="float32"):
        Objective(Narrow(0), losses.mse, data())


def test_what_may_not_be_chunked_is_not():
    with pytest.raises(NonDeterministic, match="BatchNorm1d"):
        Objective(Narrow(10, norm=nn.BatchNorm1d(5)).train(), losses.mse, data())
    with pytest.raises(InvalidArgument, match="mean over samples"):
        Objective(Narrow(10), lambda f, y: ((f - y) ** 2).sum(), data())


def test_another_error_is_not_taken_for_one_of_memory():
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shapes"):
        Objective(nn.Linear(4, 2), losses.mse, data())


def test_a_run_records_it_and_goes_on_with_the_smaller_chunks(tmp_path):
    from eoslab.nn.run import NetworkRun
    from eoslab.results.store import Store

    run = NetworkRun(Objective(Narrow(10), losses.mse, data()), eoslab.optimizers.GD(0.1), store=tmp_path)
    run.begin()
    run.go(3)
    ds = Store(tmp_path).open(run.stored.id)
    assert "chunks of at most 9" in json.loads(ds.attrs["notes"])[0]
    assert json.loads(ds.attrs["parameters"])["model"]["chunk"] == 9


SCRIPT = textwrap.dedent(
    """
    import json, resource
    import torch
    from torch import nn
    from eoslab.nn import Objective, losses

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 1000), nn.Tanh(), nn.Linear(1000, 1))
    # one layer's activations of all samples are 40 MB
    x, y = torch.randn(10_000, 4), torch.randn(10_000, 1)

    def values():
        obj = Objective(net, losses.mse, (x, y), check=False)
        w = obj.w0
        return [obj.loss(w), float(w @ obj.hvp(w, w))], obj.chunk, obj.notes

    plenty = values()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 70 * 2**20,) * 2)
    print(json.dumps([plenty, values()]))
    """
)


# A limit of the address space that counts what the process has already: elsewhere there is neither.
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits of the address space as Linux has them")
def test_a_process_with_little_memory_gets_the_same_numbers():
    environment = os.environ | {"PYTHONPATH": str(Path(eoslab.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (plenty, whole, _), (little, chunk, notes) = json.loads(done.stdout)
    assert whole is None
    assert chunk is not None
    assert "out of memory" in notes[0]
    # float32 sums of 10,000 samples
    assert little == pytest.approx(plenty, rel=1e-4)
