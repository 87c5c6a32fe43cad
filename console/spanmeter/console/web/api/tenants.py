"""`/v1/tenants`: what a tenant is shown of itself, and tokens for it to look."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from spanmeter.console.web.principals import Operator, administrator, operator
from spanmeter.console.web.problems import documented
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.tokens import LONGEST
from spanmeter.console.web.views import OperatorView
from spanmeter.console.web.whole import Whole
from spanmeter.storage.console_access import TenantView, set_tenant_view, tenant_view

router = APIRouter(tags=["tenants"])

TenantPath = Annotated[
    str, Path(min_length=1, max_length=1024, pattern=r"^[^\x00/]+$", description="The tenant.")
]


class ShownToTenant(BaseModel):
    """What a tenant sees of its own usage beside counts."""

    tenant: str
    shows_models: bool = Field(description="Providers and models.")
    shows_cost: bool = Field(description="What its usage costs you.")
    set_at: datetime | None = Field(
        description="Null: nobody has laid anything down, and both are false."
    )
    set_by: str | None


class ShowTenant(BaseModel):
    """What a tenant is to see from now on."""

    shows_models: bool = Field(default=False, strict=True)
    shows_cost: bool = Field(default=False, strict=True)


class TokenWanted(BaseModel):
    """How long a token is to work."""

    seconds: Whole = Field(900, ge=1, le=int(LONGEST.total_seconds()))


class TenantToken(BaseModel):
    """A token that reads this tenant's usage and nothing else."""

    tenant: str
    token: str = Field(description="A bearer token of the API, and `token` of the page below.")
    expires_at: datetime
    page: str = Field(description="Path and query of the tenant's page, to embed.")


@router.get("/tenants/{tenant}/view", responses=documented())
def view(ledger: OperatorView, tenant: TenantPath) -> ShownToTenant:
    """What the tenant is shown."""
    return _shown(tenant, tenant_view(ledger.connection, tenant))


@router.put("/tenants/{tenant}/view", responses=documented())
def set_view(
    tenant: TenantPath,
    wanted: ShowTenant,
    services: Annotated[Services, Depends(services_of)],
    who: Annotated[Operator, Depends(administrator)],
) -> ShownToTenant:
    """Lay down what the tenant is shown; every change is kept, with who made it."""
    with services.changing() as connection:
        laid_down = set_tenant_view(
            connection,
            tenant,
            shows_models=wanted.shows_models,
            shows_cost=wanted.shows_cost,
            set_by=who.name,
        )
    return _shown(tenant, laid_down)


@router.post("/tenants/{tenant}/tokens", status_code=201, responses=documented())
def make_token(
    tenant: TenantPath,
    wanted: TokenWanted,
    services: Annotated[Services, Depends(services_of)],
    _: Annotated[Operator, Depends(operator)],
) -> TenantToken:
    """A signed token for this tenant's page or browser, for minutes: make one for each visit."""
    lifetime = timedelta(seconds=wanted.seconds)
    token = services.tokens.for_tenant(tenant, lifetime)
    return TenantToken(
        tenant=tenant,
        token=token,
        expires_at=datetime.now(UTC) + lifetime,
        page=f"/embed?token={token}",
    )


def _shown(tenant: str, shown: TenantView) -> ShownToTenant:
    return ShownToTenant(tenant=tenant, **shown._asdict())
