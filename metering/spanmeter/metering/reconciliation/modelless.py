"""What a provider charges for without naming a model: the ledger has it with the call, and it is taken from there."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from spanmeter.metering.allocation import allocate
from spanmeter.metering.reconciliation.bill import STANDARD, Bill, Cell
from spanmeter.metering.reconciliation.billed import OwnPrices
from spanmeter.metering.reconciliation.booked import Booked, Books, summed
from spanmeter.metering.reconciliation.waterfall import PLACES


def without_model(books: Books, bill: Bill, own_prices: OwnPrices) -> Books:
    """The books with what the bill names no model for in cells without one, at what it costs at our own rates."""
    kinds = {line.kind for line in bill.lines if line.model is None and line.kind is not None}
    cells: dict[Cell, Booked] = {}
    for cell, booked in books.cells.items():
        kept, moved = _parted(cell, booked, kinds, own_prices)
        _put(cells, cell, kept)
        if moved is not None:
            _put(cells, cell._replace(model=None, tier=STANDARD), moved)
    return replace(books, cells=cells)


def _put(cells: dict[Cell, Booked], cell: Cell, booked: Booked) -> None:
    there = cells.get(cell)
    cells[cell] = booked if there is None else _plus(there, booked)


def _parted(
    cell: Cell, booked: Booked, kinds: Iterable[str], own_prices: OwnPrices
) -> tuple[Booked, Booked | None]:
    """What stays, and what goes."""
    used = {kind: booked.priced[kind] for kind in kinds if booked.priced.get(kind)}
    unpriced = {kind: booked.unpriced[kind] for kind in kinds if booked.unpriced.get(kind)}
    if cell.model is None or not (used or unpriced):
        return booked, None
    prices = own_prices(cell)
    worth = sum((prices.get(kind, Decimal()) * n for kind, n in used.items()), Decimal())
    parts = (booked.attributed, booked.unattributed, booked.late)
    costs = [max(part, Decimal()) for part in parts]
    worth = min(worth, sum(costs, Decimal()))
    shares = allocate(worth, costs, PLACES) if worth else [Decimal()] * len(costs)
    tenants, nobody, late = shares
    moved = Booked(tenants, nobody, late, priced=used, unpriced=unpriced)
    minus = Booked(
        -tenants,
        -nobody,
        -late,
        priced={kind: -n for kind, n in used.items()},
        unpriced={kind: -n for kind, n in unpriced.items()},
    )
    return _plus(booked, minus), moved


def _plus(one: Booked, other: Booked) -> Booked:
    return Booked(
        one.attributed + other.attributed,
        one.unattributed + other.unattributed,
        one.late + other.late,
        priced=_without_zeros(summed(one.priced, other.priced)),
        unpriced=_without_zeros(summed(one.unpriced, other.unpriced)),
        duplicates=summed(one.duplicates, other.duplicates),
        requests=one.requests + other.requests,
        unpriced_requests=one.unpriced_requests + other.unpriced_requests,
    )


def _without_zeros(quantities: dict[str, Decimal]) -> dict[str, Decimal]:
    return {kind: n for kind, n in quantities.items() if n}
