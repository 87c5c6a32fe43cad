"""Attempts of libraries that send by aiohttp: each request of a session for a call in progress.

`ClientSession._request` is where every request of a session is made, redirects inside, in all
versions. It does nothing where no metered call is in progress.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

import wrapt

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.call import Call, Sending
from spanmeter.instrumentation.collected import aside
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.raw_bodies import AiohttpBody, RawObservation, WatchedReader
from spanmeter.instrumentation.transport import sending_by
from spanmeter.instrumentation.watching import watcher_for

ANY_SESSION: Final = object()
"""Stands for the sessions that a library opens while a call is in progress, as its `http_client`.
"""

_patched: Final[list[str]] = []


def patch_aiohttp() -> None:
    """Makes aiohttp report attempts, when it is imported or now if it has been. Once per process."""
    if not _patched:
        _patched.append("aiohttp")
        wrapt.register_post_import_hook(_patch, "aiohttp.client")


@guarded
def _patch(module: Any) -> None:
    wrapt.wrap_function_wrapper(module, "ClientSession._request", _request)


async def _request(
    wrapped: Callable[..., Awaitable[Any]],
    instance: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    sending = sending_by(ANY_SESSION, instance)
    if isinstance(sending, Call):
        await sending.decide_async()
        sending = sending_by(ANY_SESSION, instance)
    if not isinstance(sending, Sending):
        return await wrapped(*args, **kwargs)
    with sending:
        response = await wrapped(*args, **kwargs)
    sending.read(_observe, response)
    return response


def _observe(response: Any, attempt: Attempt, call: Call) -> None:
    """Reads usage from a response as its body, decompressed, is read."""
    if response.status >= 400:
        attempt.end(error_type=str(response.status), status_code=response.status)
        return
    attempt.accepted = True
    if call.endpoint.read_headers is not None:
        attempt.took_headers(call.endpoint.read_headers, response.headers)
    watcher = watcher_for(response.headers.get("content-type", ""), attempt, call)
    aside.ready()
    # aiohttp itself knows whether a body is complete.
    observation = RawObservation(attempt, watcher, length=None)
    response.content = WatchedReader(response.content, observation)
    response.spanmeter_observation = observation
    response.__class__ = _watched(response.__class__)


@functools.cache
def _watched(response_class: type[object]) -> type[object]:
    """A subclass of a response class whose body is watched, under the same name."""
    members = {"__module__": response_class.__module__}
    return type(response_class.__name__, (AiohttpBody, response_class), members)
