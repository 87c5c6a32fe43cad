"""Exports: what is to be sent to a billing system, kept before it is sent, and what became of it."""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors

Kind = Literal["usage", "cancel", "file"]
State = Literal[
    "pending",
    "sent",
    "confirmed",
    "ambiguous",
    "failed",
    "carried",
    "not_exportable",
    "superseded",
]

OPEN: Final[Sequence[State]] = ("pending", "sent", "ambiguous")
"""States of what is still to be sent, or to be found out about."""

TOLD: Final[Sequence[State]] = ("pending", "sent", "confirmed", "ambiguous", "carried")
"""States of what the target has been told, or will be."""

STATES: Final[Sequence[State]] = (*TOLD, "failed", "not_exportable", "superseded")

_MOST: Final = 1_000_000

_SQL = statements.load("exports")


class Series(NamedTuple):
    """What goes on from window to window: a tenant's usage of a meter, by the values of its dimensions."""

    tenant_id: str | None
    meter: str
    dimensions: tuple[tuple[str, str | None], ...]


class Intent(NamedTuple):
    """One thing that is to be sent, and what became of it. Columns of `export_intents`."""

    dedupe_id: str
    target: str
    kind: Kind
    tenant_id: str | None
    meter: str
    dimensions: Mapping[str, str | None]
    window_start: datetime
    window_end: datetime
    generation: int
    cancels: str | None
    quantity: Decimal
    scale: Decimal
    value: Decimal
    payload: Mapping[str, Any]
    payload_sha256: bytes
    state: State = "pending"
    attempts: int = 0
    first_sent_at: datetime | None = None
    sent_at: datetime | None = None
    reason: str | None = None
    remote_ref: str | None = None

    @property
    def series(self) -> Series:
        """What it belongs to."""
        return Series(self.tenant_id, self.meter, series_dimensions(self.dimensions))


class Planned(NamedTuple):
    """Up to where a target's exports are planned."""

    target: str
    kind: str
    mapping_sha256: bytes
    since: datetime
    planned_until: datetime
    planned_at: datetime | None
    """What was booked before is planned. None: all windows are to be looked at."""


class Standing(NamedTuple):
    """How much of a tenant's meter is in a state; `remainder` is what the target's values lack of it."""

    tenant_id: str | None
    meter: str
    state: State
    kind: Kind
    intents: int
    quantity: Decimal
    value: Decimal
    remainder: Decimal


def series_dimensions(
    dimensions: Mapping[str, str | None],
) -> tuple[tuple[str, str | None], ...]:
    """Dimensions in an order that is always the same."""
    return tuple(sorted(dimensions.items()))


@contextmanager
def exporting_alone(connection: Connection, target: str) -> Generator[bool]:
    """Whether nobody else exports to the target, nor will as long as the context. Raises DatabaseUnavailable."""
    with database_errors():
        alone = bool((connection.execute(_SQL["lock"], (target,)).fetchone() or (False,))[0])
    try:
        yield alone
    finally:
        if alone and not connection.closed:
            connection.execute(_SQL["unlock"], (target,))


def planned(connection: Connection, target: str) -> Planned | None:
    """Up to where it is planned; None where it never was. Raises DatabaseUnavailable."""
    with database_errors():
        row = connection.execute(_SQL["target"], (target,)).fetchone()
    return None if row is None else Planned(*row)


def save_planned(connection: Connection, state: Planned) -> None:
    """Keep up to where it is planned. Raises DatabaseUnavailable."""
    with database_errors():
        connection.execute(_SQL["save_target"], state)


def transaction_time(connection: Connection) -> datetime:
    """When the transaction under way began: what it does not see is booked later, or not committed yet."""
    with database_errors():
        return _utc(next(connection.execute(_SQL["now"]))[0])


def add(connection: Connection, intents: Iterable[Intent]) -> None:
    """Keep what is to be sent, in the transaction under way. Raises DatabaseUnavailable."""
    rows = [
        (
            *each[:5],
            Jsonb(dict(each.dimensions)),
            *each[6:13],
            Jsonb(each.payload),
            each.payload_sha256,
            each.state,
            each.reason,
        )
        for each in intents
    ]
    with database_errors(), connection.cursor() as cursor:
        cursor.executemany(_SQL["add"], rows)


def in_windows(
    connection: Connection, target: str, since: datetime, until: datetime
) -> list[Intent]:
    """All of windows that begin in the period. Raises DatabaseUnavailable."""
    return _intents(
        connection, "in_windows", {"target": target, "since": since, "until": until}, _MOST
    )


def open_intents(
    connection: Connection, target: str, most: int, but: Collection[str] = ()
) -> list[Intent]:
    """The oldest that are still to be sent, or to be found out about. Raises DatabaseUnavailable."""
    asked = {"target": target, "states": list(OPEN), "but": list(but)}
    return _intents(connection, "in_states", asked, most)


def in_states(
    connection: Connection, target: str, states: Sequence[State], most: int = _MOST
) -> list[Intent]:
    """Those in these states. Raises DatabaseUnavailable."""
    return _intents(connection, "of_target", {"target": target, "states": list(states)}, most)


def named(connection: Connection, beginning: str) -> list[Intent]:
    """Those whose id begins so. Raises DatabaseUnavailable."""
    return _intents(connection, "named", {"name": beginning}, 2)


def remainders(connection: Connection, target: str) -> dict[Series, Decimal]:
    """What was left over of each series, in the target's units. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["remainders"], (target,))
        return {
            Series(tenant, meter, series_dimensions(dimensions)): left
            for tenant, meter, dimensions, left in rows
        }


def note_sending(connection: Connection, intents: Iterable[Intent]) -> None:
    """Note that they are being sent; durable when it returns. Raises DatabaseUnavailable."""
    with database_errors():
        connection.execute(_SQL["sending"], ([each.dedupe_id for each in intents],))


def settle(
    connection: Connection,
    dedupe_id: str,
    state: State,
    *,
    reason: str | None = None,
    remote_ref: str | None = None,
) -> None:
    """Note what became of one. Raises DatabaseUnavailable."""
    told = {"dedupe_id": dedupe_id, "state": state, "reason": reason, "remote_ref": remote_ref}
    with database_errors():
        connection.execute(_SQL["settle"], told)


def note_not_taken(connection: Connection, intent: Intent, reason: str) -> None:
    """Note that the target did not take one this time, for sure: it stands as before. Raises DatabaseUnavailable."""
    asked = {
        "dedupe_id": intent.dedupe_id,
        "first_sent_at": intent.first_sent_at,
        "reason": reason,
    }
    with database_errors():
        connection.execute(_SQL["not_taken"], asked)


def supersede(connection: Connection, target: str, beginning: str | None = None) -> int:
    """Have what a target refused planned anew; return how many those are. Raises DatabaseUnavailable."""
    with database_errors():
        return connection.execute(_SQL["supersede"], {"target": target, "name": beginning}).rowcount


def unsettled_windows(connection: Connection, target: str) -> list[datetime]:
    """Windows whose exports are open, or were settled since they were last planned. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["unsettled_windows"], {"target": target}).fetchall()
    return [_utc(start) for (start,) in rows]


def standing(connection: Connection, target: str) -> list[Standing]:
    """What a target was told, and was not, by tenant and meter. Raises DatabaseUnavailable."""
    with database_errors():
        return [Standing(*row) for row in connection.execute(_SQL["standing"], (target,))]


def told_for(connection: Connection, intent: Intent) -> Decimal:
    """What the target has confirmed for the intent's tenant, meter and window. Raises DatabaseUnavailable."""
    asked = {
        "target": intent.target,
        "tenant": intent.tenant_id,
        "meter": intent.meter,
        "start": intent.window_start,
    }
    with database_errors():
        row = connection.execute(_SQL["told_for"], asked).fetchone()
    return Decimal(row[0]) if row else Decimal()


def _intents(
    connection: Connection, condition: str, asked: Mapping[str, object], most: int
) -> list[Intent]:
    statement: sql.Composed = _SQL["intents"].format(condition=_SQL[condition])
    with database_errors():
        return [_intent(row) for row in connection.execute(statement, {**asked, "most": most})]


def _intent(row: Sequence[Any]) -> Intent:
    found = Intent._make(row)
    return found._replace(
        window_start=_utc(found.window_start),
        window_end=_utc(found.window_end),
        first_sent_at=None if found.first_sent_at is None else _utc(found.first_sent_at),
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
