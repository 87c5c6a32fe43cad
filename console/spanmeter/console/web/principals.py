"""Who asks: an operator, or somebody who may see some tenants alone; and how they show it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request

from spanmeter.console.web.problems import Problem
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.tokens import BadToken, Expired
from spanmeter.storage.api_keys import KEY_ID, TOKEN, ApiKey
from spanmeter.storage.console_access import find_key

COOKIE: Final = "spanmeter_session"

_NEEDS_INGEST: Final = "this needs a key with the scope ingest or admin"

_MAX_CREDENTIAL: Final = 4096
"""Characters of a key or token; ours have some 300."""


@dataclass(frozen=True, slots=True)
class Operator:
    """May see everything. `admin`: may make keys and lay down what tenants see."""

    name: str
    admin: bool


@dataclass(frozen=True, slots=True)
class TenantReader:
    """May see what these tenants are shown of themselves, and nothing of others."""

    name: str
    tenants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """May score calls: of these tenants, or of any (None)."""

    key_id: str
    tenants: frozenset[str] | None


Principal = Operator | TenantReader


class Refused(Problem):
    """A credential that is no good: it counts as an attempt that failed, and is logged with its `reason`."""

    def __init__(self, reason: str, problem: Problem) -> None:
        super().__init__(problem.status, problem.detail, problem.headers)
        self.reason = reason


def identified(request: Request, services: Annotated[Services, Depends(services_of)]) -> Principal:
    """Who asks, by an API key, a tenant's token or a session. Raises Problem 401, 403 and 429."""
    credential = _bearer(request)
    if credential is not None:
        return by_credential(services, credential, peer_of(request))
    if (cookie := request.cookies.get(COOKIE)) is not None:
        return _by_session(services, cookie)
    raise Problem.unauthenticated("log in, or send an API key as a bearer token")


def operator(principal: Annotated[Principal, Depends(identified)]) -> Operator:
    """Who asks, if they may see everything. Raises Problem 403."""
    if not isinstance(principal, Operator):
        raise Problem.forbidden("this is for operators: a tenant's token reads its own usage alone")
    return principal


def administrator(request: Request, principal: Annotated[Operator, Depends(operator)]) -> Operator:
    """Who asks, if they may change things; with a session, from a page of ours alone. Raises Problem 403."""
    if not principal.admin:
        raise Problem.forbidden("this needs a key with the scope admin")
    if _bearer(request) is None:
        refuse_other_sites(request)
    return principal


def evaluator(request: Request, services: Annotated[Services, Depends(services_of)]) -> Evaluator:
    """Who asks, by an API key that may send usage. Raises Problem 401, 403 and 429."""
    credential = _bearer(request)
    if credential is None:
        raise Problem.unauthenticated("send an API key as a bearer token")
    with _counted(services, credential, peer_of(request)):
        if not TOKEN.fullmatch(credential):
            # A tenant's token is good for reading.
            _by_token(services, credential)
            raise Problem.forbidden(_NEEDS_INGEST)
        key = _known_key(services, credential)
        if not key.scopes & {"ingest", "admin"}:
            raise Refused("scope", Problem.forbidden(_NEEDS_INGEST))
        services.key_use.note(key.key_id)
    return Evaluator(key.key_id, key.tenants)


def refuse_other_sites(request: Request) -> None:
    """Raise Problem 403 unless the request comes from a page of this console: a browser says so with every POST."""
    origin = request.headers.get("origin")
    if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem.forbidden("this was not sent by a page of the console")


def by_credential(services: Services, credential: str, peer: str) -> Principal:
    """Whose API key or tenant's token this is. A failure counts. Raises Problem 401, 403 and 429."""
    with _counted(services, credential, peer):
        if TOKEN.fullmatch(credential):
            key = _known_key(services, credential)
            principal = _principal(key)
            services.key_use.note(key.key_id)
            return principal
        return _by_token(services, credential)


@contextmanager
def _counted(services: Services, credential: str, peer: str) -> Generator[None]:
    """Count a credential that is refused."""
    try:
        yield
    except Refused as refused:
        known = KEY_ID.match(credential)
        services.attempts.failed(peer, refused.reason, known and known[0])
        raise


def session_for(principal: Operator, key_id: str | None) -> Mapping[str, Any]:
    """What a session of this operator says."""
    return {"sub": key_id or principal.name, "admin": principal.admin}


def peer_of(request: Request) -> str:
    """The address that the request comes from."""
    return "unknown" if request.client is None else request.client.host


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or len(credential) > _MAX_CREDENTIAL:
        raise Problem.unauthenticated("the header should be: Authorization: Bearer KEY")
    return credential.strip()


def _known_key(services: Services, token: str) -> ApiKey:
    key_id = token.rpartition("_")[0]
    with services.snapshot() as connection:
        key = find_key(connection, key_id)
    if key is None or not key.belongs_to(token):
        raise Refused("unknown", Problem.unauthenticated("the key is unknown"))
    return _working(key)


def _by_token(services: Services, token: str) -> TenantReader:
    try:
        tenant = services.tokens.tenant_of(token)
    except Expired as error:
        # Nobody attacks with it: a page was left open.
        raise Problem.unauthenticated(f"the token is no good: {error}") from error
    except BadToken as error:
        told = Problem.unauthenticated(f"the token is no good: {error}")
        raise Refused("unknown", told) from error
    return TenantReader(f"a token of {tenant}", frozenset([tenant]))


def _by_session(services: Services, cookie: str) -> Principal:
    try:
        claims = services.tokens.session(cookie[:_MAX_CREDENTIAL])
    except BadToken as error:
        raise Problem.unauthenticated(f"log in again: {error}") from error
    name = str(claims["sub"])
    if KEY_ID.fullmatch(name) is None:
        return Operator(name, bool(claims["admin"]))
    # A key that is revoked ends the sessions that were begun with it.
    with services.snapshot() as connection:
        key = find_key(connection, name)
    if key is None:
        raise Problem.unauthenticated("log in again: the key is gone")
    return _principal(_working(key))


def _working(key: ApiKey) -> ApiKey:
    if key.revoked_at is not None:
        raise Refused("revoked", Problem.unauthenticated("the key was revoked"))
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise Refused("expired", Problem.unauthenticated("the key has expired"))
    return key


def _principal(key: ApiKey) -> Principal:
    if not key.scopes & {"read", "admin"}:
        told = Problem.forbidden("the key has neither the scope read nor admin")
        raise Refused("scope", told)
    if key.tenants is not None:
        return TenantReader(key.key_id, key.tenants)
    return Operator(key.key_id, "admin" in key.scopes)
