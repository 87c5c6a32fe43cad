"""The ledger beside its seals: what was changed, added or removed since, by the day of service."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from spanmeter.storage.connection import Connection
from spanmeter.storage.seal_chain import Part, Seal, Sums, Window, broken_links
from spanmeter.storage.seals import (
    TABLES,
    days_with_rows,
    dropped_before,
    sealable,
    sealed_parts,
    seals,
    windows,
)

_DAY: Final = timedelta(days=1)


class Break(NamedTuple):
    """Where the ledger is not what was sealed: the seal, the day and the table, where it is one in particular."""

    seal: int
    detail: str
    day: date | None = None
    table: str | None = None


class SealedLedger:
    """The chain of seals, and the ledger that they are of."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.seals: Sequence[Seal] = seals(connection)
        self._windows = windows(connection)
        self._dropped = dropped_before(connection)

    @property
    def sealed_until(self) -> datetime | None:
        """What was booked until then is sealed."""
        last = len(self.seals)
        return self._windows[last - 1].until if 0 < last <= len(self._windows) else None

    def chain_breaks(self, key: bytes | None, anchors: Mapping[int, bytes]) -> Iterator[Break]:
        """What is wrong with the chain itself, by its own digests, the `key` of its signatures, and digests that were
        exported before, by number."""
        parts = sealed_parts(self._connection)
        for number, detail in broken_links(self._windows, self.seals, parts, key):
            yield Break(number, detail)
        for number in parts.keys() - {seal.number for seal in self.seals}:
            yield Break(number, "it is missing, and its days are there")
        held = {seal.number: seal.digest for seal in self.seals}
        for number, digest in anchors.items():
            if number not in held:
                yield Break(number, "it was exported before, and is missing now")
            elif held[number] != digest:
                yield Break(number, "its digest is not the one that was exported before")

    def days(self, since: datetime | None, until: datetime | None) -> list[date]:
        """The days of service that are sealed or have rows, of a period of whole days in UTC."""
        connection = self._connection
        last = None if until is None else (until - _DAY).date()
        parts = sealed_parts(connection, None if since is None else since.date(), last)
        days = {part.day for each in parts.values() for part in each}
        return sorted(days.union(*(days_with_rows(connection, t, since, until) for t in TABLES)))

    def day_breaks(self, day: date) -> Iterator[Break]:
        """What of a day of service is not as it was sealed."""
        sealed = sealed_parts(self._connection, day, day)
        for table in TABLES:
            before = _of_table(sealed, table)
            now = self._now(table, day)
            if now or not self.let_go(table, day):
                yield from _compared(before, now)

    def let_go(self, table: str, day: date) -> bool:
        """Whether all of the day may be gone by its age."""
        end = datetime.combine(day + _DAY, time(), UTC)
        before = self._dropped.get(table)
        return before is not None and end <= before

    def _now(self, table: str, day: date) -> dict[tuple[int, Part], Sums]:
        """The day's rows as they are. Seals that are over the same columns are looked at together."""
        found: dict[int, dict[Part, Sums]] = {}
        by_number = {window.number: window for window in self._windows}
        pairs = [(seal, by_number[seal.number]) for seal in self.seals if seal.number in by_number]
        for columns, each in groupby(pairs, key=lambda pair: list(pair[0].columns.get(table, ()))):
            within: list[Window] = [window for _, window in each]
            if columns:
                found |= sealable(self._connection, table, columns, day, within)
        return _of_table(found, table)


def _of_table(parts: Mapping[int, Mapping[Part, Sums]], table: str) -> dict[tuple[int, Part], Sums]:
    return {
        (number, part): sums
        for number, each in parts.items()
        for part, sums in each.items()
        if part.table == table
    }


def _compared(
    before: Mapping[tuple[int, Part], Sums], now: Mapping[tuple[int, Part], Sums]
) -> Iterator[Break]:
    for place in sorted(before.keys() | now.keys()):
        number, part = place
        detail = _difference(before.get(place), now.get(place), part.currency)
        if detail is not None:
            yield Break(number, detail, part.day, part.table)


def _difference(before: Sums | None, now: Sums | None, currency: str) -> str | None:
    if before == now:
        return None
    sealed, found = before.rows if before else 0, now.rows if now else 0
    if found > sealed:
        return f"{found - sealed} rows in {currency} were added: {sealed} were sealed, {found} are there"
    if found < sealed:
        return (
            f"{sealed - found} rows in {currency} are gone: {sealed} were sealed, {found} are there"
        )
    sums = [
        f"{name.replace('_', ' ')} {_told(was)} is {_told(is_)} now"
        for name, was, is_ in zip(
            Sums._fields[1:-1], (before or ())[1:-1], (now or ())[1:-1], strict=True
        )
        if was != is_
    ]
    changed = "; ".join(sums) or "no sum differs"
    return f"rows in {currency} were changed, of {sealed}: {changed}"


def _told(amount: object) -> str:
    return "unknown" if amount is None else f"{amount:f}"
