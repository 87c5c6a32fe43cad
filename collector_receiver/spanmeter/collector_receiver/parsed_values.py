"""Values of attributes in Python's own types."""

from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanmeter.metering.span import AttributeValue

SCALARS: Final = frozenset(
    {"string_value", "bool_value", "int_value", "double_value", "bytes_value"}
)


def attributes_of(attributes: Iterable[KeyValue]) -> dict[str, AttributeValue]:
    """The attributes by name; of one that is given twice, the later."""
    # Most values are text, and asking for it first is a third faster than asking for the kind.
    return {a.key: (value := a.value).string_value or value_of(value) for a in attributes}


def value_of(value: AnyValue) -> AttributeValue:
    """The value in Python's own types. Nesting is bounded by the parser, at 100 messages."""
    kind = value.WhichOneof("value")
    if kind in SCALARS:
        plain: AttributeValue = getattr(value, kind)
        return plain
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    # Absent, or an index into a profile's string table, which a span has none of.
    return None
