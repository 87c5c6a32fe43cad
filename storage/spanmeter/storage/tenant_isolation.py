"""Whether a tenant that reads the database by SQL can see another's rows: tried, and looked up in the catalog.

A chunk inherits the grants of its table and none of its row-level security (timescale/timescaledb#7830), and a view
reads with its owner's rights: so each of them is looked at.
"""

import logging
from typing import Final, NamedTuple

from psycopg import errors, sql

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import StorageError

logger = logging.getLogger(__name__)

_SQL = statements.load("isolation")

OWN: Final = ("own_usage_events", "own_adjustments", "own_ledger")
"""The views that show a session its own tenant, of those that are quick to ask."""


class TenantsCanPeek(StorageError):
    """A tenant can reach rows of others."""


class Relation(NamedTuple):
    """What holds rows of tenants; a `part` is a chunk or partition."""

    oid: int
    name: str
    kind: str
    part: bool


def refuse_leaks(connection: Connection) -> None:
    """Raise TenantsCanPeek if the role for tenants, or a tenant's login, can reach another's rows in any way."""
    row = connection.execute(_SQL["tenant_role"]).fetchone()
    exists, may_become = row if row is not None else (False, False)
    if not exists:
        return
    holding = [Relation._make(found) for found in connection.execute(_SQL["holding"])]
    oids = [relation.oid for relation in holding]
    for name, role in connection.execute(_SQL["reachable"], {"relations": oids}):
        raise TenantsCanPeek(
            f"the role {role} of a tenant can reach {name}, which has the rows of others: "
            f"REVOKE ALL ON {name} FROM PUBLIC, {role}"
        )
    if may_become:
        _try(connection, holding)


def _try(connection: Connection, holding: list[Relation]) -> None:
    """Read as a tenant: tables, views and one part of each; the catalog has spoken of all the others."""
    whole = [statements.trusted(each.name) for each in holding if not each.part]
    parts = [statements.trusted(each.name) for each in holding if each.part][-2:]
    for relation in [*whole, *parts]:
        if _reads(connection, relation, refused=True):
            raise TenantsCanPeek(
                f"a tenant can read {relation.as_string()}, which has the rows of others: "
                "REVOKE ALL ON it FROM PUBLIC"
            )
    for name in OWN:
        if _reads(connection, sql.Identifier(name), refused=False):
            raise TenantsCanPeek(f"{name} shows a tenant the rows of others: migrate it anew")


def _reads(connection: Connection, relation: sql.Composable, *, refused: bool) -> bool:
    """Whether a tenant that there is none of reads it; where that has to be `refused`, whether it may at all."""
    with connection.transaction(force_rollback=True):
        connection.execute(_SQL["become_tenant"])
        try:
            found = connection.execute(_SQL["read"].format(relation=relation)).fetchone()
        except errors.InsufficientPrivilege:
            return False
        except errors.QueryCanceled:
            logger.warning("%s took too long to be tried", relation.as_string())
            return False
    return refused or found is not None
