"""A usage event together with the span that it came from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.rejected import RejectedSpan

REFUSED: Final = "refused_by_database"
"""`reason` of the rejected spans whose event PostgreSQL would not take."""

CONFLICT: Final = "conflict"
"""`reason` of the rejected spans whose event is booked already, with other numbers or for another tenant."""

CONFLICT_DETAIL: Final = "the span is booked already, with other numbers or for another tenant"


class Metered(NamedTuple):
    """A usage event and the span it came from.

    `payload` makes the span's replayable form (see RejectedSpan); it is called only if the event
    cannot be booked.
    """

    event: UsageEvent
    payload: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Refused:
    """The event at `index` of a batch is not booked; its span is kept in `rejected_spans`, with this reason."""

    index: int
    reason: str
    detail: str


def refused_span(metered: Metered, detail: str) -> RejectedSpan:
    """The span of an event that PostgreSQL would not take."""
    return _rejected(metered, REFUSED, detail)


def conflicting_span(metered: Metered) -> RejectedSpan:
    """The span of an event that contradicts the one booked by its key; that one stays as it is."""
    return _rejected(metered, CONFLICT, CONFLICT_DETAIL)


def _rejected(metered: Metered, reason: str, detail: str) -> RejectedSpan:
    event, payload = metered
    return RejectedSpan(reason, detail, event.trace_id, event.span_id, event.tenant_id, payload())
