"""`/v1/grants`: allowances, top-ups and credits of tenants."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field, StringConstraints

from spanmeter.console.granting import new_grant
from spanmeter.console.web.api.budgets import Administrator, Laid
from spanmeter.console.web.api.keys import Moment, Name
from spanmeter.console.web.money import Money
from spanmeter.console.web.paging import Cursor, Limit, Page, page_of, read
from spanmeter.console.web.problems import Problem, documented
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OperatorView
from spanmeter.console.web.whole import Whole
from spanmeter.metering.plans.grants import Grant as Kept
from spanmeter.storage.grants import UnknownGrant, add_grant, read_grants, void_grant

router = APIRouter(tags=["grants"])

TheServices = Annotated[Services, Depends(services_of)]
GrantId = Annotated[str, Path(max_length=200, pattern=r"^[^\x00/]+$", description="A grant.")]
Kind = Literal["allowance", "topup", "credit", "promotion", "trial", "commit", "rollover"]
_Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]


class Grant(BaseModel):
    """What a tenant may use, or pay with, beside its plan."""

    grant_id: str
    tenant: str
    kind: str
    amount: Money
    unit: str = Field(description="A currency, or what is counted.")
    effective_at: datetime
    expires_at: datetime | None
    priority: int = Field(description="The lower, the sooner it is used.")
    recurring: bool
    voided_at: datetime | None = Field(description="From then on nothing is left of it.")
    note: str | None


GrantsPage = Page[Grant]


class GrantWanted(BaseModel):
    """A grant to be made."""

    tenant: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]
    amount: Annotated[
        str, StringConstraints(max_length=200, pattern=r"^[0-9]{1,12} [A-Za-z][A-Za-z0-9_]{0,60}$")
    ] = Field(description='"25 USD", "1000000 tokens", "500 requests", "10 actions".')
    kind: Kind = "credit"
    grant_id: Name | None = Field(
        None, description="The same one is granted once. Null: a new one."
    )
    effective_at: Moment | None = Field(None, description="Null: now.")
    expires_at: Moment | None = Field(None, description="Null: never.")
    priority: Whole = Field(100, ge=0, le=1000)
    recurring: bool = Field(default=False, strict=True, description="Anew each billing period.")
    note: _Note | None = None


class Granted(Laid):
    """The grant, and whether it is a new one."""

    grant_id: str


class VoidWanted(BaseModel):
    """Since when nothing is left of a grant, and why."""

    at: Moment | None = Field(None, description="Null: now.")
    note: _Note | None = None


@router.get("/grants", responses=documented())
def grants(
    request: Request,
    view: OperatorView,
    tenant: Annotated[
        str | None, Query(max_length=1024, pattern=r"^[^\x00]+$", description="Only its grants.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> GrantsPage:
    """What was granted, by tenant. What is left of it is in the statement."""
    found = sorted(read_grants(view.connection, tenant), key=_key)
    if (after := read(cursor, str, str)) is not None:
        found = [each for each in found if _key(each) > after]
    shown, following = page_of(request, found[: limit + 1], limit, _key)
    return GrantsPage(data=[_shown(each) for each in shown], next=following)


@router.post("/grants", status_code=HTTPStatus.CREATED, responses=documented())
def grant(services: TheServices, wanted: GrantWanted, who: Administrator) -> Granted:
    """Grant a tenant money, or units of usage."""
    given = _given(wanted)
    with services.changing() as connection:
        new = add_grant(connection, given, who.name)
    return Granted(grant_id=given.grant_id, changed=new)


@router.post(
    "/grants/{grant_id}/void",
    status_code=HTTPStatus.NO_CONTENT,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def void(services: TheServices, grant_id: GrantId, wanted: VoidWanted, who: Administrator) -> None:
    """Take a grant back, once. What it paid for before stays paid."""
    at = wanted.at or datetime.now(UTC)
    with services.changing() as connection:
        if not any(each.grant_id == grant_id for each in read_grants(connection)):
            raise Problem.not_found("there is no such grant")
        try:
            void_grant(connection, grant_id, at, who.name, wanted.note)
        except UnknownGrant as error:
            raise Problem.conflict("the grant is void already") from error


def _given(wanted: GrantWanted) -> Kept:
    try:
        return new_grant(
            wanted.tenant,
            wanted.amount,
            effective_at=wanted.effective_at or datetime.now(UTC),
            grant_id=wanted.grant_id,
            kind=wanted.kind,
            expires_at=wanted.expires_at,
            priority=wanted.priority,
            recurring=wanted.recurring,
            rollover=("0", "0"),
            when=None,
            note=wanted.note,
        )
    except ValueError as error:
        raise Problem.meaningless(str(error)) from error


def _shown(grant: Kept) -> Grant:
    told: dict[str, Any] = {
        name: getattr(grant, name) for name in Grant.model_fields if hasattr(grant, name)
    }
    return Grant(**told, tenant=grant.tenant_id)


def _key(grant: Kept) -> tuple[str, str]:
    return grant.tenant_id, grant.grant_id
