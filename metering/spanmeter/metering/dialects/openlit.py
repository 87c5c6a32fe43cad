"""OpenLIT: GenAI names, and counts as each provider gives them.

Source: openlit 1.45.0, measured: Anthropic's input (10 of 160) and Bedrock's leave the cache out,
Gemini's output its thoughts. A stream that came without usage is counted at two characters a token;
such a span lacks the cache counts, which all others have.
"""

from dataclasses import replace

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects.dialect import Case, Counting
from spanmeter.metering.dialects.opentelemetry import OPENTELEMETRY, PLACES

OPENLIT = replace(
    OPENTELEMETRY,
    name="openlit",
    scopes=("openlit",),
    calls={**OPENTELEMETRY.calls, "embedding": names.EMBEDDINGS, "image": names.IMAGE_GENERATION},
    places={
        **PLACES,
        names.TIME_TO_FIRST_CHUNK: (
            names.TIME_TO_FIRST_CHUNK,
            "gen_ai.server.time_to_first_token",
        ),
    },
    counting=(
        (Case(provider="anthropic"), Counting(input="beside_cache")),
        (Case(provider="aws.bedrock"), Counting(input="beside_cache")),
        (Case(provider="gcp"), Counting(output="beside_reasoning")),
    ),
    estimates=(
        Case(
            saying={"gen_ai.request.stream": True},
            lacking="gen_ai.usage.cache_read.input_tokens",
        ),
    ),
)
