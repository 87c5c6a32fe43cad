"""groq 0.x and 1.x.

Usage blocks: console.groq.com/docs/api-reference. Counts are inclusive, as OpenAI's. A stream tells
them unasked, in `x_groq` of its last chunk. Compound systems also tell the counts of each of their
models, which are kept beside the sum, and which tools they ran.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from spanmeter.instrumentation.clients import openai_completions, openai_later, openai_media
from spanmeter.instrumentation.clients.openai_completions import (
    completion_attributes,
    read_completion,
)
from spanmeter.instrumentation.clients.openai_providers import declared
from spanmeter.instrumentation.endpoint import Attributes, Endpoint, Json, Reading, items, mapping
from spanmeter.instrumentation.instrumentor import ClientInstrumentor
from spanmeter.instrumentation.stainless import stainless_patches
from spanmeter.metering import attributes as names

TOOLS: Final[Mapping[str, str]] = {
    "search": "web_searches",
    "python": "code_executions",
    "visit": "web_fetches",
    "browser_search": "web_searches",
    "code_interpreter": "code_executions",
}
"""What the provider's own tools are counted as, by the type that an executed tool has."""

_TOOL: Final = "executed_tool."


def provider_of(client: Any) -> str:
    """Groq, unless the operator says that another serves at the client's address."""
    return declared(str(client.base_url.host), client.base_url.port) or "groq"


def read_chat(body: Json) -> Reading:
    """A chat completion, or a chunk of one."""
    groq = mapping(body.get("x_groq"))
    reading = read_completion(body)
    breakdown = body.get("usage_breakdown") or groq.get("usage_breakdown")
    # Of a whole answer, `x_groq` only says which cache the counts of `usage` came from.
    usage = {
        **(reading.usage or mapping(groq.get("usage"))),
        **({"usage_breakdown": breakdown} if breakdown else {}),
        **_tools_run(body),
    }
    error = groq.get("error")
    return reading._replace(usage=usage, error=reading.error or ("error" if error else None))


def _tools_run(body: Json) -> Json:
    """The tools that have run, by their number: a stream tells of one when it begins and when it
    ends."""
    choices = items(body.get("choices"))
    says = [mapping(choice.get("delta") or choice.get("message")) for choice in choices]
    return {
        f"{_TOOL}{tool.get('index')}": tool.get("type")
        for said in says
        for tool in items(said.get("executed_tools"))
    }


def chat_attributes(usage: Json) -> Attributes:
    """`CompletionUsage`, and how often each tool ran."""
    ran = Counter(
        TOOLS.get(str(kind), f"tool_calls.{kind}")
        for name, kind in usage.items()
        if name.startswith(_TOOL)
    )
    return {
        **completion_attributes(usage),
        **{names.quantity(unit): count for unit, count in ran.items()},
    }


def read_transcript(body: Json) -> Reading:
    """A transcription or translation: only the longest form says how long the audio is."""
    reading = openai_media.read_transcript(body)
    return reading._replace(response_id=mapping(body.get("x_groq")).get("id"))


CHAT: Final = openai_completions.ENDPOINTS["POST /chat/completions"]._replace(
    read=read_chat,
    read_event=read_chat,
    attributes=chat_attributes,
    telling=(b'"usage"', b'"error"', b'"executed_tools"', b"[DONE]"),
)
TRANSCRIPTS: Final = openai_media.TRANSCRIPTS._replace(
    read=read_transcript, read_event=read_transcript
)
ENDPOINTS: Final[dict[str, Endpoint]] = {
    "POST /chat/completions": CHAT,
    "POST /embeddings": openai_completions.ENDPOINTS["POST /embeddings"],
    "POST /audio/transcriptions": TRANSCRIPTS,
    "POST /audio/translations": TRANSCRIPTS,
    "POST /audio/speech": openai_media.SPEECH,
    "GET /files/*/content": openai_later.FILES,
}


class GroqInstrumentor(ClientInstrumentor):
    """Meters the `groq` package."""

    package = "groq"
    verified = (("groq", ">=0.4,<2"),)
    patches = stainless_patches(package, ENDPOINTS, provider_of=provider_of)
