"""Rate cards in the database: recorded, approved, and read again as they were at any moment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Final, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from spanmeter.metering import prices
from spanmeter.metering.card_rate import CATALOGUE_CARD, CardRate, Scope
from spanmeter.metering.installed_catalogue import installed_catalogue, installed_version
from spanmeter.metering.rate_book import DatedFallbacks, RateBook
from spanmeter.metering.rate_changes import changed
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.errors import StorageError

# "spanrate" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanrate")

OURSELVES: Final = "spanmeter"
"""Who approves the first catalogue of a new ledger: the one that came with the installation."""

_COLUMNS: Final = (
    *("card", "version", "name", "provider", "model", "matches", "region", "service_tier"),
    *("effective_from", "hours_from", "hours_until", "currency", "prices", "withdrawn", "position"),
)

_SQL = statements.load("rates")
_LISTED: Final = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))


class AlreadyRecorded(StorageError):
    """This version of the card was recorded before; it cannot say something else now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardVersion:
    """What is recorded at one time. `complete`: it speaks for the whole card."""

    card: str
    version: str
    scope: Scope
    recorded_by: str
    source: str
    tenant_id: str | None = None
    complete: bool = False
    fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


class Opinion(NamedTuple):
    """What a second catalogue says of a rate: its prices by unit where they differ by more than 1 %."""

    agrees: bool
    differences: Mapping[str, str]
    source: str


class Pending(NamedTuple):
    """A rate that waits for approval, and the second catalogue's opinion where it has one."""

    rate_id: int
    rate: CardRate
    opinion: Opinion | None


class State(NamedTuple):
    """Tells whether anything was approved since."""

    approvals: int
    last: int | None
    last_at: datetime | None


def read_book(connection: Connection) -> RateBook:
    """Return all that was ever approved. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["approved"].format(columns=_LISTED)).fetchall()
        held = connection.execute(_SQL["fallbacks"]).fetchall()
    return RateBook(
        [_card_rate(row[:-2], approved_at=row[-2], approval=row[-1]) for row in rows],
        [DatedFallbacks(since, fallbacks) for since, fallbacks in held],
    )


def read_state(connection: Connection) -> State:
    """Return what changes with every approval."""
    row = connection.execute(_SQL["state"]).fetchone()
    return State(0, None, None) if row is None else State._make(row)


def record(connection: Connection, version: CardVersion, rates: Sequence[CardRate]) -> None:
    """Record a version of a card with those of its rates that are new or changed; they are pending.

    Raises AlreadyRecorded, DatabaseUnavailable.
    """
    told = {
        "card": version.card,
        "version": version.version,
        "scope": version.scope,
        "tenant_id": version.tenant_id,
        "recorded_by": version.recorded_by,
        "source": version.source,
        "complete": version.complete,
        "fallbacks": Jsonb(dict(version.fallbacks)),
    }
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_change_at_a_time"], (_LOCK,))
        if connection.execute(_SQL["has_version"], told).fetchone() == (True,):
            raise AlreadyRecorded(f"{version.card} {version.version} is recorded already")
        connection.execute(_SQL["add_card"], told)
        connection.execute(_SQL["add_version"], told)
        document = json.dumps([_as_row(rate) for rate in rates])
        connection.execute(_SQL["add_rates"].format(columns=_LISTED), (document,))


def has_version(connection: Connection, card: str, version: str) -> bool:
    """Return whether this version of the card was recorded."""
    asked = {"card": card, "version": version}
    with database_errors():
        return connection.execute(_SQL["has_version"], asked).fetchone() == (True,)


def next_version(connection: Connection, card: str) -> str:
    """Return the number of the next version of a card that numbers its own."""
    with database_errors():
        row = connection.execute(_SQL["next_version"], (card,)).fetchone()
    return "1" if row is None else str(row[0])


def pending(connection: Connection, card: str | None = None) -> list[Pending]:
    """Return the rates that wait for approval, of one card or of all."""
    with database_errors():
        rows = connection.execute(
            _SQL["pending"].format(columns=_LISTED), {"card": card}
        ).fetchall()
    return [_pending(row) for row in rows]


def approve(connection: Connection, waiting: Sequence[Pending], by: str) -> int:
    """Bring pending rates into force; return how many were not before."""
    rate_ids = [each.rate_id for each in waiting]
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_change_at_a_time"], (_LOCK,))
        told = {"rate_ids": rate_ids, "approved_by": by}
        return connection.execute(_SQL["approve"], told).rowcount


def approve_version(connection: Connection, version: CardVersion) -> int:
    """Bring a whole version into force at once; return how many rates that are."""
    told = {
        "card": version.card,
        "version": version.version,
        "approved_by": version.recorded_by,
    }
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_change_at_a_time"], (_LOCK,))
        return connection.execute(_SQL["approve_version"], told).rowcount


def give_opinions(connection: Connection, opinions: Mapping[int, Opinion]) -> None:
    """Keep what a second catalogue says of rates, by `rate_id`."""
    document = json.dumps([{"rate_id": at, **each._asdict()} for at, each in opinions.items()])
    with database_errors():
        connection.execute(_SQL["add_opinions"], (document,))


def installed_as_version(by: str) -> CardVersion:
    """The catalogue of the installed genai-prices, as a version to record."""
    version = installed_version()
    return CardVersion(
        card=CATALOGUE_CARD,
        version=version,
        scope="catalogue",
        recorded_by=by,
        source=f"genai-prices {version}, as installed",
        complete=True,
        fallbacks=installed_catalogue().fallbacks,
    )


def record_installed(connection: Connection) -> bool:
    """Record and approve the installed catalogue in a ledger that has none yet; return whether it did."""
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_change_at_a_time"], (_LOCK,))
        if connection.execute(_SQL["has_card"], (CATALOGUE_CARD,)).fetchone() == (True,):
            return False
        version = installed_as_version(OURSELVES)
        record(connection, version, list(changed((), installed_catalogue().rates)))
        approve_version(connection, version)
        return True


def _card_rate(row: Sequence[Any], **approval: Any) -> CardRate:
    *columns, scope, tenant_id = row
    told = dict(zip(_COLUMNS, columns, strict=True))
    del told["name"]
    begin, end = told.pop("hours_from"), told.pop("hours_until")
    since: datetime | None = told.pop("effective_from")
    return CardRate(
        scope=scope,
        tenant_id=tenant_id,
        hours=None if begin is None else (begin, end),
        effective_from=None if since is None else since.astimezone(UTC),
        prices=prices.from_json(told.pop("prices")),
        **told,
        **approval,
    )


def _pending(row: Sequence[Any]) -> Pending:
    *columns, rate_id, agrees, differences, source = row
    opinion = None if agrees is None else Opinion(agrees, differences, source)
    return Pending(rate_id, _card_rate(columns), opinion)


def _as_row(rate: CardRate) -> dict[str, object]:
    begin, end = rate.hours or (None, None)
    return {
        "card": rate.card,
        "version": rate.version,
        "name": rate.name,
        "provider": rate.provider,
        "model": rate.model,
        "matches": rate.matches,
        "region": rate.region,
        "service_tier": rate.service_tier,
        "effective_from": _iso(rate.effective_from),
        "hours_from": _iso(begin),
        "hours_until": _iso(end),
        "currency": rate.currency,
        "prices": prices.to_json(rate.prices),
        "withdrawn": rate.withdrawn,
        "position": rate.position,
    }


def _iso(moment: datetime | time | None) -> str | None:
    return None if moment is None else moment.isoformat()
