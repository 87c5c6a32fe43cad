"""What a new version of a card changes: rates that are added, changed, or no longer there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Context, Decimal
from typing import Final, Literal, NamedTuple

from spanmeter.metering.card_rate import CardRate

Change = Literal["added", "removed", "changed"]

PERCENT: Final = Context(prec=12)


class UnitChange(NamedTuple):
    """The price of one unit, for so many, before and after; `None` where there is none. `percent` where both are."""

    unit: str
    tier_start: int | None
    before: Decimal | None
    after: Decimal | None
    per: int
    percent: Decimal | None


class RateChange(NamedTuple):
    """A rate before and after; `None` where there is none."""

    before: CardRate | None
    after: CardRate | None

    @property
    def kind(self) -> Change:
        """What becomes of it."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def units(self) -> Sequence[UnitChange]:
        """The prices that differ, by unit; all of them where the rate is added or removed."""
        before, after = _by_unit(self.before), _by_unit(self.after)
        keys = sorted(before.keys() | after.keys(), key=lambda key: (key[0], key[1] or 0))
        changes = (_unit_change(key, before.get(key), after.get(key)) for key in keys)
        return [change for change in changes if change.before != change.after]


def changed(in_force: Iterable[CardRate], listed: Iterable[CardRate]) -> Iterator[CardRate]:
    """What of a complete card is to be recorded, given what of it is in force.

    Rates that are new or say something else; and those that it lists no more, as withdrawn.
    """
    before = {rate.name: rate for rate in in_force}
    version = ""
    for rate in listed:
        version = rate.version
        known = before.pop(rate.name, None)
        if known is None or not known.says_the_same(rate):
            yield rate
    for gone in before.values():
        yield replace(gone, version=version, withdrawn=True, approved_at=None, approval=0)


def change_of(in_force: CardRate | None, rate: CardRate) -> RateChange:
    """What the approval of a rate would change."""
    return RateChange(in_force, None if rate.withdrawn else rate)


_Key = tuple[str, int | None]


class _Stated(NamedTuple):
    price: Decimal
    per: int


def _by_unit(rate: CardRate | None) -> dict[_Key, _Stated]:
    stated: dict[_Key, _Stated] = {}
    if rate is None:
        return stated
    for unit, price in rate.prices.items():
        stated[unit, None] = _Stated(price.price, price.per)
        stated.update({(unit, start): _Stated(due, price.per) for start, due in price.tiers})
    return stated


def _unit_change(key: _Key, before: _Stated | None, after: _Stated | None) -> UnitChange:
    unit, start = key
    per = (after or before or _Stated(Decimal(0), 1)).per
    old = None if before is None else before.price
    if before is not None and before.per != per:
        old = PERCENT.divide(PERCENT.multiply(before.price, Decimal(per)), Decimal(before.per))
    new = None if after is None else after.price
    percent = None
    if old and new is not None:
        percent = PERCENT.subtract(PERCENT.multiply(PERCENT.divide(new, old), Decimal(100)), 100)
    return UnitChange(unit, start, old, new, per, percent)
