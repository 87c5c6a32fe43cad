"""anthropic 0.x to 2.x.

Usage blocks: platform.claude.com/docs/en/api/messages. `input_tokens` is exclusive here: cache
reads and writes stand beside it and are added. In a stream `message_start` carries a first usage,
and each `message_delta` a cumulative one, which replaces what it names.
"""

from typing import Any, Final

from spanmeter.instrumentation.call import current_call
from spanmeter.instrumentation.endpoint import Attributes, Endpoint, Json, Reading, counts, mapping
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import ClientInstrumentor
from spanmeter.instrumentation.stainless import stainless_patches
from spanmeter.metering import attributes as names


def provider_of(client: Any) -> str:
    """The provider that serves the client's requests: Anthropic itself, or a cloud."""
    kind = type(client).__name__
    if "Bedrock" in kind:
        return "aws.bedrock"
    return "gcp.vertex_ai" if "Vertex" in kind else "anthropic"


def read_message(body: Json) -> Reading:
    """A whole message."""
    usage = mapping(body.get("usage"))
    return Reading(
        response_id=body.get("id"),
        model=body.get("model"),
        service_tier=usage.get("service_tier"),
        usage=usage,
        error=_error(body),
    )


def read_event(event: Json) -> Reading:
    """An event of a streamed message."""
    kind = event.get("type")
    if kind == "message_start":
        return read_message(mapping(event.get("message")))
    if kind == "message_delta":
        return Reading(usage=mapping(event.get("usage")))
    return Reading(error=_error(event), last=kind in {"message_stop", "error"})


def _error(body: Json) -> str | None:
    error = body.get("error")
    return str(mapping(error).get("type") or "error") if error else None


def message_attributes(usage: Json) -> Attributes:
    """`Usage`, made inclusive."""
    written, read = usage.get("cache_creation_input_tokens"), usage.get("cache_read_input_tokens")
    plain = usage.get("input_tokens")
    by_ttl = mapping(usage.get("cache_creation"))
    details = mapping(usage.get("output_tokens_details"))
    return counts(
        {
            names.INPUT_TOKENS: None if plain is None else plain + (written or 0) + (read or 0),
            names.CACHE_READ_INPUT_TOKENS: read,
            names.CACHE_WRITE_INPUT_TOKENS: written,
            names.cache_write("5m"): by_ttl.get("ephemeral_5m_input_tokens"),
            names.cache_write("1h"): by_ttl.get("ephemeral_1h_input_tokens"),
            names.OUTPUT_TOKENS: usage.get("output_tokens"),
            names.REASONING_OUTPUT_TOKENS: details.get("thinking_tokens"),
        }
    )


def silence_own_tracing(base_client: Any) -> None:
    """Keeps the SDK, from 1.14 on, from making a span of its own for a call that we meter: one
    call, one record."""
    own_property = getattr(base_client.BaseClient, "_tracer", None)
    own_tracer = own_property.fget if isinstance(own_property, property) else None
    if own_tracer is not None:
        base_client.BaseClient._tracer = property(  # noqa: SLF001 - there is no public way, per call
            lambda client: None if _is_metered() else own_tracer(client)
        )


@guarded
def _is_metered() -> bool:
    return current_call() is not None


MESSAGES: Final = Endpoint(
    names.CHAT,
    read_message,
    read_event,
    message_attributes,
    (b"message_start", b"message_delta", b"message_stop", b'"error"'),
)


class AnthropicInstrumentor(ClientInstrumentor):
    """Meters the `anthropic` package, its Bedrock and Vertex clients included."""

    package = "anthropic"
    patches = stainless_patches(
        package, {"/v1/messages": MESSAGES}, provider_of=provider_of, also=silence_own_tracing
    )
