"""What is given to a call: functions that it will call in turn, applications that it puts together,
our middleware."""

import ast
from collections.abc import Callable

from spanmeter.instrumentation.lint import web
from spanmeter.instrumentation.lint.evaluate import Evaluator
from spanmeter.instrumentation.lint.graph import CallSite, Edge, Graph
from spanmeter.instrumentation.lint.libraries import function_of
from spanmeter.instrumentation.lint.scopes import Scope, is_dependency
from spanmeter.instrumentation.lint.values import (
    USAGE,
    ClassOf,
    Client,
    External,
    FunctionOf,
    Made,
    Member,
    Value,
    Values,
    is_middleware,
)
from spanmeter.instrumentation.lint.within import calls_within_usage


class HandedOn:
    """Notes in a graph what calls are given."""

    def __init__(self, graph: Graph, evaluator: Evaluator) -> None:
        self._graph = graph
        self._evaluator = evaluator

    def by(
        self, call: ast.Call, callees: Values, scope: Scope, edge_at: Callable[[], Edge]
    ) -> None:
        """Notes what one call is given, in a scope; `edge_at` tells from where, and if covered."""
        expressions = [*call.args, *(keyword.value for keyword in call.keywords)]
        given = [(each, self._evaluator.value(each, scope)) for each in expressions]
        values = frozenset(value for _, found in given for value in found)
        self._assemble(call, callees, values)
        if not values or any(isinstance(callee, ClassOf) for callee in callees):
            return  # it keeps them, and calls them in methods of its own
        edge = edge_at()
        if self._covers(callees):
            edge = edge._replace(covered=True)
        for expression, found in given:
            for value in found:
                self._hand(value, expression, call, callees, edge)

    def _covers(self, callees: Values) -> bool:
        """Whether what is given is called within a usage context: `usage(...)(work)`, or a function
        that sees to it."""
        return USAGE in callees or any(
            isinstance(callee, FunctionOf) and calls_within_usage(callee.scope, self._evaluator)
            for callee in callees
        )

    def _hand(
        self, value: Value, given: ast.expr, call: ast.Call, callees: Values, edge: Edge
    ) -> None:
        """A function that is given to another is taken to be called there and then."""
        match value:
            case FunctionOf(function):
                self._hand_function(function, call, callees, edge)
            case Client(library, path) if not isinstance(given, ast.Call):
                self._graph.add_site(CallSite(edge.caller, given, library, path, edge.covered))
            case External(name) if (found := function_of(name)) is not None:
                self._graph.add_site(CallSite(edge.caller, given, *found, edge.covered))
            case _:
                pass

    def _hand_function(self, function: Scope, call: ast.Call, callees: Values, edge: Edge) -> None:
        registering = [callee for callee in callees if web.registers(callee)]
        if is_dependency(call):
            self._graph.web.add_route(function, ())
        elif registering:
            owners = (web.made_by_framework(callee, call) or callee for callee in registering)
            self._graph.web.add_route(function, owners)
        else:
            self._graph.add_edge(function, edge)

    def _assemble(self, call: ast.Call, callees: Values, values: Values) -> None:
        given_ours = any(map(self._is_middleware, values))
        for callee in callees:
            whole = web.made_by_framework(callee, call)
            if self._is_middleware(callee):
                self._graph.web.wrap(each for each in values if isinstance(each, Made | Member))
            elif given_ours and isinstance(callee, Member):
                self._graph.web.wrap([callee])
            elif given_ours and whole is not None:
                self._graph.web.wrap([whole])
            if whole is not None:
                self._graph.web.assemble(values, whole)
            elif web.includes(callee):
                self._graph.web.include(values, frozenset({callee}))

    def _is_middleware(self, value: Value) -> bool:
        match value:
            case External(name) | Made(name):
                return is_middleware(name)
            case ClassOf(scope):
                bases = self._evaluator.ancestors(scope)[1:]
                return any(
                    isinstance(each, External) and is_middleware(each.name) for each in bases
                )
            case _:
                return False
