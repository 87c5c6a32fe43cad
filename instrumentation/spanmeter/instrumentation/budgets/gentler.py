"""What can be done about a call that does not fit, short of refusing it: less output, or a cheaper model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spanmeter.instrumentation.budgets.amounts import SCALE
from spanmeter.instrumentation.budgets.estimating import LIMITS, Expected
from spanmeter.instrumentation.budgets.policy import Rule
from spanmeter.instrumentation.budgets.rates import Rates
from spanmeter.instrumentation.endpoint import mapping

if TYPE_CHECKING:
    from spanmeter.instrumentation.instrumentor import Request

NAMED_ANEW: Final = frozenset({"openai", "azure.ai.openai"})
"""Providers whose newer models refuse `max_tokens` in a chat; those that speak as they do know only that."""


class Gentler(Exception):
    """The request was changed; it is decided about anew."""

    def __init__(self, request: "Request") -> None:
        self.request = request

    @staticmethod
    def instead(
        request: "Request", rule: Rule, use: Expected, rates: Rates | None, there: int
    ) -> None:
        """Raises `Gentler` where the budget asks for it, and it can be done; `there` is what the call may use."""
        if rule.action == "clamp":
            _clamp(request, rule, use, rates, there)
        elif rule.action == "downgrade":
            _downgrade(request, rule)


def _clamp(request: "Request", rule: Rule, use: Expected, rates: Rates | None, there: int) -> None:
    """Bounds the output to what there is enough for."""
    content = request.endpoint.content(request.body)
    place = _place(request, content)
    if rates is not None:
        most = rates.affordable(there, use.input, use.units)
    elif rule.metric in {"tokens", "output_tokens"}:
        most = there // SCALE - (use.input if rule.metric == "tokens" else 0)
    else:
        return
    most //= use.answers
    if place is None or request.rewrite is None or most < rule.least_output:
        return
    if use.output is not None and most >= use.output:
        return
    body = _with(content, place, most)
    request.rewrite(body)
    raise Gentler(request._replace(body=body))


def _downgrade(request: "Request", rule: Rule) -> None:
    """Asks another model, which the budget names in place of this one."""
    cheaper = rule.models.get(request.model or "")
    if cheaper is None or cheaper == request.model or request.rename is None:
        return
    body = request.rename(cheaper, request.body)
    raise Gentler(request._replace(model=cheaper, body=body))


def _place(request: "Request", content: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Where the request bounds its output, or may."""
    for place in LIMITS:
        outer = content if len(place) == 1 else mapping(content.get(place[0]))
        if place[-1] in outer:
            return place
    otherwise = request.endpoint.output_limit
    if otherwise == ("max_completion_tokens",) and request.provider not in NAMED_ANEW:
        return ("max_tokens",)
    return otherwise


def _with(body: Mapping[str, Any], place: tuple[str, ...], value: int) -> dict[str, Any]:
    """The body, with a value put in: a new one, since this may be the application's own."""
    first, *rest = place
    if not rest:
        return {**body, first: value}
    return {**body, first: {**mapping(body.get(first)), rest[0]: value}}
