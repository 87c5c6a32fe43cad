"""Who sends: by the key in `authorization: Bearer`, or where none is asked for, by address (RFC 6750, section 2.1)."""

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from threading import Semaphore
from typing import Final, Protocol

from spanmeter.collector_receiver.key_ring import KeyRing
from spanmeter.collector_receiver.refusals import Forbidden, Refused, TryAgain, Unauthenticated
from spanmeter.collector_receiver.refused_attempts import AttemptCounts
from spanmeter.collector_receiver.sender import Grant, Sender
from spanmeter.storage.api_keys import KEY_ID, TOKEN, ApiKey

INGEST: Final = "ingest"

MAX_HEADER: Final = 200
"""Characters of the header; a key has 81."""

AWAY: Final = "the keys cannot be looked up now: the database does not answer"


class Senders(Protocol):
    """Tells who sends: by key, or by address alone."""

    def known(self, authorization: Sequence[str], peer: str) -> Sender | None:
        """The sender, from what is known by now; None where the database has to be asked, which `sender` does.

        `authorization` is each header of that name. Raises `Unauthenticated`, `Forbidden`.
        """
        ...

    def sender(self, authorization: Sequence[str], peer: str, patience: float = math.inf) -> Sender:
        """The sender; the database is waited for for up to `patience` seconds. Raises the same, and `TryAgain`."""
        ...


class Authentication:
    """Tells senders by their keys. `at_once` requests can wait for the database at a time, each for `hold` seconds."""

    def __init__(
        self, ring: KeyRing, attempts: AttemptCounts, *, at_once: int, hold: float
    ) -> None:
        self._ring = ring
        self._attempts = attempts
        self._hold = hold
        self._waiting = Semaphore(max(1, at_once))

    def known(self, authorization: Sequence[str], peer: str) -> Sender | None:
        """As `Senders` has it."""
        key_id, token = self._token(authorization, peer)
        key = self._ring.find(key_id) if self._ring.trusted else None
        return None if key is None else self._sender(key, token, peer)

    def sender(self, authorization: Sequence[str], peer: str, patience: float = math.inf) -> Sender:
        """As `Senders` has it: a key that is not known yet is looked up."""
        known = self.known(authorization, peer)
        return known if known is not None else self._looked_up(authorization, peer, patience)

    def _looked_up(self, authorization: Sequence[str], peer: str, patience: float) -> Sender:
        asked = time.monotonic()
        if not self._waiting.acquire(blocking=False):
            raise TryAgain("too many requests with keys that are not known are under way")
        try:
            if not self._ring.looked_since(asked, min(patience, self._hold)):
                raise TryAgain(AWAY)
        finally:
            self._waiting.release()
        found = self.known(authorization, peer)
        if found is None:
            raise self._refused("unknown", self._token(authorization, peer)[0], peer)
        return found

    def _token(self, authorization: Sequence[str], peer: str) -> tuple[str, str]:
        """What the key begins with, and all of it."""
        if not authorization:
            raise self._refused("missing", None, peer)
        scheme, _, token = authorization[0][:MAX_HEADER].partition(" ")
        token = token.strip()
        found = TOKEN.fullmatch(token)
        if len(authorization) > 1 or scheme.lower() != "bearer" or found is None:
            shown = KEY_ID.match(token)
            raise self._refused("malformed", shown and shown[0], peer)
        return found[1], token

    def _sender(self, key: ApiKey, token: str, peer: str) -> Sender:
        now = datetime.now(UTC)
        if not key.belongs_to(token):
            raise self._refused("unknown", key.key_id, peer)
        if key.revoked_at is not None:
            raise self._refused("revoked", key.key_id, peer)
        if key.expires_at is not None and key.expires_at <= now:
            raise self._refused("expired", key.key_id, peer)
        if INGEST not in key.scopes:
            raise self._refused("scope", key.key_id, peer)
        self._ring.note_use(key, now)
        return Sender(key.key_id, Grant(key.key_id, key.tenants))

    def _refused(self, reason: str, key_id: str | None, peer: str) -> Refused:
        self._attempts.add(reason, key_id, peer)
        return (Forbidden if reason == "scope" else Unauthenticated)(_TOLD[reason])


class Anybody:
    """Takes all senders, and tells them apart by address: where nobody else can connect, or an operator wants it so."""

    def known(self, authorization: Sequence[str], peer: str) -> Sender | None:
        """The sender."""
        return Sender(peer)

    def sender(self, authorization: Sequence[str], peer: str, patience: float = math.inf) -> Sender:
        """The same."""
        return Sender(peer)


_TOLD: Final = {
    "missing": "send a key: authorization: Bearer smk_...; `spanmeter keys create` makes one",
    "malformed": "the authorization header holds no key of this collector's: Bearer smk_...",
    # Neither tells whether there is a key that begins so.
    "unknown": "this key is not known",
    "revoked": "this key is revoked",
    "expired": "this key has expired",
    "scope": "this key has not the scope ingest",
}


def only_loopback(addresses: Sequence[str]) -> bool:
    """Whether only programs of this machine can connect to these HOST:PORT."""
    return all(map(_is_loopback, addresses))


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
