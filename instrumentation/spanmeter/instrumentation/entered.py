"""Calls that a library makes on entering a context manager, and not when it is asked for one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any

from spanmeter.instrumentation.call import Calling
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import Arguments, Begin, Keywords, Request, Tap


def entered_call(
    module: str, name: str, describe: Callable[[Any, Arguments, Keywords], Request | None]
) -> Tap:
    """The tap for a function that returns a context manager, async or not. `describe` is that of
    `Patch`."""

    def wrapper_of(begin: Begin) -> Callable[..., Any]:
        def wrapper(
            wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
        ) -> EnteredCall:
            def request() -> Request | None:
                return describe(instance, args, kwargs)

            return EnteredCall(partial(_begin, begin, request), wrapped(*args, **kwargs))

        return wrapper

    return Tap(module, name, wrapper_of)


@guarded
def _begin(begin: Begin, request: Callable[[], Request | None]) -> Calling | None:
    asked = request()
    # The library has its own copy of the request by now.
    call = begin(asked._replace(rewrite=None, rename=None)) if asked is not None else None
    return None if call is None else Calling(call)


class EnteredCall:
    """The library's context manager; entering it is the call."""

    def __init__(self, begin: Callable[[], Calling | None], manager: Any) -> None:
        self._begin = begin
        self._manager = manager

    def _calling(self) -> AbstractContextManager[object]:
        return self._begin() or nullcontext()

    def __enter__(self) -> Any:
        with self._calling():
            return self._manager.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        return self._manager.__exit__(exc_type, exc, traceback)

    async def __aenter__(self) -> Any:
        with self._calling():
            return await self._manager.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        return await self._manager.__aexit__(exc_type, exc, traceback)
