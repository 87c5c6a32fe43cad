"""Results of the Gemini API's batches: in the batch itself, or in a file of lines.

Source: ai.google.dev/gemini-api/docs/batch-api. Each result is a `GenerateContentResponse`, or an
embedding with its count of tokens, as a call of its own would have been answered; a batch costs half.
Vertex AI puts results into its customer's own bucket, which is read by other clients than this.
"""

import re
from functools import partial
from typing import Final

from spanmeter.instrumentation.clients.google_usage import (
    generated_attributes,
    model_named,
    read_generated,
)
from spanmeter.instrumentation.endpoint import (
    Attributes,
    Endpoint,
    Json,
    Reading,
    counts,
    items,
    mapping,
)
from spanmeter.metering import attributes as names

BATCH: Final = "batch"
"""The service tier of batches; what their results say of it is that of the model."""

_BATCHES: Final = re.compile(r"/batches(/[^/:]+)?$")
_FILE: Final = re.compile(r"/(files/[^/:]+):download$")


def read_batches(body: Json) -> Reading:
    """A batch, or a page of them, with the results that are in it."""
    results = (
        reading
        for job in (body, *map(mapping, items(body.get("operations"))))
        for reading in _results_in(str(job.get("name")), mapping(job.get("metadata")))
        if reading.usage
    )
    return Reading(beside=tuple(results))


def _results_in(name: str, job: Json) -> list[Reading]:
    output = mapping(job.get("output"))
    model = model_named(job.get("model"))
    held = (output.get("inlinedResponses"), output.get("inlinedEmbedContentResponses"))
    lines = [line for each in held for line in items(mapping(each).get("inlinedResponses"))]
    return [_read(mapping(line), model, f"{name}/{place}") for place, line in enumerate(lines)]


def read_line(file: str, line: Json) -> Reading:
    """A line of a batch's file of results. Lines of other files have no `key` and `response`."""
    if "key" not in line:
        return Reading()
    return _read(line, None, f"{file}/{line['key']}")


def _read(line: Json, model: str | None, place: str) -> Reading:
    """One result, known by its own id or else by where it is: it is fetched more than once."""
    response = mapping(line.get("response"))
    reading = read_generated(response)
    embedded = "embedding" in response
    if "tokenCount" in response:
        reading = reading._replace(usage={"tokenCount": response["tokenCount"]})
    return reading._replace(
        response_id=reading.response_id or place,
        model=reading.model or model,
        service_tier=BATCH,
        operation=names.EMBEDDINGS if embedded else names.GENERATE_CONTENT,
    )


def result_attributes(usage: Json) -> Attributes:
    """`UsageMetadata`, or an embedding's tokens: as a text, which is what 64 bits are in JSON."""
    if "tokenCount" in usage:
        return counts({names.INPUT_TOKENS: int(usage["tokenCount"])})
    return generated_attributes(usage)


BATCHES: Final = Endpoint(
    names.FETCH_RESPONSE, read_batches, read_batches, result_attributes, fetches=True
)


def endpoint_fetched(path: str) -> Endpoint | None:
    """The endpoint of a GET request; `None` for what shows no usage."""
    if _BATCHES.search(path):
        return BATCHES
    file = _FILE.search(path)
    return None if file is None else BATCHES._replace(results=partial(read_line, file[1]))
