"""Attempts: each request that an httpx or httpx2 client sends for a call in progress is one,
whatever the retries.

`Client.send` is where every request of the Stainless-made SDKs, and of most others, leaves the
library: once per attempt, with redirects and authentication inside. It does nothing where no
metered call is in progress.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import wrapt
from opentelemetry.context import get_current

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.call import Call, current_call, sending_context
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.observing import observe

_patched: set[str] = set()


def patch_httpx() -> None:
    """Makes httpx and httpx2 report attempts, when they are imported or now if they have been. Once
    per process."""
    for module in ("httpx", "httpx2"):
        if module not in _patched:
            _patched.add(module)
            wrapt.register_post_import_hook(_patch, module)


@guarded
def _patch(module: Any) -> None:
    wrapt.wrap_function_wrapper(module, "Client.send", _send)
    wrapt.wrap_function_wrapper(module, "AsyncClient.send", _send_async)


def _send(
    wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    begun = begin_attempt_by(instance)
    if begun is None:
        return wrapped(*args, **kwargs)
    call, attempt, entry = begun
    try:
        response = wrapped(*args, **kwargs)
    except BaseException as exc:
        attempt.failed(exc)
        raise
    finally:
        entry.leave()
    observe(response, attempt, call)
    return response


async def _send_async(
    wrapped: Callable[..., Awaitable[Any]],
    instance: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    begun = begin_attempt_by(instance)
    if begun is None:
        return await wrapped(*args, **kwargs)
    call, attempt, entry = begun
    try:
        response = await wrapped(*args, **kwargs)
    except BaseException as exc:
        attempt.failed(exc)
        raise
    finally:
        entry.leave()
    observe(response, attempt, call)
    return response


@guarded
def begin_attempt_by(*senders: object) -> tuple[Call, Attempt, Entry] | None:
    """Begins an attempt of the call in progress, if one of these sends its requests."""
    call = current_call()
    if call is None or all(call.http_client is not sender for sender in senders):
        return None
    begun = begin_attempt(call)
    return (call, *begun) if begun is not None else None


@guarded
def begin_attempt(call: Call) -> tuple[Attempt, Entry]:
    """Begins an attempt, and enters the context to send its request in."""
    attempt = call.attempt()
    return attempt, Entry(sending_context(attempt) or get_current())
