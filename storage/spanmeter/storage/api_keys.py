"""API keys: made, rotated and revoked; and what a collector has to know of them.

A key is `smk_`, twelve hex digits to know it again by, `_`, and 256 random bits in hex. Only its SHA-256 is stored:
there is nothing to guess in a random key, so that a slow hash would protect nothing.
"""

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, NamedTuple, get_args

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import StorageError

Scope = Literal["ingest", "read", "admin"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

KEY_ID: Final = re.compile(r"smk_[0-9a-f]{12}")
TOKEN: Final = re.compile(r"(smk_[0-9a-f]{12})_[0-9a-f]{64}")

_SQL = statements.load("api_keys")


class UnusableKey(StorageError):
    """A key cannot be made so, or there is none of that name."""


class NewKey(NamedTuple):
    """A key as it is shown once: `token` is the secret."""

    key_id: str
    token: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as a collector knows it. `tenants` None: any tenant."""

    key_id: str
    digest: bytes
    scopes: frozenset[str]
    tenants: frozenset[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None

    def belongs_to(self, token: str) -> bool:
        """Whether this is the key, whichever of its characters differ, in the same time."""
        return secrets.compare_digest(self.digest, digest_of(token))


class ListedKey(NamedTuple):
    """A key as it may be shown."""

    key_id: str
    name: str
    scopes: Sequence[str]
    tenants: Sequence[str] | None
    created_at: datetime
    created_by: str
    replaces: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def digest_of(token: str) -> bytes:
    """What of a key is stored."""
    return sha256(token.encode()).digest()


def create_key(
    connection: Connection,
    name: str,
    *,
    scopes: Collection[Scope],
    tenants: Collection[str] | None = None,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key. Bound to `tenants` it can write and read as these alone. Raises UnusableKey."""
    if tenants is not None and (not tenants or not all(tenants)):
        raise UnusableKey("a key is bound to one tenant or more, each with a name")
    if tenants is not None and "admin" in scopes:
        raise UnusableKey("a key with the scope admin cannot be bound to tenants")
    return _insert(connection, name, sorted(scopes), _sorted(tenants), expires_at, None)


def rotate_key(
    connection: Connection, key_id: str, *, overlap: timedelta, expires_at: datetime | None = None
) -> NewKey:
    """Make a key that may do the same; the old one works for `overlap` from now on. Raises UnusableKey."""
    with connection.transaction():
        row = connection.execute(_SQL["lock_key"], (key_id,)).fetchone()
        if row is None:
            raise _unknown(key_id)
        name, scopes, tenants, _, revoked_at = row
        if revoked_at is not None:
            raise UnusableKey(f"{key_id} was revoked; make a new key with `spanmeter keys create`")
        made = _insert(connection, name, scopes, tenants, expires_at, key_id)
        connection.execute(_SQL["expire_key"], {"key_id": key_id, "overlap": overlap})
    return made


def revoke_key(connection: Connection, key_id: str) -> None:
    """End a key for good. Raises UnusableKey where there is none."""
    if not connection.execute(_SQL["revoke_key"], (key_id,)).rowcount:
        raise _unknown(key_id)


def bind_key(connection: Connection, key_id: str, tenants: Collection[str] | None) -> None:
    """Bind a key to these tenants in place of those it had; None: to none. Raises UnusableKey."""
    values = {"key_id": key_id, "tenants": _sorted(tenants)}
    if not connection.execute(_SQL["bind_key"], values).rowcount:
        raise _unknown(key_id)


def listed_keys(connection: Connection) -> list[ListedKey]:
    """All keys, the latest first."""
    return [ListedKey._make(row) for row in connection.execute(_SQL["keys"])]


def key_ring(connection: Connection) -> dict[str, ApiKey]:
    """All keys by id, those that work no more among them: why one is refused is to be known."""
    rows = connection.execute(_SQL["ring"]).fetchall()
    return {
        key_id: ApiKey(
            key_id,
            digest,
            frozenset(scopes),
            None if tenants is None else frozenset(tenants),
            expires_at,
            revoked_at,
        )
        for key_id, digest, scopes, tenants, expires_at, revoked_at in rows
    }


def bindings(connection: Connection) -> dict[str, frozenset[str]]:
    """The tenants of each key that is bound, whether it works or not."""
    rows = connection.execute(_SQL["bindings"]).fetchall()
    return {key_id: frozenset(tenants) for key_id, tenants in rows}


def note_used(connection: Connection, used: Mapping[str, datetime]) -> None:
    """Note when keys were last used."""
    if used:
        values = {"key_ids": list(used), "times": list(used.values())}
        connection.execute(_SQL["note_used"], values)


def _insert(
    connection: Connection,
    name: str,
    scopes: Sequence[str],
    tenants: Sequence[str] | None,
    expires_at: datetime | None,
    replaces: str | None,
) -> NewKey:
    key_id = f"smk_{secrets.token_hex(6)}"
    token = f"{key_id}_{secrets.token_hex(32)}"
    row = {
        "key_id": key_id,
        "name": name,
        "digest": digest_of(token),
        "scopes": list(scopes),
        "tenants": tenants,
        "replaces": replaces,
        "expires_at": expires_at,
    }
    connection.execute(_SQL["insert_key"], row)
    return NewKey(key_id, token)


def _sorted(tenants: Collection[str] | None) -> list[str] | None:
    return None if tenants is None else sorted(set(tenants))


def _unknown(key_id: str) -> UnusableKey:
    shown = key_id if KEY_ID.fullmatch(key_id) else "that name"
    return UnusableKey(f"there is no key {shown}; `spanmeter keys list` shows those there are")
