"""The journal of a run: what a reader learns from its end, whatever its writer came to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from eoslab.results.journal import JOURNAL, STALLED, Journal, process_gone, status
from eoslab.results.network import EventFold

START = {"step": 0, "steps": 10, "lr": 0.1, "threshold": 2.0}


def point(step, **more):
    return {"step": step, "loss": 1.0 / (step + 1), "eta_sharpness": 0.3, "lr": 0.1, **more}


def lines(folder):
    return [json.loads(line) for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines()]


def test_the_state_is_that_of_the_last_line(tmp_path):
    assert status(tmp_path) is None
    journal = Journal(tmp_path, START)
    assert status(tmp_path).state == "waiting"
    journal.point(point(0))
    journal.event("crossing-up", 0, 2.1)
    journal.flush()
    seen = status(tmp_path)
    assert (seen.state, seen.step) == ("running", 0)
    later = time.time() + STALLED + 5
    assert status(tmp_path, later).state == "stalled"
    journal.end("converged", 10, verdict="fine")
    assert status(tmp_path, later).state == "finished"
    assert status(tmp_path, later).outcome == "converged"


def test_a_failure_is_told_with_the_end_of_its_log(tmp_path):
    journal = Journal(tmp_path, START)
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        journal.failed(error, 3)
    journal.close()
    assert status(tmp_path).state == "failed"
    assert lines(tmp_path)[-1]["error"][-1] == "ValueError: no such thing"


def test_what_is_not_finite_is_null_and_arrays_are_lists(tmp_path):
    journal = Journal(tmp_path, START)
    journal.point(point(0, loss=np.float64("nan"), eig=np.array([1.5, np.inf]), n=np.int64(3), zero=np.array(2.0)))
    journal.close()
    row = lines(tmp_path)[1]
    assert (row["loss"], row["eig"], row["n"], row["zero"]) == (None, [1.5, None], 3, 2.0)


def test_a_line_cut_by_a_kill_does_not_spoil_the_next(tmp_path):
    journal = Journal(tmp_path, START)
    journal.point(point(0))
    journal.close()
    with (tmp_path / JOURNAL).open("a", encoding="utf-8") as file:
        file.write('{"step": 1, "lo')
    assert status(tmp_path).step == 0
    again = Journal(tmp_path, START | {"step": 1})
    again.point(point(1))
    again.close()
    assert status(tmp_path).step == 1


def test_the_writer_goes_on_in_a_copy_that_replaced_its_file(tmp_path):
    journal = Journal(tmp_path, START)
    journal.flush()
    shutil.copyfile(tmp_path / JOURNAL, tmp_path / "copy")
    os.replace(tmp_path / "copy", tmp_path / JOURNAL)
    journal.moved()
    journal.point(point(0))
    journal.close()
    assert [line["step"] for line in lines(tmp_path)] == [0, 0]


def test_signs_of_life_are_rare(tmp_path):
    journal = Journal(tmp_path, START)
    for step in range(1000):
        journal.alive(step, 0.5)
    journal.close()
    assert len(lines(tmp_path)) == 1


# Elsewhere signal 0 would end the process asked for, so the journal does not ask and answers None.
@pytest.mark.skipif(os.name != "posix", reason="asking for a process is for POSIX")
def test_a_process_that_has_ended_is_gone(tmp_path):
    journal = Journal(tmp_path, START)
    journal.close()
    start = lines(tmp_path)[0]
    assert process_gone(start) is False
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process_gone(start | {"pid": ended.pid}) is True
    assert process_gone(start | {"host": "another"}) is None


def test_events_do_not_depend_on_how_the_steps_are_handed_over():
    rng = np.random.default_rng(0)
    step = np.arange(400)
    eta = 2 + np.cumsum(rng.normal(0, 0.2, 400))
    eta[rng.random(400) < 0.2] = np.nan
    whole = EventFold(2.0).feed(step, eta)
    one = EventFold(2.0)
    pieces = [event for i in range(400) for event in one.feed(step[i : i + 1], eta[i : i + 1])]
    assert pieces == whole
    assert len(whole) > 10
