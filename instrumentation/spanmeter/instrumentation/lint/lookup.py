"""What names and attributes may be, looked up as Python does."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from spanmeter.instrumentation.lint.libraries import NEUTRAL, made_by
from spanmeter.instrumentation.lint.project import Project
from spanmeter.instrumentation.lint.scopes import (
    Annotated,
    Assigned,
    Binding,
    Defined,
    Entered,
    Imported,
    Parameter,
    Scope,
)
from spanmeter.instrumentation.lint.steps import Step
from spanmeter.instrumentation.lint.values import (
    NOTHING,
    OURS,
    ClassOf,
    Client,
    External,
    FunctionOf,
    InstanceOf,
    Made,
    Member,
    ModuleOf,
    Value,
    Values,
)

Calls = Mapping[Scope, Sequence[tuple[ast.Call, Scope]]]
"""The calls of each function that have been found, and the scopes that they are in."""

_PROPERTIES: Final = ("property", "cached_property")


class Lookup(ABC):
    """Names and attributes of one project. What `calls` pass is what parameters may be."""

    def __init__(self, project: Project, calls: Calls) -> None:
        self.project = project
        self.known: dict[tuple[ast.expr, Scope], Values] = {}
        self.returned: dict[Scope, Values] = {}
        self.quoted: dict[str, ast.expr] = {}
        self.properties: set[str] = set()
        self.wrappers: dict[Scope, bool] = {}
        self._calls = calls
        self._bindings: dict[tuple[Scope, str], Values] = {}
        self._ancestors: dict[Scope, list[Value]] = {}
        self._derived: dict[Scope, list[Scope]] = {}

    @abstractmethod
    def value(self, expression: ast.expr, scope: Scope) -> Values: ...

    @abstractmethod
    def annotation(self, annotation: ast.expr, scope: Scope) -> Values: ...

    @abstractmethod
    def called(self, callees: Values) -> Values: ...

    def steps(self, scope: Scope) -> list[Step]:
        """The steps of a scope's body."""
        return self.project.steps(scope)

    def lambda_of(self, node: ast.Lambda, scope: Scope) -> Scope:
        """The scope of a lambda."""
        return self.project.lambda_of(node, scope)

    def name(self, name: str, scope: Scope) -> Values:
        """What a name may be where it is used."""
        current: Scope | None = scope
        while current is not None:
            # The names of a class are not seen from within its methods.
            if current is scope or current.kind != "class":
                if name in current.bindings:
                    return self._bound(current, name)
                if current.stars and (found := self._starred(current, name)):
                    return found
            current = current.parent
        return NOTHING

    def attributes(self, owners: Values, name: str) -> Values:
        """What an attribute may be, of any of these."""
        return frozenset(value for owner in owners for value in self.attribute(owner, name))

    def attribute(self, owner: Value, name: str) -> Values:
        """What an attribute of this may be."""
        match owner:
            case ModuleOf(scope):
                return self._member(scope, name)
            case ClassOf(scope):
                return self._of_class(owner, scope, name)
            case InstanceOf(scope):
                return frozenset(self._got(self._of_class(owner, scope, name)))
            case _:
                found = _attribute_outside(owner, name)
                return NOTHING if found is None else frozenset({found})

    def ancestors(self, scope: Scope) -> list[Value]:
        """What a class is derived from, directly or not, itself first."""
        if scope not in self._ancestors:
            found = self._ancestors[scope] = [ClassOf(scope)]
            for value in found:
                if isinstance(value, ClassOf):
                    found += [base for base in self._bases(value.scope) if base not in found]
        return self._ancestors[scope]

    def learn_classes(self, modules: Iterable[Scope]) -> None:
        """Notes which class is derived from which, for methods called through a base."""
        for scope in (each for module in modules for each in classes_in(module)):
            self.properties |= set(_properties_of(scope))
            for base in self.ancestors(scope)[1:]:
                if isinstance(base, ClassOf):
                    self._derived.setdefault(base.scope, []).append(scope)

    def _bases(self, scope: Scope) -> Iterator[Value]:
        if isinstance(scope.node, ast.ClassDef) and scope.parent is not None:
            for base in scope.node.bases:
                generic = base.value if isinstance(base, ast.Subscript) else base
                yield from self.value(generic, scope.parent)

    def _bound(self, scope: Scope, name: str) -> Values:
        key = (scope, name)
        if key not in self._bindings:
            self._bindings[key] = NOTHING
            found = (self._binding(each, scope) for each in list(scope.bindings[name]))
            self._bindings[key] = NOTHING.union(*found)
        return self._bindings[key]

    def _starred(self, scope: Scope, name: str) -> Values:
        """What `from ... import *` may have brought, of the project's modules."""
        key = (scope, name)
        if key not in self._bindings:
            # Modules may import everything from one another.
            self._bindings[key] = NOTHING
            for star in scope.stars:
                found = self._imported(Imported(star.module, name, star.dots), scope)
                if not all(isinstance(each, External) for each in found):
                    self._bindings[key] = found
        return self._bindings[key]

    def _binding(self, binding: Binding, scope: Scope) -> Values:
        match binding:
            case Imported():
                return self._imported(binding, scope)
            case Defined(defined):
                return frozenset({_defined(defined)})
            case Assigned(value, where):
                return self.value(value, where)
            case Entered(manager, where):
                return self._entered(self.value(manager, where))
            case Annotated(annotation, where):
                return self.annotation(annotation, where)
            case Parameter():
                return self._given(binding)

    def _imported(self, imported: Imported, scope: Scope) -> Values:
        dotted = imported.module
        if not imported.dots and (dotted == OURS or dotted.startswith(f"{OURS}.")):
            return frozenset({External(".".join(filter(None, [dotted, imported.name])))})
        source = self.project.imported(imported, scope.source)
        module = self.project.scope(source) if source is not None else None
        if imported.name is None:
            return frozenset({ModuleOf(module) if module is not None else External(dotted)})
        if module is not None:
            return self._member(module, imported.name)
        inner = self.project.imported(
            Imported(f"{dotted}.{imported.name}".lstrip("."), None, imported.dots), scope.source
        )
        module = self.project.scope(inner) if inner is not None else None
        if module is not None:
            return frozenset({ModuleOf(module)})
        return NOTHING if imported.dots else frozenset({External(f"{dotted}.{imported.name}")})

    def _member(self, module: Scope, name: str) -> Values:
        found = self.name(name, module)
        inner = None if found else self.project.submodule(module.source, name)
        scope = self.project.scope(inner) if inner is not None else None
        return found if scope is None else frozenset({ModuleOf(scope)})

    def _entered(self, managers: Values) -> Values:
        found: set[Value] = set()
        for manager in managers:
            gives = NOTHING
            if isinstance(manager, InstanceOf):
                for method in ("__enter__", "__aenter__"):
                    gives |= self.called(self.attribute(manager, method))
            found |= gives or {manager}
        return frozenset(found)

    def _given(self, parameter: Parameter) -> Values:
        function = parameter.function
        if parameter.is_self and function.method_of is not None:
            owner = function.method_of
            is_class = function.decorated_with("classmethod")
            return frozenset({ClassOf(owner) if is_class else InstanceOf(owner)})
        found: set[Value] = set()
        for call, scope in self._calls.get(function, ()):
            for keyword in call.keywords:
                if keyword.arg == parameter.name:
                    found |= self.value(keyword.value, scope)
            place = parameter.position
            if place is not None and place < len(call.args):
                found |= self.value(call.args[place], scope)
        return frozenset(found)

    def _of_class(self, owner: ClassOf | InstanceOf, scope: Scope, name: str) -> Values:
        ancestors = self.ancestors(scope)
        found: set[Value] = set()
        for base in ancestors:
            if isinstance(base, ClassOf) and name in base.scope.bindings:
                found |= self._bound(base.scope, name)
                break
        if isinstance(owner, InstanceOf):
            for derived in self._derived.get(scope, ()):
                if name in derived.bindings:
                    found |= self._bound(derived, name)
        return frozenset(found) or self._inherited(ancestors, owner, name)

    def getters(self, owners: Values, name: str) -> Iterator[Scope]:
        """The functions that reading an attribute calls: its properties."""
        for owner in owners:
            if isinstance(owner, InstanceOf):
                for value in self._of_class(owner, owner.scope, name):
                    if isinstance(value, FunctionOf) and value.scope.decorated_with(*_PROPERTIES):
                        yield value.scope

    def _got(self, found: Values) -> Iterator[Value]:
        for value in found:
            if isinstance(value, FunctionOf) and value.scope.decorated_with(*_PROPERTIES):
                yield from self.called(frozenset({value}))
            else:
                yield value

    def _inherited(self, ancestors: list[Value], owner: Value, name: str) -> Values:
        """What a class has from a base outside of the project."""
        external = [each.name for each in ancestors if isinstance(each, External)]
        for library in filter(None, map(made_by, external)):
            return self.attribute(Client(library, ()), name)
        if external and name == "start":  # of a Thread or Process: it calls `run`
            return self.attribute(owner, "run")
        return NOTHING


def _attribute_outside(owner: Value, name: str) -> Value | None:
    """An attribute of what no table of the project tells of."""
    match owner:
        case External(dotted):
            return External(f"{dotted}.{name}")
        case Client(library, path):
            return owner if name in NEUTRAL else Client(library, (*path, name))
        case FunctionOf():
            return owner  # what makes a task of it, or runs it: `work.delay`
        case Made():
            return Member(owner, name)
        case Member(made, outer):
            return Member(made, f"{outer}.{name}")
        case _:
            return None


def classes_in(scope: Scope) -> Iterator[Scope]:
    """The classes of a module, those within functions and classes too."""
    for bindings in scope.bindings.values():
        for binding in bindings:
            if isinstance(binding, Defined):
                if binding.scope.kind == "class":
                    yield binding.scope
                yield from classes_in(binding.scope)


def _properties_of(scope: Scope) -> Iterator[str]:
    for name, bindings in scope.bindings.items():
        for binding in bindings:
            if isinstance(binding, Defined) and binding.scope.decorated_with(*_PROPERTIES):
                yield name


def _defined(scope: Scope) -> Value:
    return ClassOf(scope) if scope.kind == "class" else FunctionOf(scope)
