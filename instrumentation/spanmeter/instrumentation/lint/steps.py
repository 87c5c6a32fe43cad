"""The steps of a body, as they are written: what is called, yielded and defined, and what was
entered around it or before it."""

import ast
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, cast

from spanmeter.instrumentation.lint.scopes import FunctionNode, Scope, is_dependency, last_name

ENTERING: Final = frozenset({"enter_context", "enter_async_context", "__enter__", "__aenter__"})

Node = ast.Call | ast.Attribute | ast.Yield | ast.ClassDef | FunctionNode


class Step(NamedTuple):
    """A step, and what is entered while it is taken.

    `leaves` is whether what it gives is returned: a generator is run after all of it was left.
    """

    node: Node
    entered: tuple[ast.expr, ...]
    leaves: bool


def steps_of(scope: Scope) -> list[Step]:
    """The steps of a scope's body, in order."""
    return _Walk(scope).steps


def entered_by(statement: ast.stmt) -> list[ast.expr]:
    """What a statement enters and does not leave: `stack.enter_context(x)`, `x.__enter__()`."""
    if not isinstance(statement, ast.Expr | ast.Assign | ast.Return):
        return []
    call = statement.value
    call = call.value if isinstance(call, ast.Await) else call
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return []
    if call.func.attr not in ENTERING:
        return []
    return call.args[:1] if call.args else [call.func.value]


class _Walk:
    def __init__(self, scope: Scope) -> None:
        self.steps: list[Step] = []
        self._leaving: list[ast.expr] = []
        if isinstance(scope.node, ast.Lambda):
            self._node(scope.node.body, ())
        else:
            self._statements(scope.node.body, ())

    def _statements(self, statements: Iterable[ast.stmt], entered: tuple[ast.expr, ...]) -> None:
        """In order: what one statement enters is around those after it."""
        for statement in statements:
            if isinstance(statement, ast.Return):
                self._leaving += _leaving(statement.value)
            self._node(statement, entered)
            entered = (*entered, *entered_by(statement))

    def _node(self, node: ast.AST, entered: tuple[ast.expr, ...]) -> None:
        match node:
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._node(item.context_expr, entered)
                    entered = (*entered, item.context_expr)
                self._statements(node.body, entered)
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._step(node, entered)
                self._below([*node.decorator_list, *_defaults(node.args)], entered)
                return
            case ast.ClassDef():
                self._step(node, entered)
                self._below([*node.decorator_list, *node.bases], entered)
                return
            case ast.Lambda():
                self._step(node, entered)
                self._below(_defaults(node.args), entered)
                return
            case ast.Call() | ast.Yield() | ast.Attribute():
                self._step(node, entered)
            case ast.Name() | ast.Constant():
                return
            case _:
                pass
        self._fields(node, entered)

    def _fields(self, node: ast.AST, entered: tuple[ast.expr, ...]) -> None:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                self._node(value, entered)
            elif isinstance(value, list):
                self._below(cast("list[object]", value), entered)

    def _below(self, values: Sequence[object], entered: tuple[ast.expr, ...]) -> None:
        if values and isinstance(values[0], ast.stmt):
            self._statements((each for each in values if isinstance(each, ast.stmt)), entered)
            return
        for each in values:
            if isinstance(each, ast.AST):
                self._node(each, entered)

    def _step(self, node: Node, entered: tuple[ast.expr, ...]) -> None:
        self.steps.append(Step(node, entered, node in self._leaving))


def _leaving(value: ast.expr | None) -> list[ast.expr]:
    """What a `return` hands out unconsumed: the value itself, or what a response will stream."""
    if isinstance(value, ast.Call) and last_name(value).endswith("Response"):
        return [*value.args, *(keyword.value for keyword in value.keywords)]
    return [] if value is None else [value]


def _defaults(arguments: ast.arguments) -> list[ast.AST]:
    """The default values, but for FastAPI's `Depends(...)`, which is called for each request."""
    values = [*arguments.defaults, *arguments.kw_defaults]
    return [each for each in values if each is not None and not is_dependency(each)]
