"""Who calls whom, from where, and within a usage context or not."""

import ast
from dataclasses import dataclass, field
from typing import NamedTuple

from spanmeter.instrumentation.lint.libraries import Library, Path
from spanmeter.instrumentation.lint.scopes import Scope
from spanmeter.instrumentation.lint.web import Web


class Edge(NamedTuple):
    """A call of a function, or of what it is handed to, at a line of its caller."""

    caller: Scope
    line: int
    covered: bool


class CallSite(NamedTuple):
    """A call that costs money, by a client library's path, and the function that it is in."""

    owner: Scope
    node: ast.expr
    library: Library
    path: Path
    covered: bool


@dataclass(slots=True)
class Graph:
    """The call sites of a project, and who calls the functions that they are in.

    `loose` are calls of methods, by name, on objects of which nothing is known.
    """

    sites: list[CallSite] = field(default_factory=list[CallSite])
    callers: dict[Scope, list[Edge]] = field(default_factory=dict[Scope, "list[Edge]"])
    loose: dict[str, list[Edge]] = field(default_factory=dict[str, "list[Edge]"])
    web: Web = field(default_factory=Web)

    def add_edge(self, function: Scope, edge: Edge) -> None:
        """Notes that a function is called."""
        self.callers.setdefault(function, []).append(edge)

    def add_loose(self, name: str, edge: Edge) -> None:
        """Notes that a method of this name is called."""
        self.loose.setdefault(name, []).append(edge)

    def add_site(self, site: CallSite) -> None:
        """Notes a call of a client, if it is one that costs money."""
        if site.library.bills(site.path):
            self.sites.append(site)
