"""What Cohere says of usage, in both of its APIs.

Usage blocks: docs.cohere.com/reference (chat, embed, rerank, classify, parse). What is charged is
`billed_units`; `tokens`, which stands beside it, counts what the provider adds to a prompt as well,
and so does `cached_tokens`. These are kept in the raw block, and used only where nothing is billed.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

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

COUNTED: Final = ("billed_units", "tokens", "cached_tokens")
"""Members of `usage` and `meta` that are counts; the others are versions and warnings."""

AMAZONS_COUNTS: Final = "amazon-bedrock-invocationMetrics"

FAILED: Final = ("ERROR", "TIMEOUT")
"""Starts of the reasons for which an answer ends that are errors of the provider."""


def read_answer(body: Json) -> Reading:
    """A whole answer, of either API."""
    block = mapping(body.get("usage") or body.get("meta"))
    reason = str(body.get("finish_reason") or "")
    return Reading(
        response_id=body.get("id") or body.get("generation_id"),
        usage={name: block[name] for name in COUNTED if block.get(name) is not None},
        error=reason.lower() if reason.startswith(FAILED) else None,
    )


def read_event(event: Json) -> Reading:
    """An event of a streamed answer, of either API."""
    if event.get("event_type") == "stream-end":
        if AMAZONS_COUNTS in event:
            return _amazons(event)
        answer = {"finish_reason": event.get("finish_reason"), **mapping(event.get("response"))}
        return read_answer(answer)._replace(last=True)
    if event.get("type") == "message-end":
        answer = {"id": event.get("id"), **mapping(event.get("delta"))}
        return read_answer(answer)._replace(last=True)
    return Reading(response_id=event.get("id") or event.get("generation_id"))


def _amazons(event: Json) -> Reading:
    """The last event of a stream of Bedrock's, to which the counts are added."""
    answer, counted = mapping(event.get("response")), mapping(event.get(AMAZONS_COUNTS))
    billed = {
        "input_tokens": counted.get("inputTokenCount"),
        "output_tokens": counted.get("outputTokenCount"),
    }
    return read_answer({**answer, "meta": {"billed_units": billed}})._replace(last=True)


def read_job(job: Json) -> Reading:
    """A job that embeds a data set. It says what is billed once it is done."""
    return read_answer(job)._replace(
        response_id=job.get("job_id"), model=job.get("model"), operation=names.EMBEDDINGS
    )


def read_batch(batch: Json) -> Reading:
    """A batch. Its counts, which are written as texts, are there when it has ended."""
    batch = mapping(batch.get("batch"))
    counted = {
        name: int(batch[name])
        for name in ("input_tokens", "output_tokens")
        if str(batch.get(name)).isdecimal()
    }
    ended = str(batch.get("status")).endswith(("COMPLETED", "FAILED", "CANCELED"))
    return Reading(
        response_id=batch.get("id"),
        model=batch.get("model"),
        usage={"billed_units": counted} if ended and any(counted.values()) else None,
        operation=names.CHAT if counted.get("output_tokens") else names.EMBEDDINGS,
    )


def billed_attributes(searches: str, usage: Json) -> Attributes:
    """What is billed. `searches` is the unit of its `search_units`.

    The numbers are whole but written as decimals; a client for Amazon says -1 for what it does not
    know. Where a total is missing from the input, or leaves the images out, it is made up here.
    """
    block = mapping(usage.get("billed_units")) or mapping(usage.get("tokens"))
    billed = {
        name: int(amount) if float(amount).is_integer() else amount
        for name, amount in amounts(block).items()
        if float(amount) >= 0
    }
    images = billed.get("image_tokens")
    parts = [billed[name] for name in ("text_tokens", "image_tokens") if name in billed]
    totals = [billed["input_tokens"]] if "input_tokens" in billed else []
    return {
        **counts(
            {
                names.INPUT_TOKENS: max([*totals, sum(map(int, parts))])
                if totals + parts
                else None,
                names.IMAGE_INPUT_TOKENS: images,
                names.OUTPUT_TOKENS: billed.get("output_tokens"),
            }
        ),
        **amounts(
            {
                names.quantity(searches): billed.get("search_units"),
                names.quantity("classifications"): billed.get("classifications"),
                names.quantity("input_images"): billed.get("images"),
                names.quantity("input_document_pages"): billed.get("pages"),
            }
        ),
    }


def prompt_in(body: Json) -> Iterable[str]:
    """The texts of a request, of either API. Messages may be objects of the library's."""
    yield from prompt_of(
        {**body, "messages": [_plain(each) for each in items(body.get("messages"))]}
    )
    yield from texts_in(body.get("preamble"))
    for turn in items(body.get("chat_history")):
        yield from texts_in(mapping(_plain(turn)).get("message"))


def _plain(message: Any) -> Any:
    return mapping(message) or message.dict()


def said_in(body: Json) -> Iterable[str]:
    """What an event of a streamed answer, or a whole one, says."""
    yield from texts_in(mapping(body.get("delta")).get("message") or body.get("message"))
    yield from texts_in(body.get("text"))


def _endpoint(operation: str, *, searches: str = "search_units") -> Endpoint:
    return Endpoint(operation, read_answer, read_event, partial(billed_attributes, searches))


CHAT: Final = _endpoint(names.CHAT)._replace(
    telling=(b"message-end", b"stream-end"),
    prompt=prompt_in,
    said=said_in,
    output_limit=("max_tokens",),
)
GENERATE: Final = CHAT._replace(operation=names.TEXT_COMPLETION)
EMBED: Final = _endpoint(names.EMBEDDINGS)
RERANK: Final = _endpoint(names.RERANK, searches="rerank_searches")
JOB: Final = EMBED._replace(operation=names.FETCH_RESPONSE, read=read_job, fetches=True)

ENDPOINTS: Final[dict[str, Endpoint]] = {
    "POST /v1/chat": CHAT,
    "POST /v2/chat": CHAT,
    "POST /v1/generate": GENERATE,
    "POST /v1/summarize": GENERATE,
    "POST /v1/embed": EMBED,
    "POST /v2/embed": EMBED,
    "POST /v1/rerank": RERANK,
    "POST /v2/rerank": RERANK,
    "POST /v1/classify": _endpoint(names.CLASSIFICATION),
    "POST /v2/parse": _endpoint(names.OCR),
    "POST /v2/audio/transcriptions": _endpoint(names.TRANSCRIPTION),
    "GET /v1/embed-jobs/*": JOB,
    "GET /v2/batches/*": JOB._replace(read=read_batch),
}
