"""What Google's endpoints say of usage, those of the Gemini API and of Vertex AI.

Usage blocks: ai.google.dev/api/generate-content#UsageMetadata. `promptTokenCount` includes cached
tokens; what a tool of the provider's fed to the model stands beside it and is added, as thoughts
are to the candidates. In a stream every chunk carries the usage so far, and replaces the one
before. Numbers that are 0 are left out.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    amounts,
    counts,
    items,
    mapping,
)
from spanmeter.instrumentation.texts import prompt_of, texts_in
from spanmeter.metering import attributes as names

TIERS: Final = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "off_peak",
}
"""Vertex AI's traffic types in the words of the Gemini API's service tiers."""

GROUNDED_BY_PROMPT: Final = ("gemini-1", "gemini-2")
"""Starts of the models whose searches are charged once per prompt; later ones, by the query
(ai.google.dev/gemini-api/docs/pricing)."""

PICTURES: Final = ("IMAGE", "DOCUMENT")
"""Documents are read as pictures of their pages, and priced as those."""


def read_generated(body: Json) -> Reading:
    """A `GenerateContentResponse`, whole or one chunk of it."""
    usage = mapping(body.get("usageMetadata"))
    candidates = [mapping(each) for each in items(body.get("candidates"))]
    finished = bool(candidates) and all(each.get("finishReason") for each in candidates)
    return Reading(
        response_id=body.get("responseId"),
        model=body.get("modelVersion"),
        service_tier=tier_of(usage),
        usage=usage,
        error=error_of(body),
        last=finished and bool(usage),
        quantities=searches(body.get("modelVersion"), candidates),
    )


def read_tier(headers: Mapping[str, str]) -> Reading:
    """The tier that the Gemini API names in a header."""
    return Reading(service_tier=headers.get("x-gemini-service-tier"))


def tier_of(usage: Json) -> str | None:
    """The tier as served."""
    tier = usage.get("serviceTier") or usage.get("trafficType")
    if not isinstance(tier, str) or tier.endswith("UNSPECIFIED"):
        return None
    return TIERS.get(tier, tier.lower())


def error_of(body: Json) -> str | None:
    """The name of what went wrong, in the body of an error or in the middle of a stream."""
    error = body.get("error")
    details = mapping(error)
    return str(details.get("status") or details.get("code") or "error") if error else None


def searches(model: object, candidates: Iterable[Json]) -> Mapping[str, int]:
    """The searches that are charged: grounded candidates list their queries."""
    queries = sum(
        len(items(mapping(each.get("groundingMetadata")).get("webSearchQueries")))
        for each in candidates
    )
    if not queries:
        return {}
    return {"web_searches": 1 if str(model).startswith(GROUNDED_BY_PROMPT) else queries}


def generated_attributes(usage: Json) -> Attributes:
    """`UsageMetadata`, of `generateContent` and of live sessions, whose output is
    `responseTokenCount`."""
    given = (*items(usage.get("promptTokensDetails")),)
    given += (*items(usage.get("toolUsePromptTokensDetails")),)
    cached = items(usage.get("cacheTokensDetails"))
    made = items(usage.get("candidatesTokensDetails")) or items(usage.get("responseTokensDetails"))
    said = usage.get("candidatesTokenCount") or usage.get("responseTokenCount") or 0
    thoughts = usage.get("thoughtsTokenCount")
    used = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    return counts(
        {
            names.INPUT_TOKENS: used,
            names.CACHE_READ_INPUT_TOKENS: usage.get("cachedContentTokenCount"),
            names.AUDIO_INPUT_TOKENS: tokens_of(given, "AUDIO"),
            names.AUDIO_CACHE_READ_INPUT_TOKENS: tokens_of(cached, "AUDIO"),
            names.IMAGE_INPUT_TOKENS: tokens_of(given, *PICTURES),
            names.IMAGE_CACHE_READ_INPUT_TOKENS: tokens_of(cached, *PICTURES),
            names.quantity("input_video_tokens"): tokens_of(given, "VIDEO"),
            names.quantity("cache_video_read_tokens"): tokens_of(cached, "VIDEO"),
            names.OUTPUT_TOKENS: said + (thoughts or 0),
            names.REASONING_OUTPUT_TOKENS: thoughts,
            names.AUDIO_OUTPUT_TOKENS: tokens_of(made, "AUDIO"),
            names.IMAGE_OUTPUT_TOKENS: tokens_of(made, *PICTURES),
            names.quantity("output_video_tokens"): tokens_of(made, "VIDEO"),
        }
    )


def tokens_of(details: Iterable[Json], *modalities: str, tokens: str = "tokenCount") -> int | None:
    """The tokens of some modalities in a list of details; `None` where none is listed."""
    found = [
        mapping(each).get(tokens, 0)
        for each in details
        if str(mapping(each).get("modality")).upper() in modalities
    ]
    return sum(found) if found else None


def said_in_generated(body: Json) -> Iterable[str]:
    """What a response, or one chunk of it, says."""
    for candidate in items(body.get("candidates")):
        yield from texts_in(mapping(candidate).get("content"))


GENERATE: Final = Endpoint(
    names.GENERATE_CONTENT,
    read_generated,
    read_generated,
    generated_attributes,
    (b'"usageMetadata"', b'"error"'),
    prompt_of,
    said_in_generated,
    read_headers=read_tier,
    output_limit=("generationConfig", "maxOutputTokens"),
)


def read_embedded(body: Json) -> Reading:
    """Embeddings: with usage as elsewhere, or, of Vertex AI's `predict`, with statistics."""
    usage = mapping(body.get("usageMetadata"))
    statistics = [
        mapping(mapping(mapping(each).get("embeddings")).get("statistics"))
        for each in items(body.get("predictions"))
    ]
    characters = mapping(body.get("metadata")).get("billableCharacterCount")
    if any(statistics):
        usage = {"statistics": statistics}
        if characters is not None:
            usage["billableCharacterCount"] = characters
    return Reading(service_tier=tier_of(usage), usage=usage)


def embedded_attributes(usage: Json) -> Attributes:
    """The tokens of the input, and the characters that some models are charged by."""
    if "statistics" not in usage:
        attributes = generated_attributes(usage)
        del attributes[names.OUTPUT_TOKENS]
        return attributes
    # JSON from Google has these as floats at times.
    tokens = sum(int(mapping(each).get("token_count", 0)) for each in items(usage["statistics"]))
    characters = usage.get("billableCharacterCount")
    return amounts({names.INPUT_TOKENS: tokens, names.quantity("input_characters"): characters})


def prompt_embedded(body: Json) -> Iterable[str]:
    """What is to be embedded."""
    for each in (body, *items(body.get("requests")), *items(body.get("instances"))):
        yield from texts_in(mapping(each).get("content"))


def nothing_said(body: Json) -> Iterable[str]:
    """An embedding says nothing; where its usage is missing, that of the prompt is estimated."""
    return ()


EMBED: Final = Endpoint(
    names.EMBEDDINGS,
    read_embedded,
    read_embedded,
    embedded_attributes,
    prompt=prompt_embedded,
    said=nothing_said,
)


def read_pictures(body: Json) -> Reading:
    """Pictures, as many as were made: those that were filtered out are not charged."""
    made = [
        each
        for each in map(mapping, items(body.get("predictions")))
        if each.get("bytesBase64Encoded") or each.get("gcsUri")
    ]
    return Reading(quantities={"images": len(made)})


PICTURE: Final = Endpoint(names.IMAGE_GENERATION, read_pictures, read_pictures, counts)


def videos_asked(body: Json) -> Attributes:
    """Videos are made after the answer: what was asked for is what is charged, by the second."""
    parameters = mapping(body.get("parameters"))
    videos, seconds = parameters.get("sampleCount", 1), parameters.get("durationSeconds")
    return counts(
        {
            names.quantity("videos"): videos,
            names.quantity("video_seconds"): None if seconds is None else videos * seconds,
        }
    )


def read_operation(body: Json) -> Reading:
    """The name of an operation, which goes on after this answer."""
    return Reading(error=error_of(body), deferred=True)


VIDEO: Final = Endpoint(
    names.VIDEO_GENERATION, read_operation, read_operation, counts, asked=videos_asked
)


def read_cached(body: Json) -> Reading:
    """Content put into the explicit cache: its tokens are read for it once."""
    return Reading(model=model_named(body.get("model")), usage=mapping(body.get("usageMetadata")))


def cached_attributes(usage: Json) -> Attributes:
    """The tokens that were cached."""
    written = usage.get("totalTokenCount")
    return counts({names.INPUT_TOKENS: written, names.CACHE_WRITE_INPUT_TOKENS: written})


CACHE: Final = Endpoint(names.GENERATE_CONTENT, read_cached, read_cached, cached_attributes)

METHODS: Final = {
    "generateContent": GENERATE,
    "streamGenerateContent": GENERATE,
    "embedContent": EMBED,
    "batchEmbedContents": EMBED,
    "predict": PICTURE,
    "predictLongRunning": VIDEO,
}
"""By the method that ends a path: `models/gemini-3.8-flash:generateContent`."""


def endpoint_of(path: str, body: Json) -> tuple[Endpoint, str | None] | None:
    """The endpoint of a POST request and the model in its path; `None` for what uses no model."""
    resource, colon, method = path.rpartition(":")
    if not colon and path.endswith("/cachedContents"):
        return CACHE, model_named(body.get("model"))
    endpoint = METHODS.get(method)
    model = model_named(resource)
    if endpoint is PICTURE and "embedding" in (model or ""):
        endpoint = EMBED
    return None if endpoint is None else (endpoint, model)


def model_named(resource: object) -> str | None:
    """A model's name, from `…/models/name`; of others, which have numbers, `endpoints/123`."""
    if not isinstance(resource, str):
        return None
    kind, _, name = resource.rpartition("/")
    return name if kind.endswith("models") or not kind else f"{kind.rpartition('/')[2]}/{name}"
