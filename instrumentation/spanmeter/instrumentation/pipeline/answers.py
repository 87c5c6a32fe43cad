"""What a collector answers, and what it means for the records: are they taken, kept, or refused?

Source: OTLP specification 1.11, "OTLP/gRPC Response" and "OTLP/HTTP Response".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from spanmeter.instrumentation.pipeline.protobuf import Malformed, fields

MAX_REASON: Final = 500
"""Characters of a collector's text that are logged and kept."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The records are the collector's, but for those that it rejected; those it does not want again."""

    rejected: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Told(Accepted):
    """What a collector says to a request that is not of records."""

    body: bytes = b""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The records stay with us. `after` is how many seconds the collector asks for."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The records stay with us until somebody mends the key, the address or the collector."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Fewer records at once may be taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """These bytes will never be taken."""

    reason: str


Answer = Accepted | TryAgain | Misconfigured | TooLarge | Refused

# Codes of gRPC: grpc.github.io/grpc/core/md_doc_statuscodes.html
_OK: Final = 0
_INVALID_ARGUMENT: Final = 3
_RESOURCE_EXHAUSTED: Final = 8
_NEEDS_MENDING: Final = {5, 7, 12, 16}
"""NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED."""

_HTTP_REFUSED: Final = {400, 422}
_HTTP_NEEDS_MENDING: Final = {401, 403, 404, 405, 406, 407, 415}


def accepted(body: bytes) -> Answer:
    """What an `ExportTraceServiceResponse` says."""
    try:
        for number, value in fields(body):
            if number == 1 and isinstance(value, bytes):
                return _partial(value)
    except Malformed as error:
        return Misconfigured(f"the answer is none of a collector: {error}")
    return Accepted()


def told(body: bytes) -> Answer:
    """What any other answer says."""
    return Told(body=body)


def of_grpc(
    code: int,
    message: str,
    body: bytes,
    after: float | None,
    read: Callable[[bytes], Answer] = accepted,
) -> Answer:
    """The answer with a gRPC status, of which `read` makes one. `after` is the delay of a `RetryInfo`."""
    if code == _OK:
        return read(body)
    reason = f"gRPC status {code}: {message[:MAX_REASON]}"
    if code == _INVALID_ARGUMENT:
        return Refused(reason)
    if code == _RESOURCE_EXHAUSTED and after is None:
        return TooLarge(reason)
    if code in _NEEDS_MENDING:
        return Misconfigured(reason)
    # Also what the specification lets one give up for: INTERNAL or UNKNOWN is a collector in trouble.
    return TryAgain(reason, after)


def of_http(
    status: int,
    body: bytes,
    retry_after: str | None,
    read: Callable[[bytes], Answer] = accepted,
) -> Answer:
    """The answer with an HTTP status, of which `read` makes one. `retry_after` is the header of that name."""
    if status in {200, 202, 204}:
        return read(body)
    reason = f"HTTP status {status}: {_status_message(body)}"
    if status in _HTTP_REFUSED:
        return Refused(reason)
    if status == 413:
        return TooLarge(reason)
    if status < 400 or status in _HTTP_NEEDS_MENDING:
        return Misconfigured(reason)
    return TryAgain(reason, _seconds(retry_after))


def retry_delay(retry_info: bytes) -> float | None:
    """Seconds in a `google.rpc.RetryInfo`."""
    for number, value in fields(retry_info):
        if number == 1 and isinstance(value, bytes):
            duration = {n: v for n, v in fields(value) if isinstance(v, int)}
            return duration.get(1, 0) + duration.get(2, 0) / 1e9
    return None


def retry_delay_in_status(status: bytes) -> float | None:
    """Seconds in the `RetryInfo` among the details of a `google.rpc.Status`."""
    for number, value in fields(status):
        if number == 3 and isinstance(value, bytes):
            detail = dict(fields(value))
            url, packed = detail.get(1), detail.get(2)
            if isinstance(url, bytes) and isinstance(packed, bytes) and url.endswith(b".RetryInfo"):
                return retry_delay(packed)
    return None


def _partial(message: bytes) -> Accepted:
    parts = dict(fields(message))
    rejected, reason = parts.get(1, 0), parts.get(2, b"")
    return Accepted(
        rejected if isinstance(rejected, int) else 0,
        reason.decode(errors="replace")[:MAX_REASON] if isinstance(reason, bytes) else "",
    )


def _status_message(body: bytes) -> str:
    """The text of the `google.rpc.Status` that a collector answers an error with; or what else it is."""
    try:
        found = dict(fields(body)).get(2, b"")
    except Malformed:
        found = body
    return found.decode(errors="replace")[:MAX_REASON] if isinstance(found, bytes) else ""


def _seconds(retry_after: str | None) -> float | None:
    """Seconds or a date, as RFC 9110 10.2.3 has it."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
