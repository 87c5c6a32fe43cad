"""From what tenants were charged with to what the provider billed, cause by cause: the causes add up exactly.

    cost booked for tenants
      + unattributed    booked, but for no tenant
      + late            booked after the books were closed, or counted by the provider on the day the call ended
      + unpriced        booked without a cost; here at the provider's price
      + rate_drift      the same usage at another price
      + tier_mismatch   the same usage at another service tier
      + cache_mismatch  the same input tokens, cached or not
      + duplicate       booked more often than billed, where the ledger itself has calls twice
      + missing         billed, and not booked
      + not_billed      booked, and not billed
      + rounding        what the provider rounded its amounts by
      + unexplained     what none of these is
      = the bill

Quantities differ at the provider's price for each kind; where it billed none of a kind, at our own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from spanmeter.metering.costing import EXACT
from spanmeter.metering.reconciliation.bill import Bill, Cell, Quantities
from spanmeter.metering.reconciliation.billed import Billed, OwnPrices, billed_cells
from spanmeter.metering.reconciliation.booked import Booked, Books
from spanmeter.metering.reconciliation.shifts import Place, Shift, Shifts

CAUSES: Final = (
    *("unattributed", "late", "unpriced", "rate_drift", "tier_mismatch", "cache_mismatch"),
    *("duplicate", "missing", "not_billed", "rounding", "unexplained"),
)

PLACES: Final = 12
"""Decimals of an amount that comes of a division: a millionth of a millionth of a dollar."""


class Variance(NamedTuple):
    """How much one cause adds to a cell: money, and by kind how much more the provider counts than the ledger."""

    cell: Cell
    cause: str
    amount: Decimal
    quantities: Quantities


class Compared(NamedTuple):
    """One cell: what tenants were charged with, what was billed, and in between the variances, by cause."""

    cell: Cell
    attributed: Decimal
    billed: Decimal
    variances: tuple[Variance, ...]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A bill beside the books. `attributed` and all variances add up to `billed`."""

    provider: str
    cells: tuple[Compared, ...]

    @property
    def attributed(self) -> Decimal:
        """Cost booked in time for tenants."""
        return total(cell.attributed for cell in self.cells)

    @property
    def billed(self) -> Decimal:
        """The sum of the bill."""
        return total(cell.billed for cell in self.cells)

    @property
    def variances(self) -> list[Variance]:
        """Of all cells."""
        return [variance for cell in self.cells for variance in cell.variances]

    def by_cause(self) -> Mapping[str, Decimal]:
        """The causes in the order of the waterfall, those that add nothing included."""
        amounts = dict.fromkeys(CAUSES, Decimal())
        for variance in self.variances:
            amounts[variance.cause] = EXACT.add(amounts[variance.cause], variance.amount)
        return amounts


def reconcile(
    bill: Bill, books: Books, days: Iterable[date], own_prices: OwnPrices
) -> Reconciliation:
    """Explain the bill for these UTC days. Cells of other days are left out on both sides."""
    period = frozenset(days)
    billed = billed_cells((line for line in bill.lines if line.day in period), own_prices)
    booked = {cell: sums for cell, sums in books.cells.items() if cell.day in period}
    compared = {
        cell: _Comparison(cell, billed.get(cell, Billed()), booked.get(cell, Booked()), own_prices)
        for cell in sorted(billed.keys() | booked.keys(), key=_order)
    }
    shifts = Shifts(_joined(each.differences() for each in compared.values()))
    shifts.duplicates(_joined(each.suspects() for each in compared.values()))
    shifts.crossings(books.crossings, period)
    shifts.tiers()
    shifts.caches()
    for shift in shifts.one_sided():
        compared[shift.cell].add(shift)
    return Reconciliation(bill.provider, tuple(each.result() for each in compared.values()))


class _Comparison:
    """One cell on its way to being explained."""

    def __init__(self, cell: Cell, billed: Billed, booked: Booked, own_prices: OwnPrices) -> None:
        self._cell = cell
        self._billed = billed
        self._booked = booked
        self._used = _fractions(booked.used)
        self._prices = billed.prices
        self._amounts: defaultdict[str, Fraction] = defaultdict(Fraction)
        self._quantities: defaultdict[str, defaultdict[str, Fraction]] = defaultdict(
            lambda: defaultdict(Fraction)
        )
        self._assume_quantities()
        self._complete_prices(own_prices)
        self._compare_prices()

    def differences(self) -> dict[Place, Fraction]:
        """The provider's count less the ledger's, by kind."""
        kinds = self._billed.used.keys() | self._used.keys()
        zero = Fraction()
        return {
            (self._cell, kind): self._billed.used.get(kind, zero) - self._used.get(kind, zero)
            for kind in kinds
        }

    def suspects(self) -> dict[Place, Fraction]:
        """What the ledger may have twice, by kind."""
        return {(self._cell, kind): Fraction(n) for kind, n in self._booked.duplicates.items()}

    def add(self, shift: Shift) -> None:
        """A difference of quantities, and what it is worth."""
        self._amounts[shift.cause] += shift.amount * self._prices.get(shift.kind, Fraction())
        self._quantities[shift.cause][shift.kind] += shift.amount

    def result(self) -> Compared:
        """The variances as decimals; what a division leaves over is rounding."""
        amounts = {cause: _decimal(amount) for cause, amount in self._amounts.items()}
        billed = _decimal(self._billed.amount)
        booked = EXACT.add(self._booked.attributed, total(amounts.values()))
        if left := EXACT.subtract(billed, booked):
            amounts["rounding"] = EXACT.add(amounts.get("rounding", Decimal()), left)
        return Compared(
            self._cell,
            self._booked.attributed,
            billed,
            tuple(
                Variance(self._cell, cause, amounts[cause], self._kinds(cause))
                for cause in CAUSES
                if amounts.get(cause) or self._quantities.get(cause)
            ),
        )

    def _kinds(self, cause: str) -> dict[str, Decimal]:
        if cause not in self._quantities:
            return {}
        kinds = sorted(self._quantities[cause].items())
        return {kind: _decimal(amount) for kind, amount in kinds if amount}

    def _assume_quantities(self) -> None:
        """Where the bill does not say how much was used, it is as much as is booked."""
        for kind, amount in self._billed.unquantified.items():
            if kind is None or kind not in self._used:
                nothing = not self._booked.requests and not self._used
                told = kind is not None or nothing
                self._amounts["missing" if told else "unexplained"] += amount
            else:
                self._billed.used[kind] = self._used[kind]
                self._prices[kind] = amount / self._used[kind]

    def _complete_prices(self, own_prices: OwnPrices) -> None:
        """Of what the provider billed none: what it costs at our rates, in proportion to what is booked for it."""
        lacking = self._used.keys() - self._prices.keys()
        if not lacking:
            return
        own = own_prices(self._cell)
        prices = {kind: Fraction(own[kind]) for kind in lacking if kind in own}
        if not self._billed.amounts:
            booked = _fractions(self._booked.priced)
            worth = _worth(booked, prices)
            if not worth:
                prices = dict.fromkeys(lacking, Fraction(1))
                worth = _worth(booked, prices)
            cost = Fraction(self._booked.cost)
            prices = {
                kind: price * cost / worth if worth else price for kind, price in prices.items()
            }
        self._prices.update(prices)

    def _compare_prices(self) -> None:
        booked = self._booked
        self._amounts["unattributed"] += Fraction(booked.unattributed)
        self._amounts["late"] += Fraction(booked.late)
        self._amounts["unpriced"] += _worth(_fractions(booked.unpriced), self._prices)
        cost = Fraction(booked.cost)
        if None in self._billed.amounts and not self._billed.used:
            # The bill says nothing but a sum: all that is booked is set against it.
            self._amounts["unexplained"] -= cost
            self._prices = dict.fromkeys(self._prices, Fraction())
            return
        drift = _worth(_fractions(booked.priced), self._prices) - cost
        self._amounts["rounding" if abs(drift) <= self._billed.tolerance else "rate_drift"] += drift


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    result = Decimal()
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def _worth(used: Mapping[str, Fraction], prices: Mapping[str, Fraction]) -> Fraction:
    return sum((n * prices.get(kind, Fraction()) for kind, n in used.items()), Fraction())


def _fractions(quantities: Quantities) -> dict[str, Fraction]:
    return {kind: Fraction(n) for kind, n in quantities.items() if n}


def _decimal(amount: Fraction) -> Decimal:
    """Exactly, where a decimal of `PLACES` can say it; else rounded, half to even."""
    exactly = Decimal(round(amount * 10**PLACES)).scaleb(-PLACES, EXACT)
    return EXACT.add(EXACT.normalize(exactly), Decimal())


def _joined(parts: Iterable[Mapping[Place, Fraction]]) -> dict[Place, Fraction]:
    return {place: amount for part in parts for place, amount in part.items()}


def _order(cell: Cell) -> tuple[date, str, str, str]:
    return cell.day, cell.account or "", cell.model or "", cell.tier
