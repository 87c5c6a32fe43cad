"""Reading usage from a response on its way to the application, whatever form the application takes
it in.

The response object is given a subclass of its own class, which watches the decoded bytes as they
are iterated. Nothing is held back but, where the usage event of a stream was asked for by us, that
one event.
"""

import functools
import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import aclosing, closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.call import Call
from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading, mapping
from spanmeter.instrumentation.framing import Framing, Lines, framing_of
from spanmeter.instrumentation.guard import guarded, report

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes kept of a body that is read piecemeal, so as to parse it at its end. Beyond, its usage is
not read."""


MEDIA: Final = ("audio/", "image/", "video/", "application/octet-stream")
"""Starts of content types of bodies that are what the model made, and nothing else."""

MAX_KEPT: Final = 1024 * 1024
"""Bytes of a stream kept in case its usage never comes: some 4,000 events, of a token or more each.
"""


class Observation:
    """The watch over one response body."""

    def __init__(self, attempt: Attempt, watcher: "Watcher") -> None:
        self._attempt = attempt
        self._watcher = watcher
        self._broken = False
        self._pulling = False

    def passed(self, chunk: bytes) -> bytes:
        """Watches a chunk go by; returns what the application gets."""
        if self._broken:
            return chunk
        held = self._watcher.held()
        try:
            return self._watcher.passed(chunk)
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not end the application's stream
            self._broken = True
            report("Observation.passed", exc)
            return held + chunk

    def finished(self) -> bytes:
        """The body has ended; returns what was held back of it and belongs to the application."""
        rest = b"" if self._broken else self._rest()
        self._attempt.end()
        return rest

    def _rest(self) -> bytes:
        try:
            return self._watcher.finished()
        except Exception as exc:  # noqa: BLE001 - as above
            report("Observation.finished", exc)
            return self._watcher.held()

    def __enter__(self) -> None:
        """While it is entered the transport is at work: what that closes does not end the attempt."""
        self._pulling = True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pulling = False
        if exc is not None:
            self._attempt.failed(exc)

    def closed(self) -> None:
        """The application has closed the response, or let go of it."""
        if not self._pulling:
            aside.run(self._attempt.closed)


class Watcher(Protocol):
    """Watches what a body says, and lets it pass."""

    def passed(self, chunk: bytes) -> bytes:
        """Watches a chunk; returns what the application gets now."""
        ...

    def held(self) -> bytes:
        """What has been held back of what is the application's."""
        ...

    def finished(self) -> bytes:
        """The body has ended; returns what was held back."""
        ...


class EventWatcher:
    """Watches a streamed body, event by event."""

    def __init__(
        self, attempt: Attempt, endpoint: Endpoint, framing: Framing, *, hides_usage: bool
    ) -> None:
        self._attempt = attempt
        self._endpoint = endpoint
        self._framing = framing
        self._hides_usage = hides_usage
        self._begun = False
        self._first = True
        self._kept: list[bytes] = []
        self._kept_size = 0
        attempt.answered(self._said)

    def passed(self, chunk: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            self._attempt.first_chunk()
        whole = self._framing.whole(chunk)
        if not whole:
            return b"" if self._hides_usage else chunk
        if self._kept_size < MAX_KEPT:
            self._kept.append(whole)
            self._kept_size += len(whole)
        if not self._first and not self._framing.opaque and not self._tells(whole):
            return whole if self._hides_usage else chunk
        kept = self._read(whole)
        return kept if self._hides_usage else chunk

    def held(self) -> bytes:
        return self._framing.rest if self._hides_usage else b""

    def finished(self) -> bytes:
        # A stream may end without what would have closed its last event.
        rest = self._framing.rest
        if rest:
            self._read(rest)
        return self.held()

    def _read(self, whole: bytes) -> bytes:
        """Reads the events that may tell something; returns all but the one that we asked for."""
        kept: list[bytes] = []
        for event, data in self._framing.split(whole):
            if data and (self._first or self._tells(data)):
                parsed = self._took(data)
                if self._hides_usage and parsed.get("choices") == [] and parsed.get("usage"):
                    continue
            kept.append(event)
        return b"".join(kept)

    def _tells(self, data: bytes) -> bool:
        return any(telling in data for telling in self._endpoint.telling)

    def _took(self, data: bytes) -> Json:
        if data == b"[DONE]":
            self._attempt.took(Reading(last=True))
        parsed = _parsed(data)
        if parsed:
            self._first = False
            self._attempt.took(self._endpoint.read_event(parsed))
        return parsed

    def _said(self) -> Iterable[str]:
        """The texts of the events that have passed."""
        for whole in self._kept:
            for _, data in self._framing.split(whole):
                yield from self._endpoint.said(_parsed(data))


class BodyWatcher:
    """Watches a JSON body that is read piecemeal."""

    def __init__(self, attempt: Attempt, endpoint: Endpoint) -> None:
        self._attempt = attempt
        self._endpoint = endpoint
        self._body = bytearray()

    def passed(self, chunk: bytes) -> bytes:
        if len(self._body) + len(chunk) <= MAX_BODY:
            self._body += chunk
        return chunk

    def held(self) -> bytes:
        return b""

    def finished(self) -> bytes:
        read_body(self._attempt, self._endpoint, bytes(self._body))
        return b""


class MediaWatcher:
    """Watches nothing: sound and pictures say nothing of usage, and are not worth keeping."""

    def passed(self, chunk: bytes) -> bytes:
        return chunk

    def held(self) -> bytes:
        return b""

    def finished(self) -> bytes:
        return b""


class ResultsWatcher:
    """Watches a file of results: each line is a call of its own."""

    def __init__(self, call: Call, read: Callable[[Json], Reading]) -> None:
        self._call = call
        self._read_result = read
        self._lines = Lines()

    def passed(self, chunk: bytes) -> bytes:
        self._read(self._lines.whole(chunk))
        return chunk

    def held(self) -> bytes:
        return b""

    def finished(self) -> bytes:
        self._read(self._lines.rest)
        return b""

    def _read(self, lines: bytes) -> None:
        for _, line in self._lines.split(lines):
            reading = self._read_result(_parsed(line))
            if reading.usage:
                self._call.result(reading)


@guarded
def read_body(attempt: Attempt, endpoint: Endpoint, body: bytes) -> None:
    """Reads a whole response body."""
    parsed = _parsed(body)
    attempt.answered(lambda: endpoint.said(parsed))
    attempt.took(endpoint.read(parsed))


def _parsed(data: bytes) -> Json:
    """The JSON object, or an empty one where the data is none (`[DONE]`, a proxy's page of text)."""
    try:
        return mapping(json.loads(data))
    except ValueError:
        return {}


@guarded
def observe(response: Any, attempt: Attempt, call: Call) -> None:
    """Reads usage from an httpx (or httpx2) response: at once if it has been read, else as it will
    be."""
    endpoint = call.endpoint
    if response.status_code >= 400:
        attempt.end(error_type=str(response.status_code), status_code=response.status_code)
        return
    attempt.accepted()
    if endpoint.read_headers is not None:
        attempt.took(endpoint.read_headers(response.headers))
    watcher = watcher_for(response.headers.get("content-type", ""), attempt, call)
    if response.is_closed:
        try:
            watcher.passed(response.content)
            watcher.finished()
        finally:
            attempt.end()
    else:
        aside.ready()
        response.spanmeter_observation = Observation(attempt, watcher)
        response.__class__ = observed(response.__class__)


def watcher_for(content_type: str, attempt: Attempt, call: Call) -> Watcher:
    """The watcher for a body of this content type."""
    if call.endpoint.results is not None:
        return ResultsWatcher(call, call.endpoint.results)
    framing = framing_of(content_type)
    if framing is None:
        said_nothing = content_type.startswith(MEDIA)
        return MediaWatcher() if said_nothing else BodyWatcher(attempt, call.endpoint)
    return EventWatcher(attempt, call.endpoint, framing, hides_usage=call.hides_usage)


if TYPE_CHECKING:

    class _Response:
        """The part of an httpx `Response` that is watched."""

        def iter_bytes(self, chunk_size: int | None = None) -> Generator[bytes]: ...
        def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes]: ...
        def close(self) -> None: ...
        async def aclose(self) -> None: ...

else:
    _Response = object


class ObservedBody(_Response):
    """What `observed` adds to a response class. Everything but raw bytes is read through these."""

    spanmeter_observation: Observation

    def iter_bytes(self, chunk_size: int | None = None) -> Generator[bytes]:
        """The decoded body, in chunks."""
        observation = self.spanmeter_observation
        with closing(super().iter_bytes(chunk_size)) as source:
            while True:
                with observation:
                    chunk = next(source, None)
                if chunk is None:
                    break
                if kept := observation.passed(chunk):
                    yield kept
        if rest := observation.finished():
            yield rest

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes]:
        """The decoded body, in chunks."""
        observation = self.spanmeter_observation
        async with aclosing(super().aiter_bytes(chunk_size)) as source:
            while True:
                with observation:
                    chunk = await anext(source, None)
                if chunk is None:
                    break
                if kept := observation.passed(chunk):
                    yield kept
        if rest := observation.finished():
            yield rest

    def close(self) -> None:
        """Closes the response."""
        super().close()
        self.spanmeter_observation.closed()

    async def aclose(self) -> None:
        """Closes the response."""
        await super().aclose()
        self.spanmeter_observation.closed()

    def __del__(self) -> None:
        self.spanmeter_observation.closed()


@functools.cache
def observed(response_class: type[object]) -> type[object]:
    """A subclass of an httpx `Response` class whose body is watched, under the same name."""
    return type(response_class.__name__, (ObservedBody, response_class), {})
