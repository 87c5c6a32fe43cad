"""Quantities that one side counts in one place and the other in another: by day, by tier, by kind, or not at all.

The provider's counts less the ledger's leave, in each cell and for each kind, something short or something in excess.
What is in excess in one place and short in another was counted in both, differently. What remains is on one side only.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from spanmeter.metering.reconciliation.bill import INPUT_KINDS, Cell
from spanmeter.metering.reconciliation.booked import Crossing

Place = tuple[Cell, str]


class Shift(NamedTuple):
    """`amount` of a kind that the ledger has too little of in a cell for this cause; below 0, too much."""

    cell: Cell
    kind: str
    cause: str
    amount: Fraction


class Shifts:
    """Takes differences apart, cause by cause; what is explained is no difference any more."""

    def __init__(self, differences: Mapping[Place, Fraction]) -> None:
        self._open = {place: amount for place, amount in differences.items() if amount}
        self._found: list[Shift] = []

    def duplicates(self, suspects: Mapping[Place, Fraction]) -> None:
        """What the ledger has in excess, as far as calls look counted more than once."""
        for place, suspected in suspects.items():
            if (most := min(self._excess(place), suspected)) > 0:
                self._take(place, "duplicate", -most)

    def crossings(self, crossings: Iterable[Crossing], days: frozenset[date]) -> None:
        """Calls that passed midnight: the provider counts them on the day they ended.

        Of two days of which one is not on the bill, what the other lacks or has in excess is all there is to see.
        """
        for cell, ended, used in crossings:
            arrived = cell._replace(day=ended)
            for kind, amount in used.items():
                bounds = [Fraction(amount)]
                if cell.day in days:
                    bounds.append(self._excess((cell, kind)))
                if ended in days:
                    bounds.append(self._short((arrived, kind)))
                if (moved := min(bounds)) > 0:
                    if cell.day in days:
                        self._take((cell, kind), "late", -moved)
                    if ended in days:
                        self._take((arrived, kind), "late", moved)

    def tiers(self) -> None:
        """The same kind of the same model, at another service tier."""
        groups: defaultdict[tuple[object, ...], list[Place]] = defaultdict(list)
        for cell, kind in sorted(self._open, key=_order):
            groups[cell.day, cell.account, cell.model, kind].append((cell, kind))
        for places in groups.values():
            self._pair(places, "tier_mismatch")

    def caches(self) -> None:
        """Input tokens that one side has read from or written to a cache and the other not."""
        groups: defaultdict[Cell, list[Place]] = defaultdict(list)
        for cell, kind in sorted(self._open, key=_order):
            if kind in INPUT_KINDS:
                groups[cell].append((cell, kind))
        for places in groups.values():
            self._pair(places, "cache_mismatch")

    def one_sided(self) -> list[Shift]:
        """All that was found, and what is left: what only the bill has, or only the ledger."""
        for place, amount in sorted(self._open.items(), key=lambda item: _order(item[0])):
            self._take(place, "missing" if amount > 0 else "not_billed", amount)
        return self._found

    def _pair(self, places: Iterable[Place], cause: str) -> None:
        places = list(places)
        for excess in places:
            for short in places:
                if (moved := min(self._excess(excess), self._short(short))) > 0:
                    self._take(excess, cause, -moved)
                    self._take(short, cause, moved)

    def _excess(self, place: Place) -> Fraction:
        return -min(self._open.get(place, Fraction()), Fraction())

    def _short(self, place: Place) -> Fraction:
        return max(self._open.get(place, Fraction()), Fraction())

    def _take(self, place: Place, cause: str, amount: Fraction) -> None:
        self._found.append(Shift(*place, cause, amount))
        left = self._open[place] - amount
        if left:
            self._open[place] = left
        else:
            del self._open[place]


def _order(place: Place) -> tuple[date, str, str, str, str]:
    cell, kind = place
    return cell.day, cell.account or "", cell.model or "", cell.tier, kind
