"""A batch of usage events on its way into the ledger: each call resolved to one event that counts, then the rows.

Nearly every batch is of calls that only our own spans describe, each for the first time: its rows are copied straight
into the ledger. For any other batch, what tells calls apart is staged first; its rows are copied, too, if none of their
calls was described before, and otherwise staged, and inserted past what is booked.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from psycopg import errors, sql

from spanmeter.metering.resolution import Key
from spanmeter.metering.same_call import as_duplicate, call_key, is_ours, reported_usage
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.calls import resolve_calls
from spanmeter.storage.connection import Connection
from spanmeter.storage.copying import copy_rows
from spanmeter.storage.metered import CONFLICT, DROPPED
from spanmeter.storage.refusals import refusals
from spanmeter.storage.staging import Staging

_DUPLICATE_OF: Final = ("duplicate_of_trace_id", "duplicate_of_span_id", "duplicate_of_time")

_CALLS: Final = {
    "call": "bytea",
    "time": "timestamptz",
    "trace_id": "bytea",
    "span_id": "bytea",
}
"""The columns of `provider_calls`, with their types."""

_NOTES: Final = {"place": "integer", "call": "bytea"}

_TELLING: Final = (
    *("time", "trace_id", "span_id", "parent_span_id", "operation", "duration", "scope_name"),
)
"""What calls are told apart by."""

_telling = itemgetter(*map(UsageEvent._fields.index, _TELLING))

_order = itemgetter(*map(UsageEvent._fields.index, ("time", "trace_id", "span_id")))
"""The order that all writers go by, so that none waits in a circle."""

_COUNTS_ITSELF: Final = (None, None, None)

COMPARED: Final = (
    *("tenant_id", "account_type", "provider", "operation", "request_model", "response_model"),
    *("response_id", "region", "service_tier", "byok", "attempt", "status", "usage_source"),
)
COUNTS: Final = (
    *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "cache_write_by_ttl"),
    *("output_tokens", "reasoning_output_tokens", "audio_input_tokens", "audio_output_tokens"),
    *("image_input_tokens", "image_output_tokens", "quantities"),
)
"""What the same span must say each time: who is charged and for what. Descriptive text may be cut on the way."""

_SQL = statements.load("once")


class Added(NamedTuple):
    """What became of a batch: rows that are new, those of them that are further descriptions of a call, the places
    of events that are not booked for what is or was, each with the reason, and how many of the new rows have the id of
    another call."""

    inserted: int
    same_call: int
    quarantined: Mapping[int, str]
    shared_ids: int = 0


class StagedEvents:
    """The session's way of adding usage events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        columns = (*UsageEvent._fields, *_DUPLICATE_OF)
        self._staging = Staging(connection, "usage_events", columns, "insert_events", _NOTES)
        self._conflicts = _SQL["conflicts"].format(
            booked=_columns("booked", COMPARED),
            staged=_columns("staged", COMPARED),
            booked_counts=_columns("booked", COUNTS),
            staged_counts=_columns("staged", COUNTS),
        )

    def add_new(self, events: Sequence[UsageEvent]) -> Added:
        """Add events of our own in the transaction under way, after `lock_own_calls`, where no others are known.

        Raises UniqueViolation where a call or an event is known: the transaction is to be begun anew, for `add`.
        """
        calls = map(call_key, events)
        noted = sorted((call, *event[:3]) for call, event in zip(calls, events, strict=True))
        copy_rows(self._connection, "provider_calls", _CALLS, noted)
        self._staging.copy(sorted(events, key=_order), UsageEvent._fields)
        return Added(len(events), 0, {})

    def add(self, events: Sequence[UsageEvent], *, foreign: bool, alone: bool) -> Added:
        """Add the events in the transaction under way. Raises MustGoAlone unless `alone`."""
        calls = [call_key(event) for event in events]
        self._staging.stage(
            ((*_telling(event), place, calls[place]) for place, event in enumerate(events)),
            (*_TELLING, *_NOTES),
        )
        resolved = resolve_calls(self._connection, events, foreign=foreign, alone=alone)
        duplicates = resolved.resolution.duplicates
        if not resolved.known and not duplicates and self._copied(events):
            return Added(len(events), 0, {})
        self._restage(events, calls, duplicates, resolved.dropped)
        inserted = self._staging.insert()
        conflicts: list[int] = []
        if inserted < len(events):
            conflicts = self._conflicting(events, calls, resolved.dropped)
        quarantined = {
            **dict.fromkeys(resolved.dropped, DROPPED),
            **dict.fromkeys(conflicts, CONFLICT),
        }
        return Added(inserted, len(duplicates), quarantined, len(resolved.resolution.shared))

    def refusals(self, events: Sequence[UsageEvent]) -> dict[int, str]:
        """The events that are refused for what they hold, by their place (see `refusals`)."""
        return refusals(self._connection, self._staging, events)

    def _copied(self, events: Sequence[UsageEvent]) -> bool:
        """Copy the events into the ledger, unless one of them is there: then none."""
        try:
            with self._connection.transaction():
                self._staging.copy(sorted(events, key=_order), UsageEvent._fields)
        except errors.UniqueViolation:
            return False
        return True

    def _restage(
        self,
        events: Sequence[UsageEvent],
        calls: Sequence[bytes],
        duplicates: Mapping[int, Key],
        dropped: Collection[int],
    ) -> None:
        """Stage whole rows in place of what the calls were told apart by."""
        self._connection.execute(_SQL["unstage_all"])
        left_out = frozenset(dropped)
        rows = (
            (
                *(as_duplicate(event) if place in duplicates else event),
                place,
                calls[place],
                *duplicates.get(place, _COUNTS_ITSELF),
            )
            for place, event in enumerate(events)
            if place not in left_out
        )
        self._staging.stage(rows, (*UsageEvent._fields, *_NOTES, *_DUPLICATE_OF))

    def _conflicting(
        self, events: Sequence[UsageEvent], calls: Sequence[bytes], dropped: Collection[int]
    ) -> list[int]:
        """The events whose key is booked with something else. What they bring of calls is forgotten."""
        told = [event._replace(raw_usage=reported_usage(event)) for event in events]
        self._restage(told, calls, {}, dropped)
        times = [event.time for event in events]
        bounds = {"earliest": min(times), "latest": max(times)}
        places = [place for (place,) in self._connection.execute(self._conflicts, bounds)]
        if places:
            self._connection.execute(_SQL["release_calls"], {**bounds, "places": places})
        return places


def has_foreign(events: Sequence[UsageEvent]) -> bool:
    """Whether some event describes a call by another library's span."""
    return not all(map(is_ours, events))


def _columns(table: str, names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in names)
