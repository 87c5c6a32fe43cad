"""A provider's bill, whatever it was read from: amounts and quantities by day, account, model and service tier."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.catalogue import STANDARD_TIERS

STANDARD: Final = "standard"

UNCACHED_INPUT: Final = "uncached_input_tokens"
CACHE_READ: Final = "cache_read_input_tokens"
CACHE_WRITE: Final = "cache_write_input_tokens"
CACHE_WRITE_5M: Final = "cache_write_5m_input_tokens"
CACHE_WRITE_1H: Final = "cache_write_1h_input_tokens"
OUTPUT: Final = "output_tokens"

INPUT_KINDS: Final = (UNCACHED_INPUT, CACHE_READ, CACHE_WRITE, CACHE_WRITE_5M, CACHE_WRITE_1H)
"""Ways to bill a token of a prompt: which of them is what cache and bill may disagree on."""

Quantities = Mapping[str, Decimal]
"""Amounts by kind. Kinds exclude each other: `uncached_input_tokens` has neither cached nor audio tokens in it.
Beside the token kinds, units of the ledger's `quantities`: `web_searches`, `input_audio_seconds`, ..."""


class Cell(NamedTuple):
    """What is compared with each other: a UTC day, a provider's account, a model, and a service tier.

    `account` is the provider's own division of a customer (a project, a workspace, an account), or `None` where it is
    not told apart; `model` is `None` for charges that no model made.
    """

    day: date
    account: str | None
    model: str | None
    tier: str


class BillLine(NamedTuple):
    """One line: `quantity` of one kind cost `amount`. Either may be unknown, never both.

    `tier` is `None` where the line does not tell tiers apart.
    """

    day: date
    model: str | None
    kind: str | None
    quantity: Decimal | None
    amount: Decimal | None
    currency: str = "USD"
    account: str | None = None
    tier: str | None = STANDARD


class Bill(NamedTuple):
    """The lines of one provider for a period."""

    provider: str
    lines: tuple[BillLine, ...]

    @property
    def total(self) -> Decimal:
        """The sum of all amounts."""
        return sum((line.amount for line in self.lines if line.amount is not None), Decimal())


class UnreadableBill(ValueError):
    """The bill is not what it is said to be; the message names the place in it."""


def tier_named(name: str | None) -> str:
    """A service tier by one name: all names of the list price are `standard`."""
    if name is None or name.lower() in STANDARD_TIERS:
        return STANDARD
    return name.lower()


def currency_of(lines: Iterable[BillLine]) -> str:
    """The one currency of a bill. Raises `UnreadableBill` where there are two: they are never added."""
    currencies = sorted({line.currency for line in lines})
    if len(currencies) > 1:
        raise UnreadableBill(
            f"the bill has amounts in {' and '.join(currencies)}: reconcile one currency at a time"
        )
    return currencies[0] if currencies else "USD"
