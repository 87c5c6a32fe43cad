"""OTLP over HTTP: `POST /v1/traces` and `/v1/logs`, protobuf or JSON, packed or not; budgets; health; and metrics.

Every refusal's body is a `google.rpc.Status` in the encoding of the request (OTLP specification, "Failures"). Only 503
is tried again by every exporter that retries at all.
"""

# googleapis-common-protos leaves the types of its messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from threading import Semaphore
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from spanmeter.collector_receiver.authentication import Senders
from spanmeter.collector_receiver.body_room import BodyRoom
from spanmeter.collector_receiver.budgets.asked import MAX_BYTES as BUDGETS_MAX_BYTES
from spanmeter.collector_receiver.counters import Counters
from spanmeter.collector_receiver.inflating import ENCODINGS, Inflating
from spanmeter.collector_receiver.ingest import AT_ONCE
from spanmeter.collector_receiver.otlp_json import LOGS, TRACES, Signal, to_protobuf
from spanmeter.collector_receiver.refusals import (
    BodyTooLarge,
    Forbidden,
    NotSupported,
    Refused,
    TryAgain,
    Unauthenticated,
    Unusable,
)
from spanmeter.collector_receiver.sender import Sender

logger = logging.getLogger(__name__)

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

METRICS_PAGE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, which all that scrape understand."""

BODY_TIMEOUT: Final = 30.0
"""Seconds that a request may take to arrive: a sender that trickles occupies memory all the while."""

RETRY_AFTER: Final = ("1", "2")
"""Seconds; one of them at random, so that senders do not come back all at once."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Export = Callable[[bytes, Sender, str], bytes]
"""Takes a serialized request of one signal, its sender and its sender's address, and returns the serialized
response once what was accepted is durable. Raises `Refused`."""

DISCARDED: Final = 1024 * 1024
"""Bytes of a request that are read though its key is refused: a sender that is cut off in the middle of it sees no
answer, and tries again."""


class _Answer(NamedTuple):
    status: HTTPStatus
    body: bytes = b""
    content_type: str = PROTOBUF
    headers: tuple[tuple[bytes, bytes], ...] = ()


class HttpService:
    """An ASGI application that takes export requests, and tells of its health and its metrics.

    `export` (of spans) and `logs` are called on `threads`, `metrics` (the page, as Prometheus reads it) on others:
    those may all be waiting. `max_bytes` bounds a body, packed and unpacked, `max_waiting` all those together that are
    not answered yet, `max_objects` what JSON may hold.
    """

    def __init__(
        self,
        export: Export,
        logs: Export,
        budgets: Callable[[bytes, Sender], bytes],
        senders: Senders,
        metrics: Callable[[], bytes],
        counters: Counters,
        threads: Executor,
        *,
        max_bytes: int,
        max_waiting: int,
        max_objects: int,
    ) -> None:
        self._budgets = budgets
        self._senders = senders
        self._metrics_page = metrics
        self._counters = counters
        self._threads = threads
        self._max_bytes = max_bytes
        self._max_objects = max_objects
        # Parsed, JSON takes some twenty times the memory that it came in too.
        self._parsing = Semaphore(AT_ONCE)
        self._room = BodyRoom(max_waiting)
        self._draining = False
        self._routes: dict[str, dict[str, Callable[[Scope, Receive], Awaitable[_Answer]]]] = {
            "/v1/traces": {"POST": partial(self._exported, TRACES, export)},
            "/v1/logs": {"POST": partial(self._exported, LOGS, logs)},
            "/v1/spanmeter/budgets": {"POST": self._budgets_asked},
            "/healthz": {"GET": self._alive, "HEAD": self._alive},
            "/readyz": {"GET": self._ready, "HEAD": self._ready},
            "/metrics": {"GET": self._metrics, "HEAD": self._metrics},
        }

    def drain(self) -> None:
        """Not ready from now on."""
        self._draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        methods = self._routes.get(scope["path"])
        if methods is None:
            answer = _plain(HTTPStatus.NOT_FOUND)
        elif (handle := methods.get(scope["method"])) is None:
            allowed = ", ".join(methods).encode()
            answer = _plain(HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", allowed))
        else:
            answer = await handle(scope, receive)
        await _send(answer, send, with_body=scope["method"] != "HEAD")

    async def _alive(self, scope: Scope, receive: Receive) -> _Answer:
        return _plain(HTTPStatus.OK)

    async def _ready(self, scope: Scope, receive: Receive) -> _Answer:
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE if self._draining else HTTPStatus.OK)

    async def _metrics(self, scope: Scope, receive: Receive) -> _Answer:
        page = await asyncio.to_thread(self._metrics_page)
        return _Answer(HTTPStatus.OK, page, METRICS_PAGE)

    async def _exported(
        self, signal: Signal, export: Export, scope: Scope, receive: Receive
    ) -> _Answer:
        in_json = _content_type(scope) == JSON

        def taken(body: bytes, sender: Sender) -> _Answer:
            if not in_json:
                return _Answer(HTTPStatus.OK, export(body, sender, _peer(scope)), PROTOBUF)
            response = export(self._to_protobuf(body, signal), sender, _peer(scope))
            return _Answer(HTTPStatus.OK, _json(signal.response.FromString(response)), JSON)

        return await self._answered(scope, receive, (PROTOBUF, JSON), taken, self._max_bytes)

    async def _budgets_asked(self, scope: Scope, receive: Receive) -> _Answer:
        def told(body: bytes, sender: Sender) -> _Answer:
            return _Answer(HTTPStatus.OK, self._budgets(body, sender), JSON)

        return await self._answered(scope, receive, (JSON,), told, BUDGETS_MAX_BYTES)

    async def _answered(
        self,
        scope: Scope,
        receive: Receive,
        content_types: tuple[str, ...],
        answer: Callable[[bytes, Sender], _Answer],
        max_bytes: int,
    ) -> _Answer:
        """The answer to a body of a sender who may send, made on a thread; or the refusal."""
        content_type = _content_type(scope)
        form = JSON if content_type == JSON else PROTOBUF
        try:
            sender = await self._sender(scope)
            if content_type not in content_types:
                raise NotSupported(
                    f"content type {content_type!r} is not {' or '.join(content_types)}"
                )
            with self._room.for_body() as hold:
                body = await self._body(_headers(scope), receive, hold, max_bytes)
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, partial(answer, body, sender)
                )
        except (Unauthenticated, Forbidden) as refusal:
            await _discard(receive)
            return self._refused(refusal, form)
        except Refused as refusal:
            return self._refused(refusal, form)
        except Exception:
            logger.exception("could not take a request over HTTP")
            internal = TryAgain("an internal error; see the collector's log")
            return self._refused(internal, form)

    async def _sender(self, scope: Scope) -> Sender:
        """Known before anything of the body is read. Raises `Refused`."""
        given = [
            value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"
        ]
        peer = _peer(scope)
        known = self._senders.known(given, peer)
        if known is not None:
            return known
        return await asyncio.to_thread(self._senders.sender, given, peer)

    def _refused(self, refusal: Refused, form: str) -> _Answer:
        self._counters.refuse(refusal)
        return _refusal(refusal, form)

    async def _body(
        self,
        headers: dict[str, str],
        receive: Receive,
        hold: Callable[[int], None],
        max_bytes: int,
    ) -> bytes:
        encoding = headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in ENCODINGS and encoding != "identity":
            raise NotSupported(
                f"content encoding {encoding!r} is not one of gzip, deflate and identity"
            )
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                inflating = None if encoding == "identity" else Inflating(max_bytes)
                return await self._read(receive, hold, inflating, max_bytes)
        except TimeoutError:
            raise TryAgain(f"the request did not arrive within {BODY_TIMEOUT:g} s") from None

    async def _read(
        self,
        receive: Receive,
        hold: Callable[[int], None],
        inflating: Inflating | None,
        max_bytes: int,
    ) -> bytes:
        body = bytearray()
        arrived = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise TryAgain("the sender went away before the request was whole")
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            arrived += len(piece)
            if arrived > max_bytes:
                raise BodyTooLarge(f"the body is larger than {max_bytes} bytes")
            piece = inflating.feed(piece) if inflating is not None else piece
            hold(len(piece))
            body += piece
        if inflating is not None and arrived:
            inflating.finish()
        return bytes(body)

    def _to_protobuf(self, body: bytes, signal: Signal) -> bytes:
        with self._parsing:
            return to_protobuf(body, max_objects=self._max_objects, signal=signal)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _content_type(scope: Scope) -> str:
    return _headers(scope).get("content-type", "").partition(";")[0].strip().lower()


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _discard(receive: Receive) -> None:
    """Read what is coming, up to a bound, and keep nothing of it."""
    left = DISCARDED
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY_TIMEOUT):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


_STATUSES: Final = (
    # A refusal is answered as the first that it is one of; else it may be tried again.
    (Unauthenticated, HTTPStatus.UNAUTHORIZED, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, HTTPStatus.FORBIDDEN, grpc.StatusCode.PERMISSION_DENIED),
    (NotSupported, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, grpc.StatusCode.INVALID_ARGUMENT),
    (BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unusable, HTTPStatus.BAD_REQUEST, grpc.StatusCode.INVALID_ARGUMENT),
)


def _refusal(refusal: Refused, form: str) -> _Answer:
    status, code = HTTPStatus.SERVICE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE
    for kind, its_status, its_code in _STATUSES:
        if isinstance(refusal, kind):
            status, code = its_status, its_code
            break
    message = Status(code=code.value[0], message=str(refusal))
    body: bytes = _json(message) if form == JSON else message.SerializeToString()
    return _Answer(status, body, form, _refusal_headers(status))


_CHALLENGES: Final = {
    # RFC 6750, section 3.
    HTTPStatus.UNAUTHORIZED: b'Bearer realm="spanmeter"',
    HTTPStatus.FORBIDDEN: b'Bearer realm="spanmeter", error="insufficient_scope", scope="ingest"',
}


def _refusal_headers(status: HTTPStatus) -> tuple[tuple[bytes, bytes], ...]:
    if status in _CHALLENGES:
        return ((b"www-authenticate", _CHALLENGES[status]),)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return ((b"retry-after", random.choice(RETRY_AFTER).encode()),)  # noqa: S311 (no secret)
    # What has not been read of a body that is too large stays unread: the connection ends with it.
    return ((b"connection", b"close"),) if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE else ()


def _json(message: Message) -> bytes:
    return json_format.MessageToJson(message, indent=None).encode()


def _plain(status: HTTPStatus, *headers: tuple[bytes, bytes]) -> _Answer:
    return _Answer(status, status.phrase.encode() + b"\n", "text/plain", headers)


async def _send(answer: _Answer, send: Send, *, with_body: bool) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
