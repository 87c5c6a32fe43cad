"""Scopes: a context put in force by a context manager, an async one, or a decorator."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from opentelemetry.context import Context

from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import Identity, identity_in, with_identity
from spanmeter.metering import attributes as names

P = ParamSpec("P")
R = TypeVar("R")


class ContextScope:
    """Puts a context in force while it is entered: the one that `context` makes at that moment.

    Holds no state of its own: any number of tasks and threads may enter one scope at once, and
    again.
    """

    def __init__(self, context: Callable[[], Context]) -> None:
        self._context = context

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        Entry.leave_last_of(self)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, or coroutine function, or (async) generator function, run within this
        scope."""
        if inspect.isasyncgenfunction(function):
            wrapper = self._around_async_generator(function)
        elif inspect.isgeneratorfunction(function):
            wrapper = self._around_generator(function)
        elif inspect.iscoroutinefunction(function):
            wrapper = self._around_coroutine(function)
        else:
            wrapper = self._around_function(function)
        return cast("Callable[P, R]", functools.wraps(function)(wrapper))

    def _entered(self) -> AbstractContextManager[object]:
        """For `with`: this scope while it lasts; nothing, where it cannot be entered."""
        return self._enter() or nullcontext()

    @guarded
    def _enter(self) -> Entry:
        return Entry(self._context(), owner=self)

    def _around_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self._entered():
                return function(*args, **kwargs)

        return wrapper

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self._entered():
                return await function(*args, **kwargs)

        return wrapper

    # A generator runs in the context of whoever asks for its next item, so its scope is entered for
    # each step and left before the item is handed out: the consumer never sees the generator's
    # tenant.

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            step, value = generator.send, None
            while True:
                try:
                    with self._entered():
                        item = step(value)
                except StopIteration as stop:
                    return stop.value
                try:
                    value = yield item
                    step = generator.send
                except GeneratorExit:
                    with self._entered():
                        generator.close()
                    raise
                except BaseException as exc:  # noqa: BLE001 - handed on to the generator
                    step, value = generator.throw, exc

        return wrapper

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            generator = function(*args, **kwargs)
            step, value = generator.asend, None
            while True:
                try:
                    with self._entered():
                        item = await step(value)
                except StopAsyncIteration:
                    return
                try:
                    value = yield item
                    step = generator.asend
                except GeneratorExit:
                    with self._entered():
                        await generator.aclose()
                    raise
                except BaseException as exc:  # noqa: BLE001 - handed on to the generator
                    step, value = generator.athrow, exc

        return wrapper


class UsageScope(ContextScope):
    """Puts an identity in force while it is entered; see `usage(...)`."""

    def __init__(self, identity: Identity, *, keeps_tenant: bool = False) -> None:
        super().__init__(self._with_identity)
        self.identity = identity
        self._keeps_tenant = keeps_tenant

    def _with_identity(self) -> Context:
        """Another tenant inherits nothing: what it would inherit is the first tenant's."""
        outer = identity_in()
        same_tenant = outer.get(names.TENANT_ID) == self.identity.get(names.TENANT_ID)
        inherits = self._keeps_tenant or same_tenant
        return with_identity({**outer, **self.identity} if inherits else self.identity)
