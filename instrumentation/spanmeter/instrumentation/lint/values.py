"""What an expression may be, as far as it matters here. An expression may be several of these."""

import ast
from typing import Final, NamedTuple

from spanmeter.instrumentation.lint.libraries import Library, Path
from spanmeter.instrumentation.lint.scopes import Scope


class External(NamedTuple):
    """A name of a module outside of the project: `flask.Flask`."""

    name: str


class Made(NamedTuple):
    """What calling such a name gave, there in the source; `None` for any object of that type."""

    name: str
    at: ast.AST | None


class Member(NamedTuple):
    """An attribute of it: `add_middleware`, `router.add_get`."""

    owner: Made
    name: str


class Client(NamedTuple):
    """A client of a library, or what lies at a path below it."""

    library: Library
    path: Path


class ModuleOf(NamedTuple):
    """A module of the project."""

    scope: Scope


class FunctionOf(NamedTuple):
    """A function of the project, bound or not; also what makes a task of it (`work.delay`)."""

    scope: Scope


class ClassOf(NamedTuple):
    """A class of the project."""

    scope: Scope


class InstanceOf(NamedTuple):
    """An object of a class of the project, or of one derived from it."""

    scope: Scope


class UsageScope(NamedTuple):
    """What `usage(...)` gives: entered, or used as a decorator, it puts a tenant in force."""


Value = (
    External | Made | Member | Client | ModuleOf | FunctionOf | ClassOf | InstanceOf | UsageScope
)
Values = frozenset[Value]

NOTHING: Final[Values] = frozenset()
USAGE: Final = UsageScope()

OURS: Final = "spanmeter.instrumentation"
"""Where `usage` and the middleware come from: never part of the project, even in our own source."""


def is_usage(name: str) -> bool:
    """Whether this is `usage`, which names a tenant, or what takes one from a message. `refine` does
    not: it keeps what there is."""
    return name.startswith(OURS) and name.rpartition(".")[2] in {"usage", "extract"}


def is_middleware(name: str) -> bool:
    """Whether this is our middleware or interceptor, which names the tenant of each request."""
    last = name.rpartition(".")[2]
    return name.startswith(OURS) and last.endswith(("Middleware", "Interceptor"))
