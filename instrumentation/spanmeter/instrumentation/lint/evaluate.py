"""What expressions may be: names followed through assignments, imports, attributes, parameters and
return values, whatever the order of execution. A container stands for what it holds."""

import ast
from collections.abc import Iterable
from typing import Final

from spanmeter.instrumentation.lint import libraries
from spanmeter.instrumentation.lint.lookup import Lookup
from spanmeter.instrumentation.lint.scopes import Scope, is_dependency, last_name
from spanmeter.instrumentation.lint.values import (
    NOTHING,
    USAGE,
    ClassOf,
    Client,
    External,
    FunctionOf,
    InstanceOf,
    Made,
    UsageScope,
    Value,
    Values,
    is_middleware,
    is_usage,
)
from spanmeter.instrumentation.lint.within import yields_within_usage

PASSES_ON: Final = frozenset(
    {"partial", "partialmethod", "nullcontext", "closing", "aclosing", "cache", "lru_cache"}
    | {"enter_context", "enter_async_context", "push_async_exit"}
    | {"next", "anext", "iter", "list", "tuple", "set", "dict", "copy", "deepcopy", "cycle"}
)
"""What gives back the first thing that it is given, as far as it matters here."""

_DEEPEST: Final = 60
"""From one name to the next; nobody writes more, and Python's stack holds it."""

_SERVICE_CLIENTS: Final = frozenset({"client", "create_client"})
_MANAGERS: Final = frozenset({"contextmanager", "asynccontextmanager"})


class Evaluator(Lookup):
    """Evaluates expressions of one project."""

    _depth = 0

    def value(self, expression: ast.expr, scope: Scope) -> Values:
        """What the expression may be; empty where nothing is known."""
        key = (expression, scope)
        if key not in self.known:
            if self._depth == _DEEPEST:
                return NOTHING
            # What depends on itself adds nothing to itself.
            self.known[key] = NOTHING
            self._depth += 1
            self.known[key] = self._evaluated(expression, scope)
            self._depth -= 1
        return self.known[key]

    def _evaluated(self, expression: ast.expr, scope: Scope) -> Values:
        match expression:
            case ast.Name(id=name):
                return self.name(name, scope)
            case ast.Attribute(value=owner, attr=name):
                return self.attributes(self.value(owner, scope), name)
            case ast.Call():
                return self._call(expression, scope)
            case ast.Lambda():
                return frozenset({FunctionOf(self.lambda_of(expression, scope))})
            case _:
                return self._any(_passed_on(expression), scope)

    def _any(self, parts: Iterable[ast.expr], scope: Scope) -> Values:
        return frozenset(value for part in parts for value in self.value(part, scope))

    def _call(self, call: ast.Call, scope: Scope) -> Values:
        if _asks_for_bedrock(call):
            return frozenset({Client(libraries.BEDROCK, ())})
        if call.args and last_name(call.func) in PASSES_ON and not self._is_ours(call.func, scope):
            return self.value(call.args[0], scope)
        found: set[Value] = set()
        for callee in self.value(call.func, scope):
            found |= self._result(callee, call, scope)
        return frozenset(found)

    def _is_ours(self, callee: ast.expr, scope: Scope) -> bool:
        """Whether it is a function of the project, which may be named as anything."""
        return any(isinstance(each, FunctionOf | ClassOf) for each in self.value(callee, scope))

    def _result(self, callee: Value, call: ast.Call, scope: Scope) -> Values:
        match callee:
            case External(name):
                return self._made(name, call, scope)
            case Client(library, path):
                session = dict(library.sessions).get(path)
                if session is not None:
                    return frozenset({Client(library, session)})
                return frozenset({callee}) if library.leads_on(path) else NOTHING
            case _:
                return self.called(frozenset({callee}))

    def _made(self, name: str, call: ast.Call, scope: Scope) -> Values:
        library = libraries.made_by(name)
        if library is not None:
            return frozenset({Client(library, ())})
        if is_usage(name):
            return frozenset({USAGE})
        if is_dependency(call) and call.args:
            return self.called(self.value(call.args[0], scope))
        if name.endswith("typing.cast") and call.args:
            return self.annotation(call.args[0], scope)
        if not is_middleware(name):
            # `instructor.from_openai(OpenAI())`, `wrap_openai(OpenAI())`: still that client.
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            clients = {v for v in self._any(given, scope) if isinstance(v, Client) and not v.path}
            if clients:
                return frozenset(clients)
        return frozenset({Made(name, call)})

    def called(self, callees: Values) -> Values:
        """What calling these gives."""
        found: set[Value] = set()
        for callee in callees:
            match callee:
                case ClassOf(scope):
                    found |= self._instance(scope)
                case FunctionOf(scope):
                    found |= self._returned(scope)
                case InstanceOf():
                    found |= self.called(self.attribute(callee, "__call__"))
                case UsageScope():
                    pass  # used as a decorator by hand: whoever looks at calls knows of it
                case _:
                    pass
        return frozenset(found)

    def _instance(self, scope: Scope) -> Values:
        for base in self.ancestors(scope):
            if isinstance(base, External) and is_middleware(base.name):
                return frozenset({Made(base.name, scope.node)})
        return frozenset({InstanceOf(scope)})

    def _returned(self, function: Scope) -> Values:
        if function in self.returned:
            return self.returned[function]
        self.returned[function] = NOTHING
        found = self._any([*function.returns, *function.yields], function)
        annotation = getattr(function.node, "returns", None)
        if annotation is not None and function.parent is not None:
            found |= self.annotation(annotation, function.parent)
        if function.decorated_with(*_MANAGERS) and yields_within_usage(function, self):
            found |= {USAGE}
        self.returned[function] = found
        return found

    def annotation(self, annotation: ast.expr, scope: Scope) -> Values:
        """Anything of an annotated type; of a generic one, anything of its arguments too."""
        match annotation:
            case ast.Constant(value=str(text)):
                return self._quoted(text, scope)
            case ast.BinOp(left=left, right=right):
                return self.annotation(left, scope) | self.annotation(right, scope)
            case ast.Subscript(value=generic, slice=arguments):
                parts = arguments.elts if isinstance(arguments, ast.Tuple) else [arguments]
                found = self.annotation(generic, scope)
                return found.union(*(self.annotation(part, scope) for part in parts))
            case ast.Call():  # Annotated[OpenAI, Depends(client)]
                return self.value(annotation, scope)
            case ast.Name() | ast.Attribute():
                values = self.value(annotation, scope)
                return frozenset(each for value in values for each in self._of_type(value))
            case _:
                return NOTHING

    def _quoted(self, text: str, scope: Scope) -> Values:
        if text not in self.quoted:
            try:
                self.quoted[text] = ast.parse(text.strip(), mode="eval").body
            except (SyntaxError, ValueError):
                return NOTHING
        return self.annotation(self.quoted[text], scope)

    def _of_type(self, value: Value) -> Values:
        match value:
            case ClassOf(scope):
                return self._instance(scope)
            case External(name) if (library := libraries.made_by(name)) is not None:
                return frozenset({Client(library, ())})
            case External(name):
                return frozenset({Made(name, None)})
            case _:
                # `Client = OpenAI | Anthropic`: the alias has been followed to its parts.
                return NOTHING


def _passed_on(expression: ast.expr) -> list[ast.expr]:
    """The parts of an expression that it may give as they are, or holds."""
    match expression:
        case ast.Dict(values=parts) | ast.BoolOp(values=parts):
            return parts
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return parts
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case (
            ast.ListComp(elt=part)
            | ast.SetComp(elt=part)
            | ast.GeneratorExp(elt=part)
            | ast.DictComp(value=part)
            | ast.Await(value=part)
            | ast.Starred(value=part)
            | ast.NamedExpr(value=part)
            | ast.Subscript(value=part)
        ):
            return [part]
        case _:
            return []


def _asks_for_bedrock(call: ast.Call) -> bool:
    """`boto3.client("bedrock-runtime")`, or the same of a session, whatever that is."""
    if last_name(call.func) not in _SERVICE_CLIENTS:
        return False
    given = [*call.args[:1], *(key.value for key in call.keywords if key.arg == "service_name")]
    return any(
        isinstance(each, ast.Constant) and each.value == libraries.BEDROCK_SERVICE for each in given
    )
