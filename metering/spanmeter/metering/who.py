"""Who caused a call: the usage context that its span carries."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.reading import descriptive, shown, storable, text, texts
from spanmeter.metering.span import Attributes
from spanmeter.metering.unmeterable import Unmeterable

ACCOUNT_TYPES: Final = frozenset({"paid", "trial", "free", "internal"})

MAX_DIMENSIONS: Final = 64
"""Dimensions of the application's own on one span; OpenTelemetry allows 128 attributes in all."""

TOLD_BY_RESOURCE: Final = (
    names.DEPLOYMENT_ENVIRONMENT_NAME,
    names.DEPLOYMENT_ENVIRONMENT,
    names.SERVICE_NAME,
)


class Who(NamedTuple):
    """The dimensions of the row, in its order. No tenant is `unattributed`."""

    tenant_id: str | None
    workspace_id: str | None
    project_id: str | None
    user_id: str | None
    feature: str | None
    workflow: str | None
    action: str | None
    label: str | None
    idempotency_key: str | None
    account_type: str | None
    dimensions: Mapping[str, str]
    environment: str | None
    service_name: str | None
    callsite: str | None
    attributed_by: str | None


def read_who(
    attributes: Attributes, resource: Attributes, prefixed: Sequence[str], tenant_place: str
) -> Who:
    """The dimensions of a span, whose tenant was found at `tenant_place`. `prefixed` are those of its
    attribute names that may be dimensions.

    Raises `Unmeterable` for a value that no row can hold, and for an unknown account type, since
    whether the tenant is charged depends on it.
    """
    told = texts(attributes, names.TOLD_BY_SPAN)
    tenant, account_type = told[0], told[-1]
    environment, older_environment, service_name = texts(resource, TOLD_BY_RESOURCE)
    if account_type is not None and account_type not in ACCOUNT_TYPES:
        raise Unmeterable(
            "bad_account_type",
            f"usage.account_type is {shown(account_type)}; it must be paid, trial, free or internal",
        )
    return Who._make(
        (
            *told,
            _dimensions(attributes, prefixed) if prefixed else {},
            environment or older_environment,
            service_name,
            descriptive(attributes, names.USAGE_CALLSITE),
            None if tenant is None else tenant_place,
        )
    )


def _dimensions(attributes: Attributes, prefixed: Sequence[str]) -> dict[str, str]:
    prefix = names.USAGE_DIMENSION_PREFIX
    dimensions: dict[str, str] = {}
    for name in prefixed:
        if not name.startswith(prefix):
            continue
        value = text(attributes, name)
        if value is not None:
            dimensions[_dimension_name(name)] = value
    if len(dimensions) > MAX_DIMENSIONS:
        raise Unmeterable(
            "bad_dimension",
            f"the span has {len(dimensions)} dimensions; at most {MAX_DIMENSIONS} are accepted",
        )
    return dimensions


def _dimension_name(name: str) -> str:
    dimension = name[len(names.USAGE_DIMENSION_PREFIX) :]
    if not dimension:
        raise Unmeterable("bad_dimension", f"{name} names no dimension")
    return storable("a dimension's name", dimension)
