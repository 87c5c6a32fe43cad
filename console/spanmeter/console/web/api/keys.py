"""`/v1/keys`, `/v1/access-log`: who may send and read, and who changed that."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, StringConstraints

from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.principals import Operator, administrator
from spanmeter.console.web.problems import Problem, documented
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.access_log import log_entries
from spanmeter.storage.api_keys import UnusableKey, create_key, listed_keys, revoke_key

router = APIRouter(tags=["keys"])

Administrator = Annotated[Operator, Depends(administrator)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
KeyId = Annotated[str, Path(pattern=r"^smk_[0-9a-f]{12}$")]


def _as_text(value: object) -> object:
    if value is not None and not isinstance(value, str):
        raise ValueError("a moment is text, such as 2026-11-20T08:30:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]


class Key(BaseModel):
    """An API key, as far as it may be shown."""

    key_id: str = Field(description="What it begins with, to know it again by.")
    name: str
    scopes: list[str]
    tenants: list[str] | None = Field(description="It is bound to these. Null: to none.")
    created_at: datetime
    created_by: str
    replaces: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class Keys(BaseModel):
    """All keys, the latest first."""

    data: list[Key]


class KeyWanted(BaseModel):
    """A key to be made."""

    name: Name = Field(description="What it is for.")
    scopes: list[Literal["ingest", "read", "admin"]] = Field(["ingest"], min_length=1, max_length=3)
    tenants: list[Name] | None = Field(
        None, min_length=1, max_length=1000, description="Bind it to these."
    )
    expires_at: Moment | None = Field(None, description="When it stops to work; with an offset.")


class MadeKey(BaseModel):
    """A new key: the only time that it is shown."""

    key_id: str
    key: str


class LogEntry(BaseModel):
    """One change of a key, or attempts that were refused."""

    logged_at: datetime
    event: str
    key_id: str | None
    actor: str
    peer: str | None
    reason: str | None
    attempts: int
    since: datetime
    detail: str | None


class AccessLog(BaseModel):
    """Entries, the latest first."""

    data: list[LogEntry]


@router.get("/keys", responses=documented())
def keys(view: OperatorView) -> Keys:
    """The keys that there are, without their secrets."""
    return Keys(data=[Key.model_validate(each._asdict()) for each in listed_keys(view.connection)])


@router.post("/keys", status_code=HTTPStatus.CREATED, responses=documented())
def make_key(
    wanted: KeyWanted,
    services: Annotated[Services, Depends(services_of)],
    _: Administrator,
) -> MadeKey:
    """Make a key."""
    try:
        with services.changing() as connection:
            made = create_key(
                connection,
                wanted.name,
                scopes=sorted(set(wanted.scopes)),
                tenants=wanted.tenants,
                expires_at=wanted.expires_at,
            )
    except UnusableKey as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
    return MadeKey(key_id=made.key_id, key=made.token)


@router.delete(
    "/keys/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def revoke(
    key_id: KeyId, services: Annotated[Services, Depends(services_of)], who: Administrator
) -> None:
    """End a key for good, within seconds. The one that asks cannot end itself, so that nobody locks themselves out."""
    if who.name == key_id:
        raise Problem.conflict("a key does not end itself: ask with another")
    try:
        with services.changing() as connection:
            revoke_key(connection, key_id)
    except UnusableKey as error:
        raise Problem.not_found("there is no such key") from error


@router.get("/access-log", responses=documented())
def access_log(
    view: OperatorView,
    asked: Asked,
    key_id: Annotated[str | None, Query(pattern=r"^smk_[0-9a-f]{12}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AccessLog:
    """What was changed of keys and what was refused, since the beginning of the period."""
    found = log_entries(view.connection, since=asked.since, key_id=key_id, most=limit)
    return AccessLog(data=[LogEntry.model_validate(each._asdict()) for each in found])
