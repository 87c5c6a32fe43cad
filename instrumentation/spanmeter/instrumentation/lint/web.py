"""Web applications as they are put together: which routes an application has, what is included in
what, and which of them our middleware is around."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from spanmeter.instrumentation.lint.scopes import Scope
from spanmeter.instrumentation.lint.values import (
    External,
    Made,
    Member,
    Value,
    Values,
    is_middleware,
)

_FRAMEWORKS: Final = frozenset(
    {"aiohttp", "bottle", "connexion", "django", "falcon", "fastapi", "flask", "flask_restful"}
    | {"grpc", "litestar", "ninja", "pyramid", "quart", "rest_framework", "sanic", "starlette"}
    | {"tornado"}
)
_VERBS: Final = frozenset(
    {"get", "post", "put", "delete", "patch", "head", "options", "trace", "route", "websocket"}
    | {"api_route", "websocket_route", "api_operation", "before_request", "after_request"}
)
_REGISTERING: Final = frozenset(
    {"add_api_route", "add_api_websocket_route", "add_route", "add_url_rule", "add_websocket_route"}
    | {"add_get", "add_post", "add_put", "add_delete", "add_patch", "add_view", "add_resource"}
    | {"Route", "APIRoute", "WebSocketRoute", "path", "re_path", "url", "as_view"}
    | _VERBS
)
_INCLUDING: Final = frozenset(
    {"include_router", "mount", "register_blueprint", "add_router", "add_subapp", "Mount"}
    | {"register_blueprints", "blueprint"}
)
_PARTS: Final = frozenset(
    {"APIRouter", "Blueprint", "Router", "RouteTableDef", "Route", "APIRoute", "WebSocketRoute"}
    | {"Mount", "path", "re_path", "url"}
)
"""What is of no use until it is included in an application."""


_VIEWS: Final = ("View", "Endpoint", "Handler", "Resource", "ViewSet", "Controller")
_HANDLERS: Final = frozenset(
    {"get", "post", "put", "delete", "patch", "head", "options", "dispatch", "handle"}
    | {"list", "retrieve", "create", "update", "partial_update", "destroy"}
)


@dataclass(slots=True)
class Web:
    """What is known of a project's web applications.

    `routes` are the functions that requests reach, each with the applications (`None`: one that
    could not be told). `unnamed` is whether our middleware is around one that could not be told.
    """

    routes: dict[Scope, set[Made | None]] = field(default_factory=dict[Scope, "set[Made | None]"])
    included_in: dict[Made, set[Made]] = field(default_factory=dict[Made, "set[Made]"])
    held_by: dict[Made, set[Made]] = field(default_factory=dict[Made, "set[Made]"])
    wrapped: set[Made] = field(default_factory=set[Made])
    unnamed: bool = False

    def add_route(self, function: Scope, owners: Iterable[Value]) -> None:
        """Notes that requests to these applications reach the function."""
        self.routes.setdefault(function, set()).update(_applications(owners) or {None})

    def include(self, parts: Values, owners: Values) -> None:
        """Notes that what reaches the owners reaches these parts."""
        for part in _applications(parts):
            for owner in _applications(owners):
                if owner is not None and part is not None and owner != part:
                    self.included_in.setdefault(part, set()).add(owner)

    def assemble(self, parts: Values, whole: Made) -> None:
        """Notes what an object of a framework is made with: routes, and perhaps middleware."""
        self.include(parts, frozenset({whole}))
        for part in parts:
            if isinstance(part, Made) and part.name.endswith(("Middleware", "Interceptor")):
                self.held_by.setdefault(part, set()).add(whole)

    def wrap(self, values: Iterable[Value]) -> None:
        """Notes that our middleware is around these applications, or around one not known."""
        applications = _applications(values) - {None}
        self.wrapped |= {each for each in applications if each is not None}
        self.unnamed = self.unnamed or not applications

    def settle(self) -> None:
        """Once all is known: what holds our middleware is wrapped."""
        for part, wholes in self.held_by.items():
            if part in self.wrapped or is_middleware(part.name):
                self.wrapped |= wholes

    def covers(self, function: Scope) -> bool:
        """Whether every request that reaches the function has passed our middleware."""
        return all(self._covers(made, frozenset()) for made in self.routes[function])

    def _covers(self, made: Made | None, below: frozenset[Made]) -> bool:
        if made is None:
            return self.unnamed or bool(self.wrapped)
        if made in self.wrapped:
            return True
        owners = self.included_in.get(made, set()) - below
        if owners:
            return all(self._covers(owner, below | {made}) for owner in owners)
        is_part = made.name.rpartition(".")[2] in _PARTS
        return is_part and self._covers(None, below)


def may_be_route(called: ast.expr) -> bool:
    """Whether decorating with a call of this could make a function a route, by its name."""
    return isinstance(called, ast.Attribute) and called.attr in _VERBS


def is_route_decorator(decorator: ast.expr, values: Values) -> bool:
    """Whether decorating with this, which calls one of `values`, makes a function a route."""
    if values:
        return any(isinstance(each, Member) and _is_web(each.owner.name) for each in values)
    # An application that could not be told: by its first argument, a path.
    first = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
    return isinstance(first, ast.Constant) and str(first.value).startswith("/")


def registers(callee: Value) -> bool:
    """Whether the functions that this is given become routes."""
    return _is_web_call(callee, _REGISTERING)


def includes(callee: Value) -> bool:
    """Whether the applications that this is given become parts of another."""
    return _is_web_call(callee, _INCLUDING)


def made_by_framework(callee: Value, call: ast.Call) -> Made | None:
    """The object that calling this gives, if a web framework makes it."""
    return (
        Made(callee.name, call) if isinstance(callee, External) and _is_web(callee.name) else None
    )


def is_view(bases: Iterable[Value]) -> bool:
    """Whether a class with these bases is a view: requests reach its methods."""
    return any(
        isinstance(base, External)
        and ((_is_web(base.name) and base.name.endswith(_VIEWS)) or base.name.endswith("Servicer"))
        for base in bases
    )


def is_reached(method: str, bases: Iterable[Value]) -> bool:
    """Whether requests reach the method of this name of a view."""
    if any(isinstance(base, External) and base.name.endswith("Servicer") for base in bases):
        return not method.startswith("_")
    return method in _HANDLERS or method.startswith("on_")


def _is_web_call(callee: Value, names: frozenset[str]) -> bool:
    match callee:
        case External(name):
            return _is_web(name) and name.rpartition(".")[2] in names
        case Member(owner, name):
            return _is_web(owner.name) and name.rpartition(".")[2] in names
        case _:
            return False


def _is_web(name: str) -> bool:
    return name.partition(".")[0] in _FRAMEWORKS


def _applications(values: Iterable[Value]) -> set[Made | None]:
    """The applications among these, or that these are parts of; `None` for one of no known place."""
    found: set[Made | None] = set()
    for value in values:
        made = value.owner if isinstance(value, Member) else value
        if isinstance(made, Made):
            found.add(made if made.at is not None else None)
    return found
