"""What the provider charges for one call, and the rate or rule that says so."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.called import Called
from spanmeter.metering.costing import EXACT, NO_MONEY, UNPRICED, Cost, Quantities, cost_of
from spanmeter.metering.rates import CACHED, MINUTE, Rates
from spanmeter.metering.token_costs import TokenCosts, token_costs
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.unit_rates import Rate

CURRENCY: Final = "USD"
"""Of rows whose cost no rate has made; the catalogue's prices are in US dollars."""

NOTHING: Final = Cost(NO_MONEY, "exact")
REFUSED_RULE: Final = "refused-1"
"""Takes a rate's place: a provider that answers with an HTTP error bills nothing for the request."""

FREE: Final = frozenset({("openai", names.MODERATION)})
FREE_RULE: Final = "free-1"
"""Takes a rate's place where a provider says that the operation costs nothing.

Source: developers.openai.com/api/docs/guides/moderation ("free to use")."""

SURCHARGED: Final = frozenset({("anthropic", "us")})
"""Regions that a provider charges more for, which the catalogue does not know of.

Source: platform.claude.com/docs/en/about-claude/pricing, "Data residency pricing" (1.1 times)."""


class CallCost(NamedTuple):
    """The cost, the version of the rate or the rule that made it, and the rate's currency."""

    cost: Cost
    rate_version: str | None
    currency: str = CURRENCY


REFUSED: Final = CallCost(NOTHING, REFUSED_RULE)
"""What a call costs that the provider refused."""


class _Asked(NamedTuple):
    """All that decides which rate applies. `contract`: the tenant, if it has rates of its own. `by_model`: the model
    told the provider, who may have been another."""

    contract: str | None
    provider: str
    operation: str
    request_model: str | None
    response_model: str | None
    region: str | None
    service_tier: str | None
    by_model: bool
    minute: int
    """Since the epoch: no rate changes within one."""


class CallCosts:
    """Costs calls at the rates in force."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._by_token = lru_cache(maxsize=CACHED)(self._find_by_token)

    def of(
        self,
        called: Called,
        quantities: Quantities,
        at: datetime,
        *,
        by_model: bool,
        tenant: str | None = None,
    ) -> CallCost:
        """The cost of any quantities; none are none reported."""
        contract = self._rates.contract_of(tenant)
        return self._of(_asked(called, at, contract, by_model=by_model), quantities)

    def of_tokens(
        self,
        called: Called,
        tokens: Tokens,
        at: datetime,
        *,
        by_model: bool,
        tenant: str | None = None,
    ) -> CallCost | None:
        """The same for a call that used tokens only; quicker, or `None` where it is not as simple as that."""
        contract = self._rates.contract_of(tenant)
        found = self._by_token(*_asked(called, at, contract, by_model=by_model))
        if found is None:
            return None
        costs, rate_version, currency = found
        cost = costs.cost(tokens)
        return None if cost is None else CallCost(cost, rate_version, currency)

    def token_costs(
        self, called: Called, at: datetime, tenant: str | None = None
    ) -> TokenCosts | None:
        """What `of_tokens` goes by, where a provider was named; `None` where it is not as simple."""
        contract = self._rates.contract_of(tenant)
        found = self._by_token(*_asked(called, at, contract, by_model=False))
        return None if found is None else found[0]

    def unit_prices(
        self, called: Called, at: datetime, tenant: str | None = None
    ) -> tuple[dict[str, Decimal], str]:
        """The prices of one of each unit but tokens, and their currency; none where there is no rate."""
        asked = _asked(called, at, self._rates.contract_of(tenant), by_model=False)
        rate = None if (asked.provider, asked.operation) in FREE else self._rate(asked)
        if rate is None:
            return {}, CURRENCY
        others = (each for each in rate.units if not each.unit.endswith("_tokens"))
        return {each.unit: EXACT.divide(each.price, each.per) for each in others}, rate.currency

    def _of(self, asked: _Asked, quantities: Quantities) -> CallCost:
        if (asked.provider, asked.operation) in FREE:
            return CallCost(NOTHING, FREE_RULE)
        rate = self._rate(asked) if quantities else None
        if rate is None:
            return CallCost(UNPRICED, None)
        cost = cost_of(quantities, rate)
        if cost.amount is None:
            return CallCost(UNPRICED, None)
        return CallCost(cost, rate.rate_version, rate.currency)

    def _find_by_token(
        self, *asked_for: str | bool | int | None
    ) -> tuple[TokenCosts, str, str] | None:
        asked = _Asked._make(asked_for)
        rate = None if (asked.provider, asked.operation) in FREE else self._rate(asked)
        costs = None if rate is None else token_costs(rate)
        if rate is None or costs is None:
            return None
        return costs, rate.rate_version, rate.currency

    def _rate(self, asked: _Asked) -> Rate | None:
        at = datetime.fromtimestamp(asked.minute * MINUTE, UTC)
        model, answered = asked.request_model, asked.response_model
        rate = self._of_model(asked, answered, at) if answered is not None else None
        # The model's maker stands in for whoever served it.
        stands_in = asked.by_model
        if rate is None and model is not None and model != answered:
            rate = self._of_model(asked, model, at)
            # The price of the model that was asked for stands in for that of the one that answered.
            stands_in = stands_in or answered is not None
        if rate is None:
            return None
        surcharged = (asked.provider, asked.region) in SURCHARGED and rate.region is None
        return rate._replace(matched=False) if stands_in or surcharged else rate

    def _of_model(self, asked: _Asked, model: str, at: datetime) -> Rate | None:
        return self._rates.find(
            asked.provider,
            model,
            asked.service_tier,
            at,
            region=asked.region,
            contract=asked.contract,
        )


def _asked(called: Called, at: datetime, contract: str | None, *, by_model: bool) -> _Asked:
    provider, operation, model, answered, _, region, tier, _ = called
    minute = int(at.timestamp()) // MINUTE
    return _Asked(contract, provider, operation, model, answered, region, tier, by_model, minute)
