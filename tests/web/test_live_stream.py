"""The stream of a run in the making: complete, without doubles, wherever a reader comes in."""

from __future__ import annotations

import json
import shutil

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient

from eoslab.results.journal import JOURNAL, Journal
from eoslab.results.store import Store
from eoslab.web import live
from eoslab.web.live import Follower, stream
from eoslab.web.request import parse
from eoslab.web.server import application

START = {"step": 0, "steps": 100, "lr": 0.1, "threshold": 2.0}
HOST = "http://127.0.0.1:8000"


def row(step, eta=0.5):
    return {
        "step": step, "loss": 1 / (step + 1), "eta_sharpness": eta, "lr": 0.1, "eigenvalues": [5.0, 4.0],
        "eig_bound": [0.01, 0.02], "eig_converged": [1.0, 1.0],
    }  # fmt: skip


def written(folder, steps, start=0):
    journal = Journal(folder, START | {"step": start})
    for step in steps:
        journal.point(row(step))
    journal.close()


def drained(follower):
    """All events that are there now."""
    found = []
    while True:
        events, more = follower.read()
        found += events
        if not more and not events:
            return found


def steps(events):
    """The points that a page holds after these events."""
    held = []
    for name, data, _ in events:
        if name == "begin":
            held = [s for s in held if s < data["step"]]
        elif name == "points":
            held += data["step"]
    return held


def run(coroutine):
    """In a thread of its own: a browser test in this process may have left a loop running."""
    with start_blocking_portal() as portal:
        return portal.call(coroutine)


def test_points_come_as_columns(tmp_path):
    written(tmp_path, range(3))
    begin, points = drained(Follower(tmp_path))
    assert begin[0] == "begin"
    assert begin[1]["steps"] == 100
    assert "pid" not in begin[1]
    assert points[1]["step"] == [0, 1, 2]
    assert points[1]["sharpness"] == [5.0] * 3
    assert points[1]["bound"] == [0.01] * 3
    assert points[1]["eigenvalues"] == [[5.0, 4.0]] * 3


def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "CHUNK", 1500)
    written(tmp_path, range(100))
    events = drained(Follower(tmp_path))
    assert steps(events) == list(range(100))
    assert len(events) > 10
    for i in range(len(events)):
        rest = drained(Follower(tmp_path, after=events[i][2]))
        assert steps(events[: i + 1] + rest) == list(range(100))


def test_what_is_written_later_arrives_and_half_a_line_waits(tmp_path):
    written(tmp_path, range(5))
    follower = Follower(tmp_path)
    assert steps(drained(follower)) == list(range(5))
    line = json.dumps(row(5)) + "\n"
    with (tmp_path / JOURNAL).open("a", encoding="utf-8") as file:
        file.write(line[:40])
        file.flush()
        assert drained(follower) == []
        file.write(line[40:])
    assert steps(drained(follower)) == [5]


def test_a_resumed_run_voids_the_steps_that_it_makes_again(tmp_path):
    written(tmp_path, range(60))
    first = drained(Follower(tmp_path))
    with (tmp_path / JOURNAL).open("a", encoding="utf-8") as file:
        file.write('{"step": 60, "lo')
    written(tmp_path, range(50, 80), start=50)
    assert steps(drained(Follower(tmp_path))) == list(range(80))
    assert steps(first + drained(Follower(tmp_path, after=first[-1][2]))) == list(range(80))


def test_from_a_step_on(tmp_path):
    written(tmp_path, range(60))
    written(tmp_path, range(50, 80), start=50)
    assert steps(drained(Follower(tmp_path, least=55))) == list(range(55, 80))


def test_another_file_is_read_anew(tmp_path):
    written(tmp_path, range(60))
    follower = Follower(tmp_path)
    before = drained(follower)
    (tmp_path / JOURNAL).unlink()
    written(tmp_path, range(3))
    assert steps(before + drained(follower)) == [0, 1, 2]
    assert steps(drained(Follower(tmp_path, after=10**9))) == [0, 1, 2]


def test_failed_measurements_are_null_and_unsure_ones_are_marked(tmp_path):
    journal = Journal(tmp_path, START)
    journal.point(row(0) | {"eta_sharpness": float("nan"), "loss": float("inf")})
    journal.point(row(1) | {"eig_converged": [0.0, 0.0]})
    journal.close()
    points = drained(Follower(tmp_path))[1][1]
    assert points["sharpness"] == [None, 5.0]
    assert points["loss"][0] is None
    assert points["ok"] == [1, 0]


def test_events_signs_of_life_and_the_end_come_in_order(tmp_path):
    journal = Journal(tmp_path, START)
    journal.point(row(0))
    journal.event("crossing-up", 0, 2.1)
    journal.event("peak", 0, 2.1)
    journal.point(row(1))
    journal.end("failed", 1, error=["Traceback", "KeyError: 1"])
    journal.close()
    events = drained(Follower(tmp_path))
    assert [name for name, *_ in events] == ["begin", "points", "events", "points", "end"]
    assert [e["event"] for e in events[2][1]["events"]] == ["crossing-up", "peak"]
    assert events[-1][1]["error"] == ["Traceback", "KeyError: 1"]


@pytest.mark.parametrize(
    "text", ["[]\n", "7\n", '{"step": "x"}\n', '{"kind": 3}\n', "\x00\n", '{"step": 1, "loss": NaN}\n',
             '{"step": 1, "eig_bound": 3, "eigenvalues": "abc", "lr": 0, "eta_sharpness": true}\n']
)  # fmt: skip
def test_a_foreign_line_is_no_harm(tmp_path, text):
    (tmp_path / JOURNAL).write_text(text, encoding="utf-8")
    with (tmp_path / JOURNAL).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row(2)) + "\n")
    assert 2 in steps(drained(Follower(tmp_path)))


def test_the_stream_tells_the_silence_and_that_the_run_is_gone(tmp_path, monkeypatch):
    for name in ("POLL", "BEAT", "PATIENCE"):
        monkeypatch.setattr(live, name, 0.001)
    written(tmp_path, range(2))
    follower = Follower(tmp_path)

    async def read():
        names = []
        async for text in stream(follower):
            names += [line[7:] for line in text.splitlines() if line.startswith("event: ")]
            if names.count("beat") == 3 and tmp_path.exists():
                shutil.rmtree(tmp_path)
        return names

    names = run(read)
    assert names[:2] == ["begin", "points"]
    assert names[-1] == "gone"


def test_the_stream_ends_when_the_server_closes(tmp_path):
    written(tmp_path, range(2))

    async def read():
        return [text async for text in stream(Follower(tmp_path), lambda: True)]

    assert run(read) == ["retry: 1000\n\n"]


def test_the_server_streams_runs_by_their_id_only(tmp_path):
    store = Store(tmp_path)
    saved = store.save(parse({"steps": 5}).run())
    with TestClient(application(store, closing=lambda: True), base_url=HOST) as client:
        assert client.get("/api/runs").json()["runs"][0]["live"] is None
        answer = client.get(f"/api/runs/{saved.id}/stream")
        assert answer.status_code == 404
        assert "keeps no journal" in answer.json()["error"]["message"]
        written(saved.path, range(3))
        listed = client.get("/api/runs").json()["runs"][0]
        assert (listed["live"]["state"], listed["live"]["step"]) == ("running", 2)
        answer = client.get(f"/api/runs/{saved.id}/stream", headers={"last-event-id": "0"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert client.get("/api/runs/ffff/stream").status_code == 404
        for query in ("from=-1", "from=x", "after=1e3"):
            assert client.get(f"/api/runs/{saved.id}/stream?{query}").status_code == 400
        answer = client.get(f"/live/{saved.id}", follow_redirects=False)
        assert answer.headers["location"] == f"/?v=1&view=live&run={saved.id}"
