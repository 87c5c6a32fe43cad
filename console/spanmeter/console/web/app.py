"""The console as an ASGI application."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from psycopg.errors import InsufficientPrivilege
from starlette.exceptions import HTTPException
from starlette.routing import Route

from spanmeter.console.web import api, pages
from spanmeter.console.web.middleware import BoundedBodies, EntityTags, SafeHeaders
from spanmeter.console.web.pages.failing import as_page
from spanmeter.console.web.problems import Problem, ProblemDetails, as_json
from spanmeter.console.web.services import Services
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.console.web.static_files import static_files
from spanmeter.storage.errors import DatabaseUnavailable, StorageError
from spanmeter.storage.migrations import RELEASE
from spanmeter.storage.pool import PoolTimeout

logger = logging.getLogger(__name__)

API: Final = "/v1"

_DESCRIPTION: Final = """\
Usage and cost of every LLM call, by tenant. Send an API key with the scope `read` as a bearer token, or the token of
a tenant (`spanmeter keys embed`), which reads what that tenant is shown of itself. Amounts are exact decimals, as text.
Long listings have a `next`; every answer to GET has an `ETag`. Errors are RFC 9457 problem details."""


def console_app(settings: ConsoleSettings) -> FastAPI:
    """The console of one ledger; its connections are opened when it starts."""
    services = Services(settings)
    app = FastAPI(
        title="spanmeter",
        version=RELEASE,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{API}/openapi.json",
        lifespan=partial(_open, services),
    )
    app.state.services = services
    app.openapi = partial(_document, app)  # type: ignore[method-assign]
    for routes in api.ROUTERS:
        app.include_router(routes, prefix=API)
    for routes in pages.ROUTERS:
        app.include_router(routes, include_in_schema=False)
    app.mount("/static", static_files())
    _answer_failures(app)
    app.add_middleware(EntityTags)
    app.add_middleware(BoundedBodies)
    app.add_middleware(SafeHeaders, ancestors=partial(_ancestors, settings))
    return app


@asynccontextmanager
async def _open(services: Services, app: FastAPI) -> AsyncGenerator[None]:
    services.open()
    try:
        yield
    finally:
        services.close()


def _ancestors(settings: ConsoleSettings, path: str) -> str:
    """Who may frame a page: of the tenant's alone, those that the operator names."""
    if path.startswith("/embed") and settings.frame_ancestors:
        return " ".join(settings.frame_ancestors)
    return "'none'"


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the ways to authenticate and the form of errors."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        parts = document.setdefault("components", {})
        parts.setdefault("schemas", {})["ProblemDetails"] = ProblemDetails.model_json_schema()
        parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"bearer": []}]
        app.openapi_schema = document
    return app.openapi_schema


def _answer_failures(app: FastAPI) -> None:
    kinds: dict[type[Exception], Callable[[Any], Problem]] = {
        Problem: lambda problem: cast("Problem", problem),
        RequestValidationError: _of_parameters,
        HTTPException: _of_http,
        DatabaseUnavailable: _of_database,
        StorageError: _of_storage,
        PoolTimeout: _of_database,
        Exception: _of_defect,
    }
    for kind, told in kinds.items():
        app.add_exception_handler(kind, partial(_answer, told))


async def _answer(
    told: Callable[[Exception], Problem], request: Request, error: Exception
) -> Response:
    problem = told(error)
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        problem.headers["Allow"] = _allowed(request.url.path)
    if request.url.path.startswith(API):
        return as_json(problem, request.url.path)
    return as_page(request, problem)


def _allowed(path: str) -> str:
    """The methods of a path: a router tells those of its first route alone."""
    routers = api.ROUTERS if path.startswith(API) else pages.ROUTERS
    routes = (route for router in routers for route in router.routes if isinstance(route, Route))
    found = [route for route in routes if route.path_regex.match(path.removeprefix(API))]
    return ", ".join(sorted({method for route in found for method in route.methods or ()}))


def _of_parameters(error: RequestValidationError) -> Problem:
    told = [
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()
    ]
    return Problem.malformed("; ".join(told[:10]))


def _of_http(error: HTTPException) -> Problem:
    status = HTTPStatus(error.status_code)
    return Problem(status, f"{status.description or status.phrase}", error.headers)


def _of_database(error: Exception) -> Problem:
    if isinstance(error.__cause__, InsufficientPrivilege):
        return Problem.forbidden("the console's own login of the database may not do that")
    logger.warning("a request was not answered: %s", error)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the database does not answer, or not in time: try again, or ask for a shorter period",
        {"Retry-After": "5"},
    )


def _of_storage(error: StorageError) -> Problem:
    return Problem(HTTPStatus.CONFLICT, str(error))


def _of_defect(error: Exception) -> Problem:
    logger.error("a request failed", exc_info=error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "this is a defect of spanmeter; the log tells more"
    )
