"""Reading usage from a response on its way to the application, whatever form the application takes
it in.

The response object is given a subclass of its own class, which watches the decoded bytes as they
are iterated. Nothing is held back but, where the usage event of a stream was asked for by us, that
one event.
"""

import functools
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.call import Call
from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.guard import guarded, report
from spanmeter.instrumentation.watching import Watcher, read_whole, watcher_for


class Observation:
    """The watch over one response body.

    `pulling` is whether the transport is at work: what is closed meanwhile is not closed by the
    application. `unpack` decodes chunks that pass as they were sent, compressed.
    """

    def __init__(self, attempt: Attempt, watcher: Watcher) -> None:
        self._attempt = attempt
        self._watcher = watcher
        self._held = b""
        self._broken = False
        self.pulling = False
        self.unpack: Callable[[bytes], bytes] | None = None

    def passed(self, chunk: bytes) -> bytes:
        """Watches a chunk go by; returns what the application gets."""
        if self._broken:
            return chunk
        try:
            if self.unpack is not None:
                self._watcher.passed(self.unpack(chunk))
                return chunk
            kept, self._held = self._watcher.passed(chunk)
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not end the application's stream
            self._broken = True
            report("Observation.passed", exc)
            return self._held + chunk
        return kept

    def finished(self) -> bytes:
        """The body has ended; returns what was held back of it and belongs to the application."""
        rest = None if self._broken else self._rest()
        self._attempt.end()
        # What was held back of a broken watch has been handed out when it broke.
        return rest if rest is not None else b"" if self._broken else self._held

    @guarded
    def _rest(self) -> bytes:
        rest = self._watcher.finished()
        return rest if self.unpack is None else b""

    def __enter__(self) -> None:
        self.pulling = True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pulled, self.pulling = self.pulling, False
        # What the application raises meanwhile, into a generator, is its own.
        if pulled and exc is not None:
            self._attempt.failed(exc)

    def closed(self) -> None:
        """The application has closed the response, or let go of it."""
        if not self.pulling:
            aside.run(self._attempt.closed)


def observe(response: Any, attempt: Attempt, call: Call) -> None:
    """Reads usage from an httpx (or httpx2) response: at once if it has been read, else as it will
    be."""
    status = response.status_code
    if status >= 400:
        attempt.end(error_type=str(status), status_code=status)
        return
    headers = response.headers
    attempt.accepted = True
    if call.endpoint.read_headers is not None:
        attempt.took_headers(call.endpoint.read_headers, headers)
    content_type = headers.get("content-type", "")
    if response.is_closed:
        read_whole(content_type, response.content, attempt, call)
        return
    aside.ready()
    watcher = watcher_for(content_type, attempt, call)
    response.spanmeter_observation = Observation(attempt, watcher)
    response.__class__ = observed(response.__class__)


if TYPE_CHECKING:

    class _Response:
        """The part of an httpx `Response` that is watched."""

        headers: Mapping[str, str]

        def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]: ...
        def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]: ...
        def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]: ...
        def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]: ...
        def close(self) -> None: ...
        async def aclose(self) -> None: ...

else:
    _Response = object


class ObservedBody(_Response):
    """What `observed` adds to a response class. All else that reads a body reads it through
    these."""

    spanmeter_observation: Observation

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The decoded body, in chunks."""
        return _watch(self, super().iter_bytes(chunk_size))

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The decoded body, in chunks."""
        return _watch_async(self, super().aiter_bytes(chunk_size))

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The body as it was sent, in chunks."""
        source = super().iter_raw(chunk_size)
        if self.spanmeter_observation.pulling:  # on behalf of `iter_bytes`, which is watched
            return source
        _expect_raw(self)
        return _watch(self, source)

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The body as it was sent, in chunks."""
        source = super().aiter_raw(chunk_size)
        if self.spanmeter_observation.pulling:
            return source
        _expect_raw(self)
        return _watch_async(self, source)

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


def _watch(response: ObservedBody, source: Iterator[bytes]) -> Generator[bytes]:
    observation = response.spanmeter_observation
    passed = observation.passed
    with closing(cast("Generator[bytes]", source)), observation:
        for chunk in source:
            observation.pulling = False
            if kept := passed(chunk):
                yield kept
            observation.pulling = True
    if rest := observation.finished():
        yield rest
    _let_go(response)


async def _watch_async(
    response: ObservedBody, source: AsyncIterator[bytes]
) -> AsyncGenerator[bytes]:
    observation = response.spanmeter_observation
    passed = observation.passed
    async with aclosing(cast("AsyncGenerator[bytes]", source)):
        with observation:
            async for chunk in source:
                observation.pulling = False
                if kept := passed(chunk):
                    yield kept
                observation.pulling = True
    if rest := observation.finished():
        yield rest
    _let_go(response)


@guarded
def _expect_raw(response: ObservedBody) -> None:
    """Has a body that the application reads as it was sent be unpacked on the side."""
    encoding = response.headers.get("content-encoding", "identity")
    if encoding in {"gzip", "deflate"}:
        # 32 + 15: either header, and the largest window.
        response.spanmeter_observation.unpack = zlib.decompressobj(wbits=47).decompress
    elif encoding != "identity":
        response.spanmeter_observation.unpack = lambda chunk: b""


@guarded
def _let_go(response: ObservedBody) -> None:
    """Makes a response what it was, now that it has been read: it may be pickled, or compared."""
    response.__class__ = type(response).__bases__[1]
    del response.spanmeter_observation


@functools.cache
def observed(response_class: type[object]) -> type[object]:
    """A subclass of an httpx `Response` class whose body is watched, under the same name."""
    return type(response_class.__name__, (ObservedBody, response_class), {})
