"""One charge's usage of a period as it adds up: what is free, what grants cover, and what is left to be paid."""

from decimal import Decimal
from typing import Final

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.grants import Pot
from spanmeter.metering.plans.plan import NOTHING

INCLUDED: Final = ""
"""In place of a grant: what the charge itself includes."""


class Included:
    """What is left of the units that a charge includes, for all of its usage together."""

    def __init__(self, left: Decimal) -> None:
        self.left = left

    def take(self, wanted: Decimal) -> Decimal:
        """Use up to so much; return how much there was."""
        taken = min(self.left, wanted)
        self.left = EXACT.subtract(self.left, taken)
        return taken

    def give_back(self, amount: Decimal) -> None:
        """What was used is not after all."""
        self.left = EXACT.add(self.left, amount)


class Meter:
    """The usage of one charge, or that of it which is not to be paid. `beyond` is what nothing covers.

    What corrections take off comes off what is beyond first, and then goes back to where it was covered from, the last
    first. So sums do not depend on when in the period a correction is booked.
    """

    def __init__(self) -> None:
        self.beyond = NOTHING
        self.covered: dict[str, Decimal] = {}

    def add(self, quantity: Decimal, sources: list[tuple[str, Included | Pot]]) -> Decimal:
        """Add a quantity; return what of it is beyond what the sources, used in their order, cover."""
        if quantity < 0:
            off = self._take_off(EXACT.minus(quantity), dict(sources))
            beyond = EXACT.minus(off)
        else:
            # What was taken off too much before is made up for first.
            owed = min(quantity, max(NOTHING, EXACT.minus(self.beyond)))
            beyond = EXACT.add(owed, self._cover(EXACT.subtract(quantity, owed), sources))
        self.beyond = EXACT.add(self.beyond, beyond)
        return beyond

    def _cover(self, rest: Decimal, sources: list[tuple[str, Included | Pot]]) -> Decimal:
        for name, source in sources:
            if not rest:
                break
            taken = source.take(rest)
            if taken:
                self.covered[name] = EXACT.add(self.covered.get(name, NOTHING), taken)
                rest = EXACT.subtract(rest, taken)
        return rest

    def _take_off(self, amount: Decimal, sources: dict[str, Included | Pot]) -> Decimal:
        paid = min(amount, max(NOTHING, self.beyond))
        rest = EXACT.subtract(amount, paid)
        for name in reversed(list(self.covered)):
            back = min(rest, self.covered[name]) if name in sources else NOTHING
            if back:
                sources[name].give_back(back)
                self.covered[name] = EXACT.subtract(self.covered[name], back)
                rest = EXACT.subtract(rest, back)
        return EXACT.add(paid, rest)
