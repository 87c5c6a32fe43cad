"""What a request may see of a ledger."""

from dataclasses import dataclass

from spanmeter.storage.connection import Connection
from spanmeter.storage.console_access import TenantView, become_tenant, tenant_view


@dataclass(frozen=True, slots=True)
class View:
    """One snapshot of the ledger. `own`: it is `tenant`'s, by the views that show a tenant its own rows."""

    connection: Connection
    tenant: str | None
    own: bool
    shown: TenantView

    @classmethod
    def of_all(cls, connection: Connection, tenant: str | None = None) -> "View":
        """An operator's: of everybody, or of one tenant."""
        return cls(connection, tenant, own=False, shown=TenantView())

    @classmethod
    def of_own(cls, connection: Connection, tenant: str) -> "View":
        """A tenant's own: until the transaction ends, the connection sees nothing else."""
        shown = tenant_view(connection, tenant)
        become_tenant(connection, tenant)
        return cls(connection, tenant, own=True, shown=shown)

    @property
    def models(self) -> bool:
        """Whether providers and models may be seen."""
        return not self.own or self.shown.shows_models

    @property
    def cost(self) -> bool:
        """Whether cost may be seen."""
        return not self.own or self.shown.shows_cost
