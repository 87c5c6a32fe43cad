"""Attempts of botocore and aiobotocore: each request that a client's endpoint sends for a call in
progress.

`Endpoint._send` is below botocore's retries, so it runs once per attempt, and above its HTTP
sessions (urllib3, aiohttp, httpx), whichever is in use. It does nothing where no metered call is in
progress.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import wrapt

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.call import Call, Sending
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.raw_bodies import watch
from spanmeter.instrumentation.transport import sending_by
from spanmeter.instrumentation.watching import read_whole, watcher_for


def patch_botocore(client_module: Any) -> None:
    """Makes botocore report attempts."""
    wrapt.wrap_function_wrapper("botocore.endpoint", "Endpoint._send", _send)


def patch_aiobotocore(client_module: Any) -> None:
    """Makes aiobotocore report attempts. Its endpoint overrides botocore's `_send`."""
    wrapt.wrap_function_wrapper("aiobotocore.endpoint", "AioEndpoint._send", _send_async)


def _send(
    wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    sending = sending_by(instance)
    if isinstance(sending, Call):
        sending.decide()
        sending = sending_by(instance)
    if not isinstance(sending, Sending):
        return wrapped(*args, **kwargs)
    with sending:
        response = wrapped(*args, **kwargs)
    # What is not streamed has been read by the session, and is kept in the response.
    body = response.content if _is_read(response, args, kwargs) else None
    sending.read(_observe, response, body)
    return response


async def _send_async(
    wrapped: Callable[..., Awaitable[Any]],
    instance: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    sending = sending_by(instance)
    if isinstance(sending, Call):
        await sending.decide_async()
        sending = sending_by(instance)
    if not isinstance(sending, Sending):
        return await wrapped(*args, **kwargs)
    with sending:
        response = await wrapped(*args, **kwargs)
    body = await response.content if _is_read(response, args, kwargs) else None
    sending.read(_observe, response, body)
    return response


@guarded
def _is_read(response: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the session has read the body of an answer."""
    request = args[0] if args else kwargs["request"]
    return not request.stream_output and response.status_code < 300


def _observe(response: Any, body: bytes | None, attempt: Attempt, call: Call) -> None:
    """Reads usage from a response: now, or as its body is read."""
    headers = response.headers
    # botocore takes redirects for errors too: it follows none by itself.
    if response.status_code >= 300:
        status = response.status_code
        attempt.end(error_type=_error_name(headers) or str(status), status_code=status)
        return
    attempt.accepted = True
    if call.endpoint.read_headers is not None:
        attempt.took_headers(call.endpoint.read_headers, headers)
    content_type = headers.get("content-type", "")
    if body is None:
        watcher = watcher_for(content_type, attempt, call)
        watch(response.raw, attempt, watcher, headers.get("content-length"))
    else:
        read_whole(content_type, body, attempt, call)


def _error_name(headers: Any) -> str:
    """`ThrottlingException`, of which some services send `ThrottlingException:http://…`."""
    return str(headers.get("x-amzn-errortype", "")).partition(":")[0]
