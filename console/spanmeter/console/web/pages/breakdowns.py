"""Usage by one dimension: features, models, and any other."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from spanmeter.console.web.api.usage import dimensions
from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.csv_files import csv_file
from spanmeter.console.web.pages.overview import Currency
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.rendering import page
from spanmeter.console.web.sheet import Sheet
from spanmeter.console.web.usage_sums import UsageAsked, usage_sums
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.reports import DIMENSIONS

router = APIRouter()

CHOICES: Final = (
    *("feature", "model", "provider", "operation", "service_name", "environment", "workflow"),
    *("workspace_id", "project_id", "account_type", "billable_state", "action", "user_id"),
)
"""What the page offers; it shows any other dimension as well."""

_ON_A_PAGE: Final = 100
_ALL: Final = 100_000

_SUMS: Final = (
    *("requests", "failed_requests", "unpriced_requests", "input_tokens"),
    *("cache_read_input_tokens", "cache_write_input_tokens", "output_tokens"),
    *("reasoning_output_tokens", "cost", "currency"),
)


@router.get("/by/{dimension}")
def by_dimension(
    request: Request,
    view: OperatorView,
    asked: Asked,
    dimension: Annotated[str, Path(max_length=100)],
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    currency: Currency = None,
) -> Response:
    """Cost by the values of a dimension, and over time."""
    if dimension not in DIMENSIONS:
        raise Problem.not_found(f"there is no dimension {dimension!r}")
    sheet = Sheet.read(view, dimension, asked, currency)
    found = sheet.lines(sheet.before())
    return page(
        request,
        "breakdown.html",
        asked=asked,
        dimension=dimension,
        choices=CHOICES,
        totals=sheet.totals(),
        chart=sheet.chart(),
        found=found[start : start + _ON_A_PAGE],
        count=len(found),
        start=start,
        following=start + _ON_A_PAGE if len(found) > start + _ON_A_PAGE else None,
    )


@router.get("/usage.csv")
def usage_csv(
    view: OperatorView,
    asked: Asked,
    by: Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")] = "tenant",
) -> Response:
    """What a page shows, exact, for a spreadsheet."""
    names = dimensions(by)
    rows = usage_sums(view, UsageAsked(names, asked, limit=_ALL))
    cells = [
        [*(row.dimensions[name] for name in names), *(getattr(row, name) for name in _SUMS)]
        for row in rows
    ]
    return csv_file("usage.csv", [*names, *_SUMS], cells)
