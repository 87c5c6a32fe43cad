"""`/v1/rates`: what providers charge, as it is in force."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from spanmeter.console.web.paging import Cursor, Limit, Page, page_of, read
from spanmeter.console.web.problems import documented
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OperatorView
from spanmeter.metering.card_rate import CardRate
from spanmeter.storage.connection import Connection

router = APIRouter(tags=["rates"])


class Rate(BaseModel):
    """One rate of a rate card."""

    rate_version: str = Field(description="Card, version and name: what rows that it priced carry.")
    card: str
    scope: str = Field(description="catalogue, organisation or contract.")
    tenant: str | None = Field(description="Whose contract it is.")
    provider: str
    model: str
    region: str | None
    service_tier: str | None
    effective_from: datetime | None = Field(description="Null: since ever.")
    currency: str
    prices: dict[str, str] = Field(description="By unit, as people write them: 2.50/1M.")


RatesPage = Page[Rate]


@router.get("/rates", responses=documented())
def rates(
    request: Request,
    view: OperatorView,
    services: Annotated[Services, Depends(services_of)],
    search: Annotated[
        str | None, Query(max_length=200, description="Only names with this in them.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> RatesPage:
    """The rates in force, by name."""
    found = rates_in_force(view.connection, services, search)
    if (after := read(cursor, str)) is not None:
        found = [each for each in found if each.rate_version > after[0]]
    shown, following = page_of(
        request, found[: limit + 1], limit, lambda each: (each.rate_version,)
    )
    return RatesPage(data=[_rate(each) for each in shown], next=following)


def rates_in_force(
    connection: Connection, services: Services, search: str | None
) -> list[CardRate]:
    """Those with the text in their name, by name. Raises DatabaseUnavailable."""
    wanted = (search or "").lower()
    known = services.rates.read(connection)
    found = (each for each in known.rates.in_force if wanted in each.rate_version.lower())
    return sorted(
        {each.rate_version: each for each in found}.values(), key=lambda each: each.rate_version
    )


def _rate(rate: CardRate) -> Rate:
    return Rate(
        rate_version=rate.rate_version,
        card=rate.card,
        scope=rate.scope,
        tenant=rate.tenant_id,
        provider=rate.provider,
        model=rate.model,
        region=rate.region,
        service_tier=rate.service_tier,
        effective_from=rate.effective_from,
        currency=rate.currency,
        prices={unit: str(price) for unit, price in sorted(rate.prices.items())},
    )
