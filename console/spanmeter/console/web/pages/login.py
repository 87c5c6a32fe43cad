"""Logging in, with an API key or a link that works once, and out."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from spanmeter.console.web.forms import SentForm
from spanmeter.console.web.principals import (
    COOKIE,
    Operator,
    by_credential,
    peer_of,
    session_for,
)
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.rendering import page
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.tokens import SESSION_LASTS
from spanmeter.storage.api_keys import KEY_ID
from spanmeter.storage.console_access import use_login_link

router = APIRouter()

TheServices = Annotated[Services, Depends(services_of)]

_LINK: Final = "a login link"


@router.get("/login")
def login_page(
    request: Request, following: Annotated[str, Query(alias="next", max_length=4000)] = "/"
) -> Response:
    """Where one logs in."""
    return page(request, "login.html", following=_of_ours(following), wrong=None)


@router.post("/login")
def log_in(request: Request, services: TheServices, form: SentForm) -> Response:
    """Begin a session with an API key."""
    key = form.get("key", "")
    following = _of_ours(form.get("next", "/"))
    try:
        who = by_credential(services, key, peer_of(request))
        if not isinstance(who, Operator):
            raise Problem.forbidden("this key is bound to tenants: it works for the API alone")
    except Problem as problem:
        return page(
            request, "login.html", problem.status, following=following, wrong=problem.detail
        )
    known = KEY_ID.match(key)
    return _begin(request, services, who, known and known[0], following)


@router.get("/login/link")
def log_in_by_link(
    request: Request, services: TheServices, token: Annotated[str, Query(max_length=200)]
) -> Response:
    """Begin a session with a link that somebody printed who may use the database."""
    with services.changing() as connection:
        good = use_login_link(connection, token)
    if not good:
        services.attempts.failed(peer_of(request), "unknown", None)
        told = "this link was used or is too old: `spanmeter console --link` prints another"
        return page(request, "login.html", HTTPStatus.UNAUTHORIZED, following="/", wrong=told)
    return _begin(request, services, Operator(_LINK, admin=True), None, "/")


@router.post("/logout")
def log_out(form: SentForm) -> Response:
    """End the session."""
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return answer


def _begin(
    request: Request, services: Services, who: Operator, key_id: str | None, following: str
) -> Response:
    answer = RedirectResponse(following, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        services.tokens.for_session(session_for(who, key_id)),
        max_age=int(SESSION_LASTS.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def _of_ours(address: str) -> str:
    """The address where it is a path of this console: a login must not lead to somebody else's page."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if inside and address.isprintable() else "/"
