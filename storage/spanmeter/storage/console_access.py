"""Whom the console serves: signing secrets, links that log in once, keys, and what each tenant is shown."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from spanmeter.storage import statements
from spanmeter.storage.api_keys import ApiKey
from spanmeter.storage.connection import Connection, database_errors

# "spansign" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spansign")

_SQL = statements.load("console_access")


class TenantView(NamedTuple):
    """What a tenant is shown of its own usage beside counts. `set_at` None: nobody has laid anything down."""

    shows_models: bool = False
    shows_cost: bool = False
    set_at: datetime | None = None
    set_by: str | None = None


def signing_secrets(connection: Connection) -> Mapping[str, bytes]:
    """The secrets that are good by now, by id, the one that signs first; a ledger without one gets it.

    Raises DatabaseUnavailable.
    """
    with database_errors():
        found = connection.execute(_SQL["secrets"]).fetchall()
        if not found:
            with connection.transaction():
                connection.execute(_SQL["one_secret_at_a_time"], (_LOCK,))
                connection.execute(_SQL["add_first_secret"], (secrets.token_bytes(32),))
            found = connection.execute(_SQL["secrets"]).fetchall()
    return {str(secret_id): secret for secret_id, secret in found}


def rotate_secret(connection: Connection, overlap: timedelta) -> None:
    """Sign with a new secret; tokens of those before are good for `overlap` at most. Raises DatabaseUnavailable."""
    with database_errors(), connection.transaction():
        connection.execute(_SQL["one_secret_at_a_time"], (_LOCK,))
        connection.execute(_SQL["retire_secrets"], (overlap,))
        connection.execute(_SQL["add_secret"], (secrets.token_bytes(32),))


def make_login_link(connection: Connection, lifetime: timedelta) -> str:
    """The token of a link that logs an operator in, once, within `lifetime`. Raises DatabaseUnavailable."""
    token = secrets.token_urlsafe(32)
    with database_errors():
        connection.execute(_SQL["add_link"], (_digest(token), lifetime))
    return token


def use_login_link(connection: Connection, token: str) -> bool:
    """Use a link up; whether it was good. Raises DatabaseUnavailable."""
    with database_errors():
        return connection.execute(_SQL["use_link"], (_digest(token),)).fetchone() is not None


def find_key(connection: Connection, key_id: str) -> ApiKey | None:
    """The key of this id, whether it works or not. Raises DatabaseUnavailable."""
    with database_errors():
        row = connection.execute(_SQL["key"], (key_id,)).fetchone()
    if row is None:
        return None
    known_as, digest, scopes, tenants, expires_at, revoked_at = row
    bound = None if tenants is None else frozenset(tenants)
    return ApiKey(known_as, digest, frozenset(scopes), bound, expires_at, revoked_at)


def tenant_view(connection: Connection, tenant_id: str) -> TenantView:
    """What the tenant is shown. Raises DatabaseUnavailable."""
    with database_errors():
        row = connection.execute(_SQL["view"], (tenant_id,)).fetchone()
    return TenantView() if row is None else TenantView._make(row)


def set_tenant_view(
    connection: Connection, tenant_id: str, *, shows_models: bool, shows_cost: bool, set_by: str
) -> TenantView:
    """Lay down what the tenant is shown from now on. Raises DatabaseUnavailable."""
    told = {
        "tenant_id": tenant_id,
        "shows_models": shows_models,
        "shows_cost": shows_cost,
        "set_by": set_by,
    }
    with database_errors():
        row = connection.execute(_SQL["set_view"], told).fetchone()
    return TenantView() if row is None else TenantView._make(row)


def become_tenant(connection: Connection, tenant_id: str) -> None:
    """Until the end of the transaction under way, see what the tenant is shown, and nothing else."""
    connection.execute(_SQL["become_tenant"], {"tenant": tenant_id})


def bound_session(connection: Connection) -> None:
    """Have every later statement of the connection give up in time, and have no transaction left open."""
    connection.execute(_SQL["bound_session"])


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
