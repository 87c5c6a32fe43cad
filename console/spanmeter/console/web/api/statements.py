"""`/v1/statements`: what a tenant owes for a month, open or closed."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from spanmeter.console.web.problems import documented
from spanmeter.console.web.statements import Told
from spanmeter.console.web.statements_asked import StatementsOfTenant
from spanmeter.metering.statements.statement import exact
from spanmeter.storage.closings import Closing

router = APIRouter(tags=["statements"])

MONTH = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
Month = Annotated[
    str, Path(pattern=MONTH, description="The month that the period begins in: 2026-11.")
]
_Exact = Annotated[str | None, Field(description="Exact, as text.")]


class Line(BaseModel):
    """One line. What a tenant is not shown is null."""

    kind: str = Field(description="usage, included, granted, refund, fee, minimum, discount, ...")
    name: str
    plan: str | None
    unit: str | None
    quantity: _Exact
    price: str | None = Field(description="As people write it: 2.50/1M, cost +30%.")
    amount: _Exact
    rounded: _Exact
    calls: int | None
    since: datetime | None
    until: datetime | None


class GrantLeft(BaseModel):
    """What is left of a grant at the end of the period, or by now."""

    grant: str
    kind: str
    unit: str
    used: _Exact
    left: _Exact


class StatementShown(BaseModel):
    """A statement: of a closed period as it was closed, of an open one to date."""

    tenant: str
    month: str
    state: str = Field(description="open or closed.")
    revision: int | None = Field(description="How often it was closed. Null: it is open.")
    since: datetime
    until: datetime
    as_of: datetime
    currency: str | None = Field(description="Null: no plan was in force.")
    total: _Exact = Field(description="What is owed. Null: nothing has a price without a plan.")
    unrounded_total: _Exact
    lines: list[Line]
    grants: list[GrantLeft]
    cost: dict[str, str] | None = Field(description="By currency. Null: not shown.")
    calls: dict[str, int] | None
    unpriced_calls: int | None
    uncharged_calls: int | None
    sha256: str = Field(description="Of the whole document, as it was closed.")
    changed_since: _Exact = Field(description="What came late: it is in the next statement.")
    notes: list[str]


class Period(BaseModel):
    """A period, and what it came to."""

    month: str
    state: str = Field(description="open or closed.")
    since: datetime
    until: datetime
    total: _Exact
    currency: str | None
    revision: int | None
    closed_at: datetime | None
    sha256: str


class Periods(BaseModel):
    """The period that is now, and the closed ones, the latest first."""

    data: list[Period]


@router.get("/statements", responses=documented())
def statements(kept: StatementsOfTenant) -> Periods:
    """The periods of a tenant: the one that is now, to date, and those that were closed."""
    now = kept.told()
    opened = [_now(now)] if now.closing is None else []
    return Periods(data=[*opened, *(_period(each) for each in reversed(now.closed))])


@router.get("/statements/{month}", responses=documented())
def statement(kept: StatementsOfTenant, month: Month) -> StatementShown:
    """The statement of one period."""
    return _shown(kept.told(month))


def _now(told: Told) -> Period:
    return Period(
        **_common(told.document), state="open", revision=None, closed_at=None, sha256=told.digest
    )


def _common(document: dict[str, Any]) -> dict[str, Any]:
    names = ("since", "until", "total", "currency")
    return {"month": document["period"], **{name: document[name] for name in names}}


def _period(closing: Closing) -> Period:
    return Period(
        month=f"{closing.month:%Y-%m}",
        state="closed",
        since=closing.since,
        until=closing.until,
        total=exact(closing.total),
        currency=closing.currency,
        revision=closing.revision,
        closed_at=closing.closed_at,
        sha256=closing.digest.hex(),
    )


def _shown(told: Told) -> StatementShown:
    document = {**told.document, "tenant": told.document["tenant_id"]}
    closing = told.closing
    return StatementShown.model_validate(
        {
            **document,
            "month": document["period"],
            "state": "open" if closing is None else "closed",
            "revision": None if closing is None else closing.revision,
            "sha256": told.digest,
            "changed_since": told.changed_since,
            "notes": told.notes,
        }
    )
