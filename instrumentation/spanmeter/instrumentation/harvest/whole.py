"""The attributes of a span before the SDK's limits.

An application that allows its spans 5 attributes, or values of 10 characters, has spans without counts
and tenants of half a name. What it exports stays so; the record does not.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from opentelemetry.sdk.trace import Span

from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.harvest.metered import metered

_KEPT: Final = "_spanmeter_attributes"


def keep_attributes(span: Span, attributes: Mapping[str, object]) -> dict[str, object]:
    """All metered attributes of a span that starts with these, now and as they are set."""
    kept = metered(attributes)
    setattr(span, _KEPT, kept)
    span.__class__ = _watched(type(span))
    return kept


@lru_cache(maxsize=64)
def _watched(kind: type[Span]) -> type[Span]:
    """The class of a span whose attributes are kept: in all else the one that it had."""

    # A mixin beside the class would make instances of another layout, which no span can change to.
    def set_attribute(self: Span, key: str, value: Any) -> None:
        kind.set_attribute(self, key, value)
        _keep(self, {key: value})

    def set_attributes(self: Span, attributes: Mapping[str, Any]) -> None:
        kind.set_attributes(self, attributes)
        _keep(self, attributes)

    added = {"set_attribute": set_attribute, "set_attributes": set_attributes}
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, **added})


@guarded
def _keep(span: Span, attributes: Mapping[str, Any]) -> None:
    if span.is_recording():
        getattr(span, _KEPT).update(metered(attributes))
