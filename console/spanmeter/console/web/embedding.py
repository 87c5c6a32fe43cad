"""What a tenant's own page is made of: of the tenant whose token it is, and nobody else."""

from collections.abc import Generator
from typing import Annotated

from fastapi import Depends, Query, Request

from spanmeter.console.web.api.margin import MonthAsked
from spanmeter.console.web.limits import TenantLimit, limits_of
from spanmeter.console.web.principals import TenantReader, by_credential, peer_of
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.statements_asked import AskedStatements, Beside
from spanmeter.console.web.views import View, own_tenant, own_view
from spanmeter.storage.console_access import tenant_view
from spanmeter.storage.errors import DatabaseUnavailable

TheServices = Annotated[Services, Depends(services_of)]
Token = Annotated[str, Query(max_length=4096, description="A tenant's token.")]


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


def own_statements(services: TheServices, tenant: OwnTenant) -> AskedStatements:
    """The tenant's statements, as it is shown them."""
    return AskedStatements(services, tenant, own=True)


OwnStatements = Annotated[AskedStatements, Depends(own_statements)]


def own_statement(kept: OwnStatements, month: MonthAsked = None) -> Beside:
    """The statement of a month, by default of the one that is now."""
    return kept.beside(month)


def tenants_view(services: TheServices, tenant: OwnTenant) -> Generator[View]:
    """What the tenant is shown of its usage."""
    with own_view(services, tenant) as view:
        yield view


# The view is last: what was asked before has given its connection back by then.
OwnLimits = Annotated[list[TenantLimit] | None, Depends(own_limits)]
OwnStatement = Annotated[Beside, Depends(own_statement)]
TenantsView = Annotated[View, Depends(tenants_view, scope="function")]
