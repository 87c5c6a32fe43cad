"""Who a call is for, inside an OpenTelemetry context.

An *identity* is the usage context as it travels: a flat mapping of attribute names to text. It
lives in W3C baggage, so OpenTelemetry's propagators carry it between services. While a provider is
being called it is moved to a private key of the context, so that nothing that injects baggage into
requests can send it to the provider; code of the application's own that runs inside such a call (a
tool, a transport hook) still finds it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

from opentelemetry import baggage
from opentelemetry.context import Context, create_key, get_current, get_value

from spanmeter.metering import attributes as names

Identity = Mapping[str, str]

IDENTITY_NAMES: Final = frozenset(
    {*names.TOLD_BY_SPAN, names.USAGE_BILLABLE_STATE, names.USAGE_BYOK}
)

MAX_KNOWN: Final = 256
"""Contexts' baggage that is remembered: that of the requests that are being served."""

_SUSPENDED: Final = create_key("spanmeter-identity")

# OpenTelemetry's key is private, and its own functions copy the context for each entry.
(_BAGGAGE,) = baggage.clear(Context())

_Parted = tuple[Identity, Mapping[str, object]]

_known: Final[dict[int, tuple[object, _Parted]]] = {}
"""What is set aside of a context's baggage, by that object: a context and what is in it never change, and the calls of
one request are made in one."""


def is_ours(name: str) -> bool:
    """Whether a baggage entry is part of an identity."""
    return name in IDENTITY_NAMES or name.startswith(names.USAGE_DIMENSION_PREFIX)


def identity_in(context: Context | None = None) -> Identity:
    """The identity in force; empty where there is none.

    Baggage wins over an identity set aside: it can only be there because somebody set it since.
    """
    context = get_current() if context is None else context
    found = {name: str(value) for name, value in _entries(context).items() if is_ours(name)}
    return found or cast("Identity", get_value(_SUSPENDED, context) or {})


def is_settled(context: Context) -> bool:
    """Whether it was said in a context whose it is, be it nobody's."""
    return _SUSPENDED in context


def with_identity(identity: Identity, context: Context | None = None) -> Context:
    """A context in which `identity` is in force, in place of any other; foreign baggage stays."""
    context = get_current() if context is None else context
    entries = {**_foreign(_entries(context)), **identity}
    return Context({**context, _SUSPENDED: None, _BAGGAGE: entries})


def without_identity(context: Context | None = None) -> Context:
    """A context in which no identity is in force; foreign baggage stays."""
    return with_identity({}, context)


def set_aside(context: Context) -> _Parted:
    """The identity in force, and the values to be set in a context that a provider is called in:
    there it is out of the baggage, and still `identity_in` it."""
    entries = context.get(_BAGGAGE)
    known = _known.get(id(entries))
    if known is not None and known[0] is entries:
        return known[1]
    parted = _looked_at(_entries(context))
    return parted if parted[0] else (cast("Identity", context.get(_SUSPENDED) or {}), {})


def _looked_at(entries: Mapping[str, object]) -> _Parted:
    """What is set aside of baggage that is not known yet."""
    try:
        # Others may put anything into their baggage. Only texts are remembered: this raises for the rest.
        "".join(cast("Mapping[str, str]", entries).values())
        parted = _parted(*entries, *entries.values())
    except TypeError:
        return _parted.__wrapped__(*entries, *entries.values())
    if parted[0]:
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[id(entries)] = (entries, parted)
    return parted


# The same few are asked about, call after call. By their types too: an enumeration's text is not its value.
@lru_cache(maxsize=1024, typed=True)
def _parted(*baggage: Any) -> _Parted:
    """`set_aside` for baggage: its names, and after them their values."""
    count = len(baggage) // 2
    entries = dict(zip(baggage[:count], baggage[count:], strict=True))
    identity = {name: str(value) for name, value in entries.items() if is_ours(name)}
    return identity, {_SUSPENDED: identity, _BAGGAGE: _foreign(entries)}


def _entries(context: Context) -> Mapping[str, object]:
    """All baggage."""
    entries = context.get(_BAGGAGE)
    return cast("Mapping[str, object]", entries) if isinstance(entries, dict) else {}


def _foreign(entries: Mapping[str, object]) -> dict[str, object]:
    """The baggage of others."""
    return {name: value for name, value in entries.items() if not is_ours(name)}
