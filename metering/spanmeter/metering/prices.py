"""Prices of a rate by unit, as cards state them, as JSON keeps them, and as people write them: `2.50/1M`."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, cast

MAX_DIGITS: Final = 40
"""Digits of a price, and of a count that it is for; catalogues have ten."""

MAX_TIERS: Final = 16
"""Tiers by the length of the input; the most that a provider has is three."""

_TEXT: Final = re.compile(r"(?P<price>[0-9.]+)(?:/(?P<per>[0-9]+)(?P<scale>[kKmMgG]?))?")
_TIER: Final = re.compile(r">(?P<start>[0-9]+)(?P<scale>[kKmM]?): ?(?P<price>[0-9.]+)")
_SCALES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


class BadPrice(ValueError):
    """Text or JSON that states no price. The message says what is expected."""


class Price(NamedTuple):
    """`price` for every `per` units; a call whose input is longer than a tier's start pays the tier's price for all.

    `tiers` are `(start, price)`, lowest first.
    """

    price: Decimal
    per: int
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def __str__(self) -> str:
        """As people write it: `1.25/1M,>200k:2.50`."""
        tiers = "".join(f",>{_count(start)}:{price:f}" for start, price in self.tiers)
        return f"{self.price:f}{'' if self.per == 1 else f'/{_count(self.per)}'}{tiers}"

    def to_json(self) -> dict[str, object]:
        """The form that is kept: decimals are text, so that nothing rounds them."""
        tiers = [[start, f"{price:f}"] for start, price in self.tiers]
        return {"price": f"{self.price:f}", "per": self.per, **({"tiers": tiers} if tiers else {})}

    @classmethod
    def from_json(cls, value: object) -> "Price":
        """The price that `to_json` wrote."""
        stated = cast("Mapping[str, Any]", value)
        tiers = tuple((int(start), Decimal(price)) for start, price in stated.get("tiers", ()))
        return cls(Decimal(stated["price"]), int(stated["per"]), tiers)

    @classmethod
    def parsed(cls, text: str, unit: str) -> "Price":
        """The price of a unit that a person wrote. Raises `BadPrice`.

        Tokens need to say for how many: nobody means 2.50 dollars for each.
        """
        first, *rest = (part.strip() for part in text.split(","))
        stated = _TEXT.fullmatch(first)
        tiers = [_TIER.fullmatch(part) for part in rest]
        if stated is None or None in tiers or len(tiers) > MAX_TIERS:
            raise BadPrice(
                f"{text[:60]!r} is no price of {unit}; write 2.50/1M, 0.04, or 1.25/1M,>200k:2.50"
            )
        if stated["per"] is None and unit.endswith("_tokens"):
            raise BadPrice(f"the price of {unit} needs a count: {first}/1M is for a million")
        per = _scaled(stated["per"] or "1", stated["scale"] or "")
        if not per:
            raise BadPrice(f"{text[:60]!r} is a price for no {unit} at all")
        found = [
            (_scaled(tier["start"], tier["scale"]), decimal(tier["price"]))
            for tier in tiers
            if tier
        ]
        return cls(decimal(stated["price"]), per, tuple(sorted(found)))


Prices = Mapping[str, Price]
"""Prices by unit, in the catalogue's unit names (`cache_read_tokens`) or an application's own (`gpu_seconds`)."""


def decimal(value: object) -> Decimal:
    """A price from text or a number, exactly; floats are taken as they are written. Raises `BadPrice`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadPrice(f"{str(value)[:60]!r} is no price")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise BadPrice(f"{str(value)[:60]!r} is no price") from None
    if not number.is_finite() or number < 0 or abs(number.adjusted()) > MAX_DIGITS:
        raise BadPrice(f"{str(value)[:60]!r} is no price; a price is 0 or more")
    if len(number.as_tuple().digits) > MAX_DIGITS:
        raise BadPrice(f"{str(value)[:60]!r} has more than {MAX_DIGITS} digits")
    return number


def to_json(prices: Prices) -> dict[str, object]:
    """The prices in the form that is kept, by unit in alphabetical order."""
    return {unit: prices[unit].to_json() for unit in sorted(prices)}


def from_json(value: Mapping[str, object]) -> dict[str, Price]:
    """The prices that `to_json` wrote."""
    return {unit: Price.from_json(price) for unit, price in value.items()}


def _scaled(digits: str, scale: str) -> int:
    if len(digits) > 15:
        raise BadPrice(f"{digits[:20]}... is too large a count")
    return int(digits) * _SCALES[scale.lower()]


def _count(number: int) -> str:
    for scale, size in (("M", 10**6), ("k", 10**3)):
        if number >= size and number % size == 0:
            return f"{number // size}{scale}"
    return str(number)
