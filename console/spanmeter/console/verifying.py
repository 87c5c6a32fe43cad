"""The ledger verified: every row computed again, sums, seals, and what is missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.console.verifying_day import MOST, Difference, VerifiedDay, VerifyDays
from spanmeter.storage.audit import Missing, disarmed, missing_records
from spanmeter.storage.connection import Connection
from spanmeter.storage.sealed_ledger import SealedLedger

_COLUMNS: Final = (
    Column("what", "what"),
    Column("day", "day"),
    Column("where", "where"),
    Column("detail", "differs"),
)


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
        self._add(1, [difference])

    def add_day(self, verified: VerifiedDay) -> None:
        """Note what a day has."""
        self.days += 1
        self.rows += verified.rows
        self._add(verified.found, verified.differences)

    def _add(self, found: int, differences: Sequence[Difference]) -> None:
        self.found += found
        self.differences += differences[: MOST - len(self.differences)]


def verify(
    connection: Connection,
    since: datetime | None,
    until: datetime | None,
    verify_days: VerifyDays,
    *,
    key: bytes | None = None,
    anchors: Mapping[int, bytes],
    progress: Callable[[date, Verified], object] = lambda day, so_far: None,
) -> Verified:
    """Verify whole days of service, in UTC; the chain of seals always as a whole. In little memory.

    To be called within the transaction whose moment `verify_days` sees, too. Raises RulesError, JobFailed,
    DatabaseUnavailable.
    """
    ledger = SealedLedger(connection)
    verified = Verified(seals=len(ledger.seals), sealed_until=ledger.sealed_until)
    for each in (*_chain(ledger, key, anchors), *_guards(connection)):
        verified.add(each)
    for day in verify_days(ledger.days(since, until)):
        verified.add_day(day)
        progress(day.day, verified)
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


def _missing(missing: Missing) -> Difference:
    service = missing.service_name or "a service without name"
    detail = f"{missing.missing:,} records of {service} did not arrive, {missing.dropped:,} of them given up"
    return Difference("producer", None, missing.producer_id, detail)
