"""Ten thousand malformed messages to a running server: it goes on answering, and its memory stays flat."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import eoslab

# The proposition is about the memory of the server, another process, which only /proc tells without more packages.
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")

#: Messages over WebSockets, requests by HTTP, and streams of bytes that are no HTTP.
SOCKET, HTTP, BYTES = 6000, 3500, 500
ATOMS = [None, True, -1, 0, 1e308, 5e-324, "", "x" * 500, [], {}, [1] * 50, "2/0", "1e999", "\x00", 3.5, "σ", "2/"]
KEYS = ["lr", "steps", "init", "model", "optimizer", "lambda1", "width", "id", "beta", "zzz", "log_x", "v"]
PATHS = ["/", "/healthz", "/api/catalogue", "/api/diagram", "/api/export", "/api/runs", "/api/runs/x"]
PATHS += ["/api/runs/x/stream", "/static/app.js", "/static/../server.py", "/ws", "/nothing", "//", "/%00"]
#: MB by which memory may grow after the first two fifths of the messages: allocators keep some.
FLAT = 12.0


@pytest.fixture
def server(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "EOSLAB_RUNS"}
    environment["PYTHONPATH"] = str(Path(eoslab.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "eoslab", "explore", "--no-open", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    try:
        yield process, process.stdout.readline().split()[1].removeprefix("http://").rstrip("/")
    finally:
        process.terminate()
        process.wait(120)
        process.stdout.close()


def resident(process) -> float:
    """Resident memory of the server in MB."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def message(rng: random.Random) -> str | bytes:
    """An object with keys of ours and values of nobody, whole, cut short, or no text at all."""
    found = {"steps": 5} | {rng.choice(KEYS): rng.choice(ATOMS) for _ in range(rng.randrange(5))}
    text = json.dumps(found)
    kind = rng.random()
    if kind < 0.6:
        return text
    if kind < 0.8:
        return text[: rng.randrange(len(text))]
    if kind < 0.9:
        return rng.choice(["[" * 3000, "null", "3", '"', "{" * 50, '{"a":' * 1000, "NaN", "\ud7ff" * 20])
    return rng.randbytes(rng.randrange(1, 60)) if kind < 0.92 else "y" * rng.choice([10, 8192, 20_000])


def through_sockets(address: str, count: int, rng: random.Random) -> None:
    """Messages over WebSockets; the server closes on what no page sends, and takes a new one."""
    sent = 0
    while sent < count:
        with connect(f"ws://{address}/ws", origin=f"http://{address}") as ws, suppress(ConnectionClosed):
            while sent < count:
                sent += 1
                ws.send(message(rng))
                ws.recv(timeout=60)


def by_http(address: str, count: int, rng: random.Random) -> None:
    """Requests with wrong methods, paths, queries and headers. A map that is asked for properly may compute."""
    names = ["map_x", "map_x_lo", "map_x_hi", "map_x_n", "map_y", "format", "from", "steps", "lr", "q", "model"]
    connection = http.client.HTTPConnection(address, timeout=60)
    for _ in range(count):
        # a figure that is asked for properly takes a second to draw: seldom
        path = rng.choice(PATHS) if rng.random() > 0.003 else "/api/figure"
        if rng.random() < 0.7:
            values = {rng.choice(names): str(rng.choice(ATOMS)) for _ in range(rng.randrange(5))}
            path += "?" + urlencode(values)
        if rng.random() < 0.2:
            path += "/" + quote(rng.randbytes(8))
        headers = {
            rng.choice(["Range", "Accept", "Last-Event-ID", "Origin", "Cookie"]): "\x7f;" * rng.randrange(9)
        }
        method = rng.choice(["GET", "GET", "GET", "POST", "DELETE", "PUT", "BREW"])
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            assert answer.status < 500, (method, path)
            answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
    connection.close()


def as_bytes(address: str, count: int, rng: random.Random) -> None:
    """What is no HTTP at all."""
    host, _, port = address.partition(":")
    for _ in range(count):
        with socket.create_connection((host, int(port)), timeout=60) as s, suppress(OSError):
            s.sendall(rng.choice([b"", b"GET / HTTP/1.1\r\n", b"GET /ws HTTP/9\r\n\r\n"]) + rng.randbytes(64))


def fetch(address: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def alive(address: str) -> None:
    assert json.loads(fetch(address, "/healthz"))["ok"]
    with connect(f"ws://{address}/ws", origin=f"http://{address}") as ws:
        ws.send('{"id": 7, "steps": 20}')
        assert b'"id": 7' in ws.recv(timeout=60) or b'"id":7' in ws.recv(timeout=60)


def test_malformed_messages_leave_the_server_answering_and_its_memory_flat(server):
    process, address = server
    rng = random.Random(1)
    for path in ("/api/figure", "/api/export"):  # what is imported on first use
        fetch(address, path)
    sizes = []
    for _ in range(5):
        through_sockets(address, SOCKET // 5, rng)
        by_http(address, HTTP // 5, rng)
        as_bytes(address, BYTES // 5, rng)
        alive(address)
        sizes.append(resident(process))
    assert process.poll() is None
    assert max(sizes) - sizes[1] < FLAT, sizes


def test_a_page_of_another_site_gets_no_socket(server):
    with pytest.raises(InvalidStatus), connect(f"ws://{server[1]}/ws", origin="http://evil.example"):
        pass
