"""Processes of the standard library: each works for whoever started it, and a pool's for whoever
asked it to.

The processes of a pool are often forked on behalf of its first user: they begin without any
context. What goes to another process is in `carrying`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import wrapt
from opentelemetry.context import Context, get_current

from spanmeter.instrumentation.carrying import Carried, is_worth_carrying, luggage, unpacked
from spanmeter.instrumentation.entering import within
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.threads import is_of, made_of

SHARED: Final = ("concurrent.futures", "multiprocessing")
"""Modules whose processes work for everybody, whoever had them started."""

POOL_METHODS: Final = ("apply_async", "_map_async", "imap", "imap_unordered")
"""Of `multiprocessing.pool.Pool`, those that all others come down to; each is given a function first."""

_PACKED: Final = "spanmeter_luggage"


def carry_into_processes(module: Any) -> None:
    """Patches `multiprocessing.process`."""
    wrapt.wrap_function_wrapper(module, "BaseProcess.start", _start)
    wrapt.wrap_function_wrapper(module, "BaseProcess._bootstrap", _bootstrap)


def carry_into_process_executors(module: Any) -> None:
    """Patches `concurrent.futures.process`."""
    wrapt.wrap_function_wrapper(module, "ProcessPoolExecutor.submit", _hand_over)


def carry_into_pools(module: Any) -> None:
    """Patches `multiprocessing.pool`."""
    for method in POOL_METHODS:
        wrapt.wrap_function_wrapper(module, f"Pool.{method}", _hand_over)


def _start(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    with _starting(instance) or nullcontext():
        return wrapped(*args, **kwargs)


@guarded
def _starting(process: Any) -> AbstractContextManager[object] | None:
    if is_of(made_of(process), SHARED):
        return within(Context())
    context = get_current()
    if is_worth_carrying(context):
        # What is not forked is pickled, and finds it there.
        setattr(process, _PACKED, luggage(context))
    return None


def _bootstrap(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    with _started(instance) or nullcontext():
        return wrapped(*args, **kwargs)


@guarded
def _started(process: Any) -> AbstractContextManager[object] | None:
    packed = getattr(process, _PACKED, None)
    context = None if packed is None else unpacked(packed)
    return None if context is None else within(context)


def _hand_over(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return wrapped(*(_carried(args) or args), **kwargs)


@guarded
def _carried(args: tuple[Any, ...]) -> tuple[Any, ...]:
    context = get_current()
    worth = args and callable(args[0]) and is_worth_carrying(context)
    return (Carried(args[0], context), *args[1:]) if worth else args
