"""Streams that a library begins only when they are first read.

Whoever asks for such a stream may hand it to somebody else to read, outside of the usage context
that it was asked for in: a web framework, say. Reading it is done in the context of whoever asked.
"""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

from opentelemetry.context import Context, get_current

from spanmeter.instrumentation.entering import within
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import identity_in
from spanmeter.instrumentation.instrumentor import Arguments, Begin, Keywords, Tap


def lazy_stream(module: str, name: str) -> Tap:
    """The tap for a function that returns a generator, async or not."""
    return Tap(module, name, _reading)


def lazy_async_stream(module: str, name: str) -> Tap:
    """The tap for a coroutine function that returns an async generator."""
    return Tap(module, name, _reading_async)


def _reading(begin: Begin) -> Callable[..., Any]:
    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        stream = wrapped(*args, **kwargs)
        return _read_here(stream) or stream

    return wrapper


def _reading_async(begin: Begin) -> Callable[..., Awaitable[Any]]:
    async def wrapper(
        wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        stream = await wrapped(*args, **kwargs)
        return _read_here(stream) or stream

    return wrapper


@guarded
def _read_here(stream: Any) -> Generator[Any] | AsyncGenerator[Any] | None:
    """A generator, async or not, that makes its items in the context in force: none where nobody
    is named in that, or for another kind of stream."""
    if inspect.isasyncgen(stream):
        return read_async_in(get_current(), stream) if identity_in() else None
    lazy = inspect.isgenerator(stream) and identity_in()
    return read_in(get_current(), stream) if lazy else None


# The context is entered for each step and left before the item is handed out.


def read_in(context: Context, stream: Any) -> Generator[Any]:
    """The items of an iterator, each made in this context."""
    try:
        while True:
            with within(context):
                try:
                    item = next(stream)
                except StopIteration:
                    return
            yield item
    finally:
        if hasattr(stream, "close"):
            stream.close()


async def read_async_in(context: Context, stream: Any) -> AsyncGenerator[Any]:
    """The items of an async iterator, each made in this context."""
    try:
        while True:
            with within(context):
                try:
                    item = await anext(stream)
                except StopAsyncIteration:
                    return
            yield item
    finally:
        if hasattr(stream, "aclose"):
            await stream.aclose()
