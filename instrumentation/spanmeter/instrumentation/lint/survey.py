"""The walk through the modules of a project that draws its graph."""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from spanmeter.instrumentation.lint import web
from spanmeter.instrumentation.lint.calls import functions_called
from spanmeter.instrumentation.lint.evaluate import PASSES_ON, Evaluator
from spanmeter.instrumentation.lint.graph import CallSite, Edge, Graph
from spanmeter.instrumentation.lint.handing import HandedOn
from spanmeter.instrumentation.lint.libraries import function_of, telling
from spanmeter.instrumentation.lint.scopes import (
    Defined,
    FunctionNode,
    Parameter,
    Scope,
    defined,
    is_dependency,
    last_name,
)
from spanmeter.instrumentation.lint.steps import Step
from spanmeter.instrumentation.lint.values import (
    ClassOf,
    Client,
    External,
    FunctionOf,
    InstanceOf,
    Value,
)
from spanmeter.instrumentation.lint.within import is_covered


class _Place(NamedTuple):
    """Where a step is taken: its names are looked up in `scope`, and it is `owner` that takes it."""

    step: Step
    scope: Scope
    owner: Scope


class Surveyor:
    """Walks modules and notes what is called in a graph."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.graph = Graph()
        self._evaluator = evaluator
        self._handed_on = HandedOn(self.graph, evaluator)

    def survey(self, scope: Scope, owner: Scope) -> None:
        """Walks a scope; what is done there is done by `owner`: a class body runs in its module."""
        for step in self._evaluator.steps(scope):
            place = _Place(step, scope, owner)
            match step.node:
                case ast.Call() as call:
                    self._call(call, place)
                case ast.Attribute() as attribute:
                    self._attribute(attribute, place)
                case ast.Lambda() as node:
                    inner = self._evaluator.lambda_of(node, scope)
                    self.survey(inner, inner)
                case ast.FunctionDef() | ast.AsyncFunctionDef() as node:
                    self._function(defined(node, scope), scope)
                case ast.ClassDef() as node:
                    self._class(defined(node, scope), owner)
                case _:
                    pass

    def _function(self, function: Scope, scope: Scope) -> None:
        for decorator in function.decorators:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if web.may_be_route(called):
                values = self._evaluator.value(called, scope)
                if web.is_route_decorator(decorator, values):
                    self.graph.web.add_route(function, values)
        for dependency in _dependencies(function):
            for value in self._evaluator.value(dependency, scope):
                if isinstance(value, FunctionOf):
                    self.graph.add_edge(value.scope, Edge(function, function.line, covered=False))
        self.survey(function, function)

    def _class(self, scope: Scope, owner: Scope) -> None:
        bases = self._evaluator.ancestors(scope)
        if web.is_view(bases):
            for method in _methods(scope):
                if web.is_reached(method.name, bases):
                    self.graph.web.add_route(method, ())
        self.survey(scope, owner)

    def _attribute(self, node: ast.Attribute, place: _Place) -> None:
        if node.attr in self._evaluator.properties:
            owners = self._evaluator.value(node.value, place.scope)
            for getter in self._evaluator.getters(owners, node.attr):
                self.graph.add_edge(getter, self._edge(node, place))

    def _call(self, call: ast.Call, place: _Place) -> None:
        callees = self._evaluator.value(call.func, place.scope)
        if not _is_parameter(call.func, place.scope):
            for callee in callees:
                self._called(callee, call, place)
        if not callees:
            self._unknown(call, place)
        passes_on = last_name(call.func) in PASSES_ON
        if passes_on and not any(isinstance(each, FunctionOf | ClassOf) for each in callees):
            return  # what it is given is looked at where it is used
        self._handed_on.by(call, callees, place.scope, lambda: self._edge(call, place))

    def _called(self, callee: Value, call: ast.Call, place: _Place) -> None:
        match callee:
            case FunctionOf(function):
                self._edge_of_call(function, call, place)
            case ClassOf() | InstanceOf():
                for function in functions_called(callee, self._evaluator):
                    self._edge_of_call(function, call, place)
            case Client(library, path) if library.bills(path):
                covered = self._is_covered(place)
                self.graph.add_site(CallSite(place.owner, call, library, path, covered))
            case External(name) if (found := function_of(name)) is not None:
                covered = self._is_covered(place)
                self.graph.add_site(CallSite(place.owner, call, *found, covered))
            case _:
                pass

    def _edge_of_call(self, function: Scope, call: ast.Call, place: _Place) -> None:
        edge = self._edge(call, place)
        if place.step.leaves and function.yields:
            # A generator runs when it is asked for items; one that is returned, after its scope.
            edge = edge._replace(covered=False)
        self.graph.add_edge(function, edge)
        if function.method_of is not None and self._is_protocol(function.method_of):
            self.graph.add_loose(function.name, edge)

    def _edge(self, node: ast.expr, place: _Place) -> Edge:
        return Edge(place.owner, node.lineno, self._is_covered(place))

    def _is_covered(self, place: _Place) -> bool:
        return is_covered(place.step, place.scope, self._evaluator)

    def _is_protocol(self, scope: Scope) -> bool:
        return any(
            isinstance(base, External) and base.name.endswith(".Protocol")
            for base in self._evaluator.ancestors(scope)
        )

    def _unknown(self, call: ast.Call, place: _Place) -> None:
        """A call of which nothing is known but how it is written."""
        parts = _chain(call.func)
        if len(parts) < 2:
            return
        names_model = any(keyword.arg in {"model", None} for keyword in call.keywords)
        found = telling(parts) if names_model else None
        if found is not None:
            covered = self._is_covered(place)
            self.graph.add_site(CallSite(place.owner, call, *found, covered))
        else:
            self.graph.add_loose(parts[-1], self._edge(call, place))


def _methods(scope: Scope) -> Iterator[Scope]:
    for bindings in scope.bindings.values():
        for binding in bindings:
            if isinstance(binding, Defined) and binding.scope.kind == "function":
                yield binding.scope


def _is_parameter(called: ast.expr, scope: Scope) -> bool:
    """Whether this is a function that was handed in: it was noted where it was handed on."""
    if not isinstance(called, ast.Name):
        return False
    current: Scope | None = scope
    while current is not None:
        if called.id in current.bindings:
            return any(isinstance(each, Parameter) for each in current.bindings[called.id])
        current = current.parent
    return False


def _dependencies(function: Scope) -> Iterable[ast.expr]:
    """What FastAPI calls before the function: the arguments of `Depends` in its signature."""
    if not isinstance(function.node, FunctionNode) or function.parent is None:
        return
    arguments = function.node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for part in [*arguments.defaults, *arguments.kw_defaults, *(each.annotation for each in named)]:
        for node in ast.walk(part) if isinstance(part, ast.Call | ast.Subscript) else ():
            if isinstance(node, ast.Call) and is_dependency(node):
                yield from node.args


def _chain(called: ast.expr) -> list[str]:
    """`["self", "client", "chat", "create"]`; what is no name or attribute is left out."""
    parts: list[str] = []
    while isinstance(called, ast.Attribute | ast.Call):
        if isinstance(called, ast.Attribute):
            parts.append(called.attr)
            called = called.value
        else:
            called = called.func
    parts.append(called.id if isinstance(called, ast.Name) else "")
    return parts[::-1]
