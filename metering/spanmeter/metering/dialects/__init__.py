"""Choosing the dialect a span is written in."""

from typing import Final

from spanmeter.metering.dialects.dialect import Dialect
from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY
from spanmeter.metering.span import Span

DIALECTS: Final[tuple[Dialect, ...]] = (OPENTELEMETRY,)

__all__ = ["DIALECTS", "Dialect", "dialect_of"]


def dialect_of(span: Span) -> tuple[Dialect, str] | None:
    """The dialect and operation of a span that is one request to a provider; `None` for all others."""
    for dialect in DIALECTS:
        for name in dialect.operation:
            operation = span.attributes.get(name)
            if type(operation) is str and operation in dialect.calls:
                return dialect, operation
    return None
