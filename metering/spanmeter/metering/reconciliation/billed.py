"""A bill by cell: what was billed of each kind, and what the provider took for one of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final

from spanmeter.metering.reconciliation.bill import STANDARD, BillLine, Cell

OwnPrices = Callable[[Cell], Mapping[str, Decimal]]
"""What our own rates say that one of each kind costs in a cell; kinds that they do not know are left out."""

FLOAT_DIGITS: Final = 15
"""Significant digits from which on an amount is a binary fraction written out, and not a rounded decimal."""


@dataclass(slots=True)
class Billed:
    """One cell of a bill."""

    used: dict[str, Fraction] = field(default_factory=dict[str, Fraction])
    amounts: dict[str | None, Fraction] = field(default_factory=dict[str | None, Fraction])
    tolerance: Fraction = Fraction()
    """How much the amounts may be off because the provider rounded each of them."""

    @property
    def amount(self) -> Fraction:
        """All that was billed."""
        return sum(self.amounts.values(), Fraction())

    @property
    def prices(self) -> dict[str, Fraction]:
        """What one of each kind cost, on average."""
        return {kind: self.amounts.get(kind, Fraction()) / used for kind, used in self.used.items()}

    @property
    def unquantified(self) -> dict[str | None, Fraction]:
        """Amounts of kinds that the bill does not say how much of was used."""
        return {kind: amount for kind, amount in self.amounts.items() if kind not in self.used}

    def add(self, kind: str | None, amount: Fraction) -> None:
        """Add to the amount of a kind."""
        self.amounts[kind] = self.amounts.get(kind, Fraction()) + amount


def billed_cells(lines: Iterable[BillLine], own_prices: OwnPrices) -> dict[Cell, Billed]:
    """The lines by cell.

    An amount that does not tell tiers apart is divided among the tiers that the quantities name, by what each of them
    is worth at our own rates.
    """
    cells: defaultdict[Cell, Billed] = defaultdict(Billed)
    untiered: list[BillLine] = []
    for line in lines:
        if line.tier is None:
            untiered.append(line)
            continue
        billed = cells[Cell(line.day, line.account, line.model, line.tier)]
        if line.quantity and line.kind is not None:
            billed.used[line.kind] = billed.used.get(line.kind, Fraction()) + Fraction(
                line.quantity
            )
        if line.amount is not None:
            billed.add(line.kind, Fraction(line.amount))
            billed.tolerance += rounded_by(line.amount)
    tiers = _tiers(cells)
    for line in untiered:
        _divide(line, cells, tiers.get((line.day, line.account, line.model), []), own_prices)
    return dict(cells)


def rounded_by(amount: Decimal) -> Fraction:
    """How much an amount may have been rounded by: half a unit of its last place."""
    _, digits, exponent = amount.as_tuple()
    if len(digits) >= FLOAT_DIGITS:
        return abs(Fraction(amount)) * Fraction(1, 10 ** (FLOAT_DIGITS - 1))
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return Fraction(1, 2 * 10**places)


def _tiers(cells: Iterable[Cell]) -> Mapping[tuple[object, ...], list[Cell]]:
    tiers: defaultdict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: cell.tier):
        tiers[cell.day, cell.account, cell.model].append(cell)
    return tiers


def _divide(
    line: BillLine,
    cells: defaultdict[Cell, Billed],
    tiers: list[Cell],
    own_prices: OwnPrices,
) -> None:
    if line.amount is None:
        return
    kind, amount = line.kind, Fraction(line.amount)
    used = {cell: cells[cell].used[kind] for cell in tiers if kind and kind in cells[cell].used}
    if not used:
        used = {Cell(line.day, line.account, line.model, STANDARD): Fraction(1)}
    worth = {cell: Fraction(own_prices(cell).get(kind or "", 0)) * n for cell, n in used.items()}
    weights = worth if all(worth.values()) else used
    total = sum(weights.values(), Fraction())
    for cell, weight in weights.items():
        cells[cell].add(kind, amount * weight / total)
        cells[cell].tolerance += rounded_by(line.amount)
