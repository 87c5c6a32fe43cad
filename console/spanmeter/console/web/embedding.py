"""What a tenant's own page is made of: of the tenant whose token it is, and nobody else."""

from collections.abc import Generator
from typing import Annotated, NamedTuple

from fastapi import Depends, Query, Request

from spanmeter.console.web.api.margin import MonthAsked
from spanmeter.console.web.limits import TenantLimit, limits_of
from spanmeter.console.web.principals import TenantReader, by_credential, peer_of
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.statements import TenantStatements, Told
from spanmeter.console.web.views import View, own_tenant, own_view
from spanmeter.metering.plans.billing_periods import following, month_named
from spanmeter.storage.closings import Closing
from spanmeter.storage.console_access import tenant_view
from spanmeter.storage.errors import DatabaseUnavailable, LedgerIncomplete

TheServices = Annotated[Services, Depends(services_of)]
Token = Annotated[str, Query(max_length=4096, description="A tenant's token.")]


class OwnStatement(NamedTuple):
    """A statement as the tenant is shown it, and the months beside it."""

    told: Told
    month: str
    before: str
    after: str | None
    closed: list[Closing]


def the_tenant(request: Request, services: TheServices, token: Token) -> str:
    """Whose token it is. Raises Problem 401 and 403."""
    who = by_credential(services, token, peer_of(request))
    if not isinstance(who, TenantReader):
        raise Problem.forbidden("a tenant's page takes a tenant's token, never an API key")
    return own_tenant(who, None)


OwnTenant = Annotated[str, Depends(the_tenant)]


def own_limits(services: TheServices, tenant: OwnTenant) -> list[TenantLimit] | None:
    """What limits the tenant; None: it cannot be counted now."""
    try:
        with services.changing() as connection:
            return limits_of(connection, tenant, tenant_view(connection, tenant))
    except DatabaseUnavailable:
        return None


def own_statement(
    services: TheServices, tenant: OwnTenant, month: MonthAsked = None
) -> OwnStatement | None:
    """The statement of a month, by default of the one that is now; None: the ledger cannot tell it any more."""
    with services.snapshot() as connection:
        kept = TenantStatements.of_own(connection, tenant)
        asked = kept.month if month is None else month_named(month)
        try:
            told = kept.told(asked)
        except (Problem, LedgerIncomplete):
            return None
        return OwnStatement(
            told,
            f"{asked:%Y-%m}",
            f"{following(asked, -1):%Y-%m}",
            f"{following(asked):%Y-%m}" if asked < kept.month else None,
            list(reversed(kept.closed())),
        )


def tenants_view(services: TheServices, tenant: OwnTenant) -> Generator[View]:
    """What the tenant is shown of its usage."""
    with own_view(services, tenant) as view:
        yield view


# The view is last: what was asked before has given its connection back by then.
OwnLimits = Annotated[list[TenantLimit] | None, Depends(own_limits)]
OwnStatementAsked = Annotated[OwnStatement | None, Depends(own_statement)]
TenantsView = Annotated[View, Depends(tenants_view, scope="function")]
