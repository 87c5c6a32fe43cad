"""What a request may see: the ledger as an operator, or as one tenant, by a role of the database that sees no other."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, NamedTuple

from fastapi import Depends, Query

from spanmeter.console.web.principals import Operator, Principal, TenantReader, identified, operator
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.view import View

__all__ = [
    "AnyView",
    "AskedTenant",
    "OneTenant",
    "OperatorView",
    "TenantName",
    "View",
    "own_tenant",
    "own_view",
]

TenantName = Annotated[
    str | None,
    Query(
        max_length=1024,
        pattern=r"^[^\x00]+$",
        description="Only this tenant. A tenant's token means its own, and gets 403 for any other.",
    ),
]


def any_view(
    services: Annotated[Services, Depends(services_of)],
    principal: Annotated[Principal, Depends(identified)],
    tenant: TenantName = None,
) -> Generator[View]:
    """What whoever asks may see of one tenant, or of all where they may. Raises Problem 403."""
    if isinstance(principal, TenantReader):
        with own_view(services, own_tenant(principal, tenant)) as view:
            yield view
    else:
        with services.snapshot() as connection:
            yield View.of_all(connection, tenant)


def operator_view(
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
) -> Generator[View]:
    """Everything, for operators. Raises Problem 403."""
    with services.snapshot() as connection:
        yield View.of_all(connection)


def own_tenant(principal: TenantReader, tenant: str | None) -> str:
    """The tenant that is asked for, if it is one of the principal's. Raises Problem 400 and 403."""
    if tenant is None:
        if len(principal.tenants) > 1:
            raise Problem.meaningless("this key is of several tenants: say which, with tenant=ID")
        return next(iter(principal.tenants))
    if tenant not in principal.tenants:
        raise Problem.forbidden("this token reads another tenant's usage")
    return tenant


class AskedTenant(NamedTuple):
    """Whose what is asked for is; `own`: the tenant itself asks."""

    tenant: str
    own: bool


def asked_tenant(
    principal: Annotated[Principal, Depends(identified)], tenant: TenantName = None
) -> AskedTenant:
    """The one tenant that a request is about. Raises Problem 400 and 403."""
    if isinstance(principal, TenantReader):
        return AskedTenant(own_tenant(principal, tenant), own=True)
    if tenant is None:
        raise Problem.meaningless("say whose: tenant=ID")
    return AskedTenant(tenant, own=False)


@contextmanager
def own_view(services: Services, tenant: str) -> Generator[View]:
    """What a tenant is shown of itself."""
    with services.snapshot() as connection:
        yield View.of_own(connection, tenant)


OneTenant = Annotated[AskedTenant, Depends(asked_tenant)]
AnyView = Annotated[View, Depends(any_view, scope="function")]
OperatorView = Annotated[View, Depends(operator_view, scope="function")]
