"""Thread pools of a library's own: its threads know nothing of the context that a call was made in."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.context import Context, get_current

from spanmeter.instrumentation.entering import within
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import Arguments, Begin, Keywords, Tap


def pooled_call(module: str, name: str, pool: str) -> Tap:
    """The tap for a method that spreads one call over the threads of an `Executor`, which is the
    attribute `pool` of its object. Each of them works in the caller's context."""

    def wrapper_of(begin: Begin) -> Callable[..., Any]:
        def wrapper(
            wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
        ) -> Any:
            _carry(instance, pool)
            return wrapped(*args, **kwargs)

        return wrapper

    return Tap(module, name, wrapper_of)


@guarded
def _carry(instance: Any, pool: str) -> None:
    executor = getattr(instance, pool)
    if not isinstance(executor, CarryingPool):
        setattr(instance, pool, CarryingPool(executor))


if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Executor]
else:
    _Proxy = wrapt.ObjectProxy  # which has no parameters before wrapt 2


class CarryingPool(_Proxy):
    """An executor that maps in the context of whoever asks it to."""

    def map(
        self, function: Callable[..., Any], *iterables: Iterable[Any], **options: Any
    ) -> Iterator[Any]:
        """`Executor.map`."""
        return self.__wrapped__.map(
            partial(_in_context, get_current(), function), *iterables, **options
        )


def _in_context(context: Context, function: Callable[..., Any], *args: Any) -> Any:
    with within(context):
        return function(*args)
