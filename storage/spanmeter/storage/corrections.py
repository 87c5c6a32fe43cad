"""Corrections by what they rest on: what was booked for a reference, and taking it back."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import uuid5

from psycopg import sql

from spanmeter.metering.costing import EXACT
from spanmeter.metering.resolution import Key
from spanmeter.storage import statements
from spanmeter.storage.adjustments import Adjustment, book
from spanmeter.storage.connection import Connection, database_errors

UNDONE: Final = "undone"
"""The reason of an adjustment that takes another back."""

_NAMES: Final = [each.name for each in fields(Adjustment) if each.name != "adjusted"]
_ADJUSTED: Final = ("adjusted_trace_id", "adjusted_span_id", "adjusted_time")
_COUNTS: Final = (
    *("requests", "unpriced_requests", "input_tokens", "cache_read_input_tokens"),
    *("cache_write_input_tokens", "output_tokens", "reasoning_output_tokens"),
    *("audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens"),
)

_SQL = statements.load("corrections")
_COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, (*_NAMES, *_ADJUSTED)))
_BY_REFERENCE: Final = _SQL["by_reference"].format(columns=_COLUMNS)
_BY_EVENT: Final = _SQL["by_event"].format(columns=_COLUMNS)


def booked_for(connection: Connection, reference: str) -> list[Adjustment]:
    """The adjustments that were booked for a reference, oldest first. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_BY_REFERENCE, (reference,)).fetchall()
    return [_adjustment(row) for row in rows]


def booked_against(connection: Connection, events: Collection[Key]) -> dict[Key, list[Adjustment]]:
    """The adjustments of these usage events, by event, oldest first. Raises DatabaseUnavailable."""
    trace_ids, span_ids, times = ([key[place] for key in events] for place in range(3))
    asked = {"trace_ids": trace_ids, "span_ids": span_ids, "times": times}
    found: dict[Key, list[Adjustment]] = {}
    with database_errors():
        for each in map(_adjustment, connection.execute(_BY_EVENT, asked).fetchall()):
            if each.adjusted is not None:
                found.setdefault(each.adjusted, []).append(each)
    return found


def undo(connection: Connection, reference: str) -> int:
    """Take back all that was booked for a reference, once; return how many adjustments that took now.

    What is booked for it later is not taken back. Raises what `book` raises.
    """
    return book(connection, [opposite(each) for each in booked_for(connection, reference)])


def is_undone(connection: Connection, adjustments: Sequence[Adjustment]) -> bool:
    """Whether any of these adjustments was taken back. Raises DatabaseUnavailable."""
    opposites = [opposite(each).adjustment_id for each in adjustments]
    with database_errors():
        return connection.execute(_SQL["any_booked"], (opposites,)).fetchone() == (True,)


def all_references(connection: Connection, since: datetime) -> list[tuple[Any, ...]]:
    """What was booked since then, latest first: reference, reason, how many, requests, cost, currency, when.

    Raises DatabaseUnavailable.
    """
    with database_errors():
        return connection.execute(_SQL["all_references"], (since,)).fetchall()


def opposite(adjustment: Adjustment) -> Adjustment:
    """The adjustment that takes one back. It is the same each time, so that it is booked once."""
    counts: dict[str, Any] = {
        name: None if (count := getattr(adjustment, name)) is None else -count for name in _COUNTS
    }
    return replace(
        adjustment,
        adjustment_id=uuid5(adjustment.adjustment_id, UNDONE),
        reason=UNDONE,
        reference=f"undo:{adjustment.adjustment_id}",
        cost=None if adjustment.cost is None else EXACT.minus(adjustment.cost),
        quantities={unit: EXACT.minus(amount) for unit, amount in adjustment.quantities.items()},
        **counts,
    )


def _adjustment(row: Sequence[Any]) -> Adjustment:
    values = dict(zip(_NAMES, row, strict=False))
    adjusted = tuple(row[len(_NAMES) :])
    values["quantities"] = {unit: Decimal(n) for unit, n in values["quantities"].items()}
    return Adjustment(**values, adjusted=adjusted if adjusted[0] is not None else None)
