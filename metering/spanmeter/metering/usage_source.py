"""Who counted: the provider, a tokenizer, an estimate, or nobody."""

from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.reading import shown, text
from spanmeter.metering.span import Attributes
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import UsageSource

COUNTERS: Final[dict[str, UsageSource]] = {
    names.SOURCE_PROVIDER: "provider",
    names.SOURCE_TOKENIZER: "tokenizer",
    names.SOURCE_ESTIMATE: "estimate",
}


def read_usage_source(attributes: Attributes, *, reported: bool) -> UsageSource:
    """Who made the counts of a span; `none` where it has none, the provider where it does not say.

    Raises `Unmeterable` for a source that is not known: an estimate must never pass for a count.
    """
    if not reported:
        return "none"
    declared = text(attributes, names.USAGE_SOURCE)
    source = "provider" if declared is None else COUNTERS.get(declared)
    if source is None:
        raise Unmeterable(
            "bad_usage_source",
            f"usage.source is {shown(declared)}, and the span has counts; it must be provider, "
            "tokenizer or estimate",
        )
    return source
