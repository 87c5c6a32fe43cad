"""Usage without a tenant, by the place in the code that caused it."""

from decimal import Decimal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.breakdown import costs_by_currency
from spanmeter.console.web.rendering import page
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.attributing import still_open

router = APIRouter()


@router.get("/unattributed")
def unattributed(request: Request, view: OperatorView, asked: Asked) -> Response:
    """Where it comes from, and how much of all cost it is."""
    places = [each for each in still_open(view.connection, asked.period) if each.requests]
    open_costs: dict[str, Decimal] = {}
    for each in places:
        open_costs[each.currency] = open_costs.get(each.currency, Decimal()) + each.cost
    return page(
        request,
        "unattributed.html",
        asked=asked,
        places=places,
        costs=costs_by_currency(view, asked),
        open_costs=open_costs,
        requests=sum(each.requests for each in places),
    )
