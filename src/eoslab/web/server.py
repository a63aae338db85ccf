"""The local server. It listens on the loopback interface only and answers to this machine's own page only."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as Http
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from eoslab import __version__
from eoslab.core.errors import EoslabError, InvalidArgument, RunNotFound, UnknownName
from eoslab.web import export, frames, live, maps, overlays
from eoslab.web.records import record
from eoslab.web.request import catalogue, parse

__all__ = ["application", "serve"]

STATIC = Path(__file__).with_name("static")
HOSTS = ["127.0.0.1", "localhost"]
#: Largest message that the page has a reason to send.
MAX_MESSAGE = 8192
HEADERS = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
     b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)  # fmt: skip
#: Compression of what the first load consists of. Never of streams: a row must leave when it is there, whatever a
#: compressor would like to collect first.
SMALLER = Middleware(GZipMiddleware)
#: A report has its style and its pictures in it.
REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox allow-downloads"

#: Neither the kernel cache nor matplotlib is made for several threads at once. Maps have a lock of their own:
#: the first map of a model compiles for seconds, and sliders go on meanwhile.
_computing, _mapping, _drawing = threading.Lock(), threading.Lock(), threading.Lock()
#: Curves over a run: their integrators and eigensolvers are interpreted, so that one at a time is enough.
_overlaying = threading.Lock()


class Guard:
    """Headers on every answer, and no answer to the page of another site (which a browser names)."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            if not own_origin(dict(scope["headers"])):
                await WebSocket(scope, receive, send).close(1008)
                return
            await self.app(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                # an answer may have a policy of its own
                own = {name for name, _ in message["headers"]}
                more = [(name, value) for name, value in HEADERS if name not in own]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        if scope["type"] == "http" and scope["path"].startswith("/api"):
            site = dict(scope["headers"]).get(b"sec-fetch-site", b"none")
            if site not in (b"none", b"same-origin"):
                await Response("this server answers to its own page only", 403)(scope, receive, sending)
                return
        await self.app(scope, receive, sending)


def own_origin(headers: dict[bytes, bytes]) -> bool:
    """Whether a WebSocket was opened by our page: same-origin rules do not cover WebSockets."""
    try:
        origin = urlsplit(headers.get(b"origin", b"").decode("latin-1"))
        return origin.scheme == "http" and origin.netloc == headers.get(b"host", b"").decode("latin-1") != ""
    except ValueError:
        return False


def application(store: Any = None, closing: Callable[[], bool] = lambda: False) -> Starlette:
    """The server as an ASGI application; ``store`` holds the runs of the views 'Live' and 'Runs'.

    Streams end when ``closing`` says so.
    """
    from eoslab.results.store import Store

    runs = Runs(store or Store(), closing)
    return Starlette(
        routes=[
            Route("/", _page, middleware=[SMALLER]),
            Route("/healthz", _health),
            Route("/api/catalogue", _catalogue, middleware=[SMALLER]),
            Route("/api/overlay", _overlay),
            Route("/api/diagram", _diagram),
            Route("/api/figure", _figure),
            Route("/api/export", _export),
            Route("/api/runs", runs.listing),
            Route("/api/runs/{id}", runs.one),
            Route("/api/runs/{id}/stream", runs.stream),
            Route("/api/runs/{id}/report", runs.report),
            Route("/live/{id}", _live),
            WebSocketRoute("/ws", _frames),
            Mount("/static", StaticFiles(directory=STATIC), middleware=[SMALLER]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS), Middleware(Guard)],
        exception_handlers={EoslabError: _refused},  # type: ignore[dict-item]
    )


def serve(port: int = 0, store: Any = None, ready: Callable[[str], None] = print, path: str = "/") -> None:
    """Serve until interrupted; ``ready`` gets the address once connections are accepted."""
    import uvicorn

    # asyncio turns off Nagle's algorithm only where the protocol is named; with it, an answer whose head and body
    # are two packets waits 40 ms for the browser's acknowledgement
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        # before the address is said: who reads it may connect at once
        sock.listen(128)
        address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        # the server is made after its application, which asks it whether it is closing
        servers: list[Any] = []
        app = application(store, lambda: bool(servers and servers[0].should_exit))
        config = uvicorn.Config(
            app, log_level="error", access_log=False, ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False, timeout_graceful_shutdown=1, server_header=False, lifespan="off",
        )  # fmt: skip
        ready(address + path)
        servers.append(uvicorn.Server(config))
        servers[0].run(sockets=[sock])


async def _page(http: Http) -> Response:
    return FileResponse(STATIC / "index.html")


async def _live(http: Http) -> Response:
    """A short address of the live view."""
    query = urlencode({"v": 1, "view": "live", "run": http.path_params["id"]})
    return RedirectResponse(f"/?{query}")


async def _health(http: Http) -> Response:
    return JSONResponse({"ok": True, "eoslab": __version__})


async def _catalogue(http: Http) -> Response:
    return JSONResponse({**await anyio.to_thread.run_sync(catalogue), "version": __version__})


async def _refused(http: Http, error: Exception) -> Response:
    assert isinstance(error, EoslabError)
    field = getattr(error, "argument", "") or getattr(error, "name", "")
    status = 404 if isinstance(error, RunNotFound) else 400
    return JSONResponse({"error": {"field": str(field), "message": str(error), "code": error.code}}, status)


# -- the model ----------------------------------------------------------------------------------------------


async def _frames(ws: WebSocket) -> None:
    """One answer for every message, in order; the page sends the next when it has drawn the last."""
    await ws.accept()
    try:
        while True:
            text = await ws.receive_text()
            await ws.send_bytes(await anyio.to_thread.run_sync(_answer, text))
    except (WebSocketDisconnect, KeyError):
        # a binary message is not of our page
        return


def _answer(text: str) -> bytes:
    id: Any = None
    try:
        try:
            asked = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidArgument("message", text[:40], "a JSON object") from None
        if not isinstance(asked, dict):
            raise InvalidArgument("message", text[:40], "a JSON object")
        id = asked["id"] if isinstance(asked.get("id"), int) else None
        width = asked.get("width", 900)
        with _computing:
            return frames.frame(
                parse(asked), id, width if isinstance(width, int) else 900, asked.get("log_x") is True
            )
    except EoslabError as error:
        return frames.error_frame(id, error)


async def _overlay(http: Http) -> Response:
    """A curve over the run, on request: it may take a second, and sliders go on meanwhile."""
    request, name = parse(http.query_params), http.query_params.get("overlay", "")

    def compute() -> bytes:
        with _overlaying:
            return overlays.overlay(request, name)

    return Response(await anyio.to_thread.run_sync(compute), media_type="application/octet-stream")


async def _diagram(http: Http) -> Response:
    asked = await anyio.to_thread.run_sync(maps.diagram, dict(http.query_params))

    def row(number: int) -> dict[str, Any]:
        with _mapping:
            return asked.row(number)

    async def rows() -> AsyncIterator[bytes]:
        yield maps.line(await anyio.to_thread.run_sync(asked.head))
        for number, stride in asked.order():
            # a closed connection cancels here, between two rows
            if await http.is_disconnected():
                return
            yield maps.line({**await anyio.to_thread.run_sync(row, number), "stands_for": stride})
            await asyncio.sleep(0)

    return StreamingResponse(rows(), media_type="application/x-ndjson")


# -- what leaves the page -------------------------------------------------------------------------------------


async def _figure(http: Http) -> Response:
    """A figure by the code of ``eoslab figure``, or the script that draws it."""
    request, query = parse(http.query_params), http.query_params
    asked = export.Figure(
        query.get("name", "loss-sharpness"), query.get("format", "svg"), query.get("size", "double")
    )
    if query.get("as") == "script":
        text = export.script(request, asked)
        return Response(text, media_type="text/x-python; charset=utf-8", headers=_attachment(asked.script_name))

    def draw() -> bytes:
        with _computing:
            ds = request.run()
        with _drawing:
            return asked.draw(ds)

    data = await anyio.to_thread.run_sync(draw)
    return Response(data, media_type=export.TYPES[asked.kind], headers=_attachment(asked.file_name))


async def _export(http: Http) -> Response:
    """The data, or how to cite the toolkit."""
    kind = http.query_params.get("format", "csv")
    if kind == "bib":
        return Response(export.bibtex(), media_type="application/x-bibtex", headers=_attachment("eoslab.bib"))
    request = parse(http.query_params)
    if kind not in export.DATA:
        raise UnknownName("format", kind, (*export.DATA, "bib"))

    def write() -> bytes:
        with _computing:
            ds = request.run().assign_attrs(command=request.command)
        return export.data(ds, kind)

    data = await anyio.to_thread.run_sync(write)
    return Response(data, media_type=export.DATA[kind], headers=_attachment(f"eoslab-run.{kind}"))


def _attachment(name: str) -> dict[str, str]:
    safe = "".join(c for c in name if c.isalnum() or c in "-._")
    return {"content-disposition": f'attachment; filename="{safe}"'}


# -- stored runs ------------------------------------------------------------------------------------------------


class Runs:
    """The store as the page sees it. An id is a name from the listing, never a path."""

    def __init__(self, store: Any, closing: Callable[[], bool]) -> None:
        self.store, self.closing = store, closing

    async def listing(self, http: Http) -> Response:
        """What a table shows of every run."""

        def read() -> dict[str, Any]:
            return {"store": str(self.store.root), "runs": [record(run) for run in reversed(self.store.list())]}

        return JSONResponse(await anyio.to_thread.run_sync(read))

    async def one(self, http: Http) -> Response:
        """A run as a frame."""

        def read() -> bytes:
            from eoslab.results.store import open_run

            found = self._found(http)
            return frames.of_dataset(open_run(found.path), {"id": found.id, "command": found.command})

        return Response(await anyio.to_thread.run_sync(read), media_type="application/octet-stream")

    async def report(self, http: Http) -> Response:
        """The report about a run: a page of its own, which may do nothing but be read."""

        def write() -> bytes:
            from eoslab.report import report
            from eoslab.results.store import open_run

            found = self._found(http)
            ds = open_run(found.path)
            with tempfile.TemporaryDirectory() as folder, _drawing:
                return report([ds], Path(folder) / "r.html", names=[found.id]).read_bytes()

        return HTMLResponse(
            await anyio.to_thread.run_sync(write), headers={"content-security-policy": REPORT_POLICY}
        )

    async def stream(self, http: Http) -> Response:
        """The journal of a run as server-sent events, from ``from`` (a step) or behind ``Last-Event-ID`` on."""
        query, last = http.query_params, http.headers.get("last-event-id", "")
        after, least = last or query.get("after", "0"), query.get("from", "0")
        for name, text, what in (("after", after, "the id of an event of this stream"), ("from", least, "a step")):
            if not (text.isascii() and text.isdecimal()) or len(text) > 15:
                raise InvalidArgument(name, text[:40], what)

        def begin() -> live.Follower:
            found = self._found(http)
            if found.live is None:
                raise RunNotFound(f"the run {found.id!r} keeps no journal", "Train with: eoslab train --live")
            return live.Follower(found.path, int(after), int(least))

        follower = await anyio.to_thread.run_sync(begin)
        return StreamingResponse(live.stream(follower, self.closing), media_type="text/event-stream")

    def _found(self, http: Http) -> Any:
        id = http.path_params["id"]
        found = next((run for run in self.store.list() if run.id == id), None)
        if found is None:
            raise RunNotFound(f"no run {id[:40]!r} in {self.store.root}")
        return found
