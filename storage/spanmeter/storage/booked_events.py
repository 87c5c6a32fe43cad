"""Usage events as they are booked: found by what people know them by, and all of a period."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from psycopg import sql

from spanmeter.metering.resolution import Key
from spanmeter.metering.same_call import call_key
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

_SPAN: Final = re.compile(r"(?:0x)?([0-9a-f]{32}):(?:0x)?([0-9a-f]{16})(?::(.+))?", re.IGNORECASE)

_SEARCHED: Final = timedelta(days=31)
"""How far back a response is looked for that no index knows by its id alone."""

_PAGE: Final = 5000
"""Rows that the database hands over at a time."""

_QUANTITIES: Final = UsageEvent._fields.index("quantities")

_COLUMNS: Final = sql.SQL(", ").join(
    map(
        sql.Identifier,
        (
            *UsageEvent._fields,
            *("duplicate_of_trace_id", "duplicate_of_span_id", "duplicate_of_time", "ingested_at"),
        ),
    )
)

_SQL = statements.load("booked_events")


class BookedEvent(NamedTuple):
    """A row of `usage_events`: when it was booked, and the key of the row that counts its call, if another does."""

    event: UsageEvent
    ingested_at: datetime
    duplicate_of: Key | None

    @property
    def key(self) -> Key:
        """Trace, span, time."""
        return self.event.trace_id, self.event.span_id, self.event.time

    @property
    def name(self) -> str:
        """The key as people hand it on, and `find` takes it."""
        trace_id, span_id, time = self.key
        return f"{trace_id.hex()}:{span_id.hex()}:{time.astimezone(UTC).isoformat()}"


def find(connection: Connection, name: str) -> list[BookedEvent]:
    """The rows that a name may mean: `TRACE:SPAN` in hex, with `:TIME` a single row, or a response's id.

    A response whose id is short is looked for within the last month. Raises DatabaseUnavailable.
    """
    span = _SPAN.fullmatch(name)
    with database_errors():
        return _of_response(connection, name) if span is None else _of_span(connection, span)


def with_keys(connection: Connection, keys: Sequence[Key]) -> list[BookedEvent]:
    """The rows with these keys, in any order. Raises DatabaseUnavailable."""
    if not keys:
        return []
    trace_ids, span_ids, times = (list(each) for each in zip(*keys, strict=True))
    bounds = {"earliest": min(times), "latest": max(times)}
    asked = {"trace_ids": trace_ids, "span_ids": span_ids, "times": times, **bounds}
    with database_errors():
        return _events(connection, "by_keys", asked)


def duplicates(connection: Connection, key: Key) -> list[BookedEvent]:
    """The further descriptions of the call that a row counts."""
    return _events(connection, "duplicates", _named(key))


def superseded(connection: Connection, key: Key) -> list[BookedEvent]:
    """The rows that this one took the place of, as it knows more of the same call."""
    trace_id, span_id, _ = key
    return _events(
        connection, "superseded", {"reference": f"span {trace_id.hex()} {span_id.hex()} "}
    )


def period(connection: Connection, since: datetime, until: datetime) -> Iterator[BookedEvent]:
    """All rows of a period, in any order and in little memory. To be used up within the transaction under way."""
    yield from _streamed(connection, "period", {"since": since, "until": until})


def of_model(
    connection: Connection, tenant: str, model: str, since: datetime, until: datetime
) -> Iterator[BookedEvent]:
    """A tenant's calls of a model within a period that count, the same way."""
    asked = {"tenant": tenant, "model": model, "since": since, "until": until}
    yield from _streamed(connection, "of_model", asked)


def _streamed(connection: Connection, name: str, asked: dict[str, Any]) -> Iterator[BookedEvent]:
    query = _SQL[name].format(columns=_COLUMNS)
    with connection.cursor(name="booked_events") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(query, asked)
        yield from map(_booked, cursor)


def _of_span(connection: Connection, span: re.Match[str]) -> list[BookedEvent]:
    try:
        time = None if span[3] is None else datetime.fromisoformat(span[3])
    except ValueError:
        return []
    ids = {"trace_id": bytes.fromhex(span[1]), "span_id": bytes.fromhex(span[2])}
    if time is not None and time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return _events(connection, "by_span", {**ids, "time": time})


def _of_response(connection: Connection, response_id: str) -> list[BookedEvent]:
    if "\0" in response_id:
        return []
    since = datetime.now(UTC) - _SEARCHED
    found = _events(connection, "by_call", {"calls": _identities(connection, response_id, since)})
    found = [each for each in found if each.event.response_id == response_id]
    return found or _events(connection, "by_response", {"response_id": response_id, "since": since})


def _identities(connection: Connection, response_id: str, since: datetime) -> list[bytes]:
    """What the call of a response may be known as: a short id is its provider's own."""
    providers = ["", *(name for (name,) in connection.execute(_SQL["providers"], (since,)))]
    nobody = UsageEvent(since, bytes(16), bytes(8), response_id=response_id)
    return list({call_key(nobody._replace(provider=provider)) for provider in providers})


def _events(connection: Connection, name: str, asked: dict[str, Any]) -> list[BookedEvent]:
    query = _SQL[name].format(columns=_COLUMNS)
    return [_booked(row) for row in connection.execute(query, asked)]


def _booked(row: Sequence[Any]) -> BookedEvent:
    *values, trace_id, span_id, time, ingested_at = row
    if quantities := values[_QUANTITIES]:
        values[_QUANTITIES] = {unit: Decimal(amount) for unit, amount in quantities.items()}
    duplicate_of = None if trace_id is None else (trace_id, span_id, time)
    return BookedEvent(UsageEvent._make(values), ingested_at, duplicate_of)


def _named(key: Key) -> dict[str, Any]:
    return dict(zip(("trace_id", "span_id", "time"), key, strict=True))
