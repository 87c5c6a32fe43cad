"""A provider's bill beside the ledger: compared, kept, shown, and posted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import uuid4

from spanmeter.console.failures import JobFailed
from spanmeter.metering.rates import Rates
from spanmeter.metering.reconciliation.bill import Bill, currency_of
from spanmeter.metering.reconciliation.booked import Books
from spanmeter.metering.reconciliation.modelless import without_model
from spanmeter.metering.reconciliation.names import renamed
from spanmeter.metering.reconciliation.own_prices import own_prices
from spanmeter.metering.reconciliation.sharing import postings
from spanmeter.metering.reconciliation.waterfall import reconcile
from spanmeter.storage.adjustments import book
from spanmeter.storage.books import Asked, read_books, read_shares
from spanmeter.storage.connection import Connection
from spanmeter.storage.corrections import booked_for, is_undone, undo
from spanmeter.storage.posting import adjustments_of
from spanmeter.storage.reconciliations import REFERENCE, Made, made, save, variances


@dataclass(frozen=True, slots=True)
class Comparing:
    """How a bill is compared. `account` is the dimension that names the provider's project or workspace.

    `models` gives the ledger's names for the bill's; `providers` are the ledger's names of who sent the bill.
    """

    since: date | None = None
    until: date | None = None
    account: str | None = None
    closed_at: datetime | None = None
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    providers: Sequence[str] = ()


def compare(
    connection: Connection, bill: Bill, sources: Sequence[str], how: Comparing, rates: Rates
) -> Made:
    """Compare a bill with the ledger and keep what is found. Raises `UnreadableBill`, StorageError, `JobFailed`."""
    asked = _asked(bill, how)
    books = read_books(connection, asked)
    named = _named(bill, books, how)
    prices = own_prices(rates, bill.provider)
    found = reconcile(named, without_model(books, named, prices), _days(asked), prices)
    name = uuid4()
    with connection.transaction():
        save(connection, name, found, asked, sources)
    return kept_as(connection, str(name))


def post(connection: Connection, kept: Made) -> int:
    """Post what a kept comparison found, once; how many adjustments that took now.

    Raises `JobFailed` where it was taken back since, AdjustmentRefused, DatabaseUnavailable.
    """
    if before := booked_for(connection, f"{REFERENCE}{kept.reconciliation_id}"):
        if is_undone(connection, before):
            raise JobFailed(
                f"the reconciliation {kept.reconciliation_id} was posted and taken back: compare the bill again"
            )
        return 0
    shares = read_shares(connection, kept.asked)
    posted = [
        posting
        for variance in variances(connection, kept.reconciliation_id)
        for posting in postings(variance, shares.get(variance.cell, ()))
    ]
    adjustments = adjustments_of(kept.reconciliation_id, kept.providers[0], kept.currency, posted)
    return book(connection, adjustments)


def take_back(connection: Connection, kept: Made) -> int:
    """Take back what was posted, once; how many adjustments that took now. Raises the same."""
    return undo(connection, f"{REFERENCE}{kept.reconciliation_id}")


def kept_as(connection: Connection, name: str) -> Made:
    """The comparison with this id, or the only one whose id begins so. Raises `JobFailed`."""
    found = [each for each in made(connection) if str(each.reconciliation_id).startswith(name)]
    if len(found) != 1 or not name:
        several = (
            "several reconciliations have ids that begin"
            if found
            else "no reconciliation has an id that begins"
        )
        raise JobFailed(f"{several} with {name!r}: `spanmeter reconcile list` shows them")
    return found[0]


def _asked(bill: Bill, how: Comparing) -> Asked:
    days = [line.day for line in bill.lines]
    if not days:
        raise JobFailed(f"the bill of {bill.provider} has no lines")
    since, until = how.since or min(days), how.until or max(days) + timedelta(days=1)
    if since >= until:
        raise JobFailed(f"the period from {since} to before {until} has no days")
    return Asked(
        how.providers or (bill.provider,),
        since,
        until,
        currency_of(line for line in bill.lines if line.amount is not None),
        how.account,
        how.closed_at,
    )


def _named(bill: Bill, books: Books, how: Comparing) -> Bill:
    """The bill in the ledger's words; its accounts are told apart only where the ledger's are."""
    if how.account is None:
        lines = tuple(line._replace(account=None) for line in bill.lines)
        bill = bill._replace(lines=lines)
    models = {cell.model for cell in books.cells if cell.model is not None}
    return renamed(bill, models, how.models)


def _days(asked: Asked) -> list[date]:
    return [asked.since + timedelta(days=n) for n in range((asked.until - asked.since).days)]
