"""The ledger verified: every row computed again, sums, seals, and what is missing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.console.rates_known import RatesKnown, rates_known
from spanmeter.metering.rechecking import recheck
from spanmeter.storage.audit import (
    Missing,
    counting_duplicates,
    disarmed,
    missing_records,
    uneven_reversals,
)
from spanmeter.storage.booked_events import period
from spanmeter.storage.connection import Connection
from spanmeter.storage.rollups import differences
from spanmeter.storage.rules import RuleBook
from spanmeter.storage.sealed_ledger import Break, SealedLedger

MOST: Final = 1000
"""Differences that are listed; all are counted."""

_DAY: Final = timedelta(days=1)

_COLUMNS: Final = (
    Column("what", "what"),
    Column("day", "day"),
    Column("where", "where"),
    Column("detail", "differs"),
)


class Difference(NamedTuple):
    """Something that does not agree: of what kind, on which day of service, where, and how."""

    what: str
    day: date | None
    where: str
    detail: str


@dataclass
class Verified:
    """What was looked at, and what does not agree; at most `MOST` of it is kept."""

    rows: int = 0
    days: int = 0
    seals: int = 0
    sealed_until: datetime | None = None
    differences: list[Difference] = field(default_factory=list[Difference])
    found: int = 0

    def add(self, difference: Difference) -> None:
        """Note what differs."""
        self.found += 1
        if len(self.differences) < MOST:
            self.differences.append(difference)


def verify(
    connection: Connection,
    since: datetime | None,
    until: datetime | None,
    *,
    key: bytes | None = None,
    anchors: Mapping[int, bytes],
    progress: Callable[[date, Verified], object] = lambda day, so_far: None,
) -> Verified:
    """Verify whole days of service, in UTC; the chain of seals always as a whole. In little memory.

    To be called within a transaction, so that all of it is one moment's. Raises RulesError, DatabaseUnavailable.
    """
    ledger = SealedLedger(connection)
    verified = Verified(seals=len(ledger.seals), sealed_until=ledger.sealed_until)
    for each in (*_chain(ledger, key, anchors), *_guards(connection)):
        verified.add(each)
    known, rules = rates_known(connection), RuleBook(connection)
    for day in ledger.days(since, until):
        for each in (
            *_sealed(ledger, day),
            *_sums(connection, day),
            *_rollups(connection, ledger, day),
        ):
            verified.add(each)
        for difference in _rows(connection, day, known, rules, verified):
            verified.add(difference)
        verified.days += 1
        progress(day, verified)
    for missing in missing_records(connection, since, until):
        verified.add(_missing(missing))
    return verified


def as_listing(verified: Verified) -> Listing:
    """What does not agree, under what was looked at."""
    more = verified.found - len(verified.differences)
    notes = ["All of it agrees."] if not verified.found else []
    if more:
        notes.append(f"{more:,} more differences are not listed.")
    if not verified.seals:
        notes.append("Nothing is sealed yet: see `spanmeter seal`.")
    about: dict[str, Value] = {
        "rows": verified.rows,
        "days": verified.days,
        "seals": verified.seals,
        "sealed_until": verified.sealed_until,
        "differences": verified.found,
    }
    return Listing(columns=_COLUMNS, rows=verified.differences, about=about, notes=notes)


def _chain(
    ledger: SealedLedger, key: bytes | None, anchors: Mapping[int, bytes]
) -> Iterator[Difference]:
    for each in ledger.chain_breaks(key, anchors):
        yield Difference("seal", None, f"seal {each.seal}", each.detail)


def _guards(connection: Connection) -> Iterator[Difference]:
    for name in disarmed(connection):
        yield Difference(
            "trigger", None, name, "it guards the ledger, and is missing or switched off"
        )


def _sealed(ledger: SealedLedger, day: date) -> Iterator[Difference]:
    for each in ledger.day_breaks(day):
        yield _broken(each)


def _broken(each: Break) -> Difference:
    return Difference("sealed day", each.day, f"{each.table}, seal {each.seal}", each.detail)


def _sums(connection: Connection, day: date) -> Iterator[Difference]:
    since, until = _bounds(day)
    for name in uneven_reversals(connection, since, until):
        yield Difference(
            "reversal", day, name, "its reversal does not take all of it out of the sums"
        )
    for name in counting_duplicates(connection, since, until):
        yield Difference(
            "duplicate", day, name, "another row counts its call, and it counts something too"
        )


def _rollups(connection: Connection, ledger: SealedLedger, day: date) -> Iterator[Difference]:
    if ledger.let_go("usage_events", day):
        return
    for each in differences(connection, day, day + _DAY):
        where = ", ".join(
            f"{name} {value}" for name, value in each.key.items() if value is not None
        )
        lacks = ", ".join(f"{amount:f} {measure}" for measure, amount in each.missing.items())
        yield Difference("rollup", day, f"{each.rollup}: {where}", f"it lacks {lacks}")


def _rows(
    connection: Connection, day: date, known: RatesKnown, rules: RuleBook, verified: Verified
) -> Iterator[Difference]:
    for booked in period(connection, *_bounds(day)):
        verified.rows += 1
        for detail in recheck(booked.event, known.rates, rules).differences:
            yield Difference("row", day, booked.name, detail)


def _missing(missing: Missing) -> Difference:
    service = missing.service_name or "a service without name"
    detail = f"{missing.missing:,} records of {service} did not arrive, {missing.dropped:,} of them given up"
    return Difference("producer", None, missing.producer_id, detail)


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + _DAY
