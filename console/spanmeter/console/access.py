"""The keys and the log of access, as a person wants to see them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.storage.access_log import log_entries
from spanmeter.storage.api_keys import ListedKey, listed_keys
from spanmeter.storage.connection import Connection

_KEYS: Final = (
    Column("key", "key"),
    Column("name", "name"),
    Column("state", "state"),
    Column("scopes", "scopes"),
    Column("tenants", "tenants", missing="any"),
    Column("created_at", "created"),
    Column("created_by", "by"),
    Column("expires_at", "expires", missing="never"),
    Column("last_used_at", "last used", missing="never"),
    Column("replaces", "replaces"),
)

_LOG: Final = (
    Column("logged_at", "logged"),
    Column("event", "event"),
    Column("key", "key"),
    Column("actor", "by"),
    Column("peer", "peer"),
    Column("reason", "reason"),
    Column("attempts", "attempts"),
    Column("since", "since"),
    Column("detail", "detail"),
)


def keys_listing(connection: Connection) -> Listing:
    """Each key, the latest first."""
    now = datetime.now(UTC)
    return Listing(columns=_KEYS, rows=[_key_line(key, now) for key in listed_keys(connection)])


def log_listing(connection: Connection, since: datetime, key_id: str | None, most: int) -> Listing:
    """What was changed and refused, the latest first."""
    entries = log_entries(connection, since=since, key_id=key_id, most=most)
    return Listing(columns=_LOG, rows=entries)


def key_counts(connection: Connection) -> dict[str, Value]:
    """How many keys work, and how many do no more."""
    now = datetime.now(UTC)
    states = [_state(key, now) for key in listed_keys(connection)]
    working = states.count("works")
    return {"keys": working, "ended_keys": len(states) - working}


def _key_line(key: ListedKey, now: datetime) -> Sequence[Value]:
    return (
        key.key_id,
        key.name,
        _state(key, now),
        ", ".join(key.scopes),
        None if key.tenants is None else ", ".join(key.tenants),
        key.created_at,
        key.created_by,
        key.expires_at,
        key.last_used_at,
        key.replaces,
    )


def _state(key: ListedKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "works"
