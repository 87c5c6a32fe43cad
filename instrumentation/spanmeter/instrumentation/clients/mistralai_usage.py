"""What Mistral says of usage.

Usage blocks: docs.mistral.ai/api (chat, agents, fim, embeddings, ocr, audio, conversations). Counts
are inclusive of what was cached. Audio is counted in seconds, and its tokens, which are not charged
for, are in `total_tokens` alone. Tokens of a conversation's tools are beside those of the prompt.
"""

from collections.abc import Iterable
from typing import Final

from spanmeter.instrumentation.clients import openai_completions
from spanmeter.instrumentation.clients.openai_later import read_file
from spanmeter.instrumentation.clients.openai_responses import RESPONSES
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

CONNECTORS: Final = {
    "web_search": "web_searches",
    "web_search_premium": "web_searches",
    "code_interpreter": "code_executions",
    "image_generation": "images",
    "document_library": "storage_searches",
}
"""The provider's own tools, as a conversation counts them, and their units."""

BATCH: Final = "batch"
"""The service tier of batches, which their answers leave out."""


def read_completion(body: Json) -> Reading:
    """A completion, embedding, transcription or classification, or one chunk of it."""
    usage = mapping(body.get("usage"))
    return Reading(
        response_id=body.get("id"),
        model=body.get("model"),
        service_tier=usage.get("service_tier"),
        usage=usage,
        error=error_in(body),
        last=bool(usage),
    )


def error_in(body: Json) -> str | None:
    """The provider's name of what went wrong, in a stream that has begun well."""
    if body.get("object") == "error":
        return str(body.get("type") or "error")
    if body.get("type") == "conversation.response.error":
        return str(body.get("code") or "error")
    return openai_completions.error_in(body)


def completion_attributes(usage: Json) -> Attributes:
    """`UsageInfo`."""
    cached = mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
    return {
        **counts(
            {
                names.INPUT_TOKENS: usage.get("prompt_tokens"),
                names.CACHE_READ_INPUT_TOKENS: cached,
                names.OUTPUT_TOKENS: usage.get("completion_tokens"),
            }
        ),
        **amounts({names.quantity("input_audio_seconds"): usage.get("prompt_audio_seconds")}),
    }


def said_in_completion(body: Json) -> Iterable[str]:
    """What a completion, or a chunk of one, says."""
    for choice in items(body.get("choices")):
        yield from texts_in(choice.get("delta") or choice.get("message"))


def read_conversation(body: Json) -> Reading:
    """A step of a conversation. All steps share the conversation's id, so it is known by that of
    its first output."""
    outputs = [mapping(output) for output in items(body.get("outputs"))]
    return Reading(
        response_id=next((output["id"] for output in outputs if output.get("id")), None),
        model=next((output["model"] for output in outputs if output.get("model")), None),
        usage=mapping(body.get("usage")),
    )


def read_conversation_event(event: Json) -> Reading:
    """An event of a streamed step of a conversation."""
    return Reading(
        response_id=event.get("id"),
        model=event.get("model"),
        usage=mapping(event.get("usage")),
        error=error_in(event),
        last=event.get("type") == "conversation.response.done",
    )


def conversation_attributes(usage: Json) -> Attributes:
    """`ConversationUsageInfo`. What a tool found is read by the model as well."""
    prompt, found = usage.get("prompt_tokens"), usage.get("connector_tokens")
    attributes = counts(
        {
            names.INPUT_TOKENS: None if prompt is None else prompt + (found or 0),
            names.OUTPUT_TOKENS: usage.get("completion_tokens"),
        }
    )
    for connector, times in counts(mapping(usage.get("connectors"))).items():
        unit = names.quantity(CONNECTORS.get(connector, connector))
        attributes[unit] = int(attributes.get(unit, 0)) + int(times)
    return attributes


def prompt_of_conversation(body: Json) -> Iterable[str]:
    """The texts of a request, whose `inputs` are a text or entries."""
    yield from prompt_of(body)
    yield from texts_in(body.get("inputs"))


def said_in_conversation(event: Json) -> Iterable[str]:
    """What an event of a streamed step, or a whole one, says."""
    yield from texts_in(event.get("content"))
    yield from texts_in(event.get("arguments"))
    for output in items(event.get("outputs")):
        yield from texts_in(output)


def read_document(body: Json) -> Reading:
    """A document that was read. Pages of one that was annotated too are charged for as such."""
    usage = mapping(body.get("usage_info"))
    pages = usage.get("pages_processed")
    quantities: dict[str, int] = {}
    if isinstance(pages, int) and _annotated(body):
        quantities["input_annotated_document_pages"] = pages
    return Reading(model=body.get("model"), usage=usage, quantities=quantities)


def _annotated(document: Json) -> bool:
    images = (image for page in items(document.get("pages")) for image in items(page.get("images")))
    return bool(document.get("document_annotation")) or any(
        image.get("image_annotation") for image in images
    )


def document_attributes(usage: Json) -> Attributes:
    """`OCRUsageInfo`."""
    return amounts({names.quantity("input_document_pages"): usage.get("pages_processed")})


def characters(body: Json) -> Attributes:
    """The characters to be spoken, which speech is charged by."""
    text = body.get("input")
    return {names.quantity("input_characters"): len(text)} if isinstance(text, str) else {}


def read_result(line: Json) -> Reading:
    """A line of a batch's output. Lines of other files have no `custom_id` and `response`."""
    body = mapping(mapping(line.get("response")).get("body"))
    if "custom_id" not in line or not body:
        return Reading()
    operation = names.EMBEDDINGS if body.get("object") == "list" else names.CHAT
    if "usage_info" in body:
        reading, operation = read_document(body), names.OCR
    else:
        reading = read_completion(body)
    return reading._replace(
        response_id=reading.response_id or line.get("id"), service_tier=BATCH, operation=operation
    )


def read_batch(job: Json) -> Reading:
    """A batch, with its outputs where they were asked for inline: each is a call of its own."""
    results = (read_result(mapping(line)) for line in items(job.get("outputs")))
    return Reading(beside=tuple(result for result in results if result.usage))


def result_attributes(usage: Json) -> Attributes:
    """The usage of a batch's line, whichever endpoint it is of."""
    return (document_attributes if "pages_processed" in usage else completion_attributes)(usage)


def _endpoint(operation: str) -> Endpoint:
    return Endpoint(
        operation,
        read_completion,
        read_completion,
        completion_attributes,
        (b'"prompt_tokens"', b'"error"', b"[DONE]"),
    )


COMPLETION: Final = _endpoint(names.TEXT_COMPLETION)._replace(
    prompt=prompt_of, said=said_in_completion, output_limit=("max_tokens",)
)
CHAT: Final = COMPLETION._replace(operation=names.CHAT)
CONVERSATION: Final = Endpoint(
    names.CHAT,
    read_conversation,
    read_conversation_event,
    conversation_attributes,
    (b"conversation.response.",),
    prompt_of_conversation,
    said_in_conversation,
)
TRANSCRIPT: Final = _endpoint(names.TRANSCRIPTION)
SPOKEN: Final = _endpoint(names.SPEECH)
FILES: Final = Endpoint(
    names.FETCH_RESPONSE, read_file, read_file, result_attributes, fetches=True, results=read_result
)
BATCHES: Final = FILES._replace(read=read_batch, results=None)

ENDPOINTS: Final[dict[str, Endpoint]] = {
    "POST /chat/completions": CHAT,
    "POST /agents/completions": CHAT,
    "POST /fim/completions": COMPLETION,
    "POST /v1/embeddings": _endpoint(names.EMBEDDINGS),
    "POST /v1/conversations": CONVERSATION,
    "POST /v1/conversations/*": CONVERSATION,
    "POST /v1/conversations/*/restart": CONVERSATION,
    "POST /v1/responses": RESPONSES,
    "POST /ocr": Endpoint(names.OCR, read_document, read_document, document_attributes),
    "POST /v1/audio/transcriptions": TRANSCRIPT,
    "POST /v1/audio/speech": SPOKEN._replace(asked=characters),
    "POST /v1/moderations": _endpoint(names.MODERATION),
    "POST /v1/chat/moderations": _endpoint(names.MODERATION),
    "POST /v1/classifications": _endpoint(names.CLASSIFICATION),
    "POST /v1/chat/classifications": _endpoint(names.CLASSIFICATION),
    "GET /v1/files/*/content": FILES,
    "GET /v1/batch/jobs/*": BATCHES,
    # Vertex AI's, in 1.x.
    "POST /rawPredict": CHAT,
    "POST /streamRawPredict": CHAT,
}
