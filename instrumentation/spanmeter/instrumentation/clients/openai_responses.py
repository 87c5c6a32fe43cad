"""OpenAI's Responses API: answers made at once, in the background, compacted, or decided.

Usage blocks: developers.openai.com/api/reference (responses). All counts are inclusive. Tools of
the provider are counted apart: in `tool_usage` where it is given, else by the items of the output.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from spanmeter.instrumentation.clients.openai_completions import error_in
from spanmeter.instrumentation.clients.openai_providers import read_region
from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    items,
    mapping,
)
from spanmeter.instrumentation.texts import prompt_of, texts_in
from spanmeter.metering import attributes as names

UNITS: Final = {
    "web_search_call": "web_searches",
    "file_search_call": "storage_searches",
    "code_interpreter_call": "code_executions",
}
"""Kinds of output items that cost something of their own, and the unit that they are counted in."""


def read_response(body: Json) -> Reading:
    """A response. One that is made in the background has its counts when it is fetched."""
    usage = dict(mapping(body.get("usage")))
    by_tool = mapping(body.get("tool_usage"))
    if mapping(by_tool.get("image_gen")).get("total_tokens"):
        # Tokens of another model than the response's own, whose counts do not include them.
        usage["tool_usage"] = by_tool
    return Reading(
        response_id=body.get("id"),
        model=body.get("model"),
        service_tier=body.get("service_tier"),
        usage=usage,
        error=error_in(body),
        last=body.get("status") in {"completed", "incomplete", "failed", "cancelled"},
        quantities=_tools(body),
        deferred=bool(body.get("background")),
    )


def read_response_event(event: Json) -> Reading:
    """An event of a streamed response; the object is inside those that tell its state."""
    if event.get("type") == "error":
        # Its details stand in the event itself, or in an object of their own.
        return Reading(error=error_in({"error": event.get("error") or event}))
    return read_response(mapping(event.get("response")))


def read_fetched(body: Json) -> Reading:
    """A response that is fetched: it says nothing new, but of what was made in the background and
    has come to its end."""
    reading = read_response(body)
    new = reading.deferred and reading.last
    return reading if new else Reading(response_id=reading.response_id)


def read_fetched_event(event: Json) -> Reading:
    """An event of a response that is fetched as a stream."""
    return read_fetched(mapping(event.get("response")))


def _tools(response: Json) -> dict[str, int]:
    """What the provider's tools did, by unit."""
    output = items(response.get("output"))
    units = Counter(UNITS[kind] for item in output if (kind := _billed(mapping(item))) in UNITS)
    billed = mapping(mapping(response.get("tool_usage")).get("web_search")).get("num_requests")
    if billed is not None:
        units["web_searches"] = billed
    for item in output:
        if mapping(item).get("type") == "image_generation_call":
            units.update(images(1, item))
    return {unit: amount for unit, amount in units.items() if amount}


def _billed(item: Json) -> Any:
    """The kind of an item. Of what a web search does only the search itself is charged for."""
    action = mapping(item.get("action")).get("type", "search")
    kind = item.get("type")
    return None if kind == "web_search_call" and action != "search" else kind


def images(count: int, made: Json) -> dict[str, int]:
    """A number of images by unit, and by size and quality where the provider gives both."""
    size, quality = made.get("size"), made.get("quality")
    by_kind = {f"images.{size}.{quality}": count} if size and quality else {}
    return {"images": count, **by_kind}


def response_attributes(usage: Json) -> Attributes:
    """`ResponseUsage`."""
    given = mapping(usage.get("input_tokens_details"))
    made = mapping(usage.get("output_tokens_details"))
    by_ttl = mapping(given.get("cache_write_tokens_details"))
    drawn = mapping(mapping(usage.get("tool_usage")).get("image_gen"))
    return counts(
        {
            names.INPUT_TOKENS: usage.get("input_tokens"),
            names.CACHE_READ_INPUT_TOKENS: given.get("cached_tokens"),
            names.CACHE_WRITE_INPUT_TOKENS: given.get("cache_write_tokens"),
            **{
                names.cache_write(ttl.removeprefix("ttl_").removesuffix("_tokens")): tokens
                for ttl, tokens in by_ttl.items()
            },
            names.OUTPUT_TOKENS: usage.get("output_tokens"),
            names.REASONING_OUTPUT_TOKENS: made.get("reasoning_tokens"),
            names.quantity("image_tool_input_tokens"): drawn.get("input_tokens"),
            names.quantity("image_tool_output_tokens"): drawn.get("output_tokens"),
        }
    )


def said_in_response(event: Json) -> Iterable[str]:
    """What an event of a streamed response, or a whole one, adds to it."""
    delta = event.get("delta")
    if isinstance(delta, str):
        yield delta
    for item in items(event.get("output")):
        yield from texts_in(item)


RESPONSES: Final = Endpoint(
    names.CHAT,
    read_response,
    read_response_event,
    response_attributes,
    (b"response.completed", b"response.incomplete", b"response.failed", b'"error"'),
    prompt_of,
    said_in_response,
    read_headers=read_region,
    output_limit=("max_output_tokens",),
)

FETCHED: Final = RESPONSES._replace(
    operation=names.FETCH_RESPONSE,
    read=read_fetched,
    read_event=read_fetched_event,
    fetches=True,
)

ENDPOINTS: Final = {
    "POST /responses": RESPONSES,
    "GET /responses/*": FETCHED,
    "POST /responses/*/cancel": FETCHED,
    "POST /responses/compact": RESPONSES,
    "POST /decisions": RESPONSES,
}
