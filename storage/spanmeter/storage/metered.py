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

DROPPED: Final = "dropped"
"""`reason` of the rejected spans whose event was booked, in a row that has left the ledger with its chunk since."""

QUARANTINED: Final = {
    CONFLICT: "the span is booked already, with other numbers or for another tenant",
    DROPPED: "the call was booked already, in a row that retention has dropped since",
}
"""What each of these reasons means."""


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


def quarantined_span(metered: Metered, reason: str) -> RejectedSpan:
    """The span of an event that must not be booked for what is booked already; that stays as it is."""
    return _rejected(metered, reason, QUARANTINED[reason])


def _rejected(metered: Metered, reason: str, detail: str) -> RejectedSpan:
    event, payload = metered
    ids = event.trace_id, event.span_id
    return RejectedSpan(reason, detail, *ids, event.tenant_id, payload(), event.key_id)
