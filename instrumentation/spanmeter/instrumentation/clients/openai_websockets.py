"""OpenAI over websockets: realtime conversations, responses, live sessions.

One connection carries many calls: each response that the provider makes is one, and so is each
transcript of what was said to it, which another model makes. Messages are watched where they come
in, `recv_bytes` of the connection, in all versions that have one.
"""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from opentelemetry.context import get_current

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.budgets.admitting import refuse_session, refuse_session_async
from spanmeter.instrumentation.clients.openai_media import TRANSCRIPTS
from spanmeter.instrumentation.clients.openai_providers import provider_of_host
from spanmeter.instrumentation.clients.openai_realtime import LIVE, REALTIME
from spanmeter.instrumentation.clients.openai_responses import RESPONSES
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading, mapping
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import identity_in
from spanmeter.instrumentation.instrumentor import (
    Arguments,
    Begin,
    Keywords,
    Request,
    Tap,
    may_begin,
    session_of,
)
from spanmeter.metering import attributes as names

SESSIONS: Final = frozenset(
    {
        "session.created",
        "session.started",
        "session.updated",
        "session.usage.updated",
        "session.closed",
        "transcription_session.created",
        "transcription_session.updated",
    }
)
ENDS: Final = frozenset(
    {"response.done", "response.completed", "response.incomplete", "response.failed"}
)
TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
DECIDED: Final = "decision.event"

TELLING: Final = tuple(
    f'"{kind}"'.encode() for kind in (*SESSIONS, *ENDS, "response.created", TRANSCRIBED, DECIDED)
)
"""What a message that concerns metering holds. Sound, the most of the traffic, is not parsed."""

CONNECTIONS: Final = (
    ("openai.resources.realtime.realtime", "RealtimeConnection", REALTIME),
    ("openai.resources.beta.realtime.realtime", "RealtimeConnection", REALTIME),
    ("openai.resources.responses.responses", "ResponsesConnection", RESPONSES),
    ("openai.resources.beta.responses.responses", "ResponsesConnection", RESPONSES),
    ("openai.resources.live.live", "LiveConnection", LIVE),
)
"""Connections that carry calls of their own; others listen to a session that is one of these."""


class Conversation:
    """The calls that one connection carries; those in progress by the ids of their responses."""

    def __init__(self, begin: Begin, endpoint: Endpoint, websocket: Any) -> None:
        self._begin = begin
        self._endpoint = endpoint
        self._opened_in = get_current()
        # Host and path are in the request that opened the connection; its own host wins over that.
        handshake = websocket.request
        self._address = urlsplit(f"//{handshake.headers['Host']}{handshake.path}")
        query = parse_qs(self._address.query)
        self._model = next(
            (query[name][0] for name in ("model", "deployment") if name in query), None
        )
        self._transcriber: str | None = None
        self._open: dict[str, Attempt] = {}

    @guarded
    def received(self, message: bytes) -> None:
        """Watches a message of the provider's."""
        if any(telling in message for telling in TELLING):
            self._event(mapping(json.loads(message)))

    @guarded
    def ended(self, exc: BaseException | None = None) -> None:
        """The connection is closed: what is in progress ends with it."""
        while self._open:
            _, attempt = self._open.popitem()
            if exc is None:
                attempt.closed()
            else:
                attempt.failed(exc)

    def _event(self, event: Json) -> None:
        kind = str(event.get("type"))
        if kind == "response.event":
            # A live session delegates to the Responses API, whose events it passes on.
            self._response(mapping(event.get("event")), RESPONSES)
        elif kind == DECIDED:
            decision = mapping(mapping(event.get("event")).get("decision"))
            self._at_once(RESPONSES, RESPONSES.read(decision), decision.get("model"))
        elif kind == TRANSCRIBED:
            said = TRANSCRIPTS.read(event)._replace(response_id=event.get("item_id"))
            self._at_once(TRANSCRIPTS, said, self._transcriber)
        elif kind in SESSIONS:
            self._session(event)
        else:
            self._response(event, self._endpoint)

    def _session(self, event: Json) -> None:
        session = mapping(event.get("session"))
        heard = mapping(mapping(session.get("audio")).get("input")).get("transcription")
        # The beta has it at the top.
        heard = mapping(heard or session.get("input_audio_transcription"))
        self._model = session.get("model") or self._model
        self._transcriber = heard.get("model") or self._transcriber
        if self._endpoint is not LIVE:
            return
        attempt = self._open.get(LIVE.operation) or self._start(LIVE.operation, LIVE, self._model)
        if attempt is not None:
            attempt.took(LIVE.read_event(event))
            if event.get("type") == "session.closed":
                self._open.pop(LIVE.operation).end()

    def _response(self, event: Json, endpoint: Endpoint) -> None:
        response = mapping(event.get("response"))
        response_id = str(response.get("id"))
        kind = event.get("type")
        if kind == "response.created":
            self._start(response_id, endpoint, response.get("model") or self._model)
        elif kind in ENDS and response_id in self._open:
            attempt = self._open.pop(response_id)
            attempt.took(endpoint.read_event(event))
            attempt.end()

    def _at_once(self, endpoint: Endpoint, reading: Reading, model: str | None) -> None:
        """A call of which nothing was heard before its result."""
        attempt = self._start(names.RECORDED, endpoint, model)
        if attempt is not None:
            del self._open[names.RECORDED]
            attempt.took(reading)
            attempt.end()

    def _start(self, key: str, endpoint: Endpoint, model: str | None) -> Attempt | None:
        """Begins a call for whoever receives, or, where that has no tenant, for whoever opened the
        connection."""
        entry = None if names.TENANT_ID in identity_in() else Entry(self._opened_in)
        try:
            call = self._begin(self._request(endpoint, model))
        finally:
            if entry is not None:
                entry.leave()
        if call is None:
            return None
        attempt = self._open[key] = call.attempt()
        attempt.accepted = True
        return attempt

    def _request(self, endpoint: Endpoint, model: str | None) -> Request:
        host, port = self._address.hostname or "", self._address.port
        return Request(
            endpoint=endpoint,
            provider=provider_of_host(host, port),
            model=model,
            http_client=None,
            server_address=host,
            server_port=port or 443,
            body={},
            streamed=True,
            is_sent=True,
        )


def _taps(module: str, name: str, endpoint: Endpoint, *, is_async: bool) -> tuple[Tap, ...]:
    """Where to wrap a class of connections. A connection keeps its conversation on itself."""

    def opening(begin: Begin) -> Callable[..., None]:
        def wrapper(
            wrapped: Callable[..., None], instance: Any, args: Arguments, kwargs: Keywords
        ) -> None:
            wrapped(*args, **kwargs)
            _open(instance, begin, endpoint, args[0] if args else kwargs["connection"])

        return wrapper

    def entering(begin: Begin) -> Callable[..., Any]:
        def wrapper(
            wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
        ) -> Any:
            may_begin(begin, endpoint)
            return wrapped(*args, **kwargs)

        return wrapper

    return (
        *(
            Tap(module, f"{name}Manager.{method}", entering)
            for method in ("enter", "__aenter__" if is_async else "__enter__")
        ),
        Tap(module, f"{name}.__init__", opening),
        Tap(module, f"{name}.send", partial(_sending_async if is_async else _sending, endpoint)),
        Tap(module, f"{name}.recv_bytes", _receiving_async if is_async else _receiving),
        Tap(module, f"{name}.close", _closing_async if is_async else _closing),
    )


@guarded
def _asks_for_response(args: Arguments, kwargs: Keywords) -> bool:
    """Whether a message asks for a response. Those that the provider begins by itself, nobody is asked about."""
    event = args[0] if args else kwargs.get("event")
    kind: object = mapping(event).get("type") or getattr(event, "type", None)
    return kind == "response.create"


def _sending(endpoint: Endpoint, begin: Begin) -> Callable[..., Any]:
    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        if _asks_for_response(args, kwargs):
            refuse_session(session_of(endpoint))
        return wrapped(*args, **kwargs)

    return wrapper


def _sending_async(endpoint: Endpoint, begin: Begin) -> Callable[..., Awaitable[Any]]:
    async def wrapper(
        wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        if _asks_for_response(args, kwargs):
            await refuse_session_async(session_of(endpoint))
        return await wrapped(*args, **kwargs)

    return wrapper


@guarded
def _open(instance: Any, begin: Begin, endpoint: Endpoint, websocket: Any) -> None:
    instance.spanmeter_conversation = Conversation(begin, endpoint, websocket)


def _of(instance: Any) -> Conversation | None:
    found: Conversation | None = getattr(instance, "spanmeter_conversation", None)
    return found


def _heard(instance: Any, message: bytes) -> bytes:
    conversation = _of(instance)
    if conversation is not None:
        conversation.received(message)
    return message


def _lost(instance: Any, exc: BaseException | None = None) -> None:
    """Ends the conversation; giving up the wait for a message does not close the connection."""
    conversation = _of(instance)
    closed = exc is None or any("ConnectionClosed" in each.__name__ for each in type(exc).__mro__)
    if conversation is not None and closed:
        conversation.ended(exc)


def _receiving(begin: Begin) -> Callable[..., bytes]:
    def wrapper(
        wrapped: Callable[..., bytes], instance: Any, args: Arguments, kwargs: Keywords
    ) -> bytes:
        try:
            message = wrapped(*args, **kwargs)
        except BaseException as exc:
            _lost(instance, exc)
            raise
        return _heard(instance, message)

    return wrapper


def _receiving_async(begin: Begin) -> Callable[..., Awaitable[bytes]]:
    async def wrapper(
        wrapped: Callable[..., Awaitable[bytes]], instance: Any, args: Arguments, kwargs: Keywords
    ) -> bytes:
        try:
            message = await wrapped(*args, **kwargs)
        except BaseException as exc:
            _lost(instance, exc)
            raise
        return _heard(instance, message)

    return wrapper


def _closing(begin: Begin) -> Callable[..., Any]:
    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        try:
            return wrapped(*args, **kwargs)
        finally:
            _lost(instance)

    return wrapper


def _closing_async(begin: Begin) -> Callable[..., Awaitable[Any]]:
    async def wrapper(
        wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        finally:
            _lost(instance)

    return wrapper


TAPS: Final = tuple(
    tap
    for module, name, endpoint in CONNECTIONS
    for prefix, is_async in (("", False), ("Async", True))
    for tap in _taps(module, prefix + name, endpoint, is_async=is_async)
)
