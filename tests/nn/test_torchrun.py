"""``torchrun … -m eoslab train``: several processes make the run that one makes, and none waits for ever."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
# PyTorch can be built without it; the package then works on one process.
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")

import eoslab
from eoslab.cli.app import call
from eoslab.core.errors import InvalidArgument
from eoslab.nn.ranks import Ranks
from eoslab.results.store import Store

#: 31 samples on 2 or 3 processes are shares that differ.
ARGV = ["train", "--hidden", "8", "--samples", "31", "--lr", "0.5", "--eigs", "2", "--probes", "flow-distance=4"]


def environment(**more):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EOSLAB_") or k == "EOSLAB_CACHE"}
    source = str(Path(eoslab.__file__).parents[1])
    return inherited | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"} | more


def launched(folder, world, *argv):
    """The processes that torchrun would start, without torchrun."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "eoslab", *argv], cwd=folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment(RANK=str(rank), LOCAL_RANK=str(rank), **shared),
        )
        for rank in range(world)
    ]  # fmt: skip


def ended(processes, timeout=120):
    """(exit code, stdout, stderr) of each; the test fails where one hangs."""
    try:
        out = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, out, strict=True)]


def same(a, b):
    """Two runs up to the rounding of sums over other shares, over a few steps below the onset of chaos."""
    for name in ("loss", "sharpness", "eigenvalues", "accuracy", "flow_distance"):
        assert b[name].values == pytest.approx(a[name].values, rel=1e-9, abs=1e-12, nan_ok=True), name
    assert np.array_equal(a["matvecs"], b["matvecs"])


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    assert call([*ARGV, "--steps", "8", "--out", str(folder), "-q"]) == 0
    return Store(folder).open(Store(folder).list()[0].path)


def test_two_processes_of_torchrun_make_the_run_of_one(tmp_path, alone):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    agent = subprocess.Popen(
        [*command, "-m", "eoslab", *ARGV, "--steps", "8", "--json"], cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        out, errors = agent.communicate(timeout=120)
    except BaseException:
        os.killpg(agent.pid, signal.SIGKILL)  # the agent and its processes, which would outlive it
        raise
    assert agent.returncode == 0, errors
    record = json.loads(out)  # one object: the first process alone speaks
    assert len(Store(tmp_path / "runs").list()) == 1
    ds = Store(tmp_path / "runs").open(record["id"])
    same(alone, ds)
    parameters = json.loads(ds.attrs["parameters"])
    assert parameters["model"]["samples"] == 31
    assert parameters["run"]["processes"] == 2


def test_three_processes_stop_together_and_go_on_as_one_would_have(tmp_path, alone):
    processes = launched(tmp_path, 3, *ARGV, "--steps", "100000")
    store, until = Store(tmp_path / "runs"), time.monotonic() + 100
    while not store.list() and time.monotonic() < until:
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGINT)  # the one that says and keeps nothing
    codes = ended(processes)
    assert [code for code, _, _ in codes] == [130, 130, 130], codes
    assert [out for _, out, _ in codes[1:]] == ["", ""]
    (listed,) = store.list()
    ds = store.open(listed.path)
    assert str(ds["outcome"].values) == "interrupted"
    assert "--resume" in codes[0][2]
    n = min(9, ds.sizes["step"])
    for name in ("loss", "sharpness"):
        assert ds[name].values[:n] == pytest.approx(alone[name].values[:n], rel=1e-9)


def test_an_error_of_one_process_ends_the_others(tmp_path):
    net = tmp_path / "net.py"
    net.write_text(
        "import os, torch\n"
        "from torch import nn\n"
        "class Fragile(nn.Linear):\n"
        "    calls = 0\n"
        "    def forward(self, x):\n"
        "        self.calls += 1\n"
        "        if os.environ['RANK'] == '1' and self.calls > 30:\n"
        "            raise MemoryError\n"
        "        return super().forward(x)\n"
        "def build():\n"
        "    return Fragile(64, 6)\n"
    )
    argv = ["train", "--module", "net.py:build", "--samples", "6", "--lr", "0.01", "--steps", "100000", "-q"]
    first, second = ended(launched(tmp_path, 2, *argv))
    assert second[0] == 1
    assert "one sample at a time" in second[2]
    assert first[0] == 1
    assert "another process of this training has ended" in first[2]


def test_what_draws_some_of_the_samples_is_refused_by_all_and_said_once(capsys):
    from eoslab.cli.problem import Finish
    from eoslab.cli.together import speaking, whole
    from eoslab.cli.train_plan import DEFAULTS, make
    from eoslab.core.errors import EoslabError

    for more in ({"batch": "4"}, {"probes": "gni=5"}):
        (plan,) = make({**DEFAULTS, "live": False, **more}, {})
        with pytest.raises(InvalidArgument, match="one process"):
            whole(plan)
    with speaking(False):
        print("not heard")  # noqa: T201
    with pytest.raises(Finish), speaking(False):
        raise InvalidArgument("batch", 4, "nothing")
    with pytest.raises(EoslabError, match="alone"), speaking(False):
        raise EoslabError("alone")
    assert capsys.readouterr() == ("", "")


def test_shares_are_all_samples_in_order():
    x = torch.arange(11)
    parts = [Ranks(rank, 4).share(x, x)[0] for rank in range(4)]
    assert torch.equal(torch.cat(parts), x)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    with pytest.raises(InvalidArgument, match="at least 12"):
        Ranks(0, 12).share(x, x)
