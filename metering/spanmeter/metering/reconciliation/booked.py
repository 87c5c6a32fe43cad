"""What the ledger has booked for the calls that a bill is about, summed by what a reconciliation tells apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spanmeter.metering.reconciliation.bill import Cell, Quantities

NOTHING: Mapping[str, Decimal] = {}


class Crossing(NamedTuple):
    """Usage of calls that began on the day of `cell` and ended on `ended`: providers count it there."""

    cell: Cell
    ended: date
    used: Quantities


@dataclass(frozen=True, slots=True)
class Booked:
    """The sums of one cell. The parts of `cost` exclude each other; `cost` has no unpriced request in it.

    `priced` and `unpriced` are the quantities whose cost is known and not known, whoever used them and whenever they
    were booked; `duplicates` those of calls that look counted more than once: one response id, several rows.
    """

    attributed: Decimal = Decimal()
    """Cost of tenants that was booked in time."""
    unattributed: Decimal = Decimal()
    """Cost of no tenant that was booked in time."""
    late: Decimal = Decimal()
    """Cost booked after the books were closed."""
    priced: Quantities = field(default_factory=dict[str, Decimal])
    unpriced: Quantities = field(default_factory=dict[str, Decimal])
    duplicates: Quantities = field(default_factory=dict[str, Decimal])
    requests: int = 0
    unpriced_requests: int = 0

    @property
    def cost(self) -> Decimal:
        """All that is booked."""
        return self.attributed + self.unattributed + self.late

    @property
    def used(self) -> Mapping[str, Decimal]:
        """All quantities."""
        return summed(self.priced, self.unpriced)


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger's side of a reconciliation: the cells of its days, and calls that passed midnight."""

    cells: Mapping[Cell, Booked]
    crossings: tuple[Crossing, ...] = ()


def summed(*parts: Quantities) -> dict[str, Decimal]:
    """Quantities added up by kind."""
    total: dict[str, Decimal] = {}
    for part in parts:
        for kind, amount in part.items():
            total[kind] = total.get(kind, Decimal()) + amount
    return total
