"""Google's Interactions API, whose client inside of google-genai is another one: made by Stainless
in 1.x, by Speakeasy since.

Usage blocks: ai.google.dev/api/interactions-api (`Usage`). Cached tokens are in the input; those of
tools and thoughts stand beside input and output, and are added. An interaction in the background
has its usage when it is fetched.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from spanmeter.instrumentation.clients.google_usage import (
    PICTURES,
    error_of,
    tier_of,
    tokens_of,
)
from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    endpoint_for,
    items,
    mapping,
)
from spanmeter.instrumentation.instrumentor import Arguments, Keywords, Patch, Request
from spanmeter.instrumentation.stainless import stainless_patches
from spanmeter.instrumentation.texts import prompt_of, texts_in
from spanmeter.metering import attributes as names


def read_interaction(body: Json) -> Reading:
    """A whole interaction."""
    return Reading(
        response_id=body.get("id"),
        model=body.get("model") or body.get("agent"),
        service_tier=tier_of({"serviceTier": body.get("service_tier")}),
        usage=mapping(body.get("usage")),
        error=error_of(body) or ("failed" if body.get("status") == "failed" else None),
        deferred=body.get("status") == "in_progress",
    )


def read_event(event: Json) -> Reading:
    """An event of a streamed interaction. Usage that some tell on the way is that of all so far."""
    kind = str(event.get("event_type"))
    so_far = mapping(event.get("metadata")).get("total_usage") or event.get("usage")
    inside = read_interaction(mapping(event.get("interaction")))
    return inside._replace(
        usage=inside.usage or mapping(so_far),
        error=error_of(event) or inside.error,
        last=kind.startswith("interaction.complete"),
        deferred=False,
    )


def interaction_attributes(usage: Json) -> Attributes:
    """`Usage`."""

    def tokens(block: str, *modalities: str) -> int | None:
        return tokens_of(items(usage.get(block)), *modalities, tokens="tokens")

    given, made = "input_tokens_by_modality", "output_tokens_by_modality"
    thoughts = usage.get("total_thought_tokens")
    searches = {
        names.quantity(_TOOLS.get(tool, tool)): each.get("count")
        for each in map(mapping, items(usage.get("grounding_tool_count")))
        if (tool := str(each.get("type")))
    }
    return counts(
        {
            names.INPUT_TOKENS: usage.get("total_input_tokens", 0)
            + usage.get("total_tool_use_tokens", 0),
            names.CACHE_READ_INPUT_TOKENS: usage.get("total_cached_tokens"),
            names.AUDIO_INPUT_TOKENS: tokens(given, "AUDIO"),
            names.IMAGE_INPUT_TOKENS: tokens(given, *PICTURES),
            names.quantity("input_video_tokens"): tokens(given, "VIDEO"),
            names.OUTPUT_TOKENS: usage.get("total_output_tokens", 0) + (thoughts or 0),
            names.REASONING_OUTPUT_TOKENS: thoughts,
            names.AUDIO_OUTPUT_TOKENS: tokens(made, "AUDIO"),
            names.IMAGE_OUTPUT_TOKENS: tokens(made, *PICTURES),
            **searches,
        }
    )


_TOOLS: Final = {"google_search": "web_searches"}
"""Units of the price catalogue for the provider's tools; of others the name is kept."""


def said_in(body: Json) -> Iterable[str]:
    """What an event of a streamed interaction, or a whole one, says."""
    yield from texts_in(body.get("delta"))
    for step in items(body.get("steps")) or items(body.get("outputs")):
        yield from texts_in(step)


CREATE: Final = Endpoint(
    names.GENERATE_CONTENT,
    read_interaction,
    read_event,
    interaction_attributes,
    (b'usage"', b'"error"', b'"interaction.'),
    prompt_of,
    said_in,
)


def _fetched(read: Callable[[Json], Reading]) -> Callable[[Json], Reading]:
    return lambda body: read(body)._replace(operation=names.GENERATE_CONTENT)


FETCH: Final = CREATE._replace(
    operation=names.FETCH_RESPONSE,
    fetches=True,
    read=_fetched(read_interaction),
    read_event=_fetched(read_event),
)
_VERTEX: Final = "/*/projects/*/locations/*/interactions"

ENDPOINTS: Final = {
    "POST /*/interactions": CREATE,
    "GET /*/interactions/*": FETCH,
    f"POST {_VERTEX}": CREATE,
    f"GET {_VERTEX}/*": FETCH,
    # As 1.x says it.
    f"POST {_VERTEX[1:]}": CREATE,
    f"GET {_VERTEX[1:]}/*": FETCH,
}


def _describe(client_name: str) -> Callable[[Any, Arguments, Keywords], Request | None]:
    def describe(sdk: Any, args: Arguments, kwargs: Keywords) -> Request | None:
        request = kwargs["request"] if "request" in kwargs else args[1]
        url = urlsplit(str(request.url))
        endpoint = endpoint_for(ENDPOINTS, request.method, url.path)
        if endpoint is None:
            return None
        body = mapping(json.loads(request.content or b"{}"))
        http_client = getattr(sdk.sdk_configuration, client_name)
        per_loop = getattr(http_client, "_per_loop", False)
        segments = url.path.split("/")
        return Request(
            endpoint=endpoint,
            provider=_provider(url.path),
            model=body.get("model") or body.get("agent"),
            http_client=http_client._client_for_running_loop() if per_loop else http_client,  # noqa: SLF001
            server_address=url.hostname or "",
            server_port=url.port or (443 if url.scheme == "https" else 80),
            body=body,
            streamed=bool(body.get("stream")),
            region=segments[segments.index("locations") + 1] if "locations" in segments else None,
        )

    return describe


def _provider(path: str) -> str:
    return "gcp.vertex_ai" if "/projects/" in path else "gcp.gemini"


def _provider_of(client: Any) -> str:
    return "gcp.vertex_ai" if client._is_vertex else "gcp.gemini"  # noqa: SLF001 - there is no other


def _region_of(client: Any) -> str | None:
    region: str | None = client._vertex_location  # noqa: SLF001 - as above
    return region


_SPEAKEASY: Final = "google.genai._gaos.basesdk"

INTERACTIONS: Final = (
    Patch(_SPEAKEASY, "BaseSDK.do_request", _describe("client"), private=True),
    Patch(
        _SPEAKEASY,
        "AsyncBaseSDK.do_request_async",
        _describe("async_client"),
        is_async=True,
        private=True,
    ),
    *stainless_patches(
        "google.genai._interactions", ENDPOINTS, provider_of=_provider_of, region_of=_region_of
    ),
)
