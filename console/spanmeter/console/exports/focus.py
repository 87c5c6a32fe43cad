"""FOCUS files: what providers charge us, with the tenant as the consumer, and tokens as what was consumed.

Source: focus.finops.org, FinOps Open Cost and Usage Specification 1.2, with the names that 1.3 and 1.4 gave to
providers beside the earlier ones. What it has no column for is in columns of our own, which begin with `x_`.

A charge of ours is an hour of calls to one model: providers set several prices to the tokens of one call, so that its
cost is that of the call, and is priced as it is billed, in the currency.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.table_content import Cell, Kind, TableOf
from spanmeter.storage.charges import Charge, charges
from spanmeter.storage.connection import Connection

_HOUR: Final = timedelta(hours=1)


def table(
    connection: Connection, configured: Configured, since: datetime, until: datetime
) -> TableOf:
    """The charges of a window. A charge without any known cost is left out: FOCUS has no place for one."""
    found = charges(connection, since, until)
    priced = [charge for charge in found if charge.cost is not None]
    columns = {**_OF_CHARGES, **_of_account(configured)}
    names = sorted(columns, key=lambda name: (name.startswith("x_"), name))
    rows = [[columns[name][1](charge) for name in names] for charge in priced]
    return TableOf(
        {name: columns[name][0] for name in names},
        rows,
        totals(priced),
        totals(charge for charge in found if charge.cost is None),
    )


def totals(found: Iterable[Charge]) -> dict[str, Decimal]:
    """Requests, and cost by currency."""
    summed: dict[str, Decimal] = {}
    for each in found:
        for name, amount in (
            ("requests", each.requests),
            (f"cost {each.currency}", each.cost or 0),
        ):
            summed[name] = summed.get(name, Decimal()) + amount
    return summed


Column = tuple[Kind, Callable[[Charge], Cell]]


def _of_account(configured: Configured) -> Mapping[str, Column]:
    account = str(configured.options["billing_account"])
    name = str(configured.options.get("billing_account_name", account))
    return {
        "BillingAccountId": (str, lambda _: account),
        "BillingAccountName": (str, lambda _: name),
    }


def _month(charge: Charge) -> datetime:
    return charge.charged_from.replace(day=1, hour=0)


def _next_month(charge: Charge) -> datetime:
    return (_month(charge) + timedelta(days=32)).replace(day=1)


def _tokens(charge: Charge) -> Decimal:
    return Decimal(charge.input_tokens + charge.output_tokens)


def _sku(charge: Charge) -> str:
    told = (charge.provider, charge.model or "unknown", charge.operation, charge.service_tier)
    return "/".join(filter(None, told))


def _description(charge: Charge) -> str:
    return f"{charge.operation} with {charge.model or 'an unknown model'} of {charge.provider}"


def _tags(charge: Charge) -> str:
    told = {
        "environment": charge.environment,
        "feature": charge.feature,
        "project": charge.project_id,
        "workspace": charge.workspace_id,
    }
    return json.dumps({name: value for name, value in told.items() if value is not None})


def _unless_corrects(value: Callable[[Charge], Cell]) -> Callable[[Charge], Cell]:
    return lambda charge: None if charge.corrects else value(charge)


def _nothing(_: Charge) -> Cell:
    return None


_PROVIDER: Final[Column] = (str, lambda charge: charge.provider)
_COST: Final[Column] = (Decimal, lambda charge: charge.cost)
_ONE: Final[Column] = (Decimal, _unless_corrects(lambda _: Decimal(1)))

_OF_CHARGES: Final[Mapping[str, Column]] = {
    "AvailabilityZone": (str, _nothing),
    "BilledCost": _COST,
    "BillingAccountType": (str, lambda _: "Account"),
    "BillingCurrency": (str, lambda charge: charge.currency),
    "BillingPeriodEnd": (datetime, _next_month),
    "BillingPeriodStart": (datetime, _month),
    "CapacityReservationId": (str, _nothing),
    "CapacityReservationStatus": (str, _nothing),
    "ChargeCategory": (str, lambda _: "Usage"),
    "ChargeClass": (str, lambda charge: "Correction" if charge.corrects else None),
    "ChargeDescription": (str, _description),
    "ChargeFrequency": (str, lambda _: "Usage-Based"),
    "ChargePeriodEnd": (datetime, lambda charge: charge.charged_from + _HOUR),
    "ChargePeriodStart": (datetime, lambda charge: charge.charged_from),
    "CommitmentDiscountCategory": (str, _nothing),
    "CommitmentDiscountId": (str, _nothing),
    "CommitmentDiscountName": (str, _nothing),
    "CommitmentDiscountQuantity": (Decimal, _nothing),
    "CommitmentDiscountStatus": (str, _nothing),
    "CommitmentDiscountType": (str, _nothing),
    "CommitmentDiscountUnit": (str, _nothing),
    "ConsumedQuantity": (Decimal, _tokens),
    "ConsumedUnit": (str, lambda _: "Tokens"),
    "ContractedCost": _COST,
    "ContractedUnitPrice": _ONE,
    "EffectiveCost": _COST,
    "HostProviderName": _PROVIDER,
    "InvoiceId": (str, _nothing),
    "InvoiceIssuerName": _PROVIDER,
    "ListCost": _COST,
    "ListUnitPrice": _ONE,
    "PricingCategory": (str, _unless_corrects(lambda _: "Standard")),
    "PricingCurrency": (str, lambda charge: charge.currency),
    "PricingCurrencyContractedUnitPrice": _ONE,
    "PricingCurrencyEffectiveCost": _COST,
    "PricingCurrencyListUnitPrice": _ONE,
    "PricingQuantity": _COST,
    "PricingUnit": (str, lambda charge: charge.currency),
    "ProviderName": _PROVIDER,
    "PublisherName": _PROVIDER,
    "RegionId": (str, lambda charge: charge.region),
    "RegionName": (str, lambda charge: charge.region),
    "ResourceId": (str, lambda charge: charge.model),
    "ResourceName": (str, lambda charge: charge.model),
    "ResourceType": (str, lambda charge: None if charge.model is None else "Model"),
    "ServiceCategory": (str, lambda _: "AI and Machine Learning"),
    "ServiceName": _PROVIDER,
    "ServiceProviderName": _PROVIDER,
    "ServiceSubcategory": (str, lambda _: "Generative AI"),
    "SkuId": (str, _sku),
    "SkuMeter": (str, lambda charge: charge.operation),
    "SkuPriceDetails": (str, _nothing),
    "SkuPriceId": (str, _sku),
    "SubAccountId": (str, lambda charge: charge.tenant_id),
    "SubAccountName": (str, lambda charge: charge.tenant_id),
    "SubAccountType": (str, lambda charge: None if charge.tenant_id is None else "Tenant"),
    "Tags": (str, _tags),
    "x_CacheReadInputTokens": (int, lambda charge: charge.cache_read_input_tokens),
    "x_CacheWriteInputTokens": (int, lambda charge: charge.cache_write_input_tokens),
    "x_ConsumerId": (str, lambda charge: charge.tenant_id),
    "x_InputTokens": (int, lambda charge: charge.input_tokens),
    "x_OutputTokens": (int, lambda charge: charge.output_tokens),
    "x_RateVersions": (str, lambda charge: charge.rate_versions),
    "x_ReasoningOutputTokens": (int, lambda charge: charge.reasoning_output_tokens),
    "x_Requests": (int, lambda charge: charge.requests),
    "x_UnpricedRequests": (int, lambda charge: charge.unpriced_requests),
}
"""By the name of the column: its type, and what a charge has there. Column ids of FOCUS 1.2, and 1.4's of providers."""
