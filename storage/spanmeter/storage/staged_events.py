"""A batch of usage events on its way into the ledger: staged, each call resolved to one that counts, inserted."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from psycopg import sql

from spanmeter.metering.resolution import Key
from spanmeter.metering.same_call import as_duplicate, call_key, is_ours
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.calls import resolve_calls
from spanmeter.storage.connection import Connection
from spanmeter.storage.metered import CONFLICT, DROPPED
from spanmeter.storage.staging import Staging

_DUPLICATE_OF: Final = ("duplicate_of_trace_id", "duplicate_of_span_id", "duplicate_of_time")

_NOTES: Final = {"place": "integer", "call": "bytea"}

COMPARED: Final = (
    *("tenant_id", "account_type", "provider", "operation", "request_model", "response_model"),
    *("response_id", "region", "service_tier", "byok", "attempt", "status"),
    *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "cache_write_by_ttl"),
    *("output_tokens", "reasoning_output_tokens", "audio_input_tokens", "audio_output_tokens"),
    *("image_input_tokens", "image_output_tokens", "quantities", "usage_source"),
)
"""What the same span must say each time: who is charged and for what. Descriptive text may be cut on the way."""

_SQL = statements.load("once")


class Added(NamedTuple):
    """What became of a batch: rows that are new, those of them that are further descriptions of a call, and the places
    of events that are not booked for what is or was, each with the reason."""

    inserted: int
    same_call: int
    quarantined: Mapping[int, str]


class StagedEvents:
    """The session's way of adding usage events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        columns = (*UsageEvent._fields, *_DUPLICATE_OF)
        self._staging = Staging(connection, "usage_events", columns, "insert_events", _NOTES)
        self._conflicts = _SQL["conflicts"].format(
            booked=_columns("booked"), staged=_columns("staged")
        )

    def add(self, events: Sequence[UsageEvent], *, foreign: bool, alone: bool) -> Added:
        """Add the events in the transaction under way. Raises MustGoAlone unless `alone`."""
        self._staging.stage(
            ((*event, place, call_key(event)) for place, event in enumerate(events)),
            (*UsageEvent._fields, *_NOTES),
        )
        resolution, dropped = resolve_calls(self._connection, events, foreign=foreign, alone=alone)
        if resolution.duplicates:
            self._restage(events, resolution.duplicates)
        inserted = self._staging.insert()
        conflicts = self._conflicting(events) if inserted < len(events) else []
        quarantined = {**dict.fromkeys(dropped, DROPPED), **dict.fromkeys(conflicts, CONFLICT)}
        return Added(inserted, len(resolution.duplicates), quarantined)

    def _restage(self, events: Sequence[UsageEvent], duplicates: dict[int, Key]) -> None:
        self._connection.execute(_SQL["unstage"], (list(duplicates),))
        rows = (
            (*as_duplicate(event), place, call_key(event), *counted)
            for place, counted in duplicates.items()
            for event in (events[place],)
        )
        self._staging.stage(rows, (*UsageEvent._fields, *_NOTES, *_DUPLICATE_OF))

    def _conflicting(self, events: Sequence[UsageEvent]) -> list[int]:
        times = [event.time for event in events]
        bounds = {"earliest": min(times), "latest": max(times)}
        places = [place for (place,) in self._connection.execute(self._conflicts, bounds)]
        if places:
            self._connection.execute(_SQL["release_calls"], {**bounds, "places": places})
        return places


def has_foreign(events: Sequence[UsageEvent]) -> bool:
    """Whether some event describes a call by another library's span."""
    return not all(map(is_ours, events))


def _columns(table: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in COMPARED)
