"""Repricing for people: what other rates would change, by model and tenant, and booking the difference."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.console.ledger_access import reading
from spanmeter.console.listing import Column, Listing
from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.costing import EXACT, NO_MONEY
from spanmeter.metering.rates import Rates
from spanmeter.storage.adjustments import book
from spanmeter.storage.connection import Connection, connect
from spanmeter.storage.rates import read_book
from spanmeter.storage.repricing import (
    Asked,
    Repriced,
    adjustments_for,
    costed_again,
    only_one,
)

RECENT: Final = timedelta(days=30)
"""What a change would have meant in money is told of so long."""

_COLUMNS: Final = (
    Column("model", "model"),
    Column("tenant_id", "tenant", "(unattributed)"),
    Column("calls", "calls"),
    Column("newly_priced", "newly priced"),
    Column("before", "before"),
    Column("after", "after"),
    Column("difference", "difference"),
    Column("currency", "currency"),
)


class _Place(NamedTuple):
    model: str
    tenant_id: str | None
    currency: str


@dataclass
class _Sums:
    calls: int = 0
    newly_priced: int = 0
    before: Decimal = NO_MONEY
    after: Decimal = NO_MONEY

    def add(self, before: Decimal | None, after: Decimal | None, *, counts: bool) -> None:
        self.calls += counts
        self.newly_priced += counts and before is None and after is not None
        self.before = EXACT.add(self.before, before or NO_MONEY)
        self.after = EXACT.add(self.after, after or NO_MONEY)


@dataclass
class Differences:
    """What was looked at, and what differs: by model, tenant and currency. `booked` adjustments are new."""

    looked_at: int = 0
    booked: int = 0
    sums: dict[_Place, _Sums] = field(default_factory=dict[_Place, _Sums])

    def add(self, repriced: Repriced) -> None:
        """Count a call whose cost differs. One that changes its currency leaves one sum and enters another."""
        event, holder = repriced.standing.event, repriced.standing.holder
        model = event.response_model or event.request_model or "-"
        before, after = repriced.currencies
        at = [_Place(model, holder.tenant_id, currency) for currency in (before, after)]
        amount = repriced.cost.cost.amount
        if before == after:
            self._at(at[0]).add(repriced.before, amount, counts=True)
        else:
            self._at(at[0]).add(repriced.standing.cost, None, counts=False)
            self._at(at[1]).add(None, amount, counts=True)

    def _at(self, place: _Place) -> _Sums:
        return self.sums.setdefault(place, _Sums())

    @property
    def by_currency(self) -> dict[str, Decimal]:
        """The difference of all of it, by currency."""
        totals: dict[str, Decimal] = {}
        for place, each in self.sums.items():
            difference = EXACT.subtract(each.after, each.before)
            totals[place.currency] = EXACT.add(totals.get(place.currency, NO_MONEY), difference)
        return totals


def reprice(
    dsn: str,
    asked: Asked,
    *,
    apply: bool,
    progress: Callable[[int], object] = lambda _: None,
) -> Differences:
    """Cost the calls again at the rates in force now, and with `apply` book the differences, page by page.

    Raises Busy, AdjustmentRefused, DatabaseUnavailable. Doing so again books what is not booked yet.
    """
    run = f"reprice {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    with reading(dsn) as connection, closing(connect(dsn)) as booking:
        if apply:
            only_one(booking)
        rates = read_book(connection).rates()
        return _through(
            connection, rates, asked, booking=booking if apply else None, run=run, progress=progress
        )


def would_change(connection: Connection, waiting: Iterable[CardRate]) -> Differences:
    """What the approval of these rates would have meant for the calls of the last days.

    Those that a rate priced which would be another one, and those that are unpriced.
    """
    changes = list(waiting)
    book_ = read_book(connection)
    named = {(rate.card, rate.name) for rate in changes}
    touched = _touched(changes)
    versions = [
        rate.rate_version
        for rate in book_.approved
        if (rate.card, rate.name) in named or touched(rate)
    ]
    asked = Asked(since=datetime.now(UTC) - RECENT, rate_versions=versions)
    return _through(connection, book_.rates(changes=changes), asked)


def differences_listing(found: Differences, asked: Asked, *, applied: bool) -> Listing:
    """A line by model, tenant and currency, the greatest difference first."""
    rows = [
        [
            *(place.model, place.tenant_id, each.calls, each.newly_priced),
            *(each.before, each.after, EXACT.subtract(each.after, each.before), place.currency),
        ]
        for place, each in sorted(found.sums.items(), key=_greatest_first)
    ]
    notes = [f"Calls looked at: {found.looked_at:,}."]
    if applied:
        notes.append(f"Adjustments booked: {found.booked:,}.")
    elif rows:
        notes.append("Nothing is booked: --apply books the differences as adjustments.")
    return Listing(_COLUMNS, rows, about={"since": asked.since, "until": asked.until}, notes=notes)


def in_money(found: Differences) -> list[str]:
    """A sentence for each currency."""
    days = RECENT.days
    return [
        f"For the calls of the last {days} days it would have meant {difference:+,.6f} {currency}."
        for currency, difference in sorted(found.by_currency.items())
    ] or [f"For the calls of the last {days} days it would have changed nothing."]


def _through(
    connection: Connection,
    rates: Rates,
    asked: Asked,
    *,
    booking: Connection | None = None,
    run: str = "",
    progress: Callable[[int], object] = lambda _: None,
) -> Differences:
    found = Differences()
    for looked_at, page in costed_again(connection, rates, asked):
        found.looked_at += looked_at
        for each in page:
            found.add(each)
        if booking is not None and page:
            found.booked += book(
                booking, [one for each in page for one in adjustments_for(each, run)]
            )
        progress(found.looked_at)
    return found


def _touched(changes: Iterable[CardRate]) -> Callable[[CardRate], bool]:
    """Whether calls that a rate priced may be priced by one of the changes: of the same model, or of one's own."""
    listed = list(changes)
    models = {(change.provider, change.model) for change in listed}
    own = [change for change in listed if change.scope != "catalogue"]

    def touches(rate: CardRate) -> bool:
        return (rate.provider, rate.model) in models or any(
            change.takes(rate.model.lower(), change.region)
            or (change.exact and rate.takes(change.model.lower(), rate.region))
            for change in own
        )

    return touches


def _greatest_first(item: tuple[_Place, _Sums]) -> tuple[Decimal, _Place]:
    place, each = item
    return -abs(each.after - each.before), place._replace(tenant_id=place.tenant_id or "")
