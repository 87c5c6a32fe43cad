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

from spanmeter.instrumentation.call import Call, Sending, current_call
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
    sending = sending_by(instance)
    if type(sending) is Call:
        sending.decide()
        sending = sending_by(instance)
    if type(sending) is not Sending:
        return wrapped(*args, **kwargs)
    with sending:
        response = wrapped(*args, **kwargs)
    sending.read(observe, response)
    return response


async def _send_async(
    wrapped: Callable[..., Awaitable[Any]],
    instance: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    sending = sending_by(instance)
    if type(sending) is Call:
        await sending.decide_async()
        sending = sending_by(instance)
    if type(sending) is not Sending:
        return await wrapped(*args, **kwargs)
    with sending:
        response = await wrapped(*args, **kwargs)
    sending.read(observe, response)
    return response


@guarded
def sending_by(*senders: object) -> Sending | Call | None:
    """Begins an attempt of the call in progress, if one of these sends its requests, and enters the
    context to send its request in. Returns the call itself where it has to be decided first whether
    the attempt may be made: of a retry, and of a stream that is sent when it is first read."""
    context = get_current()
    call = current_call(context)
    if call is None or call.http_client not in senders:
        return None
    if call.admission is not None and call.admission.is_next():
        return call
    return Sending(call, context)
