"""The rates that rows of a ledger may name: all that were ever in force in it."""

from collections.abc import Mapping
from typing import NamedTuple

from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.rates import Rates
from spanmeter.storage.connection import Connection
from spanmeter.storage.rates import read_book


class RatesKnown(NamedTuple):
    """The rates, and by `rate_version` what their cards state."""

    rates: Rates
    stated: Mapping[str, CardRate]


def rates_known(connection: Connection) -> RatesKnown:
    """The rates of the ledger; in one that has none yet, those that its collector would use."""
    book = read_book(connection)
    rates = book.rates() if len(book) else Rates.pinned()
    return RatesKnown(
        rates, {each.rate_version: each for each in (*book.approved, *rates.in_force)}
    )
