"""What is done within a usage context: in a `with`, below an `enter_context`, in a function that is
decorated."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from spanmeter.instrumentation.lint.scopes import Defined, Scope
from spanmeter.instrumentation.lint.steps import Step, entered_by
from spanmeter.instrumentation.lint.values import USAGE, FunctionOf, InstanceOf

if TYPE_CHECKING:
    from spanmeter.instrumentation.lint.evaluate import Evaluator


def is_covered(step: Step, scope: Scope, evaluator: "Evaluator") -> bool:
    """Whether a step of a scope's body is taken within a usage context."""
    return any(enters_usage(each, scope, evaluator) for each in step.entered)


def enters_usage(expression: ast.expr, scope: Scope, evaluator: "Evaluator") -> bool:
    """Whether entering this puts a usage context in force."""
    values = evaluator.value(expression, scope)
    return USAGE in values or any(
        isinstance(value, InstanceOf) and _enters_itself(value, evaluator) for value in values
    )


def yields_within_usage(function: Scope, evaluator: "Evaluator") -> bool:
    """Whether a generator yields, and always within a usage context: as a context manager it is one
    itself."""
    yields = [step for step in evaluator.steps(function) if isinstance(step.node, ast.Yield)]
    return bool(yields) and all(is_covered(step, function, evaluator) for step in yields)


def is_decorated(function: Scope, evaluator: "Evaluator") -> bool:
    """Whether calling the function enters a usage context first."""
    scope = function.parent
    if scope is None:
        return False
    for decorator in function.decorators:
        if USAGE in evaluator.value(decorator, scope):
            return True
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        for value in evaluator.value(called, scope):
            if isinstance(value, FunctionOf) and calls_within_usage(value.scope, evaluator):
                return True
    return False


def calls_within_usage(wrapper: Scope, evaluator: "Evaluator") -> bool:
    """Whether a function that is given another calls it, and always within a usage context; itself,
    or in the functions that it defines, as decorators do."""
    if wrapper not in evaluator.wrappers:
        covered = list(_calls_of_given(wrapper, evaluator, frozenset()))
        evaluator.wrappers[wrapper] = bool(covered) and all(covered)
    return evaluator.wrappers[wrapper]


def _calls_of_given(
    function: Scope, evaluator: "Evaluator", given: frozenset[str]
) -> Iterator[bool]:
    given |= frozenset(function.parameters)
    scope = function.parent
    decorated = scope is not None and any(
        USAGE in evaluator.value(each, scope) for each in function.decorators
    )
    for step in evaluator.steps(function):
        call = step.node
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in given:
            yield decorated or is_covered(step, function, evaluator)
    for bindings in function.bindings.values():
        for binding in bindings:
            if isinstance(binding, Defined) and binding.scope.kind == "function":
                yield from _calls_of_given(binding.scope, evaluator, given)


def _enters_itself(instance: InstanceOf, evaluator: "Evaluator") -> bool:
    """Whether the `__enter__` of a class of the project enters a usage context."""
    methods = evaluator.attribute(instance, "__enter__")
    methods |= evaluator.attribute(instance, "__aenter__")
    return any(
        USAGE in evaluator.value(entered, method.scope)
        for method in methods
        if isinstance(method, FunctionOf)
        for node in ast.walk(method.scope.node)
        if isinstance(node, ast.stmt)
        for entered in entered_by(node)
    )
