"""Choosing the dialect a span is written in."""

from spanmeter.metering.dialects.dialect import Dialect
from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY
from spanmeter.metering.reading import first_text
from spanmeter.metering.span import Span

DIALECTS: tuple[Dialect, ...] = (OPENTELEMETRY,)

__all__ = ["DIALECTS", "Dialect", "dialect_of"]


def dialect_of(span: Span) -> tuple[Dialect, str] | None:
    """The dialect and the operation of a span that is one request to a provider; `None` for every other span."""
    for dialect in DIALECTS:
        operation = first_text(span.attributes, dialect.operation)
        if operation in dialect.calls:
            return dialect, operation
    return None
