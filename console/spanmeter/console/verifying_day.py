"""One day of service verified: its rows computed again, its sums, and what was sealed of it."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from spanmeter.console.rates_known import rates_known
from spanmeter.metering.rechecking import recheck
from spanmeter.storage.audit import counting_duplicates, uneven_reversals
from spanmeter.storage.booked_events import period
from spanmeter.storage.connection import Connection
from spanmeter.storage.rollups import differences
from spanmeter.storage.rules import RuleBook
from spanmeter.storage.sealed_ledger import SealedLedger

MOST: Final = 1000
"""Differences that are kept; all are counted."""

_DAY: Final = timedelta(days=1)


class Difference(NamedTuple):
    """Something that does not agree: of what kind, on which day of service, where, and how."""

    what: str
    day: date | None
    where: str
    detail: str


class VerifiedDay(NamedTuple):
    """How many rows a day has, how much does not agree, and at most `MOST` of that."""

    day: date
    rows: int
    found: int
    differences: list[Difference]


VerifyDays = Callable[[Iterable[date]], Iterator[VerifiedDay]]
"""Verifies days, in their order."""


class DayVerifier:
    """Verifies days of one ledger as a transaction sees it. Raises RulesError, DatabaseUnavailable."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ledger = SealedLedger(connection)
        self._known, self._rules = rates_known(connection), RuleBook(connection)
        self._rows = 0

    def verify(self, day: date) -> VerifiedDay:
        """All of a day, in UTC, in little memory."""
        self._rows = found = 0
        kept: list[Difference] = []
        for each in self._differences(day):
            found += 1
            if found <= MOST:
                kept.append(each)
        return VerifiedDay(day, self._rows, found, kept)

    def _differences(self, day: date) -> Iterator[Difference]:
        for each in self._ledger.day_breaks(day):
            yield Difference("sealed day", day, f"{each.table}, seal {each.seal}", each.detail)
        yield from self._sums(day)
        if not self._ledger.let_go("usage_events", day):
            yield from self._rollups(day)
        yield from self._recomputed(day)

    def _sums(self, day: date) -> Iterator[Difference]:
        since, until = _bounds(day)
        for name in uneven_reversals(self._connection, since, until):
            detail = "its reversal does not take all of it out of the sums"
            yield Difference("reversal", day, name, detail)
        for name in counting_duplicates(self._connection, since, until):
            detail = "another row counts its call, and it counts something too"
            yield Difference("duplicate", day, name, detail)

    def _rollups(self, day: date) -> Iterator[Difference]:
        for each in differences(self._connection, day, day + _DAY):
            where = ", ".join(
                f"{name} {value}" for name, value in each.key.items() if value is not None
            )
            lacks = ", ".join(f"{amount:f} {measure}" for measure, amount in each.missing.items())
            yield Difference("rollup", day, f"{each.rollup}: {where}", f"it lacks {lacks}")

    def _recomputed(self, day: date) -> Iterator[Difference]:
        for booked in period(self._connection, *_bounds(day)):
            self._rows += 1
            for detail in recheck(booked.event, self._known.rates, self._rules).differences:
                yield Difference("row", day, booked.name, detail)


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + _DAY
