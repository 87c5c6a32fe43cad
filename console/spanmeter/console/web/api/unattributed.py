"""`/v1/unattributed`: usage that has no tenant by now."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.breakdown import costs_by_currency
from spanmeter.console.web.money import Money
from spanmeter.console.web.problems import documented
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.attributing import still_open

router = APIRouter(tags=["usage"])


class UnattributedPlace(BaseModel):
    """What a place in the code used for nobody."""

    callsite: str | None = Field(description="File and line; null: not known.")
    service: str | None
    currency: str
    requests: int
    unpriced_requests: int
    input_tokens: int
    output_tokens: int
    cost: Money
    share_of_cost: Money | None = Field(description="Part of all cost of the period, 0 to 1.")
    first_seen: datetime
    last_seen: datetime


class UnattributedPlaces(BaseModel):
    """Places that still have usage without a tenant, greatest cost first."""

    data: list[UnattributedPlace]


@router.get("/unattributed", responses=documented())
def unattributed(view: OperatorView, asked: Asked) -> UnattributedPlaces:
    """Usage without a tenant, by the place in the code that caused it."""
    costs = costs_by_currency(view, asked)
    places = [each for each in still_open(view.connection, asked.period) if each.requests]
    return UnattributedPlaces(
        data=[
            UnattributedPlace(
                callsite=each.callsite,
                service=each.service_name,
                share_of_cost=share(each.cost, costs.get(each.currency)),
                **_sums(each._asdict()),
            )
            for each in places
        ]
    )


def share(part: Decimal, whole: Decimal | None) -> Decimal | None:
    """The part of the whole, to six places."""
    return round(part / whole, 6) if whole else None


def _sums(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"callsite", "service_name"}}
