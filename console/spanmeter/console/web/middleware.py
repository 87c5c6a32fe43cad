"""What every answer goes through: bounded bodies, headers that keep a browser safe, and entity tags."""

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanmeter.console.web.problems import Problem, as_json

MAX_BODY: Final = 65_536
"""Bytes of a request; the largest that is asked for is a key bound to a thousand tenants."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # A tenant's page has its token in the address: nobody else is told. Without any, forms of ours would not say whose
    # they are.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {MAX_BODY} bytes"
)


class BoundedBodies:
    """Refuses a body beyond MAX_BODY, by its announced length and by what comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > MAX_BODY:
            await as_json(_TOO_LARGE, scope["path"])(scope, receive, send)
            return
        await self._app(scope, _bounded(receive), send)


def _bounded(receive: Receive) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            raise _TOO_LARGE
        return message

    return bounded


class SafeHeaders:
    """Tells browsers what a page may do: load our own files, and be framed by whom `ancestors` says of its path."""

    def __init__(self, app: ASGIApp, ancestors: Callable[[str], str]) -> None:
        self._app = app
        self._ancestors = ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        policy = _POLICY.format(ancestors=self._ancestors(path))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, with_headers)


class EntityTags:
    """Gives whole answers to GET a tag, and answers 304 where the client has it already (RFC 9110, section 13)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or scope["path"].startswith("/static/")
        ):
            await self._app(scope, receive, send)
            return
        held = _Held(send, Headers(scope=scope).get("if-none-match", ""))
        await self._app(scope, receive, held)


class _Held:
    """An answer, held until it is whole."""

    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        self._start: Message = {}
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._finish()

    async def _finish(self) -> None:
        body = bytes(self._body)
        if self._start["status"] == HTTPStatus.OK:
            headers = MutableHeaders(scope=self._start)
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers["ETag"] = tag
            if tag in self._known:
                self._start["status"] = HTTPStatus.NOT_MODIFIED
                body = b""
                del headers["content-length"]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})
