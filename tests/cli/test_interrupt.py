"""Ctrl-C at any moment, closed pipes, full disks: nothing that was stored is lost."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys

import pytest

import eoslab
from eoslab.cli.progress import Progress, Stop

#: Far more steps than the test waits for, decimated so that memory does not matter.
LONG = ["run", "--steps", "1e12", "--record-every", "1e8", "--lambda2", "1e-4", "--json", "-v"]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resume_goes_on(call, folder, environment, signum, code):
    process = subprocess.Popen(
        [sys.executable, "-m", "eoslab", *LONG],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # from this line on the handler is in place
    assert process.stderr.readline().startswith("running ")
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    facts = json.loads(out)
    assert facts["outcome"] == "interrupted"
    assert 0 < facts["steps"] < 10**12
    assert f"eoslab run --resume {facts['id']}" in err
    assert call("runs", "list", "--json").json["runs"][0]["outcome"] == "interrupted"
    plan = call("run", "--resume", facts["id"], "--dry-run", "--json").json["plan"]
    assert plan["steps"] == 10**12
    longer = call("run", "--resume", facts["id"], "--steps", str(facts["steps"] + 1000), "--json").json
    assert longer["steps"] == facts["steps"] + 1000


def test_the_second_ctrl_c_aborts_and_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop()
        assert stop.exit_code == 130
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_saving_is_not_interrupted():
    with Stop() as stop:
        stop.saving = True
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop()


def test_an_abort_says_so_and_keeps_what_was_stored(call, monkeypatch):
    kept = call("run", "--steps", "5", "--json").json["id"]

    def abort(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(eoslab, "trajectory", abort, raising=False)
    got = call("run")
    assert got.code == 130
    assert got.err.startswith("error[E105]")
    assert [row["id"] for row in call("runs", "list", "--json").json["runs"]] == [kept]


def test_progress_is_a_line_every_ten_seconds_without_a_terminal(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("eoslab.cli.progress.time.monotonic", lambda: now[0])
    with Progress("running") as progress:
        for _ in range(31):
            now[0] += 1
            progress(int(now[0]) - 100, 100)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "running: step 10 of 100, 10 %, 90.0 s left"


def test_output_on_a_full_disk_is_said(call, monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stdout", Full())
    got = call("explain")
    assert got.code == 1
    assert got.err.startswith("error[E203]")


def test_a_closed_pipe_is_no_error(folder, environment):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "eoslab", "explain"],
            stdout=closed, stderr=subprocess.PIPE, env=environment, cwd=folder, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""
