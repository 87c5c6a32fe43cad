"""The meter: a span in, a costed usage event out. Pure: the same span always gives the same event."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.attribution import Attribution
from spanmeter.metering.billable import Rules
from spanmeter.metering.billable_facts import Facts
from spanmeter.metering.billable_rules import DEFAULTS
from spanmeter.metering.call_cost import REFUSED, CallCost, CallCosts
from spanmeter.metering.called import Called, read_called
from spanmeter.metering.costing import priced_quantities
from spanmeter.metering.dialects import Call, call_of
from spanmeter.metering.outcome import Outcome, read_outcome, was_refused
from spanmeter.metering.quantities import check_parts, read_quantities
from spanmeter.metering.rates import Rates
from spanmeter.metering.raw_usage import raw_usage
from spanmeter.metering.reading import MAX_TEXT, descriptive, mended, text
from spanmeter.metering.reads import READS, reads_of
from spanmeter.metering.row_templates import RowTemplates
from spanmeter.metering.span import Attributes, Span
from spanmeter.metering.tokens import Tokens, read_tokens
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import BillableState, CostQuality, UsageEvent, UsageSource
from spanmeter.metering.usage_source import read_usage_source
from spanmeter.metering.when import When, read_when
from spanmeter.metering.who import Who, read_who

DIMENSION: Final = names.USAGE_DIMENSION_PREFIX
CACHE_WRITE: Final = names.USAGE_CACHE_WRITE_PREFIX
QUANTITY: Final = names.USAGE_QUANTITY_PREFIX
PREFIXES: Final = (DIMENSION, CACHE_WRITE, QUANTITY)
"""Attributes whose names cannot be listed: they are found by one pass over the span's."""


class Counted(NamedTuple):
    """What else was used, and how it is known, in the row's order."""

    quantities: Mapping[str, Decimal]
    usage_source: UsageSource
    raw_usage: str | None


class Charge(NamedTuple):
    """What the call costs us and whether the tenant is charged, in the row's order."""

    billable_state: BillableState
    billable_reason: str
    cost: Decimal | None
    currency: str
    rate_version: str | None
    cost_quality: CostQuality


class Told(NamedTuple):
    """Who told us, in the row's order."""

    dialect: str
    scope_name: str
    scope_version: str
    key_id: str | None = None
    """The API key it was sent with: of the transport, not of the span."""
    budget_leases: str | None = None
    """What it drew on of budgets."""


GROUPS: Final = (When, Who, Called, Outcome, Tokens, Counted, Charge, Told)
"""The columns of a usage event in runs, each read by a module of its own. A test holds them to it."""


class Meter:
    """Meters spans at pinned rates and by one version of the billable rules, for the tenants that `attribution` finds.

    Spans that began more than `max_age` before, or `max_ahead` after, the moment of receipt are
    refused: one span of a wrong clock would otherwise make a chunk of its own in the ledger.
    """

    def __init__(
        self,
        rates: Rates,
        rules: Rules = DEFAULTS,
        *,
        attribution: Attribution | None = None,
        max_age: timedelta = timedelta(days=400),
        max_ahead: timedelta = timedelta(minutes=10),
    ) -> None:
        self._costs = CallCosts(rates)
        self._rules = rules
        self._attribution = attribution or Attribution()
        self._max_age = max_age
        self._max_ahead = max_ahead
        reads = reads_of(self._attribution)
        self.reads = READS if reads == READS else reads
        """What is read of spans; of most meters the very same."""
        self._templates = RowTemplates(self._attribution, rates, rules, max_age, max_ahead)

    def tenant_of(self, span: Span) -> str | None:
        """The tenant of a span that could not be metered, as far as it can be told."""
        found, _ = self._attribution.found(span.attributes, span.resource)
        try:
            return text(found, names.TENANT_ID)
        except Unmeterable:
            return None

    def meter(self, span: Span, now: datetime) -> UsageEvent | None:
        """The usage event of a span received `now`, or `None` if it is not one request to a provider.

        Raises `Unmeterable` where it is one, and cannot be booked as it stands.
        """
        call = call_of(span)
        return None if call is None else self._metered(span, call, now)

    def usual(self, spans: list[Span], now: datetime, at: int = 0) -> list[UsageEvent]:
        """The usage events of spans received `now`, from the one at a place on, some of them, as far as they are like
        spans that were metered before: the same that `meter` makes of each, and much faster."""
        return self._templates.events(spans, now, at)

    def cost_of_tokens(
        self, called: Called, tokens: Tokens, at: datetime, tenant: str | None
    ) -> tuple[Decimal, str] | None:
        """What a call that used these tokens would cost, and the currency; `None` where it is unpriced."""
        found = self._costs.of(
            called, priced_quantities(tokens, {}), at, by_model=False, tenant=tenant
        )
        amount = found.cost.amount
        return None if amount is None else (amount, found.currency)

    def unit_prices(
        self, called: Called, at: datetime, tenant: str | None
    ) -> tuple[dict[str, Decimal], str]:
        """What one of each other unit than tokens costs that a call may use, and the currency."""
        return self._costs.unit_prices(called, at, tenant)

    def _metered(self, span: Span, call: Call, now: datetime) -> UsageEvent:
        attributes, tenant_place = self._attribution.found(call.attributes, span.resource)
        prefixed = _prefixed(attributes)
        when = read_when(span, now, self._max_age, self._max_ahead)
        who = read_who(attributes, span.resource, prefixed, tenant_place)
        called = read_called(attributes, call.operation)
        outcome = read_outcome(span, attributes)
        tokens = read_tokens(attributes, prefixed)
        others = read_quantities(attributes, prefixed)
        reported = tokens.reported or bool(others)
        if span.dropped_attributes and not reported:
            _check_complete(span, attributes, outcome)
        source = read_usage_source(attributes, reported=reported)
        cost = self._cost(call, called, outcome, tokens, others, when.time, who.tenant_id)
        counted = Counted(others, source, raw_usage(attributes))
        declared = text(attributes, names.USAGE_BILLABLE_STATE)
        facts = Facts(declared, who, called, outcome, bool(tokens.output_tokens), source)
        charge = _charge(self._rules, facts, cost)
        told = _told(call.dialect, span.scope_name[:MAX_TEXT], span.scope_version[:MAX_TEXT])
        if names.USAGE_BUDGET_LEASES in span.attributes:
            leases = descriptive(span.attributes, names.USAGE_BUDGET_LEASES)
            told = told._replace(budget_leases=leases)
        event = UsageEvent._make(
            (*when, *who, *called, *outcome, *tokens, *counted, *charge, *told)
        )
        costs = self._costs.token_costs(called, when.time, who.tenant_id)
        self._templates.learn(span, event, costs, now)
        return event

    def _cost(
        self,
        call: Call,
        called: Called,
        outcome: Outcome,
        tokens: Tokens,
        others: Mapping[str, Decimal],
        at: datetime,
        tenant: str | None,
    ) -> CallCost:
        if not (tokens.reported or others) and was_refused(call.attributes, outcome.status):
            return REFUSED
        if tokens.reported and not others:
            cost = self._costs.of_tokens(called, tokens, at, by_model=call.by_model, tenant=tenant)
            if cost is not None:
                return cost
        quantities = priced_quantities(tokens, others) if tokens.reported or others else {}
        check_parts(quantities, others)
        return self._costs.of(called, quantities, at, by_model=call.by_model, tenant=tenant)


def _prefixed(attributes: Attributes) -> list[str]:
    """The attributes whose names cannot be listed. Most spans have none, which one look tells."""
    joined = "".join(attributes)
    if DIMENSION not in joined and CACHE_WRITE not in joined and QUANTITY not in joined:
        return []
    return [name for name in attributes if name.startswith(PREFIXES)]


@lru_cache(maxsize=1024)
def _told(dialect: str, scope: str, version: str) -> Told:
    return Told(dialect, mended(scope), mended(version))


def _check_complete(span: Span, attributes: Attributes, outcome: Outcome) -> None:
    """Counts that an SDK left out for want of room are not counts of nothing."""
    if not was_refused(attributes, outcome.status):
        raise Unmeterable(
            "dropped_attributes",
            f"the span has no counts, and its SDK left out {span.dropped_attributes} of its "
            "attributes; raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        )


def _charge(rules: Rules, facts: Facts, booked: CallCost) -> Charge:
    state, reason = rules.decide(facts)
    cost, rate_version, currency = booked
    return Charge(state, reason, cost.amount, currency, rate_version, cost.quality)
