"""How a call went: status, error, duration."""

from datetime import timedelta
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.reading import count, descriptive
from spanmeter.metering.span import Attributes, Span
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import Status

GATEWAY_TIMEOUTS: Final = frozenset({408, 499, 504, 524})
"""HTTP errors that say that no answer came back in time, not that none was made."""


class Outcome(NamedTuple):
    """The end of the call, in the row's order."""

    attempt: int
    status: Status
    error_type: str | None
    duration: timedelta
    time_to_first_token: timedelta | None


def read_outcome(span: Span, attributes: Attributes) -> Outcome:
    """How the call of a span with these `attributes` went. One that ends before it began lasted no
    time."""
    error_type = descriptive(attributes, names.ERROR_TYPE)
    return Outcome(
        count(attributes, names.USAGE_ATTEMPT) or 1,
        _status(error_type, failed=span.failed),
        error_type,
        timedelta(microseconds=max(0, span.end_ns - span.start_ns) // 1000),
        time_to_first_token(attributes),
    )


def was_refused(attributes: Attributes, status: Status) -> bool:
    """Whether the provider answered with an HTTP error, and so has not served the request."""
    if status != "error":
        return False
    try:
        code = count(attributes, names.HTTP_RESPONSE_STATUS_CODE)
    except Unmeterable:
        return False
    return code is not None and 400 <= code <= 599 and code not in GATEWAY_TIMEOUTS


def _status(error_type: str | None, *, failed: bool) -> Status:
    """`error.type` is an exception's name (`APITimeoutError`), a provider's code or one of ours."""
    if error_type is None:
        return "error" if failed else "ok"
    lowered = error_type.lower()
    if "timeout" in lowered or "deadline" in lowered:
        return "timeout"
    if "cancel" in lowered:
        return "cancelled"
    return "error"


def time_to_first_token(attributes: Attributes) -> timedelta | None:
    """Seconds, as OpenTelemetry sends durations. Nothing is charged by it: a bad value is left out."""
    seconds = attributes.get(names.TIME_TO_FIRST_CHUNK)
    # By type, which is quicker than `isinstance` and no boolean.
    if (type(seconds) is float or type(seconds) is int) and 0 <= seconds < 86_400:
        return timedelta(seconds=seconds)
    return None
