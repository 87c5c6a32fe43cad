"""`/v1/usage`: sums by any dimensions."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.money import Money
from spanmeter.console.web.paging import Cursor, Limit, Page, page_of, read
from spanmeter.console.web.problems import documented
from spanmeter.console.web.usage_sums import UsageAsked, UsageRow, usage_sums
from spanmeter.console.web.views import AnyView, View

router = APIRouter(tags=["usage"])

# What people type for short; the ledger's own names work as well.
SHORT: Final = {
    "tenant": "tenant_id",
    "workspace": "workspace_id",
    "project": "project_id",
    "user": "user_id",
    "service": "service_name",
}
_LONG: Final = {column: short for short, column in SHORT.items()}

Only = Annotated[
    str | None, Query(max_length=1024, pattern=r"^[^\x00]*$", description="Only where it is this.")
]


class UsageSums(BaseModel):
    """Sums over the part of the ledger that shares the dimensions and the currency."""

    dimensions: dict[str, str | None] = Field(
        description="Value of each dimension asked for; null: none was told, of tenant: unattributed."
    )
    requests: int = Field(description="Requests to providers.")
    failed_requests: int = Field(description="Of these, those that failed; they may have cost.")
    unpriced_requests: int | None = Field(
        description="Those without a known rate: not in cost. Null: not shown."
    )
    input_tokens: int = Field(description="Cache reads and writes included.")
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int = Field(description="Reasoning included.")
    reasoning_output_tokens: int
    cost: Money | None = Field(
        description="Exact sum of the known costs. Null: none is known, or not shown."
    )
    currency: str = Field(description="ISO 4217.")


class UsagePage(Page[UsageSums]):
    """Sums, with the period they are of."""

    since: datetime = Field(description="From then on.")
    until: datetime = Field(description="Before this.")


@router.get("/usage", responses=documented())
def usage(
    request: Request,
    view: AnyView,
    asked: Asked,
    by: Annotated[
        str,
        Query(
            max_length=500,
            pattern=r"^[^\x00]*$",
            description="Comma-separated: tenant, workspace, project, user, feature, workflow, action, label, "
            "account_type, environment, service, provider, model, operation, status, billable_state, "
            "dimension:NAME; and month, day, hour.",
        ),
    ] = "",
    feature: Only = None,
    model: Only = None,
    provider: Only = None,
    workspace: Only = None,
    project: Only = None,
    user: Only = None,
    account_type: Only = None,
    environment: Only = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> UsagePage:
    """Requests, tokens and cost by any dimensions: greatest cost first, or by time where that is a dimension.

    The sums equal those over the ledger at this moment, exactly.
    """
    filters = {
        "feature": feature,
        "model": model,
        "provider": provider,
        "workspace_id": workspace,
        "project_id": project,
        "user_id": user,
        "account_type": account_type,
        "environment": environment,
    }
    only = {name: value for name, value in filters.items() if value is not None}
    rows = usage_sums(
        view, UsageAsked(dimensions(by), asked, only, limit + 1, read(cursor, Decimal, str))
    )
    shown, following = page_of(request, rows, limit, lambda row: (row.rank, row.key))
    data = [sums(row, view) for row in shown]
    return UsagePage(data=data, next=following, since=asked.since, until=asked.until)


def dimensions(text: str) -> list[str]:
    """The ledger's dimensions in a list of their names, long or short."""
    names = [name for each in text.split(",") if (name := each.strip())]
    return [SHORT.get(name, name) for name in names]


def sums(row: UsageRow, view: View) -> UsageSums:
    """The row as the API shows it: named for short, and without cost where that is not shown."""
    told = row._asdict() | {
        "dimensions": {_LONG.get(name, name): value for name, value in row.dimensions.items()},
        "unpriced_requests": row.unpriced_requests if view.cost else None,
    }
    return UsageSums.model_validate(told)
