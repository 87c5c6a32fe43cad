"""Telling which spans are one request to a provider, whoever made them, and reading them in our words."""

from functools import lru_cache
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.botocore import BOTOCORE
from spanmeter.metering.dialects.cases import is_scope
from spanmeter.metering.dialects.dialect import Dialect
from spanmeter.metering.dialects.emitter import emitter
from spanmeter.metering.dialects.langfuse import LANGFUSE
from spanmeter.metering.dialects.litellm import LITELLM
from spanmeter.metering.dialects.openinference import OPENINFERENCE
from spanmeter.metering.dialects.openlit import OPENLIT
from spanmeter.metering.dialects.openllmetry import OPENLLMETRY
from spanmeter.metering.dialects.opentelemetry import CALLS, OPENTELEMETRY
from spanmeter.metering.dialects.provider_sdks import ANTHROPIC_SDK, MISTRAL_SDK
from spanmeter.metering.dialects.pydantic import LOGFIRE, PYDANTIC_AI
from spanmeter.metering.dialects.strands import STRANDS
from spanmeter.metering.dialects.translation import translate
from spanmeter.metering.dialects.vercel import VERCEL, VERCEL_GENAI
from spanmeter.metering.span import Attributes, Span

DIALECTS: Final[tuple[Dialect, ...]] = (
    OPENLLMETRY,
    OPENINFERENCE,
    OPENLIT,
    VERCEL,
    VERCEL_GENAI,
    LITELLM,
    LANGFUSE,
    LOGFIRE,
    PYDANTIC_AI,
    ANTHROPIC_SDK,
    MISTRAL_SDK,
    BOTOCORE,
    STRANDS,
    OPENTELEMETRY,
)

ANYONES: Final = (VERCEL, OPENINFERENCE, LANGFUSE, OPENTELEMETRY, OPENLLMETRY)
"""Whose words are tried for a span of a scope that nobody has: applications write them by hand."""

TELLTALES: Final = frozenset(name for dialect in DIALECTS for name in dialect.operation)
"""Attributes of which every call's span has one, in any dialect."""

CLIENT: Final = 3
"""OTLP's number for the kind of a span that is a client's."""

LONGEST_SCOPE: Final = 256
"""Characters of a scope's name or version that are looked at: what was found for them is remembered."""

__all__ = ["CALLS", "DIALECTS", "TELLTALES", "Call", "Dialect", "call_of", "is_tracing_copy"]


class Call(NamedTuple):
    """A span that is one request to a provider, in our words.

    `by_model` says that no provider was named, and that the model told it.
    """

    dialect: str
    operation: str
    attributes: Attributes
    by_model: bool = False


def call_of(span: Span) -> Call | None:
    """The call that a span describes; `None` for all other spans.

    An agent that a provider runs is a call too, `invoke_agent`, if its client's span has counts: whether
    it has calls inside is not to be seen from the span. Raises `Unmeterable` for counts that are none.
    """
    spoken = _spoken(span.scope_name[:LONGEST_SCOPE])
    if spoken is None:
        return _own(span.attributes)
    for dialect in spoken:
        for name in dialect.operation:
            kind = span.attributes.get(name)
            # The first that is told decides: what one vocabulary calls a chain is no call in another.
            if type(kind) is str and kind:
                operation = _operation(dialect, kind, span)
                return None if operation is None else _translated(span, dialect, operation)
    return None


def is_tracing_copy(span: Span) -> bool:
    """Whether a span is the application's own tracing of a call that is metered by a record of ours."""
    return span.scope_name.startswith(names.TRACING_SCOPE_PREFIX)


@lru_cache(maxsize=1024)
def _spoken(scope: str) -> tuple[Dialect, ...] | None:
    """The dialects that the spans of a scope may be written in; `None` if it is ours."""
    if scope.startswith(names.SCOPE_PREFIX):
        return None
    if scope.startswith(names.TRACING_SCOPE_PREFIX):
        return ()
    for dialect in DIALECTS:
        if any(is_scope(scope, named) for named in dialect.scopes):
            return (dialect,)
    return ANYONES


def _own(attributes: Attributes) -> Call | None:
    operation = attributes.get(names.OPERATION_NAME)
    if type(operation) is str and operation in CALLS:
        return Call(OPENTELEMETRY.name, operation, attributes)
    return None


def _operation(dialect: Dialect, kind: str, span: Span) -> str | None:
    if kind == names.INVOKE_AGENT and span.kind == CLIENT:
        return kind
    return dialect.calls.get(kind)


def _translated(span: Span, dialect: Dialect, operation: str) -> Call | None:
    by = emitter(dialect, span.scope_name[:LONGEST_SCOPE], span.scope_version[:LONGEST_SCOPE])
    translation = translate(span.attributes, by, failed=span.failed)
    if translation is None:
        return None
    hosted = {names.PROVIDER_NAME, names.INPUT_TOKENS}
    if operation == names.INVOKE_AGENT and not hosted <= translation.attributes.keys():
        return None
    return Call(dialect.name, operation, *translation)
