"""What one token more costs, by its kind: enough to cost a call that used nothing else, as nearly all do.

They are found by costing one token of each kind, so they cannot say anything else than `cost_of` does.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.costing import EXACT, NO_MONEY, Cost, Quantity, cost_of
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.unit_rates import Rate
from spanmeter.metering.usage_event import CostQuality

UNITS: Final = frozenset(
    {
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "output_reasoning_tokens",
    }
)

NO_MEDIA: Final = [None] * 4


class TokenCosts(NamedTuple):
    """Money for a request and for each token more of a kind; of cached and reasoning tokens, what they cost more
    than the input or output that they are part of. They hold up to `most_input` tokens."""

    request: Decimal
    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal
    reasoning: Decimal
    most_input: int | None
    quality: CostQuality

    def cost(self, tokens: Tokens) -> Cost | None:
        """What `cost_of` makes of the tokens; `None` for what these do not tell."""
        whole, read, written, by_ttl, output, reasoning, *media = tokens
        if by_ttl or media != NO_MEDIA:
            return None
        request, each, each_read, each_written, each_output, each_reasoning, most, quality = self
        if most is not None and (whole or 0) > most:
            return None
        add = EXACT.fma
        amount = add(each, whole or 0, request)
        amount = add(each_output, output or 0, amount)
        if read:
            amount = add(each_read, read, amount)
        if written:
            amount = add(each_written, written, amount)
        # Most charge for reasoning as for all output.
        if reasoning and each_reasoning:
            amount = add(each_reasoning, reasoning, amount)
        return Cost(EXACT.add(EXACT.normalize(amount), NO_MONEY), quality)


def token_costs(rate: Rate) -> TokenCosts | None:
    """A rate as a cost for each token; `None` where there is more to it."""
    if not _is_simple(rate):
        return None
    nothing = _cost(rate, {})
    one, output = _cost(rate, {"input_tokens": 1}), _cost(rate, {"output_tokens": 1})
    read = _cost(rate, {"input_tokens": 1, "cache_read_tokens": 1})
    written = _cost(rate, {"input_tokens": 1, "cache_write_tokens": 1})
    reasoned = _cost(rate, {"output_tokens": 1, "output_reasoning_tokens": 1})
    tiers = [tier[0] for unit in rate.units for tier in unit.tiers]
    return TokenCosts(
        request=nothing,
        input=EXACT.subtract(one, nothing),
        cache_read=EXACT.subtract(read, one),
        cache_write=EXACT.subtract(written, one),
        output=EXACT.subtract(output, nothing),
        reasoning=EXACT.subtract(reasoned, output),
        most_input=min(tiers, default=None),
        quality="exact" if rate.matched else "fallback",
    )


def _is_simple(rate: Rate) -> bool:
    return (
        rate.covers >= UNITS
        and not any({one, other} <= UNITS for _, one, other in rate.joins)
        and all(
            unit.each is not None and not unit.minimum for unit in rate.units if unit.unit in UNITS
        )
    )


def _cost(rate: Rate, tokens: Mapping[str, Quantity]) -> Decimal:
    amount = cost_of({**dict.fromkeys(UNITS, 0), "requests": 1, **tokens}, rate).amount
    return NO_MONEY if amount is None else amount
