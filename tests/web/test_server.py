"""The explorer's server: frames that are right, requests that are bounded, strangers that are refused."""

from __future__ import annotations

import json
import random
import struct
from urllib.parse import urlencode

import anyio
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import eoslab
from eoslab.core.errors import EoslabError
from eoslab.core.vocabulary import REGIMES
from eoslab.results.store import Store
from eoslab.results.summary import verdict_sentence
from eoslab.theory.boundaries import BOUNDARIES
from eoslab.web import frames, maps
from eoslab.web.request import MAX_STEPS, models, parse
from eoslab.web.server import application

HOST = "127.0.0.1:8000"
OWN = {"host": HOST, "origin": f"http://{HOST}"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def client(store):
    with TestClient(application(store), base_url=f"http://{HOST}") as client:
        yield client


def decoded(message: bytes):
    (length,) = struct.unpack_from("<I", message)
    assert length % 4 == 0
    head = json.loads(message[4 : 4 + length])
    rows = np.frombuffer(message, "<f4", offset=4 + length).reshape(len(head["rows"]), head["n"])
    return head, dict(zip(head["rows"], rows, strict=True))


def asked(client, message):
    with client.websocket_connect("/ws", headers=OWN) as ws:
        ws.send_text(message if isinstance(message, str) else json.dumps(message))
        return decoded(ws.receive_bytes())


def test_frame_is_the_trajectory(client):
    head, rows = asked(client, {"id": 7, "lr": 2.4})
    ds = eoslab.trajectory(eoslab.models.Minimalist(), eoslab.optimizers.GD(lr=2.4), steps=3000)
    assert head["id"] == 7
    assert head["verdict"] == verdict_sentence(ds)
    assert np.array_equal(rows["sharpness"], ds.sharpness.values.astype("f4"))
    assert np.array_equal(rows["loss"], ds.loss.values.astype("f4"))
    low, high = head["theory"]["T1"]
    assert low <= int(ds.T1) <= high


def test_fraction_is_a_number(client):
    assert asked(client, {"lr": "2/150"})[0]["lr"] == 2 / 150


def test_long_runs_keep_every_spike():
    head, rows = decoded(frames.frame(parse({"steps": 60000, "lr": 1.98, "lambda2": 1e-4}), width=500))
    ds = parse({"steps": 60000, "lr": 1.98, "lambda2": 1e-4}).run()
    assert head["n"] < 8000
    assert rows["sharpness"].max() == np.float32(ds.sharpness.max())
    assert rows["loss_osc"].max() == np.float32(ds.loss_osc.max())


def test_divergence_is_said_and_has_no_row(client):
    head, rows = asked(client, {"lr": 3, "lambda2": 1e-3, "init": [3, 0.5, 0.1], "steps": 500})
    assert head["regime"] == "diverged"
    assert rows["step"][-1] == head["diverged"] - 1


@pytest.mark.parametrize("model", models())
def test_every_model_has_a_frame(model):
    head, rows = decoded(frames.frame(parse({"model": model, "lr": 0.01, "steps": 20})))
    assert head["n"] > 1
    assert f" {model}" in head["command"] or model == "minimalist"
    assert np.isfinite(rows["loss"]).all()


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"lr": "fast"}, "lr"),
        ({"lr": -1}, "lr"),
        ({"lr": 1e300}, "lr"),
        ({"steps": MAX_STEPS + 1}, "steps"),
        ({"steps": 0.5}, "steps"),
        ({"init": [1, 2]}, "init"),
        ({"model": "../etc"}, "model"),
        ({"optimizer": "adma"}, "optimizer"),
        ({"model": "uv", "optimizer": "gd-cap"}, "optimizer"),
        ("[]", "message"),
        ("{", "message"),
        ("[" * 5000, "message"),
        ('{"lr": NaN}', "lr"),
    ],
)
def test_wrong_requests_are_answered_with_the_field(client, message, field):
    head, _ = asked(client, message)
    assert head["error"]["field"] == field
    assert head["error"]["message"]


@pytest.mark.parametrize("origin", ["http://evil.example", "https://" + HOST, "null", "http://127.0.0.1:9", ""])
def test_foreign_origin_is_refused(client, origin):
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/ws", headers={"host": HOST, "origin": origin}),
    ):
        pass


def test_foreign_host_and_site_are_refused(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/api/runs", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/api/runs", headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_answers_carry_the_content_policy(client):
    for path in ("/", "/static/app.js", "/api/catalogue"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py", "/api/runs/..%2f..%2fetc"])
def test_ids_and_names_are_never_paths(client, path):
    assert client.get(path).status_code == 404


def test_random_messages_leave_the_server_answering(client):
    rng = random.Random(0)
    atoms = [None, True, -1, 0, 1e308, "", "x" * 500, [], {}, [1] * 50, "2/0", "1e999", "\x00", 3.5]
    keys = ["lr", "steps", "init", "model", "optimizer", "lambda1", "width", "id", "beta", "zzz"]
    with client.websocket_connect("/ws", headers=OWN) as ws:
        for _ in range(400):
            message = {rng.choice(keys): rng.choice(atoms) for _ in range(rng.randrange(4))}
            text = json.dumps({"steps": 5} | message)
            ws.send_text(text if rng.random() < 0.7 else text[: rng.randrange(len(text))])
            decoded(ws.receive_bytes())
        ws.send_text('{"id": 3}')
        assert decoded(ws.receive_bytes())[0]["id"] == 3


MAP = {"map_x": "lr", "map_x_lo": "1", "map_x_hi": "5", "map_x_n": "9", "map_y": "ratio", "map_y_lo": "1e-3",
       "map_y_hi": "0.5", "map_y_n": "5", "map_y_log": "1", "steps": "1200"}  # fmt: skip


def test_map_says_what_its_trajectories_say(client):
    lines = [json.loads(line) for line in client.get("/api/diagram", params=MAP).text.splitlines()]
    head, rows = lines[0], lines[1:]
    assert sorted(row["row"] for row in rows) == list(range(5))
    for row in rows:
        for i, lr in enumerate(head["x"]["values"]):
            request = parse({"lr": lr, "lambda2": head["y"]["values"][row["row"]], "steps": 1200})
            assert list(REGIMES)[row["regime"][i]] == str(request.run()["regime"].values)


@pytest.mark.parametrize(
    "change",
    [{"map_x": "nothing"}, {"map_x_n": "100000"}, {"map_x_lo": "9"}, {"map_x_hi": "nan"}, {"map_y_lo": "-1"},
     {"map_x": "init"}, {"map_y": "lr"}, {"map_y": "alpha_0", "model": "uv"},
     {"map_y": "beta_0", "model": "digits"}],
)  # fmt: skip
def test_maps_without_a_meaning_are_refused(client, change):
    answer = client.get("/api/diagram", params=MAP | change)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_map_too_long_gets_fewer_cells_and_the_same_steps():
    asked = MAP | {"map_x_n": "400", "map_y_n": "400", "steps": "200000"}
    large = maps.diagram(asked)
    head = large.head()
    assert head["coarser"]
    assert head["steps"] == large.request.steps == 200_000
    assert len(head["x"]["values"]) * len(head["y"]["values"]) * 200_000 <= maps.BUDGET
    assert (head["x"]["values"][0], head["x"]["values"][-1]) == (1, 5)
    assert not maps.diagram(MAP).coarser


def test_map_of_data_says_what_its_trajectories_say():
    asked = {"model": "digits", "steps": "300", "map_x": "lr", "map_x_lo": "0.5", "map_x_hi": "4", "map_x_n": "6",
             "map_y": "alpha_0", "map_y_lo": "0.1", "map_y_hi": "1", "map_y_n": "3"}  # fmt: skip
    found = maps.diagram(asked)
    for number in range(3):
        for i, lr in enumerate(found.x.values):
            request = parse({"model": "digits", "lr": lr, "init": [found.y.values[number], 0.02], "steps": 300})
            assert list(REGIMES)[found.row(number)["regime"][i]] == str(request.run()["regime"].values)


def test_rows_are_computed_once_whatever_the_point_is_that_the_map_is_of(client):
    maps.row_of.cache_clear()
    for lr, lambda2 in ((2.4, 0.004), (1.1, 0.3)):
        text = client.get("/api/diagram", params=MAP | {"lr": lr, "lambda2": lambda2}).text
        assert len(text.splitlines()) == 1 + 5
    assert maps.row_of.cache_info().misses == 5
    assert maps.row_of.cache_info().hits == 5
    client.get("/api/diagram", params=MAP | {"steps": "1201"})
    assert maps.row_of.cache_info().misses == 10


def test_boundaries_are_where_the_level_functions_vanish():
    found = maps.diagram(MAP | {"map_x_lo": "0.5", "map_x_n": "64", "map_y_lo": "2e-4", "map_y_n": "40"})
    lines = {b["name"]: b["lines"] for b in found.head()["boundaries"]}
    assert set(lines) == {"no-minimiser", "edge", "eighth"}
    w0 = found.request.w0
    for name, parts in lines.items():
        for x, y in parts:
            assert min(x) >= 0.5
            assert max(x) <= 5 * (1 + 1e-5)
            for lr, ratio in zip(x, y, strict=True):
                # a line is between two cells of the fine grid: the level changes its sign nearby
                near = [
                    BOUNDARIES[name](lr * a, (1.0, ratio * b, 1.0), w0) for a in (0.97, 1.03) for b in (0.94, 1.06)
                ]
                assert np.isnan(near).any() or min(near) <= 0 <= max(near), (name, lr, ratio)
    # 2/η = λ1A(c0) does not depend on λ2
    assert np.ptp(lines["edge"][0][0]) < 1e-6


def test_maps_that_the_theory_does_not_speak_about_have_no_boundaries():
    uv = {
        "model": "uv",
        "map_x": "lr",
        "map_x_lo": "0.1",
        "map_x_hi": "2",
        "map_y": "u_0",
        "map_y_lo": "0.1",
        "map_y_hi": "2",
    }
    assert maps.diagram(uv).head()["boundaries"] == []
    assert maps.diagram(MAP | {"optimizer": "heavy-ball"}).head()["boundaries"] == []


def test_a_closed_connection_ends_the_computation():
    maps.row_of.cache_clear()
    query = urlencode(MAP | {"map_y_n": "60", "steps": "999"}).encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/api/diagram", "raw_path": b"/api/diagram", "query_string": query, "root_path": "",
        "headers": [(b"host", HOST.encode())], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def cut() -> int:
        closed, lines = anyio.Event(), 0

        async def receive():
            await closed.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            nonlocal lines
            lines += message.get("body", b"").count(b"\n")
            if lines >= 4:
                closed.set()

        await application(Store("."))(scope, receive, send)
        return lines

    # in a thread of its own: a browser test in this process may have left a loop running
    with start_blocking_portal() as portal:
        lines = portal.call(cut)
    assert 4 <= lines < 12
    assert maps.row_of.cache_info().misses < 12


def test_rows_come_from_coarse_to_fine():
    rows = [row for row, _ in maps.diagram(MAP | {"map_y_n": "40"}).order()]
    assert sorted(rows) == list(range(40))
    assert rows[:3] == [0, 16, 32]


def messages(path, query):
    """What the application sends for a request by a browser that takes compressed answers."""
    query = urlencode(query).encode()
    headers = [(b"host", HOST.encode()), (b"accept-encoding", b"gzip, deflate, br")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": headers}
    sent = []

    async def receive():
        await anyio.sleep_forever()

    async def send(message):
        sent.append(message)

    # in a thread of its own: a browser test in this process may have left a loop running
    with start_blocking_portal() as portal:
        portal.call(application(), scope, receive, send)
    return sent[0], sent[1:]


def test_every_row_of_a_map_leaves_when_it_is_there():
    start, bodies = messages("/api/diagram", MAP)
    assert b"content-encoding" not in dict(start["headers"])
    # the head and every row in a message of its own, then the end
    assert [body["body"].count(b"\n") for body in bodies] == [1] * 6 + [0]


def test_what_the_page_loads_first_is_compressed(client):
    for path in ("/", "/static/app.js", "/static/style.css", "/static/vendor/uPlot.iife.min.js", "/api/catalogue"):
        answer = client.get(path, headers={"accept-encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip", path
        plain = client.get(path, headers={"accept-encoding": "identity"})
        assert plain.content == answer.content
        assert "content-encoding" not in plain.headers


def test_data_has_the_digits_of_the_kernel(client):
    text = client.get("/api/export", params={"lr": "2.4", "steps": "50", "format": "csv"}).text
    head, *rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    ds = parse({"lr": 2.4, "steps": 50}).run()
    assert [float(row[head.index("loss")]) for row in rows] == ds.loss.values.tolist()


@pytest.mark.parametrize(("kind", "magic"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_figures_are_files(client, kind, magic):
    assert client.get("/api/figure", params={"format": kind, "steps": "300"}).content.startswith(magic)


@pytest.mark.parametrize(
    ("asked", "name", "kind", "size"),
    [({"steps": "300"}, "loss-sharpness", "svg", "single"),
     ({"model": "digits", "steps": "40"}, "loss-split", "png", "double"),
     ({"optimizer": "heavy-ball", "lr": "1", "steps": "99"}, "phase-portrait", "pdf", "slide")],
)  # fmt: skip
def test_script_draws_the_exported_figure(client, tmp_path, monkeypatch, asked, name, kind, size):
    params = asked | {"name": name, "format": kind, "size": size}
    answer = client.get("/api/figure", params=params | {"as": "script"})
    assert answer.headers["content-disposition"].endswith(f'eoslab-{name}.py"')
    monkeypatch.chdir(tmp_path)
    exec(compile(answer.text, "script", "exec"), {})
    assert (tmp_path / f"eoslab-{name}.{kind}").read_bytes() == client.get("/api/figure", params=params).content


@pytest.mark.parametrize(
    "wrong", [{"name": "phase-map"}, {"name": "nothing"}, {"format": "gif"}, {"size": "huge"}]
)
def test_wrong_figures_are_refused(client, wrong):
    assert client.get("/api/figure", params={"steps": "9"} | wrong).status_code == 400


def test_widths_of_figures_are_those_of_journals(client):
    widths = {}
    for size in ("single", "double", "slide"):
        png = client.get("/api/figure", params={"format": "png", "steps": "50", "size": size}).content
        widths[size] = struct.unpack(">I", png[16:20])[0] / 300
    assert widths["single"] == pytest.approx(3.25, abs=0.01)
    assert widths["double"] == pytest.approx(6.75, abs=0.01)
    assert widths["slide"] > widths["double"]


def test_bibtex_cites_the_toolkit_and_the_paper(client):
    text = client.get("/api/export", params={"format": "bib"}).text
    assert f"version = {{{eoslab.__version__}}}" in text
    assert "2503.02809" in text
    assert text.count("{") == text.count("}")


def test_overlays_are_messages(client):
    head, rows = decoded(client.get("/api/overlay", params={"overlay": "flow", "steps": "50"}).content)
    assert head["overlay"] == "flow"
    assert len(rows["loss"]) == head["n"] > 50
    head, _ = decoded(client.get("/api/overlay", params={"overlay": "predicted", "lr": "1.5"}).content)
    assert "stays below" in head["absent"]
    assert client.get("/api/overlay", params={"overlay": "nothing"}).status_code == 400


def test_stored_runs_are_listed_and_shown(client, store):
    assert client.get("/api/runs").json()["runs"] == []
    saved = store.save(parse({"steps": 40}).run(), command="eoslab run --steps 40")
    listed = client.get("/api/runs").json()["runs"]
    assert [run["id"] for run in listed] == [saved.id]
    assert listed[0]["parameters"]["run"]["steps"] == 40
    head, rows = decoded(client.get(f"/api/runs/{saved.id}").content)
    assert head["command"] == "eoslab run --steps 40"
    assert len(rows["loss"]) == 41
    assert client.get("/api/runs/ffff0000").status_code == 404


def test_runs_of_networks_and_flows_are_shown(client, store):
    torch = pytest.importorskip("torch")
    from eoslab.nn import losses
    from eoslab.nn.objective import Objective

    module = torch.nn.Linear(2, 1, bias=False).double()
    objective = Objective(module, losses.mse, (torch.eye(2), torch.ones(2, 1)))
    ds = eoslab.trajectory(objective, eoslab.optimizers.HeavyBall(lr=1.0, beta=0.5), steps=20)
    head, rows = decoded(client.get(f"/api/runs/{store.save(ds).id}").content)
    assert head["threshold"] == pytest.approx(3.0)
    assert np.array_equal(rows["loss"], ds.loss.values.astype("f4"))
    assert np.isnan(rows["loss_osc"]).all()
    flow = eoslab.trajectory(eoslab.models.Minimalist(), eoslab.dynamics.GradientFlow(time=10.0), steps=20)
    head, rows = decoded(client.get(f"/api/runs/{store.save(flow).id}").content)
    assert rows["time"][-1] == pytest.approx(float(flow.time[-1]))


def test_a_report_is_a_page_that_may_do_nothing(client, store):
    saved = store.save(parse({"steps": 40}).run())
    answer = client.get(f"/api/runs/{saved.id}/report")
    assert answer.status_code == 200
    assert "<h1>" in answer.text
    policies = answer.headers.get_list("content-security-policy")
    assert len(policies) == 1
    assert "sandbox" in policies[0]
    assert "script-src" not in policies[0]
    assert client.get("/api/runs/ffff/report").status_code == 404


def test_command_and_python_repeat_the_run():
    request = parse({"optimizer": "heavy-ball", "beta": 0.5, "lr": 1.5, "steps": 30, "lambda2": "1/300"})
    scope: dict = {}
    exec(request.python, scope)
    assert scope["ds"].identical(scope["ds"])
    assert np.array_equal(scope["ds"].w.values, request.run().w.values)
    assert "--optimizer heavy-ball" in request.command
    assert f"--lambda2 {1 / 300!r}" in request.command


def test_parse_refuses_by_our_errors_only():
    with pytest.raises(EoslabError):
        parse({"model": "minimalist-d"})
