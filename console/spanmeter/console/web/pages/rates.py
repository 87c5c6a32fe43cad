"""What providers charge, as it is in force."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from spanmeter.console.web.api.rates import rates_in_force
from spanmeter.console.web.rendering import page
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.rates import pending

router = APIRouter()

_ON_A_PAGE: Final = 100


@router.get("/rates")
def rates(
    request: Request,
    view: OperatorView,
    services: Annotated[Services, Depends(services_of)],
    search: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """The rates in force, by name."""
    found = rates_in_force(view.connection, services, search)
    return page(
        request,
        "rates.html",
        found=found[start : start + _ON_A_PAGE],
        count=len(found),
        start=start,
        following=start + _ON_A_PAGE if len(found) > start + _ON_A_PAGE else None,
        search=search,
        waiting=len(pending(view.connection)),
    )
