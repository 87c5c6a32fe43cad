"""The rule: a call is covered if every way to it that the project shows passes a usage context.

A way begins where nothing of the project calls further: at the top level of a module, at a route,
at a function that nothing calls. It ends at the call. A function that something calls is judged by
its callers alone.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from spanmeter.instrumentation.lint.evaluate import Evaluator
from spanmeter.instrumentation.lint.graph import CallSite, Edge, Graph
from spanmeter.instrumentation.lint.scopes import Scope
from spanmeter.instrumentation.lint.within import is_decorated

AT_TOP_LEVEL: Final = "runs when its module does"
UNWRAPPED_ROUTE: Final = "a route that no UsageMiddleware is around"
UNCALLED: Final = "nothing here calls it"


class Stop(NamedTuple):
    """A function on a way, and the line from which the next is called; `why` where it begins."""

    scope: Scope
    line: int
    why: str = ""


class Judge:
    """Judges call sites by the graph of their project."""

    def __init__(self, graph: Graph, evaluator: Evaluator) -> None:
        self._graph = graph
        self._evaluator = evaluator
        self._decorated: dict[Scope, bool] = {}

    def uncovered_way(self, site: CallSite) -> list[Stop] | None:
        """The shortest way to the call that passes no usage context; none where there is no such."""
        if site.covered:
            return None
        first = Stop(site.owner, site.node.lineno)
        waiting: deque[tuple[Stop, ...]] = deque([(first,)])
        seen = {site.owner}
        met_usage = False
        while waiting:
            way = waiting.popleft()
            scope = way[0].scope
            if self._is_decorated(scope):
                met_usage = True
                continue
            why = self._begins(scope)
            if why is not None:
                return [way[0]._replace(why=why), *way[1:]]
            met_usage = met_usage or self._is_covered_route(scope)
            for edge in self._callers(scope):
                met_usage = met_usage or edge.covered
                if not edge.covered and edge.caller not in seen:
                    seen.add(edge.caller)
                    waiting.append((Stop(edge.caller, edge.line), *way))
        return None if met_usage else [first._replace(why=UNCALLED)]

    def _begins(self, scope: Scope) -> str | None:
        """Why a way begins here, if one does."""
        if scope.kind != "function":
            return AT_TOP_LEVEL
        if scope in self._graph.web.routes:
            return None if self._is_covered_route(scope) else UNWRAPPED_ROUTE
        return None if any(self._callers(scope)) else UNCALLED

    def _is_covered_route(self, scope: Scope) -> bool:
        return scope in self._graph.web.routes and self._graph.web.covers(scope)

    def _callers(self, scope: Scope) -> Iterable[Edge]:
        """Its callers; of a method that has none, whoever calls that name on an unknown object."""
        known = [edge for edge in self._graph.callers.get(scope, ()) if edge.caller is not scope]
        if known or scope.method_of is None:
            return known
        return [edge for edge in self._graph.loose.get(scope.name, ()) if edge.caller is not scope]

    def _is_decorated(self, scope: Scope) -> bool:
        if scope not in self._decorated:
            self._decorated[scope] = is_decorated(scope, self._evaluator)
        return self._decorated[scope]
