"""Requests that come in have the tenant that the application decides, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from spanmeter.instrumentation import asgi, wsgi
from unit.instrumentation.serving import (
    HEADERS,
    OwnError,
    Serve,
    answer_wsgi,
    broken,
    by_query,
    by_query_async,
    fail,
    get,
    stream_wsgi,
    who,
)


def test_asgi_headers(serve: Serve) -> None:
    url = serve(headers=HEADERS)
    assert get(url, **{"x-tenant-id": "acme", "x-feature": "search"}) == "acme search s1"
    assert get(url, **{"x-tenant-id": "acme"}) == "acme - s1"
    assert get(url, **{"x-feature": "search"}) == "- - s1"


@pytest.mark.parametrize("resolve", [by_query, by_query_async])
def test_asgi_resolve(serve: Serve, resolve: Any) -> None:
    url = serve(resolve=resolve, headers=HEADERS)
    assert get(url + "/?acme") == "acme - s1"
    # Where it finds none the headers are asked.
    assert get(url, **{"x-tenant-id": "globex"}) == "globex - s1"


def test_asgi_resolve_that_raises(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    assert get(serve(resolve=fail)) == "- - s1"
    assert "resolve failed" in caplog.text


@pytest.mark.parametrize("wrong", ["acme", 7, object(), {"tenant_id": "acme"}])
def test_asgi_resolve_that_returns_what_is_no_context(
    serve: Serve, wrong: object, caplog: pytest.LogCaptureFixture
) -> None:
    def resolve(scope: Any) -> Any:
        return wrong

    assert get(serve(resolve=resolve)) == "- - s1"
    assert caplog.records


def test_asgi_inbound_baggage_is_believed_only_where_that_is_asked_for(serve: Serve) -> None:
    assert get(serve()) == "- - s1"
    trusting = serve(trust_inbound=True, headers=HEADERS)
    assert get(trusting) == "mallory free s1"
    # What is decided here has the last word, and inherits nothing.
    assert get(trusting, **{"x-tenant-id": "mallory"}) == "mallory - s1"


def test_asgi_streams_are_made_for_the_tenant(serve: Serve) -> None:
    url = serve(headers=HEADERS)
    assert get(url + "/stream", **{"x-tenant-id": "acme"}) == "acme - s1\n" * 3


def check_concurrently(url: str) -> None:
    tenants = [f"t{number}" for number in range(60)]
    with httpx.Client() as client, ThreadPoolExecutor(12) as pool:

        def ask(tenant: str) -> str:
            return client.get(url, headers={"x-tenant-id": tenant}).text

        assert list(pool.map(ask, tenants)) == [f"{tenant} - -\n" * 3 for tenant in tenants]


def test_asgi_concurrent_requests_do_not_share_a_tenant(serve: Serve) -> None:
    check_concurrently(serve(headers=HEADERS) + "/stream")


def test_asgi_websockets_have_a_tenant_and_lifespan_passes() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{stage}"
                await send({"type": f"lifespan.{stage}.complete"})
            return
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.send_text(who())
        await websocket.close()

    seen: list[str] = []
    middleware = asgi.UsageMiddleware(app, headers=HEADERS)
    with (
        TestClient(middleware) as client,
        client.websocket_connect("/", headers={"x-tenant-id": "acme"}) as socket_,
    ):
        assert socket_.receive_text() == "acme - -"
    assert seen == ["lifespan", "websocket"]


@pytest.mark.parametrize(
    "middleware", [asgi.UsageMiddleware, wsgi.UsageMiddleware], ids=["asgi", "wsgi"]
)
@pytest.mark.parametrize(
    "headers",
    [{"tenant": "x-tenant"}, {"feature": "x-feature"}, {"tenant_id": "x", "dimensions": "y"}],
)
def test_headers_that_name_no_field_are_refused_at_the_start(
    middleware: Any, headers: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="the fields are"):
        middleware(None, headers=headers)


@pytest.mark.parametrize(("app", "times"), [(answer_wsgi, 1), (stream_wsgi, 3)])
def test_wsgi_headers(serve_wsgi: Serve, app: Any, times: int) -> None:
    url = serve_wsgi(app, headers=HEADERS)
    end = "\n" if times > 1 else ""
    seen = get(url, **{"x-tenant-id": "acme", "x-feature": "search"})
    assert seen == f"acme search s1{end}" * times
    assert get(url) == f"- - s1{end}" * times


def test_wsgi_resolve(serve_wsgi: Serve) -> None:
    url = serve_wsgi(answer_wsgi, resolve=by_query, headers=HEADERS)
    assert get(url + "/?acme") == "acme - s1"
    assert get(url, **{"x-tenant-id": "globex"}) == "globex - s1"


def test_wsgi_resolve_that_raises(serve_wsgi: Serve, caplog: pytest.LogCaptureFixture) -> None:
    assert get(serve_wsgi(answer_wsgi, resolve=fail)) == "- - s1"
    assert "resolve failed" in caplog.text


def test_wsgi_inbound_baggage_is_believed_only_where_that_is_asked_for(serve_wsgi: Serve) -> None:
    assert get(serve_wsgi(answer_wsgi)) == "- - s1"
    assert get(serve_wsgi(answer_wsgi, trust_inbound=True)) == "mallory free s1"


def test_wsgi_concurrent_requests_do_not_share_a_tenant(serve_wsgi: Serve) -> None:
    check_concurrently(serve_wsgi(headers=HEADERS))


def test_a_wsgi_body_is_closed_for_its_tenant() -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"some", b"more"])

        def close(self) -> None:
            closed.append(who())

    closed: list[str] = []
    app = wsgi.UsageMiddleware(lambda environ, start_response: Body(), headers=HEADERS)
    body: Any = app({"HTTP_X_TENANT_ID": "acme"}, lambda *args: None)
    assert list(body) == [b"some", b"more"]
    body.close()
    assert closed == ["acme - -"]
    assert who() == "- - -"


def test_an_asgi_applications_own_error_is_its_own() -> None:
    app = asgi.UsageMiddleware(broken, headers=HEADERS)
    request: Any = {"type": "http", "headers": [(b"x-tenant-id", b"acme")]}
    with pytest.raises(OwnError):
        asyncio.run(app(request, broken, broken))


def test_a_wsgi_applications_own_error_is_its_own() -> None:
    app = wsgi.UsageMiddleware(broken, headers=HEADERS)
    with pytest.raises(OwnError):
        app({"HTTP_X_TENANT_ID": "acme"}, broken)
    assert who() == "- - -"
