"""The calls of each function as they are written: what they pass is what its parameters may be."""

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from spanmeter.instrumentation.lint.evaluate import Evaluator
from spanmeter.instrumentation.lint.lookup import Calls
from spanmeter.instrumentation.lint.scopes import Scope, defined
from spanmeter.instrumentation.lint.values import ClassOf, FunctionOf, InstanceOf, Value

_CONSTRUCTORS: Final = ("__init__", "__post_init__", "__new__")


def calls_in(modules: Iterable[Scope], evaluator: Evaluator) -> Calls:
    """The calls in these modules, as far as it can be told what they call."""
    calls: dict[Scope, list[tuple[ast.Call, Scope]]] = {}
    waiting = deque(modules)
    while waiting:
        scope = waiting.popleft()
        for step in evaluator.steps(scope):
            match step.node:
                case ast.Call() as call:
                    for callee in evaluator.value(call.func, scope):
                        for function in functions_called(callee, evaluator):
                            calls.setdefault(function, []).append((call, scope))
                case ast.Lambda() as node:
                    waiting.append(evaluator.lambda_of(node, scope))
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() as node:
                    waiting.append(defined(node, scope))
                case _:
                    pass
    return calls


def functions_called(callee: Value, evaluator: Evaluator) -> Iterator[Scope]:
    """The functions of the project that calling this calls: of a class, its constructors."""
    match callee:
        case FunctionOf(scope):
            yield scope
        case ClassOf():
            for name in _CONSTRUCTORS:
                yield from _methods(callee, name, evaluator)
        case InstanceOf():
            yield from _methods(callee, "__call__", evaluator)
        case _:
            pass


def _methods(owner: Value, name: str, evaluator: Evaluator) -> Iterator[Scope]:
    for value in evaluator.attribute(owner, name):
        if isinstance(value, FunctionOf):
            yield value.scope
