"""Applications behind the middleware, on real servers, and requests to them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import wsgiref.simple_server
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from socketserver import ThreadingMixIn
from typing import Any

import httpx
import uvicorn
from opentelemetry import baggage, context, propagate
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from spanmeter.instrumentation import UsageContext, asgi, current_usage, wsgi

Serve = Callable[..., str]


def who() -> str:
    """The tenant in force, its feature, and the baggage that is none of ours."""
    found = current_usage()
    names = ("-", "-") if found is None else (found.tenant_id, found.feature or "-")
    return " ".join([*names, str(baggage.get_baggage("session") or "-")])


async def answer(request: Request) -> PlainTextResponse:
    await asyncio.sleep(0.001)
    return PlainTextResponse(who())


async def stream(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncGenerator[str]:
        for _ in range(3):
            await asyncio.sleep(0.001)
            yield who() + "\n"

    return StreamingResponse(pieces())


class Extracted:
    """Stands for OpenTelemetry's own middleware, which makes inbound baggage current."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode(): value.decode() for key, value in scope.get("headers", ())}
        token = context.attach(propagate.extract(headers))
        try:
            await self._app(scope, receive, send)
        finally:
            context.detach(token)


@contextmanager
def asgi_servers() -> Generator[Serve]:
    """Serves an ASGI application behind the middleware, on a real server."""
    with ExitStack() as stack:

        def start(**options: Any) -> str:
            app = Starlette(routes=[Route("/", answer), Route("/stream", stream)])
            metered = asgi.UsageMiddleware(app, **options)
            return stack.enter_context(_uvicorn(Extracted(metered)))

        yield start


@contextmanager
def _uvicorn(app: Any) -> Generator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.001)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


HEADERS = {"tenant_id": "X-Tenant-Id", "feature": "X-Feature"}
BAGGAGE = {"baggage": "tenant.id=mallory,usage.feature=free,session=s1"}


def by_query(scope: Any) -> UsageContext | None:
    """The tenant named by the query string of an ASGI scope or WSGI environ."""
    query = scope["query_string"].decode() if "query_string" in scope else scope["QUERY_STRING"]
    return UsageContext(tenant_id=query) if query else None


async def by_query_async(scope: Any) -> UsageContext | None:
    await asyncio.sleep(0)
    return by_query(scope)


def fail(scope: Any) -> UsageContext | None:
    raise LookupError("no such session")


def get(url: str, **headers: str) -> str:
    return httpx.get(url, headers={**BAGGAGE, **headers}).text


class _ThreadedServer(ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        pass


@contextmanager
def wsgi_servers() -> Generator[Serve]:
    """Serves a WSGI application behind the middleware, on a real server."""
    with ExitStack() as stack:

        def start(app: Any = stream_wsgi, **options: Any) -> str:
            metered = _extracted(wsgi.UsageMiddleware(app, **options))
            server = wsgiref.simple_server.make_server(
                "127.0.0.1", 0, metered, server_class=_ThreadedServer, handler_class=_Quiet
            )
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


def _extracted(app: Any) -> Any:
    def with_baggage(environ: Any, start_response: Any) -> Iterable[bytes]:
        carrier = {"baggage": environ.get("HTTP_BAGGAGE", "")}
        token = context.attach(propagate.extract(carrier))
        try:
            body: Iterable[bytes] = app(environ, start_response)
            return body
        finally:
            context.detach(token)

    return with_baggage


def stream_wsgi(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    for _ in range(3):
        yield (who() + "\n").encode()


def answer_wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [who().encode()]


class OwnError(Exception):
    """The application's."""


def broken(*args: object) -> Any:
    raise OwnError
