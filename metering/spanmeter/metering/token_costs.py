"""What one token more costs, by its kind: enough to cost a call that used nothing else, as nearly all do.

They are found by costing one token of each kind, so they cannot say anything else than `cost_of` does.
"""

from collections.abc import Mapping, Sequence
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


class TokenCosts(NamedTuple):
    """A request and each token more of a kind, in units of 10**`exponent` of the currency; of cached and reasoning
    tokens, what they cost more than the input or output that they are part of. They hold up to `most_input` tokens."""

    request: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int
    exponent: int
    most_input: int | None
    quality: CostQuality

    def cost(self, tokens: Tokens) -> Cost | None:
        """What `cost_of` makes of the tokens; `None` for what these do not tell."""
        whole, read, written, by_ttl, output, reasoning, *media = tokens
        if by_ttl or any(media):
            return None
        amount = self.amount(whole, read, written, output, reasoning)
        return None if amount is None else Cost(amount, self.quality)

    def amount(
        self,
        whole: int | None,
        read: int | None,
        written: int | None,
        output: int | None,
        reasoning: int | None,
    ) -> Decimal | None:
        """The same for the counts that these tell, in US dollars."""
        request, each, each_read, each_written, each_output, each_reasoning, exponent, most, _ = (
            self
        )
        if most is not None and (whole or 0) > most:
            return None
        units = (
            request
            + each * (whole or 0)
            + each_read * (read or 0)
            + each_written * (written or 0)
            + each_output * (output or 0)
            + each_reasoning * (reasoning or 0)
        )
        # Without the zeros at its end, and without an exponent above 0.
        return EXACT.add(EXACT.normalize(EXACT.scaleb(units, exponent)), NO_MONEY)


def token_costs(rate: Rate) -> TokenCosts | None:
    """A rate as a cost for each token; `None` where there is more to it."""
    if not _is_simple(rate):
        return None
    nothing = _cost(rate, {})
    one, output = _cost(rate, {"input_tokens": 1}), _cost(rate, {"output_tokens": 1})
    read = _cost(rate, {"input_tokens": 1, "cache_read_tokens": 1})
    written = _cost(rate, {"input_tokens": 1, "cache_write_tokens": 1})
    reasoned = _cost(rate, {"output_tokens": 1, "output_reasoning_tokens": 1})
    less = EXACT.subtract
    exponent, (request, each, each_read, each_written, each_output, each_reasoning) = _in_units(
        (
            *(nothing, less(one, nothing), less(read, one), less(written, one)),
            *(less(output, nothing), less(reasoned, output)),
        )
    )
    tiers = [tier[0] for unit in rate.units for tier in unit.tiers]
    return TokenCosts(
        request=request,
        input=each,
        cache_read=each_read,
        cache_write=each_written,
        output=each_output,
        reasoning=each_reasoning,
        exponent=exponent,
        most_input=min(tiers, default=None),
        quality="exact" if rate.matched else "fallback",
    )


def _in_units(amounts: Sequence[Decimal]) -> tuple[int, list[int]]:
    """The exponent of a power of ten that all of them are multiples of, and how often they hold it."""
    exponent = min(int(amount.as_tuple().exponent) for amount in amounts)
    return exponent, [int(EXACT.scaleb(amount, -exponent)) for amount in amounts]


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
