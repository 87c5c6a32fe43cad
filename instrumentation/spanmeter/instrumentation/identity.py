"""Who a call is for, inside an OpenTelemetry context.

An *identity* is the usage context as it travels: a flat mapping of attribute names to text. It
lives in W3C baggage, so OpenTelemetry's propagators carry it between services. While a provider is
being called it is moved to a private key of the context, so that nothing that injects baggage into
requests can send it to the provider; code of the application's own that runs inside such a call (a
tool, a transport hook) still finds it.
"""

from collections.abc import Mapping
from typing import Final, cast

from opentelemetry import baggage
from opentelemetry.context import Context, create_key, get_current, get_value, set_value

from spanmeter.metering import attributes as names

Identity = Mapping[str, str]

IDENTITY_NAMES: Final = frozenset(
    {
        names.TENANT_ID,
        names.WORKSPACE_ID,
        names.PROJECT_ID,
        names.USER_ID,
        names.USAGE_FEATURE,
        names.USAGE_WORKFLOW,
        names.USAGE_ACTION,
        names.USAGE_LABEL,
        names.USAGE_IDEMPOTENCY_KEY,
        names.USAGE_ACCOUNT_TYPE,
        names.USAGE_BILLABLE_STATE,
        names.USAGE_BYOK,
    }
)

_SUSPENDED: Final = create_key("spanmeter-identity")


def is_ours(name: str) -> bool:
    """Whether a baggage entry is part of an identity."""
    return name in IDENTITY_NAMES or name.startswith(names.USAGE_DIMENSION_PREFIX)


def identity_in(context: Context | None = None) -> Identity:
    """The identity in force; empty where there is none.

    Baggage wins over an identity set aside: it can only be there because somebody set it since.
    """
    context = get_current() if context is None else context
    found = {name: str(value) for name, value in baggage.get_all(context).items() if is_ours(name)}
    return found or cast("Identity", get_value(_SUSPENDED, context) or {})


def with_identity(identity: Identity, context: Context | None = None) -> Context:
    """A context in which `identity` is in force, in place of any other; foreign baggage stays."""
    context = without_identity(context)
    for name, value in identity.items():
        context = baggage.set_baggage(name, value, context)
    return context


def without_identity(context: Context | None = None) -> Context:
    """A context in which no identity is in force; foreign baggage stays."""
    return set_value(_SUSPENDED, None, _without_our_baggage(context))


def set_aside(context: Context | None = None) -> Context:
    """A context for calling a provider: the identity is out of the baggage, and still `identity_in`
    it."""
    identity = identity_in(context)
    return set_value(_SUSPENDED, identity, _without_our_baggage(context))


def _without_our_baggage(context: Context | None) -> Context:
    context = get_current() if context is None else context
    entries = baggage.get_all(context)
    if not any(is_ours(name) for name in entries):
        return context
    stripped = baggage.clear(context)
    for name, value in entries.items():
        if not is_ours(name):
            stripped = baggage.set_baggage(name, value, stripped)
    return stripped
