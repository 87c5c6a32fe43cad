"""Watching raw bodies as an HTTP library hands them out, below everything that an application can
read them by: those that botocore streams by urllib3, aiohttp or httpx, and aiohttp's own.

The raw response is given a subclass of its own class, whose few methods that all others read through
report the bytes. Nothing is held back. botocore asks for no compression, and aiohttp has undone it,
so the raw bytes are the body.
"""

import functools
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Final

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.observing import Observation
from spanmeter.instrumentation.watching import EventWatcher, Watcher

INCOMPLETE: Final = "botocore.exceptions.IncompleteReadError"
"""What botocore raises where a body is shorter than its length."""


class RawObservation(Observation):
    """The watch over a body, which knows of itself when it is complete."""

    def __init__(self, attempt: Attempt, watcher: Watcher, length: str | None) -> None:
        super().__init__(attempt, watcher)
        self._streams = isinstance(watcher, EventWatcher)
        self._left = int(length) if length is not None else None
        self._over = False

    def passed(self, chunk: bytes) -> bytes:
        """Watches a chunk go by. Who reads a body of known length need not read on to its end."""
        super().passed(chunk)
        self._count(len(chunk))
        return chunk

    @guarded
    def _count(self, size: int) -> None:
        if self._left is not None:
            self._left -= size
            if self._left == 0:
                self.finished()
        # Where a stream has raised, botocore leaves it open.
        if self._streams and self._attempt.told_all:
            self._attempt.end()

    def finished(self) -> bytes:
        """The body has ended, complete or not."""
        if not self._over:
            self._over = True
            if self._left:
                self._attempt.end(error_type=INCOMPLETE)
            super().finished()
        return b""


if TYPE_CHECKING:

    class _Urllib3Response:
        def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes: ...
        def read1(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes: ...
        def read_chunked(self, *args: Any, **kwargs: Any) -> Generator[bytes]: ...
        def close(self) -> None: ...

    class _AiohttpResponse:
        content: Any

        def close(self) -> None: ...
        def release(self) -> Any: ...

    class _HttpxResponse:
        def aiter_raw(self, chunk_size: int | None = None) -> AsyncGenerator[bytes]: ...
        async def aclose(self) -> None: ...

else:
    _Urllib3Response = _AiohttpResponse = _HttpxResponse = object


class Urllib3Body(_Urllib3Response):
    """What a watched urllib3 response does: `stream`, `readinto` and lines are read through
    these."""

    spanmeter_observation: RawObservation

    def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        """Up to `amt` bytes, or all."""
        observation = self.spanmeter_observation
        with observation:
            chunk = super().read(amt, *args, **kwargs)
        _note(observation, chunk, amt)
        return chunk

    def read1(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        """Up to `amt` bytes, from at most one read of the socket."""
        observation = self.spanmeter_observation
        with observation:
            chunk = super().read1(amt, *args, **kwargs)
        _note(observation, chunk, 1)
        return chunk

    def read_chunked(self, *args: Any, **kwargs: Any) -> Generator[bytes]:
        """The chunks, as the server sent them."""
        observation = self.spanmeter_observation
        with closing(super().read_chunked(*args, **kwargs)) as source:
            while True:
                with observation:
                    chunk = next(source, None)
                if chunk is None:
                    break
                yield observation.passed(chunk)
        observation.finished()

    def close(self) -> None:
        """Closes the response."""
        super().close()
        self.spanmeter_observation.closed()

    def __del__(self) -> None:
        self.spanmeter_observation.closed()
        _collect(super())


class AiohttpBody(_AiohttpResponse):
    """What a watched aiohttp response does; its `content` is a `WatchedReader`."""

    spanmeter_observation: RawObservation

    def close(self) -> None:
        """Closes the connection."""
        super().close()
        self.spanmeter_observation.closed()

    def release(self) -> Any:
        """Gives the connection back."""
        released = super().release()
        self.spanmeter_observation.closed()
        return released

    def __del__(self) -> None:
        self.spanmeter_observation.closed()
        _collect(super())


class WatchedReader:
    """aiohttp's `StreamReader`, watched. Its iterators read through these methods."""

    def __init__(self, reader: Any, observation: RawObservation) -> None:
        self._reader = reader
        self._class: Any = type(reader)
        self._observation = observation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes, or all."""
        return await self._noted(self._reader.read(n), n)

    async def readany(self) -> bytes:
        """What has come."""
        return await self._noted(self._reader.readany(), 1)

    async def readline(self) -> bytes:
        """One line."""
        return await self._noted(self._reader.readline(), 1)

    async def readexactly(self, n: int) -> bytes:
        """`n` bytes."""
        return await self._noted(self._reader.readexactly(n), n)

    async def readchunk(self) -> tuple[bytes, bool]:
        """What has come, and whether a chunk of the server's ends there."""
        observation = self._observation
        with observation:
            chunk, ends = await self._reader.readchunk()
        _note(observation, chunk, 0 if ends else 1)
        return chunk, ends

    # The library's own iterators, over this object.

    def iter_chunks(self) -> Any:
        """Chunks as `readchunk` gives them."""
        return self._class.iter_chunks(self)

    def iter_chunked(self, n: int) -> Any:
        """Chunks of up to `n` bytes."""
        return self._class.iter_chunked(self, n)

    def iter_any(self) -> Any:
        """Chunks as they come."""
        return self._class.iter_any(self)

    def __aiter__(self) -> Any:
        return self._class.__aiter__(self)

    async def _noted(self, reading: Awaitable[bytes], amount: int) -> bytes:
        observation = self._observation
        with observation:
            chunk = await reading
        _note(observation, chunk, amount)
        return chunk


class HttpxBody(_HttpxResponse):
    """What a watched httpx response does: aiobotocore reads raw bytes of it."""

    spanmeter_observation: RawObservation

    async def aiter_raw(self, chunk_size: int | None = None) -> AsyncGenerator[bytes]:
        """The body, in chunks."""
        observation = self.spanmeter_observation
        async with aclosing(super().aiter_raw(chunk_size)) as source:
            while True:
                with observation:
                    chunk = await anext(source, None)
                if chunk is None:
                    break
                yield observation.passed(chunk)
        observation.finished()

    async def aclose(self) -> None:
        """Closes the response."""
        await super().aclose()
        self.spanmeter_observation.closed()

    def __del__(self) -> None:
        self.spanmeter_observation.closed()


_BODIES: Final[tuple[tuple[str, Any], ...]] = (
    ("urllib3", Urllib3Body),
    ("aiohttp", AiohttpBody),
    ("httpx", HttpxBody),
    ("httpx2", HttpxBody),
)


def watch(raw: Any, attempt: Attempt, watcher: Watcher, length: str | None) -> None:
    """Watches the body of a raw response; without a watch that fits, the attempt ends here."""
    response_class: Any = raw.__class__
    library = response_class.__module__.partition(".")[0]
    body = next((body for name, body in _BODIES if name == library), None)
    if body is None:
        attempt.end()
        return
    aside.ready()
    observation = RawObservation(attempt, watcher, length)
    if body is AiohttpBody:
        raw.content = WatchedReader(raw.content, observation)
    raw.spanmeter_observation = observation
    raw.__class__ = _watched(response_class, body)


@functools.cache
def _watched(response_class: type[object], body: type[object]) -> type[object]:
    """A subclass of a response class whose body is watched, under the same name."""
    return type(
        response_class.__name__, (body, response_class), {"__module__": response_class.__module__}
    )


@guarded
def _note(observation: RawObservation, chunk: bytes, amount: int | None) -> None:
    """Notes what a read of an `amount` gave: all there was, where that is negative or none."""
    if chunk:
        observation.passed(chunk)
    if amount is None or amount < 0 or (amount and not chunk):
        observation.finished()


def _collect(parent: Any) -> None:
    """Lets the library do what it does for a response that is collected."""
    finalizer = getattr(parent, "__del__", None)
    if finalizer is not None:
        finalizer()
