"""Rates of cards for tests; a test names what matters to it."""

from __future__ import annotations

from typing import Any

from spanmeter.metering.card_rate import ORGANISATION_CARD, CardRate, contract_card
from spanmeter.metering.model_match import named
from spanmeter.metering.prices import Price


def override(
    *,
    card: str = ORGANISATION_CARD,
    version: str = "1",
    provider: str = "openai",
    model: str = "gpt-4o-mini",
    tenant_id: str | None = None,
    service_tier: str | None = None,
    region: str | None = None,
    currency: str = "USD",
    effective_from: Any = None,
    hours: Any = None,
    approval: int = 0,
    approved_at: Any = None,
    **prices: str,
) -> CardRate:
    """A rate of the card; its prices are named by their units: `input_tokens="1/1M"`."""
    scopes = {ORGANISATION_CARD: "organisation"}
    scope: Any = "contract" if tenant_id else scopes.get(card, "catalogue")
    return CardRate(
        card=contract_card(tenant_id) if tenant_id else card,
        version=version,
        scope=scope,
        tenant_id=tenant_id,
        provider=provider,
        model=model,
        matches=named(model),
        service_tier=service_tier,
        region=region,
        currency=currency,
        effective_from=effective_from,
        hours=hours,
        approval=approval,
        approved_at=approved_at,
        prices={unit: Price.parsed(price, unit) for unit, price in prices.items()},
    )
