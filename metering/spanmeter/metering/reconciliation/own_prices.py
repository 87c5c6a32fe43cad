"""What our own rates say that one of each kind on a bill costs."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Final

from spanmeter.metering.costing import Quantities, cost_of
from spanmeter.metering.rates import Rates
from spanmeter.metering.reconciliation.bill import (
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    OUTPUT,
    STANDARD,
    UNCACHED_INPUT,
    Cell,
)
from spanmeter.metering.unit_rates import Rate

ONE: Final[Mapping[str, Quantities]] = {
    UNCACHED_INPUT: {"input_tokens": 1},
    CACHE_READ: {"input_tokens": 1, "cache_read_tokens": 1},
    CACHE_WRITE: {"input_tokens": 1, "cache_write_tokens": 1},
    CACHE_WRITE_5M: {"input_tokens": 1, "cache_write_tokens": 1, "cache_write_5m_tokens": 1},
    CACHE_WRITE_1H: {"input_tokens": 1, "cache_write_tokens": 1, "cache_write_1h_tokens": 1},
    OUTPUT: {"output_tokens": 1},
    "audio_input_tokens": {"input_tokens": 1, "input_audio_tokens": 1},
    "audio_output_tokens": {"output_tokens": 1, "output_audio_tokens": 1},
    "image_input_tokens": {"input_tokens": 1, "input_image_tokens": 1},
    "image_output_tokens": {"output_tokens": 1, "output_image_tokens": 1},
}
"""One of each kind of token in the catalogue's units, where a whole includes its parts."""


def own_prices(rates: Rates, provider: str) -> Callable[[Cell], Mapping[str, Decimal]]:
    """The list prices of a provider's models by cell, for calls that stay below every context tier."""

    @lru_cache(maxsize=4096)
    def of(cell: Cell) -> Mapping[str, Decimal]:
        if cell.model is None:
            return {}
        noon = datetime.combine(cell.day, time(12), UTC)
        tier = None if cell.tier == STANDARD else cell.tier
        rate = rates.find(provider, cell.model, tier, noon)
        return {} if rate is None else _prices(rate)

    return of


def _prices(rate: Rate) -> dict[str, Decimal]:
    kinds = {**{unit: {unit: 1} for unit in rate.covers}, **ONE}
    found = {kind: cost_of(one, rate) for kind, one in kinds.items()}
    return {kind: cost.amount for kind, cost in found.items() if cost.amount is not None}
