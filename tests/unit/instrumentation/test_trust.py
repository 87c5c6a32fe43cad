"""Baggage that comes in is believed only where the operator believes whoever sends it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from opentelemetry.trace import get_current_span

from spanmeter.instrumentation import asgi, current_usage, trust, usage
from unit.instrumentation.serving import (
    BAGGAGE,
    HEADERS,
    Serve,
    answer_wsgi,
    broken,
    by_query_async,
    fail,
    get,
    who,
)


def test_trust_may_depend_on_the_request(serve: Serve, serve_wsgi: Serve) -> None:
    def from_inside(scope: Any) -> bool:
        return (b"x-internal", b"yes") in scope["headers"]

    def from_inside_wsgi(environ: Any) -> bool:
        return bool(environ.get("HTTP_X_INTERNAL") == "yes")

    for url in (
        serve(trust_inbound=from_inside),
        serve_wsgi(answer_wsgi, trust_inbound=from_inside_wsgi),
    ):
        assert get(url, **{"x-internal": "yes"}) == "mallory free s1"
        assert get(url, **{"x-internal": "no"}) == "- - s1"


def test_a_trust_that_raises_is_none(
    serve: Serve, serve_wsgi: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    assert get(serve(trust_inbound=fail)) == "- - s1"
    assert get(serve_wsgi(answer_wsgi, trust_inbound=fail)) == "- - s1"
    assert caplog.text.count("trust_inbound failed") == 2


@pytest.mark.parametrize(
    ("setting", "seen"),
    [
        ("always", "mallory free s1"),
        ("never", "- - s1"),
        ("", "- - s1"),
        ("10.0.0.0/8, 127.0.0.1", "mallory free s1"),
        ("10.0.0.0/8,::1", "- - s1"),
    ],
)
def test_trust_is_a_setting_where_the_application_says_nothing(
    serve: Serve, serve_wsgi: Serve, monkeypatch: pytest.MonkeyPatch, setting: str, seen: str
) -> None:
    monkeypatch.setenv(trust.TRUST_INBOUND, setting)
    assert get(serve()) == get(serve_wsgi(answer_wsgi)) == seen
    assert get(serve(trust_inbound=False)) == "- - s1"


@pytest.mark.parametrize(
    ("peer", "believed"),
    [
        ("::ffff:10.1.2.3", True),
        ("fd00::7", True),
        ("11.0.0.1", False),
        ("", False),
        ("unix", False),
    ],
)
def test_networks_are_those_of_the_peer(
    monkeypatch: pytest.MonkeyPatch, peer: str, *, believed: bool
) -> None:
    monkeypatch.setenv(trust.TRUST_INBOUND, "10.0.0.0/8, fd00::/8")
    assert trust.trust(None, str)(peer) is believed


@pytest.mark.parametrize("setting", ["yes", "10.0.0.0/33", "10.0.0.1,,"])
def test_a_setting_that_is_none_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(trust.TRUST_INBOUND, setting)
    with pytest.raises(ValueError, match="give never, always, or networks"):
        asgi.UsageMiddleware(broken)


def test_a_believed_request_needs_no_other_middleware() -> None:
    """Where nobody has extracted what came with the request, it is done here: its trace too."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        said.append((who(), get_current_span().get_span_context().trace_id))

    said: list[tuple[str, int]] = []
    headers = [(b"baggage", BAGGAGE["baggage"].encode()), (b"traceparent", TRACEPARENT.encode())]
    request: Any = {"type": "http", "headers": headers}
    asyncio.run(asgi.UsageMiddleware(app, trust_inbound=True)(request, broken, broken))
    assert said == [("mallory free s1", 0xABC)]


TRACEPARENT = f"00-{0xABC:032x}-{0xDEF:016x}-01"


def test_a_header_that_came_twice_is_not_believed(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    sent = [("x-tenant-id", "mallory"), ("x-tenant-id", "acme")]
    assert httpx.get(serve(headers=HEADERS), headers=sent).text == "- - -"
    assert "x-tenant-id was sent 2 times" in caplog.text


def test_a_resolve_that_nobody_awaits_finds_nobody(
    serve_wsgi: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    assert get(serve_wsgi(answer_wsgi, resolve=by_query_async)) == "- - s1"
    assert "resolve failed" in caplog.text


def test_a_request_is_not_for_whoever_its_server_was_started_for() -> None:
    async def app(*_: Any) -> None:
        seen.append(getattr(current_usage(), "tenant_id", None))

    seen: list[str | None] = []
    middleware: Any = asgi.UsageMiddleware(app, trust_inbound=True)
    for headers in ([(b"baggage", b"tenant.id=globex")], []):
        with usage(tenant_id="acme"):
            asyncio.run(middleware({"type": "http", "headers": headers}, None, None))
    assert seen == ["globex", None]
