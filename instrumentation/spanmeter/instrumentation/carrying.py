"""The usage context, carried to where a function runs later: a thread, a pool, another process.

Within a process the whole OpenTelemetry context goes along. To another process go the trace, as
OpenTelemetry's propagators write it, and the identity, whether or not they write baggage.
"""

import inspect
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, ParamSpec, TypeVar, cast

from opentelemetry import propagate
from opentelemetry.context import Context, get_current
from opentelemetry.trace import get_current_span

from spanmeter.instrumentation.entering import within
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.identity import Identity, identity_in, with_identity
from spanmeter.instrumentation.scope import ContextScope

P = ParamSpec("P")
R = TypeVar("R")

_STEPWISE: Final = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)
"""What tells functions whose bodies run after they have been called."""


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run in the usage context and the trace in force now, wherever it is called.

        queue.put(carry(job))
        multiprocessing.get_context("spawn").Pool().map(carry(work), items)

    What it returns for a plain function can be pickled if that can. Threads, executors and
    processes of the standard library need none of this.
    """
    if any(steps(function) for steps in _STEPWISE):
        context = get_current()
        return ContextScope(lambda: context)(function)
    return cast("Callable[P, R]", Carried(function, get_current()))


class Carried:
    """A function, and the context to run it in."""

    __slots__ = ("_context", "_function")

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self._function = function
        self._context = context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with within(self._context):
            return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _arrived, (self._function, luggage(self._context))


Luggage = tuple[Mapping[str, str], Identity]
"""What of a context goes to another process: headers, and an identity."""


@guarded
def luggage(context: Context) -> Luggage:
    """What of a context goes to another process."""
    headers: dict[str, str] = {}
    propagate.inject(headers, context)
    return headers, dict(identity_in(context))


@guarded
def unpacked(packed: Luggage) -> Context:
    """The context that another process has packed."""
    headers, identity = packed
    return with_identity(identity, propagate.extract(headers, Context()))


def _arrived(function: Callable[..., Any], packed: Luggage | None) -> Callable[..., Any]:
    context = None if packed is None else unpacked(packed)
    return function if context is None else Carried(function, context)


def is_worth_carrying(context: Context) -> bool:
    """Whether a context says anything that another process could know."""
    return bool(identity_in(context)) or get_current_span(context).get_span_context().is_valid


@guarded
def inject(headers: MutableMapping[str, Any]) -> None:
    """Writes the usage context and the trace in force into headers, by OpenTelemetry's propagators."""
    # An identity that is set aside is written too: these headers go to the application's own.
    propagate.inject(headers, with_identity(identity_in()))


def extract(headers: Mapping[str, Any]) -> ContextScope:
    """The scope of a message whose headers `inject` wrote. Nothing of an identity in force is kept."""
    return ContextScope(lambda: received(headers))


def received(headers: Mapping[str, Any]) -> Context:
    """The context of a request or message from inside: whose it is, and the trace that it is part of
    unless another instrumentation has continued that already."""
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    identity = identity_in(propagate.extract(texts, Context()))
    current = get_current()
    if not get_current_span(current).get_span_context().is_valid:
        current = propagate.extract(texts, current)
    return with_identity(identity, current)
