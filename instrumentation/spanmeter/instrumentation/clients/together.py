"""together 2.x and 3.x.

Usage blocks: docs.together.ai/reference. Counts are inclusive, as OpenAI's, and a stream tells them
unasked, in its last chunk. Pictures, sound and videos are counted as what they are: the answer says
no tokens.
"""

from typing import Any, Final

from spanmeter.instrumentation.clients import openai_completions, openai_later, openai_media
from spanmeter.instrumentation.clients.openai_completions import error_in, read_completion
from spanmeter.instrumentation.clients.openai_providers import declared
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading, items
from spanmeter.instrumentation.instrumentor import ClientInstrumentor
from spanmeter.instrumentation.stainless import stainless_patches
from spanmeter.instrumentation.texts import prompt_of
from spanmeter.metering import attributes as names


def provider_of(client: Any) -> str:
    """Together, unless the operator says that another serves at the client's address."""
    return declared(str(client.base_url.host), client.base_url.port) or "together"


def read_images(body: Json) -> Reading:
    """Images. What they cost depends on their size, of which the answer says nothing."""
    count = len(items(body.get("data")))
    return Reading(
        response_id=body.get("id"),
        model=body.get("model"),
        error=error_in(body),
        quantities={"images": count} if count else {},
    )


_RERANK: Final = openai_completions.ENDPOINTS["POST /embeddings"]._replace(
    operation=names.RERANK, read=read_completion
)
# Not every embedding model tells what it read.
_EMBEDDINGS: Final = openai_completions.ENDPOINTS["POST /embeddings"]._replace(prompt=prompt_of)

ENDPOINTS: Final[dict[str, Endpoint]] = {
    "POST /chat/completions": openai_completions.ENDPOINTS["POST /chat/completions"],
    "POST /completions": openai_completions.ENDPOINTS["POST /completions"],
    "POST /embeddings": _EMBEDDINGS,
    "POST /rerank": _RERANK,
    "POST /images/generations": openai_media.IMAGES._replace(
        read=read_images, read_event=read_images
    ),
    "POST /audio/transcriptions": openai_media.TRANSCRIPTS,
    "POST /audio/translations": openai_media.TRANSCRIPTS,
    "POST /audio/speech": openai_media.SPEECH,
    "POST /videos": openai_media.VIDEOS,
    "GET /videos/*": openai_media.FETCHED_VIDEO,
    "GET /files/*/content": openai_later.FILES,
}


class TogetherInstrumentor(ClientInstrumentor):
    """Meters the `together` package."""

    package = "together"
    verified = (("together", ">=2,<4"),)
    patches = stainless_patches(package, ENDPOINTS, provider_of=provider_of)
