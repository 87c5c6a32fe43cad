"""The ledger's side of a reconciliation: what is booked of a provider, by what its bill tells apart."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from psycopg import sql

from spanmeter.metering.reconciliation.bill import (
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    OUTPUT,
    UNCACHED_INPUT,
    Cell,
    tier_named,
)
from spanmeter.metering.reconciliation.booked import Booked, Books, Crossing, summed
from spanmeter.metering.reconciliation.sharing import Share, Sharer
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.reports import dimension

KINDS: Final = (
    *(UNCACHED_INPUT, CACHE_READ, CACHE_WRITE, CACHE_WRITE_5M, CACHE_WRITE_1H, OUTPUT),
    *("audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens"),
)
"""Kinds of tokens, as the statements sum them."""

_SQL = statements.load("reconciliation")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows are compared with a bill.

    `account` is the dimension that names the provider's project, workspace or account, if any does; `closed_at` is
    when the books were closed.
    """

    providers: Sequence[str]
    since: date
    until: date
    currency: str = "USD"
    account: str | None = None
    closed_at: datetime | None = None

    def parameters(self) -> dict[str, object]:
        """For the statements."""
        return {
            "providers": list(self.providers),
            "since": datetime.combine(self.since, time(), UTC),
            "until": datetime.combine(self.until, time(), UTC),
            "currency": self.currency,
            "closed_at": self.closed_at,
        }


def read_books(connection: Connection, asked: Asked) -> Books:
    """What is booked, by cell. Raises UnknownDimension, DatabaseUnavailable."""
    account = _account(asked)
    with database_errors():
        cells = _sums(connection, asked, account)
        for cell, kinds in _duplicates(connection, asked, account):
            booked = cells.get(cell, Booked())
            cells[cell] = replace(booked, duplicates=summed(booked.duplicates, kinds))
        crossings = tuple(_crossings(connection, asked, account))
    return Books({cell: _settled(booked) for cell, booked in cells.items()}, crossings)


def read_shares(connection: Connection, asked: Asked) -> Mapping[Cell, Sequence[Share]]:
    """Who used what is booked in each cell. Raises the same."""
    shares: defaultdict[Cell, dict[Sharer, Share]] = defaultdict(dict)
    with database_errors():
        query = _SQL["shares"].format(account=_account(asked))
        for row in connection.execute(query, asked.parameters()):
            cost, unpriced_tokens, requests, unpriced_requests = row[11:]
            share = Share(Sharer(*row[4:11]), cost, unpriced_tokens, requests, unpriced_requests)
            _add(shares[_cell(row[:4])], share)
        query = _SQL["duplicate_shares"].format(
            account=_account(asked), counted_again=_SQL["counted_again"]
        )
        for row in connection.execute(query, asked.parameters()):
            _add(shares[_cell(row[:4])], Share(Sharer(*row[4:11]), duplicated=row[11]))
    return {cell: list(each.values()) for cell, each in shares.items()}


def _add(known: dict[Sharer, Share], more: Share) -> None:
    known[more.sharer] = known.get(more.sharer, Share(more.sharer)).plus(more)


def _account(asked: Asked) -> sql.Composable:
    return sql.SQL("NULL::text") if asked.account is None else dimension(asked.account)


def _sums(connection: Connection, asked: Asked, account: sql.Composable) -> dict[Cell, Booked]:
    entries = _SQL["entries"].format(account=account, tokens=_SQL["tokens"])
    cells: defaultdict[Cell, Booked] = defaultdict(Booked)
    parameters = asked.parameters()
    for row in connection.execute(_SQL["booked"].format(entries=entries), parameters):
        attributed, late, unpriced, cost, requests, unpriced_requests = row[4:10]
        booked = _with_usage(cells[_cell(row[:4])], _by_kind(row[10:]), unpriced=unpriced)
        part = "late" if late else "attributed" if attributed else "unattributed"
        cells[_cell(row[:4])] = replace(
            booked,
            requests=booked.requests + requests,
            unpriced_requests=booked.unpriced_requests + unpriced_requests,
            **{part: getattr(booked, part) + cost},
        )
    for row in connection.execute(_SQL["units"].format(entries=entries), parameters):
        cell, (*_, unpriced, unit, amount) = _cell(row[:4]), row
        cells[cell] = _with_usage(cells[cell], {unit: amount}, unpriced=unpriced)
    return dict(cells)


def _with_usage(booked: Booked, used: Mapping[str, Decimal], *, unpriced: bool) -> Booked:
    if unpriced:
        return replace(booked, unpriced=summed(booked.unpriced, used))
    return replace(booked, priced=summed(booked.priced, used))


def _settled(booked: Booked) -> Booked:
    """Where adjustments have given every request of a cell a cost, nothing in it is unpriced."""
    if booked.unpriced_requests > 0 or not booked.unpriced:
        return booked
    return replace(booked, priced=summed(booked.priced, booked.unpriced), unpriced={})


def _duplicates(
    connection: Connection, asked: Asked, account: sql.Composable
) -> Iterable[tuple[Cell, dict[str, Decimal]]]:
    query = _SQL["duplicates"].format(
        account=account, kinds=_SQL["kinds"], counted_again=_SQL["counted_again"]
    )
    for row in connection.execute(query, asked.parameters()):
        yield _cell(row[:4]), _by_kind(row[4 : 4 + len(KINDS)])


def _crossings(connection: Connection, asked: Asked, account: sql.Composable) -> Iterable[Crossing]:
    query = _SQL["crossings"].format(account=account, kinds=_SQL["kinds"])
    for row in connection.execute(query, asked.parameters()):
        yield Crossing(_cell(row[:4]), row[-1], _by_kind(row[4 : 4 + len(KINDS)]))


def _cell(key: Sequence[Any]) -> Cell:
    day, account, model, tier = key
    return Cell(day, account, model, tier_named(tier))


def _by_kind(sums: Sequence[Decimal]) -> dict[str, Decimal]:
    return {kind: amount for kind, amount in zip(KINDS, sums, strict=True) if amount}
