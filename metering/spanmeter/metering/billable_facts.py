"""What billable rules may look at: the facts of one call, by the names that rules call them."""

from collections.abc import Callable, Collection, Hashable, Mapping
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple, get_args

from spanmeter.metering.called import Called
from spanmeter.metering.outcome import Outcome
from spanmeter.metering.usage_event import Status, UsageEvent, UsageSource
from spanmeter.metering.who import ACCOUNT_TYPES, Who

DECLARED: Final = "declared"
"""The reason on rows whose state the application declared itself, with `usage.billable_state`."""

DIMENSIONS: Final = "dimensions"
"""The fact that is a table: the application's own dimensions by name."""


class Facts(NamedTuple):
    """One call as the rules see it. `declared` is what its application says the state is."""

    declared: str | None
    who: Who
    called: Called
    outcome: Outcome
    produced_output: bool
    usage_source: UsageSource


class Fact(NamedTuple):
    """One fact: how it is `read`, the `fields` of the groups of `Facts` that it comes from, and what is known of it.

    `values` are all that it can be, where those are known. `folded` facts are compared in lower case.
    """

    read: Callable[[Facts], Any]
    fields: tuple[str, ...]
    flag: bool = False
    folded: bool = False
    values: frozenset[str] | None = None


def _of(
    field: str,
    values: Collection[str] | None = None,
    *,
    flag: bool = False,
    folded: bool = False,
) -> Fact:
    """A fact that is one field of who, called or outcome."""
    known = None if values is None else frozenset(values)
    return Fact(attrgetter(_path(field)), (field,), flag, folded, known)


def _path(field: str) -> str:
    groups = (("who", Who), ("called", Called), ("outcome", Outcome))
    return next(f"{name}.{field}" for name, group in groups if field in group._fields)


def _model(facts: Facts) -> str | None:
    """The model that ran, or the one asked for where the provider did not say."""
    return facts.called.response_model or facts.called.request_model


FACTS: Final[Mapping[str, Fact]] = MappingProxyType(
    {
        "tenant": _of("tenant_id"),
        "workspace": _of("workspace_id"),
        "project": _of("project_id"),
        "user": _of("user_id"),
        "feature": _of("feature"),
        "workflow": _of("workflow"),
        "action": _of("action"),
        "label": _of("label"),
        "account_type": _of("account_type", ACCOUNT_TYPES),
        # People write Staging, STAGING and staging.
        "environment": _of("environment", folded=True),
        "service": _of("service_name"),
        "callsite": _of("callsite"),
        "provider": _of("provider"),
        "operation": _of("operation"),
        "model": Fact(_model, ("request_model", "response_model")),
        "request_model": _of("request_model"),
        "response_model": _of("response_model"),
        "region": _of("region"),
        "service_tier": _of("service_tier"),
        "byok": _of("byok", flag=True),
        "status": _of("status", get_args(Status)),
        "error_type": _of("error_type"),
        "produced_output": Fact(attrgetter("produced_output"), (), flag=True),
        "usage_source": Fact(
            attrgetter("usage_source"), (), values=frozenset(get_args(UsageSource))
        ),
    }
)
"""The facts by the names that rules call them; `dimensions` beside them."""


def dimension(name: str) -> Fact:
    """The application's own dimension of this name."""

    def read(facts: Facts) -> str | None:
        return facts.who.dimensions.get(name)

    return Fact(read, (DIMENSIONS,))


def facts_of(event: UsageEvent) -> Facts:
    """The facts of a call that is booked."""
    values: tuple[Any, ...] = event
    return Facts(
        event.billable_state if event.billable_reason == DECLARED else None,
        Who._make(values[_WHO]),
        Called._make(values[_CALLED]),
        Outcome._make(values[_OUTCOME]),
        bool(event.output_tokens),
        event.usage_source,
    )


class Telling(NamedTuple):
    """What tells calls apart for some rules: a function of each group, equal for calls that are equal to the rules."""

    who: Callable[[Who], Hashable]
    called: Callable[[Called], Hashable]
    outcome: Callable[[Outcome], Hashable]


def telling(fields: frozenset[str], dimensions: frozenset[str]) -> Telling:
    """What tells calls apart for rules that look at these fields and dimensions."""
    who = _picked(Who._fields, fields - {DIMENSIONS})
    own = sorted(dimensions)

    def who_with_dimensions(caller: Who) -> Hashable:
        return (who(caller), *map(caller.dimensions.get, own))

    return Telling(
        who_with_dimensions if own else who,
        _picked(Called._fields, fields),
        _picked(Outcome._fields, fields),
    )


def _picked(group: tuple[str, ...], fields: frozenset[str]) -> Callable[[Any], Hashable]:
    places = [place for place, field in enumerate(group) if field in fields]
    return itemgetter(*places) if places else itemgetter(slice(0))


def _columns(group: tuple[str, ...]) -> slice:
    first = UsageEvent._fields.index(group[0])
    return slice(first, first + len(group))


_WHO, _CALLED, _OUTCOME = (
    _columns(group) for group in (Who._fields, Called._fields, Outcome._fields)
)
