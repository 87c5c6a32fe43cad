"""OpenAI's realtime conversations and live sessions: how to read their usage.

Source: developers.openai.com/api/reference (realtime server events, live server events).
"""

from typing import Final

from spanmeter.instrumentation.clients.openai_completions import error_in
from spanmeter.instrumentation.endpoint import Attributes, Endpoint, Json, Reading, counts, mapping
from spanmeter.metering import attributes as names


def read_done(event: Json) -> Reading:
    """The event that ends a realtime response, however it has ended."""
    response = mapping(event.get("response"))
    failed = error_in(mapping(response.get("status_details"))) or "error"
    status = str(response.get("status"))
    return Reading(
        response_id=response.get("id"),
        usage=mapping(response.get("usage")),
        error={"failed": failed, "cancelled": names.CANCELLED}.get(status),
        last=True,
    )


def realtime_attributes(usage: Json) -> Attributes:
    """`RealtimeResponseUsage`: inclusive, split by modality, cached tokens too."""
    given = mapping(usage.get("input_token_details"))
    cached = mapping(given.get("cached_tokens_details"))
    made = mapping(usage.get("output_token_details"))
    return counts(
        {
            names.INPUT_TOKENS: usage.get("input_tokens"),
            names.AUDIO_INPUT_TOKENS: given.get("audio_tokens"),
            names.IMAGE_INPUT_TOKENS: given.get("image_tokens"),
            names.CACHE_READ_INPUT_TOKENS: given.get("cached_tokens"),
            names.AUDIO_CACHE_READ_INPUT_TOKENS: cached.get("audio_tokens"),
            names.IMAGE_CACHE_READ_INPUT_TOKENS: cached.get("image_tokens"),
            names.OUTPUT_TOKENS: usage.get("output_tokens"),
            names.AUDIO_OUTPUT_TOKENS: made.get("audio_tokens"),
        }
    )


def read_live(event: Json) -> Reading:
    """A live session's seconds so far: later totals replace earlier ones."""
    seconds = mapping(event.get("usage")).get("seconds")
    return Reading(
        response_id=mapping(event.get("session")).get("id"),
        quantities={} if seconds is None else {"audio_seconds": seconds},
        last=event.get("type") == "session.closed",
    )


def _no_usage(usage: Json) -> Attributes:
    return {}


REALTIME: Final = Endpoint(names.REALTIME, read_done, read_done, realtime_attributes)
LIVE: Final = Endpoint(names.REALTIME, read_live, read_live, _no_usage)
