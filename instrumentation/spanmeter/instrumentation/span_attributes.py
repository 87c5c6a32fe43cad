"""The attributes of what the tracing sees of a call, put on its span at once.

The SDK looks at each attribute that is set, and twice: for the twenty of a call that takes as long as all else that is
done to begin and end its span. Ours are texts and numbers of their own types, which it takes as they are.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import Span

_PLAIN: Final = frozenset({str, int, float, bool})

_set_by_sdk: Final = SdkSpan.set_attributes


def put_attributes(span: Span, attributes: Mapping[str, Any]) -> None:
    """What `span.set_attributes` does for a span that is open."""
    if type(span).set_attributes is _set_by_sdk and _PLAIN.issuperset(
        map(type, attributes.values())
    ):
        try:
            kept = cast("Any", span)._attributes  # noqa: SLF001 - nothing public takes them unseen
            held, most = kept._dict, kept.maxlen  # noqa: SLF001
            if kept.max_value_len is None and (most is None or len(held) + len(attributes) <= most):
                with kept._lock:  # noqa: SLF001
                    held.update(attributes)
                return
        except AttributeError:  # another version of the SDK keeps them elsewhere
            pass
    span.set_attributes(attributes)
