"""What OpenAI makes now and counts later: results of batches, and runs of assistants.

Sources: developers.openai.com/api/reference (batch, "the request output object"; runs).
"""

from typing import Final

from spanmeter.instrumentation.clients.openai_completions import (
    completion_attributes,
    error_in,
    read_completion,
)
from spanmeter.instrumentation.clients.openai_responses import read_response, response_attributes
from spanmeter.instrumentation.endpoint import Attributes, Endpoint, Json, Reading, mapping
from spanmeter.metering import attributes as names

BATCH: Final = "batch"
"""The service tier of batches, which OpenAI's answers leave out."""

OPERATIONS: Final = {"list": names.EMBEDDINGS, "text_completion": names.TEXT_COMPLETION}
"""Kinds of bodies in a batch that are not chat."""

ENDED: Final = frozenset({"completed", "failed", "cancelled", "expired", "incomplete"})


def read_file(body: Json) -> Reading:
    """A file that is no batch's output, or the line of one that is its only one."""
    return Reading()


def read_result(line: Json) -> Reading:
    """A line of a batch's output. Lines of other files have no `custom_id` and `response`."""
    body = mapping(mapping(line.get("response")).get("body"))
    if "custom_id" not in line or not body:
        return Reading()
    read = read_response if body.get("object") == "response" else read_completion
    reading = read(body)
    return reading._replace(
        response_id=reading.response_id or line.get("id"),
        service_tier=BATCH,
        operation=OPERATIONS.get(str(body.get("object")), names.CHAT),
        deferred=False,
    )


def result_attributes(usage: Json) -> Attributes:
    """The usage of a batch's line, whichever API it is of."""
    read = completion_attributes if "prompt_tokens" in usage else response_attributes
    return read(usage)


def read_run(run: Json) -> Reading:
    """A run of an assistant, or an event of one. Its usage is there when it has ended."""
    if run.get("object") != "thread.run":
        return Reading(error=error_in(run))
    return Reading(
        response_id=run.get("id"),
        model=run.get("model"),
        usage=mapping(run.get("usage")),
        last=run.get("status") in ENDED | {"requires_action"},
        deferred=True,
    )


RUNS: Final = Endpoint(names.CHAT, read_run, read_run, completion_attributes, (b"thread.run",))
FETCHED_RUN: Final = RUNS._replace(operation=names.FETCH_RESPONSE, fetches=True)
FILES: Final = Endpoint(
    names.FETCH_RESPONSE, read_file, read_file, result_attributes, fetches=True, results=read_result
)

ENDPOINTS: Final = {
    "GET /files/*/content": FILES,
    "POST /threads/runs": RUNS,
    "POST /threads/*/runs": RUNS,
    "POST /threads/*/runs/*/submit_tool_outputs": RUNS,
    "POST /threads/*/runs/*/cancel": FETCHED_RUN,
    "GET /threads/*/runs/*": FETCHED_RUN,
}
