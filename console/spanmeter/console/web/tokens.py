"""Signed tokens: a tenant's, to look at its own usage for minutes, and an operator's session."""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import jwt

from spanmeter.storage.connection import Connection
from spanmeter.storage.console_access import signing_secrets

_ALGORITHM: Final = "HS256"

TENANT: Final = "spanmeter:tenant"
SESSION: Final = "spanmeter:session"

LONGEST: Final = timedelta(hours=24)
"""No tenant's token works longer than this: a page that embeds one asks for the next."""

SESSION_LASTS: Final = timedelta(hours=12)

_FRESH: Final = 10.0
"""Seconds for which the secrets are not read again: that long, a rotated one may still be taken."""


class BadToken(Exception):
    """A token that is not ours, not for this, or over."""


class Expired(BadToken):
    """A token of ours that is over."""


class Tokens:
    """Makes and checks tokens with the secrets that `load` returns by id, the one that signs first."""

    def __init__(self, load: Callable[[], Mapping[str, bytes]]) -> None:
        self._load = load
        self._known: Mapping[str, bytes] = {}
        self._read_at = float("-inf")

    def for_tenant(self, tenant_id: str, lifetime: timedelta) -> str:
        """A token that can read this tenant's own page and API. Raises ValueError where `lifetime` is too long."""
        if not timedelta() < lifetime <= LONGEST:
            raise ValueError("a tenant's token works for a day at most")
        return self._signed({"sub": tenant_id}, TENANT, lifetime)

    def for_session(self, claims: Mapping[str, Any]) -> str:
        """An operator's session."""
        return self._signed(claims, SESSION, SESSION_LASTS)

    def tenant_of(self, token: str) -> str:
        """Whose the token is. Raises BadToken."""
        return str(self._claims(token, TENANT)["sub"])

    def session(self, token: str) -> Mapping[str, Any]:
        """What the session was begun with. Raises BadToken."""
        return self._claims(token, SESSION)

    def _signed(self, claims: Mapping[str, Any], audience: str, lifetime: timedelta) -> str:
        now = datetime.now(UTC)
        name, secret = next(iter(self._secrets().items()))
        payload = {**claims, "aud": audience, "iat": now, "exp": now + lifetime}
        return jwt.encode(payload, secret, _ALGORITHM, headers={"kid": name})

    def _claims(self, token: str, audience: str) -> Mapping[str, Any]:
        try:
            secret = self._secrets().get(str(jwt.get_unverified_header(token).get("kid")))
            if secret is None:
                raise BadToken("it was signed with a secret that is retired or not ours")
            claims: Mapping[str, Any] = jwt.decode(
                token,
                secret,
                [_ALGORITHM],
                audience=audience,
                options={"require": ["exp", "iat", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Expired("it has expired") from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise BadToken("it is none of ours, or for another use") from error
        return claims

    def _secrets(self) -> Mapping[str, bytes]:
        if time.monotonic() - self._read_at > _FRESH or not self._known:
            self._known = self._load()
            self._read_at = time.monotonic()
        return self._known


def secrets_of(given: Sequence[str], connection: Connection) -> Mapping[str, bytes]:
    """Signing secrets by id: those that an operator gave, else the ledger's. Raises DatabaseUnavailable."""
    return _derived(given) if given else signing_secrets(connection)


def _derived(secrets: Sequence[str]) -> Mapping[str, bytes]:
    """Each for this use alone, by an id that tells nothing of it."""
    return {
        f"given-{sha256(each.encode()).hexdigest()[:8]}": hmac.digest(
            each.encode(), b"spanmeter console tokens", "sha256"
        )
        for each in secrets
    }
