"""What the names of a module are bound to, scope by scope: a symbol table, made in one pass over
its statements. All bindings of a name count, whatever their order."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from spanmeter.instrumentation.lint.sources import Source

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Imported(NamedTuple):
    """`from <dots><module> import <name>`; without a name, `import <module>`."""

    module: str
    name: str | None
    dots: int


class Defined(NamedTuple):
    """A function or class statement."""

    scope: "Scope"


class Assigned(NamedTuple):
    """The value of an expression, or of an element of it."""

    value: ast.expr
    scope: "Scope"


class Entered(NamedTuple):
    """What entering a context manager gives."""

    manager: ast.expr
    scope: "Scope"


class Annotated(NamedTuple):
    """Anything of this type."""

    annotation: ast.expr
    scope: "Scope"


class Parameter(NamedTuple):
    """What callers give for a parameter; `position` counts without `self`, which has none."""

    function: "Scope"
    name: str
    position: int | None
    is_self: bool


Binding = Imported | Defined | Assigned | Entered | Annotated | Parameter


@dataclass(eq=False, slots=True)
class Scope:
    """A module, class or function: its names, and for a function what it returns and yields."""

    kind: Literal["module", "class", "function"]
    name: str
    node: ast.Module | ast.ClassDef | FunctionNode
    parent: "Scope | None"
    source: Source
    bindings: dict[str, list[Binding]] = field(default_factory=dict[str, list[Binding]])
    stars: list[Imported] = field(default_factory=list[Imported])
    returns: list[ast.expr] = field(default_factory=list[ast.expr])
    yields: list[ast.expr] = field(default_factory=list[ast.expr])

    @property
    def qualified_name(self) -> str:
        """As it is shown: `Assistant.answer`."""
        if self.parent is None or self.parent.kind == "module":
            return self.name
        return f"{self.parent.qualified_name}.{self.name}"

    @property
    def line(self) -> int:
        """Where it is defined."""
        return 1 if isinstance(self.node, ast.Module) else self.node.lineno

    @property
    def module(self) -> "Scope":
        """The module that it is in."""
        return self if self.parent is None else self.parent.module

    @property
    def method_of(self) -> "Scope | None":
        """The class that this function is a method of."""
        parent = self.parent
        return parent if parent is not None and parent.kind == "class" else None

    @property
    def parameters(self) -> list[str]:
        """The positional parameters of a function, without `self`."""
        if not isinstance(self.node, FunctionNode):
            return []
        names = [each.arg for each in [*self.node.args.posonlyargs, *self.node.args.args]]
        return names[1:] if self.method_of and not self.decorated_with("staticmethod") else names

    @property
    def decorators(self) -> list[ast.expr]:
        """The decorators of a function or class, outermost first."""
        if isinstance(self.node, ast.Module | ast.Lambda):
            return []
        return self.node.decorator_list

    def decorated_with(self, *names: str) -> bool:
        """Whether a decorator has one of these as its last name."""
        return any(last_name(each) in names for each in self.decorators)

    def bind(self, name: str, binding: Binding) -> None:
        """Adds one thing that the name may be."""
        self.bindings.setdefault(name, []).append(binding)


def last_name(expression: ast.expr) -> str:
    """`get` of `app.get("/")`."""
    if isinstance(expression, ast.Call):
        return last_name(expression.func)
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def defined(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, scope: Scope) -> Scope:
    """The scope of a function or class statement of this scope."""
    for binding in scope.bindings[node.name]:
        if isinstance(binding, Defined) and binding.scope.node is node:
            return binding.scope
    raise LookupError(node.name)  # the table holds every statement of the tree it was made from


def is_dependency(expression: ast.expr) -> bool:
    """Whether it is FastAPI's `Depends(...)`."""
    return isinstance(expression, ast.Call) and last_name(expression) in {"Depends", "Security"}


def module_scope(source: Source) -> Scope:
    """The table of a module. Raises what `Source.tree` raises."""
    scope = Scope("module", "the module", source.tree, None, source)
    _index(source.tree.body, scope)
    return scope


def lambda_scope(node: ast.Lambda, parent: Scope) -> Scope:
    """The table of a lambda."""
    scope = Scope("function", "<lambda>", node, parent, parent.source, returns=[node.body])
    _bind_parameters(node, scope)
    return scope


def _index(statements: Iterable[ast.stmt], scope: Scope) -> None:
    for statement in statements:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                _index_function(statement, scope)
            case ast.ClassDef():
                inner = Scope("class", statement.name, statement, scope, scope.source)
                scope.bind(statement.name, Defined(inner))
                _index(statement.body, inner)
            case ast.Import() | ast.ImportFrom():
                _index_import(statement, scope)
            case ast.Assign():
                for target in statement.targets:
                    _assign(target, statement.value, scope)
                _note_yields(statement.value, scope)
            case ast.AnnAssign():
                _index_annotated(statement, scope)
            case ast.Return(value=ast.expr() as value):
                scope.returns.append(value)
            case ast.Expr(value=value):
                _note_yields(value, scope)
            case _:
                _index_compound(statement, scope)


def _index_compound(statement: ast.stmt, scope: Scope) -> None:
    match statement:
        case ast.With() | ast.AsyncWith():
            for item in statement.items:
                if isinstance(item.optional_vars, ast.Name):
                    binding = Entered(item.context_expr, scope)
                    scope.bind(item.optional_vars.id, binding)
        case ast.For() | ast.AsyncFor():
            _assign(statement.target, statement.iter, scope)
        case ast.Match():
            for case in statement.cases:
                _index(case.body, scope)
        case ast.Try() | ast.TryStar():
            for handler in statement.handlers:
                _index(handler.body, scope)
        case _:
            pass
    for block in ("body", "orelse", "finalbody"):
        _index(getattr(statement, block, ()), scope)


def _index_function(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
    function = Scope("function", node.name, node, scope, scope.source)
    scope.bind(node.name, Defined(function))
    _bind_parameters(node, function)
    _index(node.body, function)


def _bind_parameters(node: FunctionNode, function: Scope) -> None:
    arguments = node.args
    if function.parent is None:
        return
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    places = function.parameters
    for argument, default in [*zip(positional, defaults, strict=True), *named]:
        name = argument.arg
        if argument.annotation is not None:
            function.bind(name, Annotated(argument.annotation, function.parent))
        if default is not None:
            function.bind(name, Assigned(default, function.parent))
        place = places.index(name) if name in places else None
        is_self = place is None and argument in positional[:1]
        function.bind(name, Parameter(function, name, place, is_self))


def _index_import(statement: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            # `import a.b` binds `a`; `import a.b as c` binds the module itself.
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            scope.bind(alias.asname or module, Imported(module, None, 0))
        return
    for alias in statement.names:
        imported = Imported(statement.module or "", alias.name, statement.level)
        if alias.name == "*":
            scope.stars.append(imported)
        else:
            scope.bind(alias.asname or alias.name, imported)


def _index_annotated(statement: ast.AnnAssign, scope: Scope) -> None:
    target = statement.target
    if isinstance(target, ast.Name):
        scope.bind(target.id, Annotated(statement.annotation, scope))
    elif isinstance(target, ast.Attribute) and (owner := _owner(target, scope)):
        owner.bind(target.attr, Annotated(statement.annotation, scope))
    if statement.value is not None:
        _assign(target, statement.value, scope)


def _assign(target: ast.expr, value: ast.expr, scope: Scope) -> None:
    match target:
        case ast.Name(id=name):
            scope.bind(name, Assigned(value, scope))
        case ast.Attribute(attr=name):
            owner = _owner(target, scope)
            if owner is not None:
                owner.bind(name, Assigned(value, scope))
        case ast.Subscript(value=container):
            # A container stands for what it holds.
            _assign(container, value, scope)
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            same = len(values) == len(targets)
            for index, each in enumerate(targets):
                _assign(each, values[index] if same else value, scope)
        case _:
            pass


def _owner(target: ast.Attribute, scope: Scope) -> Scope | None:
    """The class whose attribute `self.x` is."""
    while scope.kind == "function" and scope.method_of is None and scope.parent is not None:
        scope = scope.parent
    node = scope.node
    if scope.method_of is None or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    first = [*node.args.posonlyargs, *node.args.args][:1]
    ours = isinstance(target.value, ast.Name) and [each.arg for each in first] == [target.value.id]
    return scope.method_of if ours else None


def _note_yields(value: ast.expr, scope: Scope) -> None:
    if isinstance(value, ast.Yield) and value.value is not None:
        scope.yields.append(value.value)
