"""Who may send and read, and who changed that."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, cast, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from spanmeter.console.periods import duration
from spanmeter.console.web.forms import SentForm
from spanmeter.console.web.principals import Operator, administrator, operator
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.rendering import page
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.views import OperatorView, View
from spanmeter.storage.access_log import log_entries
from spanmeter.storage.api_keys import (
    KEY_ID,
    NewKey,
    Scope,
    UnusableKey,
    create_key,
    listed_keys,
    revoke_key,
)

router = APIRouter()

TheServices = Annotated[Services, Depends(services_of)]
Administrator = Annotated[Operator, Depends(administrator)]

_LOGGED: Final = timedelta(days=30)
_ENTRIES: Final = 100
_TENANTS: Final = 1000


@router.get("/keys")
def keys(
    request: Request, view: OperatorView, who: Annotated[Operator, Depends(operator)]
) -> Response:
    """The keys, and the log of access."""
    return _keys_page(request, view, who)


@router.post("/keys")
def make(request: Request, services: TheServices, form: SentForm, who: Administrator) -> Response:
    """Make a key, and show it this once."""
    made, wrong = None, None
    try:
        with services.changing() as connection:
            made = create_key(
                connection,
                _name(form),
                scopes=[cast("Scope", each) for each in get_args(Scope) if each in form],
                tenants=_tenants(form),
                expires_at=_expiry(form.get("expires", "")),
            )
    except (UnusableKey, ValueError) as error:
        wrong = str(error)
    with services.snapshot() as connection:
        return _keys_page(request, View.of_all(connection), who, made=made, wrong=wrong)


@router.post("/keys/{key_id}/revoke")
def revoke(key_id: str, services: TheServices, form: SentForm, _: Administrator) -> Response:
    """End a key for good."""
    if KEY_ID.fullmatch(key_id) is None:
        raise Problem.not_found("there is no such key")
    with services.changing() as connection:
        revoke_key(connection, key_id)
    return RedirectResponse("/keys", HTTPStatus.SEE_OTHER)


def _keys_page(
    request: Request,
    view: View,
    who: Operator,
    *,
    made: NewKey | None = None,
    wrong: str | None = None,
) -> Response:
    since = datetime.now(UTC) - _LOGGED
    return page(
        request,
        "keys.html",
        HTTPStatus.OK if wrong is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        keys=listed_keys(view.connection),
        log=log_entries(view.connection, since=since, key_id=None, most=_ENTRIES),
        admin=who.admin,
        made=made,
        wrong=wrong,
    )


def _name(form: dict[str, str]) -> str:
    if not 0 < len(form.get("name", "")) <= 200:
        raise ValueError("say what the key is for")
    if not any(each in form for each in get_args(Scope)):
        raise ValueError("say what the key may do")
    return form["name"]


def _tenants(form: dict[str, str]) -> list[str] | None:
    named = [name for each in form.get("tenants", "").split(",") if (name := each.strip())]
    if len(named) > _TENANTS:
        raise ValueError(f"a key may be bound to {_TENANTS} tenants")
    return named or None


def _expiry(text: str) -> datetime | None:
    try:
        return datetime.now(UTC) + duration(text) if text else None
    except OverflowError as error:
        raise ValueError("that is too long") from error
